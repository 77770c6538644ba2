"""Goal: nodes that differ for good are found; those that only lag, or that a late write explains, are not called so."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.replicas.convergence import Convergence
from harness.history import History
from harness.op import Op
from tests.checkers.histories import asked

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
NODES = ("n1", "n2", "n3")


def judged(ops: list[Op]) -> Any:
    """With ten seconds' patience."""
    return Convergence(patience_s=10.0).check(History.from_ops(ops), asked())


class Recorder:
    """Records ops at given seconds."""

    def __init__(self) -> None:
        self.ops: list[Op] = []

    def add(self, second: float, type_: str, f: str, value: Any, process: int = 0, node: str = "n1") -> Recorder:
        self.ops.append(Op(type_, f, value, process, round(second * 1e9), len(self.ops), None, node))  # type: ignore
        return self

    def read(self, second: float, node: str, key: Any, answer: Any, f: str = "read") -> Recorder:
        process = 10 + NODES.index(node)
        asked_, told = (None, answer) if key is None else ([key, None], [key, answer])
        self.add(second, "invoke", f, asked_, process, node)
        return self.add(second + 0.01, "ok", f, told, process, node)

    def write(self, second: float, key: Any, value: Any, outcome: str = "ok", f: str = "write") -> Recorder:
        what = value if key is None else [key, value]
        self.add(second, "invoke", f, what)
        return self.add(second + 0.01, outcome, f, what)

    @property
    def verdict(self) -> Any:
        return judged(self.ops)


def test_all_agree_and_it_is_told_when() -> None:
    run = Recorder().write(1, 5, 1).write(2, 5, 2)
    run.read(3, "n1", 5, 2).read(3.1, "n2", 5, 1).read(3.2, "n3", 5, 2).read(4, "n2", 5, 2)
    assert run.verdict.verdict == "valid"
    assert run.verdict.stats["agreed_within_s"] == pytest.approx(2.0, abs=0.02)
    assert run.verdict.stats["disagreed_until_s"] == pytest.approx(1.1, abs=0.02)


def test_nodes_that_differ_after_the_patience_have_diverged() -> None:
    run = Recorder().write(1, 5, 1).write(2, 5, 2)
    run.read(3, "n1", 5, 2).read(3, "n2", 5, 1).read(13, "n1", 5, 2).read(13.5, "n2", 5, 1).read(14, "n3", 5, 2)
    verdict = run.verdict
    assert (verdict.verdict, verdict.anomaly_counts) == ("invalid", {"diverged-replicas": 1})
    assert verdict.anomalies[0].ops == [9, 11] and "node n2 1 (op 11)" in verdict.anomalies[0].sentence


def test_too_early_is_unknown() -> None:
    run = Recorder().write(1, 5, 1).write(2, 5, 2)
    run.read(3, "n1", 5, 2).read(3, "n2", 5, 1).read(3, "n3", 5, 2)
    assert run.verdict.verdict == "unknown" and "nobody asked later" in run.verdict.reasons[0]


def test_a_node_that_was_not_asked_is_unknown() -> None:
    run = Recorder().write(1, 5, 1).read(20, "n1", 5, 1).read(20, "n2", 5, 1)
    run.add(0.5, "invoke", "write", [6, 1], 3, "n3")
    run.ops = [run.ops[-1].replace(index=0), *(op.replace(index=op.index + 1) for op in run.ops[:-1])]
    assert run.verdict.verdict == "unknown" and "n3" in run.verdict.reasons[0]


def test_a_write_of_unknown_outcome_may_have_come_between() -> None:
    run = Recorder().write(1, 5, 1).write(1.5, 5, 2, "info")
    run.read(20, "n1", 5, 1).read(21, "n2", 5, 2).read(22, "n3", 5, 2)
    assert run.verdict.verdict == "unknown" and "unknown outcome" in run.verdict.reasons[0]
    back = Recorder().write(1, 5, 1).write(1.5, 5, 2, "info")
    back.read(20, "n1", 5, 2).read(21, "n2", 5, 1).read(22, "n3", 5, 1)
    assert back.verdict.verdict == "unknown", "it may have landed a moment before the first read"


def test_a_late_write_that_only_one_node_has_for_longer_than_is_allowed_is_divergence() -> None:
    """Asked in turn: each keeps to its own. The last two reads alone could be explained by the late write."""
    run = Recorder().write(1, 5, 1).write(1.5, 5, 2, "info")
    for second in (3, 8, 14):
        run.read(second, "n1", 5, 2).read(second + 0.1, "n2", 5, 1).read(second + 0.2, "n3", 5, 1)
    run.read(14.5, "n1", 5, 2)
    assert (run.verdict.verdict, run.verdict.anomaly_counts) == ("invalid", {"diverged-replicas": 1})
    assert run.verdict.anomalies[0].ops == [5, 19], "n1 had it at 3 s, n2 had not at 14 s"
    run.read(14.6, "n2", 5, 2).read(14.7, "n3", 5, 2)
    assert run.verdict.verdict == "valid", "they agree in the end, if late"


