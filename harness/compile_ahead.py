"""Compiles everything that checks have compiled, once, when Faultline is installed.

Problem: a kernel (see `harness.compiled`) is compiled when it is called first, and many are called for broken
histories, large files or rare options only: then any later check may take seconds more. Idea: judge histories in which
all of that occurs. The simulated target makes most of them, the same in each installation, and the kernels stay on
disk. Nothing depends on it: a kernel that was never compiled still is when it is called.

Two processes share the work, such that hardly a kernel is needed in both at once. That no kernel is left out, and that
checks of other histories call none with other types of arguments, is for `tests/harness/test_compile_ahead.py` to hold.

Cost: up to 75 s of CPU time, half of that on two cores; 8 s where everything is compiled already.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from harness.history import History
from harness.history_edn import write_lines
from harness.judging import check
from harness.op import Op
from harness.planning import Request, make_plan
from harness.read_columns import WALK_FROM_BYTES
from harness.registry import find_target
from targets.simulated.run import simulate_plan

RATE_HZ, TIME_S, SEED = 50.0, 20.0, 5
LONG_TIME_S = 120.0
"""How long a simulated run has to be for its file to be read by compiled code."""
FAR_APART = 10**9


@dataclass(frozen=True)
class Sample:
    """A history to be judged. ops: makes it. model: None for the workload's own. options: of its checkers."""

    workload: str
    ops: Callable[[], Iterable[Op]]
    model: str | None = None
    options: dict[str, str] = field(default_factory=dict)


def compile_all() -> None:
    """Compile in two new processes at once. Raises what a check raises."""
    with ProcessPoolExecutor(len(SHARES), mp_context=get_context("spawn")) as processes:
        list(processes.map(compile_share, range(len(SHARES))))


def compile_share(share: int) -> None:
    """Judge the samples of one share, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.edn"
        for sample in SHARES[share]:
            history = History.from_ops(sample.ops())
            with path.open("w", encoding="utf-8") as file:
                file.writelines(write_lines(history.op(place) for place in range(len(history))))
            check(path, workload=sample.workload, model=sample.model, **sample.options)


def simulated(workload: str, flaw: str = "none", time_s: float = TIME_S) -> list[Op]:
    """A run of the simulated target."""
    request = Request(
        target="simulated", workload=workload, options={"flaw": flaw}, rate_hz=RATE_HZ, time_s=time_s, seed=SEED
    )
    return simulate_plan(make_plan(request))


def _long() -> list[Op]:
    """A run whose file is not read by the exact reader alone."""
    ops = simulated("set-final", time_s=LONG_TIME_S)
    assert sum(map(len, write_lines(ops))) > WALK_FROM_BYTES
    return ops


def _far_apart() -> list[Op]:
    """A run with values that leave much room between them."""
    return [
        op.replace(value=[[f, key, value and value * FAR_APART] for f, key, value in op.value]) if op.f == "txn" else op
        for op in simulated("rw-register")
    ]


def _one_after_another(*calls: tuple[str, object]) -> list[Op]:
    """Operations of one client: names and values."""
    return [Op(type_, f, value, 0) for f, value in calls for type_ in ("invoke", "ok")]


def _read_before_written() -> list[Op]:
    """A client's transaction that read what its next one appended, and the other way round: a circle of every kind."""
    return _one_after_another(("txn", [["append", 0, 1], ["r", 1, [2]]]), ("txn", [["append", 1, 2], ["r", 0, [1]]]))


def _values_again() -> list[Op]:
    """Operations of a register in which a value is written twice, so that zones say nothing."""
    return _one_after_another(("write", 1), ("write", 2), ("write", 1), ("read", 1))


def _stack() -> list[Op]:
    return _one_after_another(("push", 1), ("push", 2), ("pop", 2), ("pop", 1))


def _run(workload: str, flaw: str) -> Sample:
    return Sample(workload, lambda: simulated(workload, flaw), find_target("simulated").claim(workload, {}).model)


SHARES: tuple[tuple[Sample, ...], ...] = (
    (
        *(_run("append", flaw) for flaw in ("none", "lost-update", "dirty-read", "duplicate", "non-monotonic-read")),
        Sample("append", _read_before_written, "strict-serializable"),
        Sample("append", lambda: simulated("append"), options={"initial": "unknown"}),
        *(_run("rw-register", flaw) for flaw in ("lost-update", "lost-write")),
    ),
    (
        _run("rw-register", "none"),
        Sample("rw-register", _far_apart, options={"initial": "unknown"}),
        *(_run("register", flaw) for flaw in ("none", "lost-update")),
        Sample("register", _values_again),
        Sample("stack", _stack),
        Sample("set-final", _long),
    ),
)
"""What each process judges. The second begins with registers, the first ends with them: their kernels are there."""
