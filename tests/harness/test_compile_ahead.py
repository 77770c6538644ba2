"""Goal: after `faultline compile` no check compiles anything.

Method: in a new process judge what it judges, then many other histories, valid and broken, small and larger, in several
notations and against several models. Numba loads or compiles a kernel for each combination of types of arguments that
it is called with, so whoever calls none with a new combination compiles nothing. And no kernel may be left out.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

import checkers
import harness
from harness.compile_ahead import SHARES, compile_share
from harness.history import History
from harness.history_edn import write_lines
from harness.journal import Journal
from harness.judging import check
from harness.op import Op
from harness.planning import Request, make_plan
from targets.simulated.programs import REGISTRY
from targets.simulated.run import simulate_plan

pytestmark = pytest.mark.timeout(1800)
"""It takes some 20 s; much longer where a change of a kernel has it compiled again, on a busy machine."""

TRANSACTIONS = ("strict-serializable", "read-committed")
MODELS = {"append": TRANSACTIONS, "rw-register": TRANSACTIONS, "register": ("linearizable", "sequential")}
"""Workloads whose checkers have most kernels, and models of different sorts."""

Calls = dict[str, set[str]]
"""Kernel → the types of arguments that it was called with."""


def called() -> Calls:
    found: Calls = {}
    for room in (checkers, harness):
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)
    for name, module in list(sys.modules.items()):
        if name.startswith(("checkers.", "harness.")):
            for value in vars(module).values():
                if isinstance(value, Dispatcher) and not value.targetoptions.get("no_cpython_wrapper"):
                    kernel = f"{value.py_func.__module__}.{value.py_func.__name__}"
                    found.setdefault(kernel, set()).update(map(str, value.signatures))
    return found


def simulated(workload: str, flaw: str, seed: int, time_s: float) -> list[Op]:
    options = {"flaw": flaw}
    asked = Request(target="simulated", workload=workload, options=options, rate_hz=50.0, time_s=time_s, seed=seed)
    return simulate_plan(make_plan(asked))


def judge_others(folder: Path) -> Iterator[str]:
    """The verdicts on other histories."""
    edn, journal = folder / "history.edn", folder / "journal.jsonl"
    for workload, programs in REGISTRY.items():
        for flaw in ("none", next(iter(programs.named_as))):
            yield check(simulated(workload, flaw, 11, 2.0), workload=workload).verdict
    for workload in MODELS:
        for flaw in REGISTRY[workload].named_as:
            ops = simulated(workload, flaw, 12, 2.0)
            edn.write_text("".join(write_lines(History.from_ops(ops).op(place) for place in range(len(ops)))), "utf-8")
            for model in MODELS[workload]:
                yield check(edn, workload=workload, model=model).verdict
        yield check(simulated(workload, "stale-read", 13, 30.0), workload=workload).verdict
    with Journal(journal) as written:
        for op in simulated("register", "stale-read", 14, 120.0):
            written.append(op)
    yield check(journal, workload="register").verdict


def both(folder: Path) -> tuple[Calls, Calls, list[str]]:
    """What kernels were called with ahead, what they were then called with too, and the verdicts on others."""
    for share in range(len(SHARES)):
        compile_share(share)
    ahead = called()
    verdicts = list(judge_others(folder))
    return ahead, {name: types - ahead[name] for name, types in called().items()}, verdicts


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Calls, Calls, list[str]]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(both, tmp_path_factory.mktemp("histories")).result()


def test_every_kernel_is_compiled_ahead(seen: tuple[Calls, Calls, list[str]]) -> None:
    ahead, _, _ = seen
    assert len(ahead) > 50
    assert [name for name, types in ahead.items() if not types] == []


def test_other_histories_need_nothing_else(seen: tuple[Calls, Calls, list[str]]) -> None:
    _, later, verdicts = seen
    assert {name: types for name, types in later.items() if types} == {}
    assert {"valid", "invalid"} <= set(verdicts) and len(verdicts) > 80
