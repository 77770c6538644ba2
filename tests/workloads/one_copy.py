"""One copy of the data, in simulated time: a right database for the tests of generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness import generator as gen
from harness.history import History
from harness.judging import judge
from harness.op import Op
from harness.options import with_defaults
from harness.reading import read_history
from harness.simulation import Clock, Finish, Simulation
from harness.target import DidNotHappen
from harness.verdict import Verdict
from harness.workload import Workload

NODES = ("n1", "n2", "n3")
MS_NS = 1_000_000


class OneCopy:
    """apply(op) → the value of an ok, or raises. Takes effect when the answer comes.

    failing: how many of the first ops fail. reads: the `f`s that write nothing.
    """

    def __init__(self, apply: Callable[[Op], Any], *, failing: int = 0, reads: tuple[str, ...] = ("read",)) -> None:
        self.apply, self.failing, self.reads, self.count = apply, failing, reads, 0

    def is_read(self, op: Op) -> bool:
        return op.f in self.reads

    def begin(self, op: Op, clock: Clock, finish: Finish) -> None:
        self.count += 1
        latency_ns = MS_NS * (1 + self.count % 5)

        def answer() -> None:
            self.failing -= 1
            if self.failing >= 0:
                finish(DidNotHappen("not now"))
                return
            try:
                finish(op.replace(type="ok", value=self.apply(op)))
            except DidNotHappen as reason:
                finish(reason)

        clock.after(latency_ns, answer)


def run(
    workload: Workload, apply: Callable[[Op], Any], *, seconds: float = 0.5, failing_finals: int = 0, **given: Any
) -> tuple[list[Op], list[Op]]:
    """(ops of the main phase, ops of the final reads) on one copy, by six clients on three nodes."""
    options = with_defaults(workload.options, given)
    model = OneCopy(apply)
    simulation = Simulation(model, concurrency=6, nodes=NODES)
    main = simulation.run(gen.time_limit(seconds, workload.clients({**options, "phase": 0})))
    model.failing = failing_finals
    final: list[Op] = []
    if workload.final_generator is not None:
        final = simulation.run(gen.time_limit(60, workload.final_generator(options)))
    return main, final


def judged(workload: Workload, ops: list[Op], options: Mapping[str, Any] | None = None) -> Verdict:
    """As the harness judges a run, but for idleness."""
    options = with_defaults(workload.options, options or {})
    return judge(History.from_ops(ops), workload, model=workload.own_model, options=options)


def of_jepsen(workload: Workload, folder: Path, lines: str, **options: Any) -> Verdict:
    """The verdict on a history.edn in Jepsen's notation, as `faultline check` gives it."""
    path = folder / "history.edn"
    path.write_text(lines, "utf-8")
    given = {**with_defaults(workload.check_options, options)}
    return judge(read_history(path), workload, model=workload.own_model, options=given)


def every_node_answered(final: list[Op]) -> bool:
    """Whether the final reads ended with an ok through each node."""
    return {op.node for op in final if op.type == "ok"} == set(NODES)
