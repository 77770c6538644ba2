"""Goal: each pair is used by two clients at about the same time, once. Method: simulated time."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from harness import generator as gen
from harness.op import Op
from harness.options import with_defaults
from harness.simulation import Simulation
from harness.target import DidNotHappen
from workloads.write_skew import WRITE_SKEW, generator, pairs_in_all


class Rota:
    """Keeps one of each pair on call; its first reads of all fail."""

    def __init__(self, failing_reads: int = 0) -> None:
        self.off: dict[int, int] = {}
        self.random, self.failing_reads = random.Random(0), failing_reads

    def is_read(self, op: Op) -> bool:
        return op.f == "read-all"

    def begin(self, op: Op, clock: Any, finish: Callable[[Any], None]) -> None:
        if op.f == "read-all":
            self.failing_reads -= 1
            value = [[pair, member != 0, member != 1] for pair, member in self.off.items()]
            outcome = DidNotHappen("not now") if self.failing_reads >= 0 else op.replace(type="ok", value=value)
            clock.after(1_000_000, lambda: finish(outcome))
            return
        pair, member, _ = op.value
        left = self.off.setdefault(pair, member) == member
        done = op.replace(type="ok", value=[pair, member, "left" if left else "stayed"])
        clock.after(self.random.randrange(3_000_000, 6_000_000), lambda: finish(done))


def run(phase: int = 0, pairs: int = 500) -> list[Op]:
    return Simulation(Rota(), concurrency=6, nodes=("n1",)).run(generator({"pairs": pairs, "phase": phase}))


def test_each_member_of_each_pair_wants_to_leave_once() -> None:
    wishes = [tuple(op.value[:2]) for op in run() if op.type == "invoke"]
    assert sorted(wishes) == [(pair, member) for pair in range(500) for member in range(2)]


def test_the_members_of_a_pair_are_with_two_clients_and_in_flight_together() -> None:
    history = run()
    spans: dict[tuple[int, int], list[Op]] = {}
    for op in history:
        spans.setdefault((op.value[0], op.value[1]), []).append(op)
    together = 0
    for pair in range(500):
        (first, first_end), (second, second_end) = spans[pair, 0], spans[pair, 1]
        assert first.process != second.process or first_end.index < second.index
        together += first.index < second_end.index and second.index < first_end.index
    assert together > 450


def test_phases_share_no_pair_and_the_table_has_them_all() -> None:
    used = [{op.value[0] for op in run(phase)} for phase in range(3)]
    assert not used[0] & used[1] and not used[1] & used[2] and not used[0] & used[2]
    assert set().union(*used) == set(range(pairs_in_all({"pairs": 500})))


def test_the_final_read_is_repeated_until_it_is_ok() -> None:
    assert WRITE_SKEW.final_generator is not None
    simulation = Simulation(Rota(failing_reads=3), concurrency=2, nodes=("n1",))
    history = simulation.run(gen.time_limit(60, WRITE_SKEW.final_generator({"pairs": 5})))
    assert [op.type for op in history if op.type != "invoke"][-1] == "ok"
    assert {op.f for op in history} == {"read-all"} and len(history) >= 8


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="option pairs='0'"):
        with_defaults(WRITE_SKEW.options, {"pairs": 0})
