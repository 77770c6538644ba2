"""Goal: the calls that are shown of a broken register are broken alone, few, and prove something of the whole.

Method: of drawn small registers, parts of those that have an order must have one too, whatever calls they are made
of; what is left of the others must have none, by the oracle. A large register with one old value read must come down to
the read, the write that it found, and one that replaced it.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.linearizability import linearizable_registers, register_shrink
from checkers.linearizability.linearizable import Linearizable
from checkers.linearizability.linearizable_model import NEVER, Budget, Operation
from checkers.linearizability.register_model import Register
from checkers.linearizability.register_shrink import Part, needed
from harness.checker import CheckOptions
from harness.history import History
from tests.checkers.linearizability_oracle import linearizable
from tests.checkers.register_operations import columns_of, registers

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def up_to(operations: list[Operation], end: int) -> list[Operation]:
    """What was known when the record at `end` was made."""
    return [
        Operation(each.action, each.invoked, each.returned if each.returned <= end else NEVER)
        for each in operations
        if each.invoked < end
    ]


def first_broken(operations: list[Operation]) -> int:
    """The call at whose return there is no order any more, -1 where there is always one."""
    for end in sorted(each.returned for each in operations if not each.crashed):
        if not linearizable(Register(), up_to(operations, end)):
            return next(number for number, each in enumerate(operations) if each.returned == end)
    return -1


@thorough
@given(registers(most=12, clients=8), st.randoms(use_true_random=False))
def test_a_part_of_what_has_an_order_has_one(operations: list[Operation], rng: random.Random) -> None:
    columns, broken = columns_of(operations), first_broken(operations)
    whole = [number for number, each in enumerate(operations) if not each.crashed]
    if broken >= 0:
        whole = [number for number in whole if operations[number].returned < operations[broken].returned]
    for stuck in whole:
        part = Part(columns, stuck)
        for _ in range(4):
            some = [call for call in part.before if rng.random() < rng.choice([0.1, 0.5])]
            assert not part.is_broken(part.with_grounds(some), Budget.of(20, 100)), (operations, stuck, some)


@thorough
@given(registers(most=12, clients=8))
def test_what_is_shown_has_no_order(operations: list[Operation]) -> None:
    stuck = first_broken(operations)
    if stuck < 0:
        return
    kept = needed(columns_of(operations), stuck)
    assert stuck in kept
    shown = [operations[call] for call in kept]
    assert not linearizable(Register(), shown)
    assert not linearizable(Register(), up_to(shown, operations[stuck].returned))


def with_an_old_read(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """A register of ten clients and few values, and after all of them a read of one that was written at first."""
    ops: list[dict[str, Any]] = []
    register: Any = 9
    waiting: dict[int, tuple[str, Any]] = {}

    def record(process: int, type_: str, f: str, value: Any) -> None:
        ops.append({"index": len(ops), "process": process, "type": type_, "f": f, "value": value})

    for type_ in ("invoke", "ok"):
        record(0, type_, "write", 9)
    while len(ops) < 2 * count or waiting:
        process = rng.randrange(10)
        if process in waiting:
            f, value = waiting.pop(process)
            done = f != "cas" or value[0] == register
            if f == "read":
                value = register
            elif done:
                register = value if f == "write" else value[1]
            record(process, "ok" if done else "fail", f, value)
        elif len(ops) < 2 * count:
            f = rng.choice(["read", "write", "cas"])
            value = {"read": None, "write": rng.randrange(4), "cas": [rng.randrange(4), rng.randrange(4)]}[f]
            waiting[process] = f, value
            record(process, "invoke", f, value)
    record(0, "invoke", "read", None)
    record(0, "ok", "read", 9)
    return ops


def test_of_a_large_register_few_calls_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linearizable_registers, "EXPLAIN_S", 60)
    monkeypatch.setattr(register_shrink, "SHRINK_S", 60)
    for seed in range(3):
        ops = with_an_old_read(random.Random(seed), 5000)
        verdict = Linearizable().check(History.from_ops(ops), CheckOptions())
        assert verdict.verdict == "invalid"
        (shown,) = (each for each in verdict.anomalies if each.type == "nonlinearizable")
        assert len(shown.sub_history) <= 16
        assert {0, 1, len(ops) - 2, len(ops) - 1} <= set(shown.sub_history)
        kept = [ops[index] for index in shown.sub_history]
        assert Linearizable().check(History.from_ops(kept), CheckOptions()).verdict == "invalid"
