"""Goal: a schedule depends on the seed alone and survives failures. Method: simulated time."""

from __future__ import annotations

import itertools
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from harness import generator as gen
from harness.history import History
from harness.lane import Lane
from harness.op import Op, invoke
from harness.schedule import FaultSchedule, Times, times_for
from harness.simulation import Responder, Simulation, all_ok

TIMES = Times(warm_up_s=(1, 2), hold_s=(2, 4), rest_s=(1, 3))


def plan(rng: random.Random) -> tuple[list[str], dict[str, Any]]:
    return [rng.choice(["a", "b", "c"])], {"mode": rng.choice(["x", "y"])}


def executed(fails: frozenset[str] = frozenset()) -> Any:
    counts = {"inject": 0, "heal": 0}

    def execute(op: Op) -> Op:
        counts[op.f] += 1
        if op.f in fails and counts[op.f] % 3 == 0:
            return op.replace(type="info", error="failed")
        return op.replace(type="info", value={**op.value, "observed": {"took_effect": True}})

    return execute


def run(seed: int, fails: frozenset[str] = frozenset(), latency_s: float = 0.01) -> list[Op]:
    simulation = Simulation(
        Responder(lambda op: (latency_s, all_ok(op)[1])), concurrency=2, nodes=["a", "b", "c"], seed=seed
    )
    lanes = [Lane(kind, FaultSchedule(kind, plan, TIMES), executed(fails)) for kind in ("kill", "pause")]
    return simulation.run(gen.time_limit(60, gen.stagger(0.1, gen.repeat(invoke("read")))), lanes)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_faults_hold_and_rest_as_drawn_and_end_healed(seed: int) -> None:
    windows = History.from_ops(run(seed)).windows()
    for kind in ("kill", "pause"):
        mine = [window for window in windows if window.fault.kind == kind]
        assert len(mine) >= 60 // (2 + 4 + 3) - 1
        assert all(window.healed and window.took_effect for window in mine)
        assert 1.0 <= mine[0].begin_ns / 1e9 <= 2.0
        for window in mine[:-1]:
            assert 2.0 <= (window.end_ns - window.begin_ns) / 1e9 <= 4.02
        for earlier, later in itertools.pairwise(mine):
            assert 1.0 <= (later.begin_ns - earlier.end_ns) / 1e9 <= 3.0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_what_clients_do_does_not_shift_the_schedule(seed: int) -> None:
    def schedule(ops: list[Op]) -> list[tuple]:
        return [
            (op.time_ns, op.type, op.f, op.value["kind"], op.value["nodes"]) for op in ops if op.process == "nemesis"
        ]

    assert schedule(run(seed))[:12] == schedule(run(seed, latency_s=0.17))[:12]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_failures_leave_at_most_one_fault_open_and_none_at_the_end(seed: int) -> None:
    ops = run(seed, frozenset({"inject", "heal"}))
    open_faults: dict[str, int] = {}
    for op in ops:
        if op.process != "nemesis":
            continue
        lane, fault = op.value["lane"], op.value["id"]
        if op.f == "inject" and op.type == "invoke":
            assert lane not in open_faults
            open_faults[lane] = fault
        elif op.f == "heal":
            assert open_faults[lane] == fault
            if op.type == "info" and op.error is None:
                del open_faults[lane]
    assert not open_faults


def test_a_pause_that_meets_a_dead_database_is_tried_again_as_it_was() -> None:
    def scheduled(misses: int) -> list[Op]:
        calls = itertools.count()

        def execute(op: Op) -> Op:
            effect = op.f == "inject" and next(calls) >= misses
            return op.replace(type="info", value={**op.value, "observed": {"took_effect": effect}})

        simulation = Simulation(Responder(all_ok), concurrency=1, nodes=["a"], seed=7)
        source = gen.time_limit(60, gen.stagger(0.1, gen.repeat(invoke("read"))))
        ops = simulation.run(source, [Lane("pause", FaultSchedule("pause", plan, TIMES), execute)])
        return [op for op in ops if op.process == "nemesis" and op.f == "inject" and op.type == "info"]

    missed, lucky = scheduled(3), scheduled(0)
    assert [op.value["observed"]["took_effect"] for op in missed[:5]] == [False] * 3 + [True] * 2
    assert missed[3].time_ns - missed[0].time_ns < 4e9, "soon"
    asked = [(op.value["nodes"], op.value["params"]) for op in missed]
    assert asked[:4] == [asked[0]] * 4
    assert asked[3:8] == [(op.value["nodes"], op.value["params"]) for op in lucky[:5]], "later faults are as drawn"
    assert not any(op.value["observed"]["took_effect"] for op in scheduled(10**6))


@given(st.floats(1, 100_000))
def test_every_run_has_room_for_two_faults_of_a_kind(run_s: float) -> None:
    times = times_for("kill", run_s)
    longest_s = times.warm_up_s[1] + 2 * times.hold_s[1] + times.rest_s[1]
    assert longest_s < run_s or run_s < 3
