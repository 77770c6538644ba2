"""Goal: the register workload keeps its word about keys, values and concurrency, and its final reads find the end.

Method: its generators run in simulated time against a register store that is right, slow or broken on purpose.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import generator as gen
from harness.generator import Context, Generator, Pending
from harness.op import Op
from harness.options import with_defaults
from harness.simulation import Clock, Finish, Simulation
from harness.target import DidNotHappen, Unknown
from harness.workload import PHASES
from workloads.register import INFOS_PER_KEY, OPS_PER_KEY, RECENT, REGISTER

NODES = ("n1", "n2", "n3")


class Store:
    """Registers that take effect when the answer comes. broken(op): an exception instead, None for none."""

    def __init__(self, latency_ns: int = 1_000_000, broken: Any = lambda op: None) -> None:
        self.values: dict[int, int] = {}
        self.latency_ns, self.broken, self.count = latency_ns, broken, 0

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def begin(self, op: Op, clock: Clock, finish: Finish) -> None:
        self.count += 1
        clock.after(self.latency_ns * (1 + self.count % 7), lambda: finish(self.answer(op)))

    def answer(self, op: Op) -> Any:
        error = self.broken(op)
        if error is not None:
            return error
        key, value = op.value
        if op.f == "read":
            return op.replace(type="ok", value=[key, self.values.get(key)])
        if op.f == "cas":
            old, value = value
            if self.values.get(key) != old:
                return DidNotHappen(f"compare failed: it held {self.values.get(key)}")
        self.values[key] = value
        return op.replace(type="ok")


def main(seconds: float, store: Store, *, seed: int = 0, concurrency: int = 9, **given_options: Any) -> list[Op]:
    options = with_defaults(REGISTER.options, given_options)
    simulation = Simulation(store, concurrency=concurrency, nodes=NODES, seed=seed)
    return simulation.run(gen.time_limit(seconds, REGISTER.generator(options)))


def of_type(ops: list[Op], kind: str) -> list[Op]:
    return [op for op in ops if op.type == kind]


def test_every_key_has_its_share_of_ops_and_is_never_used_again() -> None:
    invocations = of_type(main(1.5, Store()), "invoke")
    counts = Counter(op.value[0] for op in invocations)
    assert len(counts) > 10
    assert max(counts.values()) == OPS_PER_KEY
    assert sorted(counts) == list(range(len(counts)))
    finished = [count for key, count in counts.items() if key < len(counts) - 3]
    assert set(finished) == {OPS_PER_KEY}


def test_a_key_is_retired_after_its_share_of_unknown_results() -> None:
    ops = main(1.5, Store(broken=lambda op: None if op.f == "read" else Unknown("lost")))
    infos = Counter(op.value[0] for op in of_type(ops, "info"))
    in_flight_at_most = 2
    assert len(infos) > 10
    assert max(infos.values()) <= INFOS_PER_KEY + in_flight_at_most
    counts = Counter(op.value[0] for op in of_type(ops, "invoke"))
    assert max(counts.values()) < OPS_PER_KEY


def test_values_are_unique_for_a_key_and_a_compare_and_set_expects_one_that_was_seen() -> None:
    ops = main(1.5, Store())
    written: dict[int, list[int]] = defaultdict(list)
    for op in of_type(ops, "invoke"):
        key, value = op.value
        if op.f == "write":
            written[key].append(value)
        elif op.f == "cas":
            old, new = value
            assert old is None or old in written[key]
            written[key].append(new)
    assert all(len(values) == len(set(values)) and min(values) >= 1 for values in written.values())


def test_a_good_part_of_the_compare_and_sets_succeeds() -> None:
    ops = main(2, Store())
    asked = sum(op.f == "cas" for op in of_type(ops, "invoke"))
    done = sum(op.f == "cas" for op in of_type(ops, "ok"))
    assert asked > 200
    assert done / asked > 0.25


def test_all_kinds_of_ops_come_and_every_key_is_worked_on_from_every_node() -> None:
    ops = main(2, Store())
    assert {op.f for op in of_type(ops, "ok")} == {"read", "write", "cas"}
    nodes: dict[int, set[str | None]] = defaultdict(set)
    for op in of_type(ops, "invoke"):
        nodes[op.value[0]].add(op.node)
    newest = max(nodes)
    assert all(reached == set(NODES) for key, reached in nodes.items() if key < newest - 3)


def test_several_workers_are_at_one_key_at_once() -> None:
    busy: Counter[int] = Counter()
    most = 0
    for op in main(1, Store()):
        busy[op.value[0]] += 1 if op.type == "invoke" else -1
        most = max(most, busy[op.value[0]])
    assert most >= 3


@pytest.mark.parametrize("keys,concurrency", [(1, 5), (5, 3), (4, 10), (100, 7)])
def test_any_number_of_keys_and_workers(keys: int, concurrency: int) -> None:
    ops = main(0.5, Store(), keys=keys, concurrency=concurrency)
    assert len({op.process for op in ops}) == concurrency
    first = [op.value[0] for op in of_type(ops, "invoke")[:concurrency]]
    assert len(set(first)) == min(keys, concurrency)


def test_each_phase_of_a_run_has_keys_of_its_own() -> None:
    options = with_defaults(REGISTER.options, {})
    keys = []
    for phase in range(len(PHASES)):
        simulation = Simulation(Store(), concurrency=6, nodes=NODES)
        ops = simulation.run(gen.time_limit(1, REGISTER.generator({**options, "phase": phase})))
        keys.append({op.value[0] for op in ops})
    assert not set.intersection(*keys)
    assert min(keys[0]) == 0, "where the final reads look for them"


def test_without_compare_and_sets_there_are_none() -> None:
    assert {op.f for op in main(1, Store(), ops="read-write")} == {"read", "write"}
    assert set(REGISTER.needed_fs({"ops": "read-write"})) == {"read", "write"}
    assert set(REGISTER.needed_fs(with_defaults(REGISTER.options, {}))) == {"read", "write", "cas"}


@pytest.mark.parametrize("percent", [10, 50, 90])
def test_reads_have_the_share_that_was_asked(percent: int) -> None:
    invocations = of_type(main(2, Store(), **{"read-percent": percent}), "invoke")
    reads = sum(op.f == "read" for op in invocations)
    assert abs(reads / len(invocations) - percent / 100) < 0.03


@pytest.mark.parametrize("name,value", [("keys", 0), ("read-percent", 0), ("read-percent", 100)])
def test_an_option_out_of_bounds_is_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"option {name}='{value}'"):
        with_defaults(REGISTER.options, {name: value})


def test_the_same_seed_gives_the_same_ops() -> None:
    assert main(1, Store(), seed=7) == main(1, Store(), seed=7)
    assert main(1, Store(), seed=7) != main(1, Store(), seed=8)


def test_asking_twice_gives_the_same_op() -> None:
    import random

    generator: Generator = REGISTER.generator(with_defaults(REGISTER.options, {}))
    for _ in range(300):
        answers = []
        for _ in range(2):
            context = Context(0, {0: 0, 1: 1}, {0: 0, 1: 1}, random.Random(5))
            step = generator.next(context)
            assert step is not None
            answers.append(step)
        assert answers[0] == answers[1]
        op = answers[0][0]
        assert not isinstance(op, Pending)
        generator = answers[0][1].update(context, op).update(context, op.replace(type="ok"))


def finally_read(store: Store, concurrency: int = 4) -> list[Op]:
    assert REGISTER.final_generator is not None
    simulation = Simulation(store, concurrency=concurrency, nodes=NODES)
    return simulation.run(REGISTER.final_generator(with_defaults(REGISTER.options, {})))


@given(used=st.integers(0, 3000), concurrency=st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_final_reads_find_the_last_keys_and_every_worker_reads_them(used: int, concurrency: int) -> None:
    store = Store()
    store.values = dict.fromkeys(range(used), 5)
    ops = finally_read(store, concurrency)
    reads: dict[Any, list[int]] = defaultdict(list)
    for op in of_type(ops, "ok"):
        reads[op.process].append(op.value[0])
    expected = list(range(max(0, used - RECENT), max(1, used)))
    assert len(reads) == concurrency
    assert all(keys[-len(expected) :] == expected for keys in reads.values())
    assert len(ops) / 2 <= concurrency * len(expected) + 30, "the search is short"


def test_final_reads_are_repeated_until_they_are_ok_and_not_at_once() -> None:
    attempts: Counter[Any] = Counter()

    def broken(op: Op) -> Exception | None:
        attempts[op.value[0]] += 1
        return DidNotHappen("down", lost=True) if attempts[op.value[0]] % 3 else None

    store = Store(broken=broken)
    store.values = dict.fromkeys(range(20), 5)
    ops = finally_read(store)
    read = Counter(op.value[0] for op in of_type(ops, "ok"))
    assert all(read[key] >= 4 for key in range(12, 20))
    failed = [op for op in ops if op.type == "fail"]
    assert failed
    assert ops[-1].time_ns > 1_000_000_000, "a failed read waits before it is repeated"
