"""Each combinator in simulated time: what it emits, when, on which worker; and that every one is a value."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import generator as gen
from harness.op import Op, invoke
from harness.simulation import simulate
from harness.target import DidNotHappen, Unknown

READ, WRITE = invoke("read"), invoke("write")


def invoked(ops: list[Op]) -> list[Op]:
    return [op for op in ops if op.type == "invoke"]


def names(ops: list[Op]) -> list[str]:
    return [op.f for op in invoked(ops)]


def numbered(f: str = "write") -> gen.Generator:
    return gen.unfold(0, lambda count, _: (invoke(f, count), count + 1))


def test_an_op_a_list_and_a_function_are_sources() -> None:
    assert names(simulate([READ, WRITE])) == ["read", "write"]
    assert names(simulate(gen.limit(3, lambda context: READ))) == ["read"] * 3
    assert names(simulate(None)) == []
    with pytest.raises(TypeError, match="is no generator"):
        gen.lift(7)


def test_once_takes_the_first_op_alone() -> None:
    assert names(simulate(gen.once(lambda context: READ))) == ["read"]
    assert names(simulate(gen.once([READ, WRITE]))) == ["read"]


def test_repeat_and_cycle_and_limit() -> None:
    assert names(simulate(gen.repeat(READ, 4))) == ["read"] * 4
    assert names(simulate(gen.repeat([READ, WRITE], 3))) == ["read"] * 3
    assert names(simulate(gen.cycle([READ, WRITE], 2))) == ["read", "write"] * 2
    assert names(simulate(gen.limit(5, gen.cycle([READ, WRITE])))) == ["read", "write", "read", "write", "read"]
    assert names(simulate(gen.cycle(None))) == []


def test_unfold_counts_and_learns() -> None:
    assert [op.value for op in invoked(simulate(gen.limit(4, numbered())))] == [0, 1, 2, 3]

    def step(seen: int, context: gen.Context) -> tuple[Op, int] | None:
        return None if seen >= 3 else (READ, seen)

    learning = gen.unfold(0, step, lambda seen, context, event: seen + (event.type == "ok"))
    assert len(invoked(simulate(learning, concurrency=1))) == 3


def test_mix_follows_its_weights_and_ends_when_all_are_exhausted() -> None:
    counts = Counter(names(simulate(gen.limit(4000, gen.mix(gen.repeat(READ), gen.repeat(WRITE), weights=[3, 1])))))
    assert 2800 < counts["read"] < 3200
    assert Counter(names(simulate(gen.mix(gen.repeat(READ, 2), gen.repeat(WRITE, 30))))) == {"read": 2, "write": 30}
    with pytest.raises(ValueError, match="one for each source"):
        gen.mix(READ, WRITE, weights=[1])


def test_any_of_takes_what_is_ready() -> None:
    slow = gen.sequence(gen.sleep(1), gen.repeat(WRITE, 2))
    ops = invoked(simulate(gen.any_of(slow, gen.repeat(READ, 3))))
    assert [op.f for op in ops] == ["read"] * 3 + ["write"] * 2
    assert ops[3].time_ns >= 1_000_000_000
    turns = names(simulate(gen.limit(6, gen.any_of(gen.repeat(READ), gen.repeat(WRITE)))))
    assert turns == ["read", "write"] * 3


def test_map_ops_and_f_map() -> None:
    assert names(simulate(gen.f_map({"read": "look"}, [READ, WRITE]))) == ["look", "write"]


def test_until_ok_goes_on_until_an_op_of_its_own_succeeds() -> None:
    outcomes = iter([DidNotHappen("no"), Unknown("perhaps"), None])

    def respond(op: Op) -> tuple[float, Any]:
        return 0.01, next(outcomes) or op.replace(type="ok")

    ops = simulate(gen.until_ok(gen.delay(0.5, gen.repeat(READ))), respond, concurrency=1)
    assert [op.type for op in ops] == ["invoke", "fail", "invoke", "info", "invoke", "ok"]
    assert [op.time_ns for op in invoked(ops)] == [0, 500_000_000, 1_000_000_000]
    assert [op.process for op in invoked(ops)] == [0, 0, 1], "a lost session ends its process"


def test_each_thread_runs_a_copy_on_every_thread() -> None:
    ops = simulate(gen.each_thread(gen.limit(2, numbered())), concurrency=3, nodes=["a", "b"])
    per_process = {process: [op.value for op in invoked(ops) if op.process == process] for process in range(3)}
    assert per_process == {0: [0, 1], 1: [0, 1], 2: [0, 1]}
    assert {op.process: op.node for op in ops} == {0: "a", 1: "b", 2: "a"}


def test_each_thread_keeps_its_copies_when_processes_change() -> None:
    def respond(op: Op) -> tuple[float, Any]:
        return 0.01, op.replace(type="ok") if op.process >= 4 else Unknown("lost")

    ops = simulate(gen.each_thread(gen.until_ok(gen.repeat(READ))), respond, concurrency=2)
    assert sorted(op.process for op in ops if op.type == "ok") == [4, 5]
    assert len(invoked(ops)) == 6


def test_ok_on_each_node_ends_when_every_node_has_done_one() -> None:
    failures = {"a": 0, "b": 3, "c": 1}

    def respond(op: Op) -> tuple[float, Any]:
        failures[op.node] -= 1
        return 0.01, DidNotHappen("not yet") if failures[op.node] >= 0 else op.replace(type="ok")

    ops = simulate(gen.ok_on_each_node(3, gen.stagger(0.01, numbered())), respond, concurrency=7, nodes=["a", "b", "c"])
    assert Counter(op.node for op in ops if op.type == "ok") == {"a": 1, "b": 1, "c": 1}
    assert Counter(op.node for op in ops if op.type == "fail") == {"b": 3, "c": 1}
    assert sorted(op.value for op in invoked(ops)) == list(range(7)), "the nodes share one source"


def test_reserve_and_on_threads_keep_to_their_threads() -> None:
    ops = invoked(simulate(gen.limit(60, gen.reserve(1, gen.repeat(READ), 2, gen.repeat(WRITE))), concurrency=5))
    assert {op.process for op in ops if op.f == "read"} == {0}
    assert {op.process for op in ops if op.f == "write"} == {1, 2}
    rest = invoked(simulate(gen.limit(60, gen.reserve(1, gen.repeat(READ), gen.repeat(WRITE))), concurrency=3))
    assert {op.process for op in rest if op.f == "write"} == {1, 2}
    alone = invoked(simulate(gen.on_threads({2}, gen.repeat(READ, 3)), concurrency=4))
    assert [op.process for op in alone] == [2, 2, 2]
    with pytest.raises(ValueError, match="number of threads"):
        gen.reserve(0, READ)


def test_phases_wait_for_ops_in_flight() -> None:
    ops = simulate(gen.phases(gen.repeat(READ, 3), WRITE), lambda op: (0.1 * (op.process + 1), op.replace(type="ok")))
    assert [(op.type, op.f) for op in ops] == [("invoke", "read")] * 3 + [("ok", "read")] * 3 + [
        ("invoke", "write"),
        ("ok", "write"),
    ]
    without = simulate(gen.sequence(gen.repeat(READ, 2), WRITE), concurrency=3)
    assert [op.type for op in without[:3]] == ["invoke"] * 3


def test_time_limit_ends_and_lets_ops_in_flight_run_on() -> None:
    ops = simulate(gen.time_limit(1, gen.repeat(READ)), lambda op: (0.3, op.replace(type="ok")), concurrency=1)
    assert [op.time_ns for op in invoked(ops)] == [0, 300_000_000, 600_000_000, 900_000_000]
    assert ops[-1].type == "ok" and ops[-1].time_ns == 1_200_000_000
    assert simulate(gen.time_limit(0.5, gen.sequence(gen.sleep(2), READ))) == []


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.001, 0.01, 0.1]))
def test_stagger_holds_its_rate(seed: int, interval_s: float) -> None:
    ops = invoked(simulate(gen.limit(400, gen.stagger(interval_s, gen.repeat(READ))), concurrency=10, seed=seed))
    mean_s = ops[-1].time_ns / 1e9 / (len(ops) - 1)
    assert 0.85 * interval_s < mean_s < 1.15 * interval_s
    gaps = [later.time_ns - earlier.time_ns for earlier, later in itertools.pairwise(ops)]
    assert max(gaps) <= 2e9 * interval_s + 1e6


def test_delay_waits_between_ops() -> None:
    ops = invoked(simulate(gen.limit(3, gen.delay(0.25, gen.repeat(READ)))))
    assert [op.time_ns for op in ops] == [0, 250_000_000, 500_000_000]


def test_time_begins_when_a_part_is_reached() -> None:
    ops = invoked(simulate([gen.sleep(3), gen.time_limit(1, gen.delay(0.4, gen.repeat(READ)))]))
    assert [op.time_ns for op in ops] == [3_000_000_000, 3_400_000_000, 3_800_000_000]


def test_an_op_in_the_future_waits_for_its_time() -> None:
    later = READ.replace(time_ns=70_000_000)
    ops = invoked(simulate(gen.any_of(later, gen.delay(0.05, gen.repeat(WRITE, 2)))))
    assert [(op.f, op.time_ns) for op in ops] == [("write", 0), ("write", 50_000_000), ("read", 70_000_000)]


def test_a_generator_that_waits_for_ever_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="waits for ever"):
        simulate(gen.phases(READ, lambda context: gen.PENDING), lambda op: (0.1, op.replace(type="ok")))


def random_op(context: gen.Context) -> Op:
    return invoke("write", context.random.randrange(10**9))


def test_thread_timing_does_not_shift_the_sequence_of_ops() -> None:
    source = gen.limit(300, gen.stagger(0.001, gen.mix(random_op, gen.delay(0.005, random_op))))
    values = []
    for latency_s in (0.0001, 0.0007, 0.0042):
        ops = simulate(source, lambda op, latency_s=latency_s: (latency_s, op.replace(type="ok")), concurrency=20)
        values.append([op.value for op in invoked(ops)])
    assert values[0] == values[1] == values[2]


sources = st.recursive(
    st.sampled_from([READ, WRITE, gen.repeat(READ, 5), gen.repeat(WRITE), random_op, None]),
    lambda inner: st.one_of(
        st.builds(lambda a, b: gen.mix(a, b), inner, inner),
        st.builds(lambda a, b: gen.any_of(a, b), inner, inner),
        st.builds(lambda a, b: gen.phases(a, b), inner, inner),
        st.builds(lambda a, b: gen.reserve(1, a, b), inner, inner),
        st.builds(lambda a: gen.stagger(0.002, a), inner),
        st.builds(lambda a: gen.delay(0.003, a), inner),
        st.builds(lambda a: gen.each_thread(gen.limit(3, a)), inner),
        st.builds(lambda a: gen.until_ok(a), inner),
        st.builds(lambda a: gen.cycle(gen.limit(2, a), 3), inner),
        st.builds(lambda a: gen.time_limit(0.02, a), inner),
        st.builds(lambda a: gen.synchronize(a), inner),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(sources, st.integers(0, 100))
def test_any_combination_ends_and_is_a_value(source: Any, seed: int) -> None:
    """Two runs from one generator give the same history: nothing in it was changed by the first."""
    bounded = gen.time_limit(0.1, gen.limit(100, source))

    def respond(op: Op) -> tuple[float, Any]:
        rng = random.Random(str(op))
        outcome = rng.choice([op.replace(type="ok"), op.replace(type="ok"), DidNotHappen("no"), Unknown("lost")])
        return rng.random() * 0.01, outcome

    first = simulate(bounded, respond, seed=seed)
    assert first == simulate(bounded, respond, seed=seed)
    assert [op.index for op in first] == list(range(len(first)))
    assert len(invoked(first)) * 2 == len(first)
