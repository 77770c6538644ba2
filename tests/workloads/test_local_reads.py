"""Goal: every node is asked for everything until all agree, and no longer than that.

Method: replicas in simulated time. Each node has a copy of its own, which catches up at a time of its own, or never.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from checkers.replicas.convergence import PATIENCE_S
from harness import generator as gen
from harness.errors import UsageError
from harness.generator import Context
from harness.op import Op
from harness.planning import Request, make_plan
from harness.simulation import Simulation, simulate
from harness.target import DidNotHappen
from tests.workloads.one_copy import NODES, OneCopy
from workloads.local_reads import LIMIT_S, until_all_agree
from workloads.register import CONVERGE_KEYS, spread


class Replicas(OneCopy):
    """apply(op) sees op.node and the clock."""

    def __init__(self, caught_up_s: dict[str, float], failing: frozenset[str] = frozenset()) -> None:
        super().__init__(self.answer, reads=("local-read",))
        self.caught_up_s, self.failing_nodes = caught_up_s, failing
        self.simulation: Any = None

    def answer(self, op: Op) -> Any:
        if op.node in self.failing_nodes:
            raise DidNotHappen("not now")
        late = self.simulation.clock.now_ns / 1e9 < self.caught_up_s.get(str(op.node), 0)
        if op.value is None:
            return [3, 1] if late else [1, 2, 3] if op.node == "n1" else [3, 2, 1]
        key = op.value[0]
        return [key, key + 10 * late if key % 2 else key]


def asked(questions: list[Any], caught_up_s: dict[str, float], **more: Any) -> list[Op]:
    model = Replicas(caught_up_s, **more)
    simulation = Simulation(model, concurrency=7, nodes=NODES)
    model.simulation = simulation
    return simulation.run(gen.time_limit(60, until_all_agree(questions, len(NODES))))


def answered(ops: list[Op]) -> dict[str, list[Any]]:
    return {node: [op.value for op in ops if op.type == "ok" and op.node == node] for node in NODES}


@pytest.mark.parametrize("questions", [[None], [[key, None] for key in range(5)]], ids=["set", "registers"])
def test_nodes_that_agree_are_asked_once(questions: list[Any]) -> None:
    ops = asked(questions, {})
    assert {op.f for op in ops} == {"local-read"}
    for node in NODES:
        invoked = [op.value for op in ops if op.type == "invoke" and op.node == node]
        assert sorted(map(str, invoked)) == sorted(map(str, questions))
    assert all(len(values) == len(questions) for values in answered(ops).values())


def test_only_what_differs_is_asked_again_until_it_does_not() -> None:
    ops = asked([[0, None], [1, None]], {"n2": 3.0})
    by_key = [[op for op in ops if op.type == "ok" and op.value[0] == key] for key in (0, 1)]
    assert len(by_key[0]) == len(NODES), "nodes agreed on it at once"
    assert {(op.node, op.value[1]) for op in by_key[1][-3:]} == {(node, 1) for node in NODES}
    assert 3.0 <= ops[-1].time_ns / 1e9 < 4.5
    assert 4 * len(NODES) <= len(by_key[1]) <= 12 * len(NODES), "with pauses between"


def test_nodes_that_never_agree_are_asked_for_as_long_as_the_checker_needs_and_no_longer() -> None:
    ops = asked([None], {"n3": 1e9})
    reads = [op.time_ns / 1e9 for op in ops if op.node == "n3" and op.type == "ok"]
    assert LIMIT_S > 1.4 * PATIENCE_S
    assert reads[0] < 0.5 and LIMIT_S - 2 < reads[-1] <= LIMIT_S + 0.1
    assert LIMIT_S * 0.8 <= len(reads) <= LIMIT_S * 2


def test_a_node_that_never_answers_holds_up_neither_the_others_nor_the_end() -> None:
    questions = [[key, None] for key in range(0, 100, 2)]
    ops = asked(questions, {}, failing=frozenset({"n2"}))
    assert [len(values) for values in answered(ops).values()] == [50, 0, 50]
    others = [op.time_ns / 1e9 for op in ops if op.type == "ok"]
    assert others[-1] < 1.0
    assert LIMIT_S - 1 < ops[-1].time_ns / 1e9 <= LIMIT_S + 0.1


def test_it_is_a_value() -> None:
    """Asked twice with the same context it answers the same."""
    generator = until_all_agree([[1, None], [2, None]], 2)
    context = Context(5, {0: 0, 1: 1}, {0: 0, 1: 1}, random.Random(1), 2)
    assert generator.next(context) == generator.next(context)
    assert generator == until_all_agree([[1, None], [2, None]], 2)
    with pytest.raises(ValueError, match="0 nodes"):
        until_all_agree([None], 0)


def test_more_workers_than_nodes_and_as_many_share_the_work() -> None:
    for workers in (2, 3, 8):
        ops = simulate(until_all_agree([[1, None]], 2), concurrency=workers, nodes=("a", "b"))
        assert sorted(str(op.node) for op in ops if op.type == "invoke") == ["a", "b"]


@pytest.mark.parametrize("count", [0, 1, 5, CONVERGE_KEYS, CONVERGE_KEYS + 1, 1234, 10**6])
def test_keys_are_spread_over_all_and_the_last_is_among_them(count: int) -> None:
    keys = spread(count, CONVERGE_KEYS)
    assert len(keys) == len(set(keys)) == min(count, CONVERGE_KEYS)
    assert all(0 <= key < count for key in keys) and (not count or keys[-1] == count - 1)
    gaps = {later - earlier for earlier, later in itertools.pairwise(keys)}
    assert len(gaps) <= 2


def test_a_target_without_local_reads_is_refused_before_anything_starts() -> None:
    with pytest.raises(UsageError, match=r"final=converge: target 'ferretdb' can't read one node's own copy"):
        make_plan(Request(target="ferretdb", workload="register", options={"final": "converge"}))
    assert make_plan(Request(target="redis", workload="set", options={"final": "converge"})).options["final"]