def test_two_late_writes_explain_each_other() -> None:
    run = Recorder().write(1, 5, 1).write(1.5, 5, 2, "info").write(1.6, 5, 3, "info")
    for second in (3, 8, 14, 20):
        run.read(second, "n1", 5, 2).read(second + 0.1, "n2", 5, 3).read(second + 0.2, "n3", 5, 3)
    assert run.verdict.verdict == "unknown"


def test_an_element_that_only_one_node_has() -> None:
    for outcome, seconds, expected in (
        ("ok", (13, 13.5), "invalid"),
        ("info", (13, 13.5), "unknown"),
        ("info", (3, 13.5), "invalid"),
    ):
        run = Recorder().write(1, None, 1, f="add").write(2, None, 2, outcome, f="add")
        run.read(seconds[0], "n1", None, [1, 2])
        run.read(seconds[1], "n2", None, [1]).read(13.6, "n3", None, [1, 2])
        assert run.verdict.verdict == expected, (outcome, seconds)


def test_local_reads_count_alone_where_there_are_any() -> None:
    run = Recorder().write(1, 5, 1).write(2, 5, 2)
    for second, node, value in ((14, "n1", 2), (14.1, "n2", 1), (14.2, "n3", 2)):
        run.read(second, node, 5, value, "local-read")
        run.read(second + 0.02, node, 5, 2)
    assert run.verdict.anomaly_types == ["diverged-replicas"]
    assert run.verdict.stats["final_reads"] == 3


def test_a_fault_that_was_never_healed_leaves_it_open() -> None:
    run = Recorder().write(1, 5, 1).write(2, 5, 2)
    fault = {"id": 1, "kind": "partition", "lane": "partition", "nodes": ["n2"], "params": {}}
    for type_ in ("invoke", "info"):
        value = fault if type_ == "invoke" else fault | {"observed": {"took_effect": True}}
        run.ops.append(Op(type_, "inject", value, "nemesis", round(3e9), len(run.ops)))  # type: ignore[arg-type]
    run.read(14, "n1", 5, 2).read(14.1, "n2", 5, 1).read(14.2, "n3", 5, 2)
    assert run.verdict.verdict == "unknown"


def test_sets_differ_by_elements_not_by_order() -> None:
    run = Recorder().write(1, None, 1, f="add").write(2, None, 2, f="add")
    for node, order in zip(NODES, ([1, 2], [2, 1], [1, 2])):
        run.read(20, node, None, order)
    assert run.verdict.verdict == "valid"
    run.read(30, "n3", None, [1])
    assert run.verdict.anomaly_types == ["diverged-replicas"]


def test_one_node_has_nothing_to_agree_with() -> None:
    assert Recorder().write(1, 5, 1).read(2, "n1", 5, 1).verdict.verdict == "valid"
    no_nodes = [op.replace(node=None) for op in Recorder().write(1, 5, 1).ops]
    assert judged(no_nodes).verdict == "unknown"


@given(st.integers(0, 2**63))
@settings(max_examples=EXAMPLES, deadline=None)
def test_one_copy_never_diverges_and_a_spoilt_answer_is_seen(seed: int) -> None:
    """A single register, writes of any outcome that may land late, every node asked at the end: never invalid. Then one
    node's answers are replaced by an acknowledged value from before, and all are asked again when the last late write
    has been seen for long: always invalid."""
    chance = random.Random(seed)
    run = Recorder()
    late = []
    for number in range(1, chance.randint(2, 8)):
        outcome = chance.choice(["ok", "ok", "info", "fail"])
        run.write(number, 5, number, outcome)
        if outcome == "info":
            late.append(number)
    run.write(8.5, 5, 98).write(9, 5, 99)
    value = 99
    seconds = [20 + place for place in range(chance.randint(1, 4))]
    for second in [*seconds, seconds[-1] + 11]:
        for place, node in enumerate(NODES):
            if late and second in seconds and chance.random() < 0.2:
                value = late.pop()
            run.read(second + place / 4, node, 5, value)
    assert run.verdict.verdict == "valid"
    run.read(seconds[-1] + 11.8, "n1", 5, value)
    spoilt = [
        op.replace(value=[5, 98]) if op.type == "ok" and op.node == "n2" and op.time_ns > 19e9 else op for op in run.ops
    ]
    assert judged(spoilt).verdict == "invalid"


