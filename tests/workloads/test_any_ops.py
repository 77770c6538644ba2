"""Goal: whatever a history holds, `check` gives a verdict or one clear error; never another exception, never a hang.

Method: a good history of every workload that can be simulated, with a few random changes: values of other shapes, ops
that are missing, doubled or of another type, processes that are none.
"""

from __future__ import annotations

import copy
import os
import random
from collections import Counter
from functools import cache
from typing import Any

import msgspec
import pytest

import faultline
from harness.errors import FaultlineError
from harness.planning import Request, make_plan
from targets.simulated.programs import REGISTRY
from targets.simulated.run import simulate_plan

HISTORIES = int(os.environ.get("FAULTLINE_EXAMPLES", "600")) // 5
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 10**30, 0.5, float("nan"), float("inf")),
    *("", "a", "read", [], [1], [[1]], [None], [1, None], {}, {"a": 1}, [["r", 1, None]], [["append", 1, 2]]),
    *([["w", 0, [1]]], [["r"]], ["r", 1, None], [["r", {}, []]], [["append", None, None]], [1, [2, [3]]]),
)
ODD_PROCESSES: tuple[Any, ...] = (0, 1, 2, 99, "nemesis", "x", -1, None, 2**70, 1.5)


@cache
def good_history(workload: str, seed: int) -> list[dict[str, Any]]:
    plan = make_plan(
        Request(target="simulated", workload=workload, time_s=1, rate_hz=60, seed=seed, concurrency=6, faults=("none",))
    )
    ops = [msgspec.to_builtins(op) for op in simulate_plan(plan)]
    return [{name: value for name, value in op.items() if name != "index"} for op in ops]


def changed(value: Any, rng: random.Random) -> Any:
    """The value with something else somewhere in it."""
    if isinstance(value, list | tuple) and value and rng.random() < 0.7:
        values, place, what = list(value), rng.randrange(len(value)), rng.random()
        if what < 0.7:
            values[place] = changed(values[place], rng)
        elif what < 0.85:
            del values[place]
        else:
            values.insert(place, rng.choice([*ODD_VALUES, value[place]]))
        return values
    return copy.deepcopy(rng.choice(ODD_VALUES))


def spoiled(ops: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    """A part of the history with some changes."""
    ops = copy.deepcopy(ops[: rng.randrange(1, len(ops) + 1)])
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        if not ops:
            break
        op, what = rng.choice(ops), rng.random()
        if what < 0.6:
            op["value"] = changed(op.get("value"), rng)
        elif what < 0.7:
            ops.remove(op)
        elif what < 0.8:
            ops.insert(rng.randrange(len(ops)), copy.deepcopy(op))
        elif what < 0.9:
            op["type"] = rng.choice(["invoke", "ok", "fail", "info"])
        elif what < 0.95:
            op["f"] = rng.choice([*(other["f"] for other in ops), "weird"])
        else:
            op["process"] = rng.choice(ODD_PROCESSES)
    return ops


@pytest.mark.parametrize("workload", REGISTRY)
def test_a_spoiled_history_is_judged_or_refused(workload: str) -> None:
    seen: Counter[str] = Counter()
    for seed in range(HISTORIES):
        rng = random.Random(f"{workload} {seed}")
        ops = spoiled(good_history(workload, seed % 3), rng)
        try:
            seen[faultline.check(ops, workload=workload).verdict] += 1
        except FaultlineError as error:
            assert str(error), ops
            seen["refused"] += 1
    assert seen["refused"] and seen.total() > seen["refused"], seen