@given(st.integers(0, 2**63))
@settings(max_examples=EXAMPLES, deadline=None)
def test_replicas_that_lag_less_than_is_allowed_never_diverge(seed: int) -> None:
    """Each node applies each write that happened, late ones too, in one order, with a lag of its own below the
    patience; each is asked through all that time. Never invalid; valid once every late write is everywhere."""
    chance = random.Random(seed)
    run = Recorder()
    landed: list[tuple[float, int]] = []
    for number in range(1, chance.randint(3, 8)):
        outcome = chance.choice(["ok", "info", "info"])
        run.write(number, 5, number, outcome)
        if outcome == "ok":
            landed.append((float(number), number))
        elif chance.random() < 0.7:
            landed.append((chance.uniform(number, 40), number))
    run.write(9, 5, 99)
    landed = sorted([*landed, (9.0, 99)])
    lag = {node: chance.uniform(0, 9.5) for node in NODES}
    end = chance.choice([12, 25, 45, 60])
    second = 9.1
    while second < end:
        for place, node in enumerate(NODES):
            when = second + place * 0.02
            seen = [value for time_s, value in landed if time_s + (lag[node] if time_s >= 9 else 0) <= when]
            run.read(when, node, 5, seen[-1] if seen else None)
        second += chance.uniform(0.3, 4)
    assert run.verdict.verdict == "valid" if second > 55 else run.verdict.verdict != "invalid"


def test_an_early_answer_with_a_late_element_says_nothing_of_acknowledged_ones() -> None:
    """n1 was asked when it need not have had 1 yet. That it had the late 2 by then does not change that."""
    run = Recorder().write(1, None, 2, "info", f="add").write(2, None, 1, f="add")
    run.read(3, "n1", None, [2])
    run.read(40, "n2", None, [1, 2]).read(40.1, "n3", None, [1, 2])
    assert (run.verdict.verdict, run.verdict.anomalies) == ("unknown", [])
    run = Recorder().write(1, 5, 2, "info").write(2, 5, 1)
    run.read(3, "n1", 5, 2).read(40, "n2", 5, 1).read(40.1, "n3", 5, 1)
    assert (run.verdict.verdict, run.verdict.anomalies) == ("unknown", [])


def test_lists_differ_by_order() -> None:
    """What was acknowledged has one order everywhere; late appends may stand anywhere."""
    for late, expected in (((), "invalid"), ((2,), "unknown")):
        run = Recorder()
        for value in (1, 2):
            append = [["append", 5, value]]
            run.add(value, "invoke", "txn", append)
            run.add(value + 0.1, "info" if value in late else "ok", "txn", append)
        for second, node, answer in ((20, "n1", [1, 2]), (20.1, "n2", [2, 1]), (20.2, "n3", [1, 2])):
            process = 10 + NODES.index(node)
            run.add(second, "invoke", "txn", [["r", 5, None]], process, node)
            run.add(second + 0.01, "ok", "txn", [["r", 5, answer]], process, node)
        assert run.verdict.verdict == expected, late


@given(st.integers(0, 2**63), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_replicas_that_merge_in_time_never_diverge(seed: int, sets: bool) -> None:
    """Each write reaches each node by itself, in less than the patience after the last heal and acknowledged write (an
    unknown one: after it began); a node's data is the set of what reached it, or the newest of that. Nodes are asked at
    random, by slow reads too. Never invalid."""
    chance = random.Random(seed)
    run = Recorder()
    key = None if sets else 5
    outcomes = [chance.choice(["ok", "info"]) for _ in range(chance.randint(1, 4))]
    count, reached = len(outcomes), []
    acknowledged = max((number for number, outcome in enumerate(outcomes, 1) if outcome == "ok"), default=0)
    for number, outcome in enumerate(outcomes, 1):
        run.write(number, key, number, outcome, f="add" if sets else "write")
        begin = number if outcome == "ok" else chance.uniform(number, 40)
        last = acknowledged if outcome == "ok" else begin
        reached += [(node, chance.uniform(begin, last + 9.9), number) for node in NODES]
    asked_at = sorted(chance.uniform(count + 0.1, chance.choice([12, 60])) for _ in range(chance.randint(2, 9)))
    records = []
    for process, begin in enumerate(asked_at, 10):
        node, end = chance.choice(NODES), begin + chance.choice([0.01, 2, 15])
        when = chance.uniform(begin, end)
        seen = sorted(number for where, at, number in reached if where == node and at <= when)
        answer: Any = seen if sets else max(seen, default=None)
        records.append((begin, "invoke", None if sets else [5, None], process, node))
        records.append((end, "ok", answer if sets else [5, answer], process, node))
    for second, type_, value, process, node in sorted(records, key=lambda record: record[0]):
        run.add(second, type_, "read", value, process, node)
    assert run.verdict.verdict != "invalid"
