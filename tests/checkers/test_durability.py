"""Durability, against the definition: acknowledged, and absent from every final read, with a final read on every node.

Method: hypothesis draws histories of a set with nodes and faults; a few plain lines of Python decide.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.replicas.durability import Durability
from checkers.values import show
from harness.checker import CheckOptions
from tests.checkers.histories import asked, fault, history

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
NODES = ("n1", "n2")
Record = tuple[Any, ...]


@st.composite
def runs(draw: Any) -> list[Record]:
    """Adds, some twice, reads on nodes, a fault or none, a mark of the final reads or none; some acknowledged late."""
    records: list[Record] = []
    late: list[Record] = []
    number, fault_open = 0, False
    for process in range(draw(st.integers(0, 9))):
        node = draw(st.sampled_from(NODES))
        kind = draw(st.sampled_from(["add", "add", "read", "read", "fault", "late"]))
        if kind == "add":
            number = max(1, number + draw(st.sampled_from([0, 1, 1, 1])))
            outcome = draw(st.sampled_from(["ok", "ok", "ok", "info", "fail"]))
            records.append(("invoke", process, "add", number, None, node))
            completion = (outcome, process, "add", number, None, node)
            (late if draw(st.integers(0, 4)) == 0 else records).append(completion)
        elif kind == "read":
            seen = draw(st.lists(st.integers(1, max(1, number)), unique=True)) if number else []
            outcome = draw(st.sampled_from(["ok", "ok", "ok", "fail"]))
            records.append(("invoke", process, "read", None, None, node))
            records.append((outcome, process, "read", seen if outcome == "ok" else None, None, node))
        elif kind == "fault":
            f = "heal" if fault_open else "inject"
            records += [fault("invoke", f, 1, "kill"), fault("info", f, 1, "kill", {"took_effect": True})]
            if fault_open:
                break
            fault_open = True
        elif late:
            records.append(late.pop())
    if draw(st.booleans()):
        records.append(("info", "nemesis", "phase", "final"))
    for process in range(20, 20 + draw(st.integers(0, 3))):
        node = draw(st.sampled_from(NODES))
        seen = draw(st.lists(st.integers(1, max(1, number)), unique=True)) if number else []
        records += [("invoke", process, "read", None, None, node), ("ok", process, "read", seen, None, node)]
    return records


def dressed(records: list[Record], element: Callable[[int], Any], named_in: str) -> list[Record]:
    """The same with elements of another type, and nodes named in invocations (`invoke`), completions (`ok`) or both."""
    worn = []
    for type_, process, f, value, *rest in records:
        if f == "add":
            value = element(value)
        elif f == "read" and value is not None:
            value = [element(each) for each in value]
        if process != "nemesis" and named_in in ("invoke", "ok") and (type_ == "invoke") != (named_in == "invoke"):
            rest = []
        worn.append((type_, process, f, value, *rest))
    return worn


ELEMENTS: list[Callable[[int], Any]] = [
    lambda n: n,
    lambda n: f"e{n}",
    lambda n: [n, [n]],
    lambda n: 2**70 + n,
    lambda n: [1, True, "1", 2.5, [1], None, False, 0, 2**70, "None"][n - 1],
]


def judged(records: list[Record], nodes: set[str]) -> tuple[str, set[int]]:
    """(verdict, lost elements), by definition. nodes: those that clients talked to."""
    acknowledged = {value: place for place, (t, p, f, value, *_) in enumerate(records) if f == "add" and t == "ok"}
    healed = [place for place, (t, p, *_) in enumerate(records) if p == "nemesis"]
    injected = [place for place, (t, p, f, *_) in enumerate(records) if f == "inject"]
    heals = [place for place, (t, p, f, *_) in enumerate(records) if f == "heal" and t == "info"]
    quiet = max([-1, *acknowledged.values(), *healed])  # of what was added twice the last acknowledgement
    if injected and not heals:
        quiet = len(records)
    final = []
    for place, (t, p, f, *_) in enumerate(records):
        if f == "read" and t == "invoke" and place > quiet:
            _, _, _, seen, _, node = next(r for r in records[place + 1 :] if r[1] == p)
            if seen is not None:
                final.append((set(seen), node))
    absent = {value for value in acknowledged if not any(value in seen for seen, _ in final)}
    if not absent or not acknowledged:
        return "valid", set()
    if {node for _, node in final} != nodes:
        return "unknown", set()
    return "invalid", absent


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs(), st.sampled_from(ELEMENTS), st.sampled_from(["both", "invoke", "ok"]))
def test_it_is_as_defined(records: list[Record], element: Callable[[int], Any], named_in: str) -> None:
    told = dressed(records, element, named_in)
    verdict = Durability().check(history(*told), CheckOptions(max_shown=100))
    expected, lost = judged(records, {record[5] for record in told if record[1] != "nemesis" and len(record) > 5})
    assert verdict.verdict == expected, verdict
    assert {repr(anomaly.key) for anomaly in verdict.anomalies} == {repr(element(each)) for each in lost}
    for anomaly in verdict.anomalies:
        assert f"element {show(anomaly.key)} is written" in anomaly.sentence
        again = Durability().check(history(*(told[index] for index in anomaly.sub_history)), asked())
        assert [repr(each.key) for each in again.anomalies] == [repr(anomaly.key)]


def run(final: list[tuple[str, list[int]]], *, healed: bool = True, second_ns: int = 0) -> Any:
    records: list[Record] = [
        ("invoke", 0, "add", 1, None, "n1"),
        ("ok", 0, "add", 1, None, "n1"),
        fault("invoke", "inject", 4, "partition"),
        fault("info", "inject", 4, "partition", {"took_effect": True}),
        ("invoke", 1, "add", 2, None, "n2"),
        ("ok", 1, "add", 2, None, "n2"),
        fault("invoke", "heal", 4, "partition"),
        fault("info", "heal", 4, "partition", {}),
    ]
    if not healed:
        records = records[:-2]
    for process, (node, seen) in enumerate(final, start=5):
        records += [("invoke", process, "read", None, None, node), ("ok", process, "read", seen, None, node)]
    return Durability().check(history(*records), asked("read-committed"))


def test_a_loss_is_told_with_the_fault_that_preceded_it() -> None:
    verdict = run([("n1", [1]), ("n2", [1])])
    assert (verdict.verdict, verdict.anomaly_counts) == ("invalid", {"not-durable": 1})
    assert verdict.anomalies[0].details == {"fault": 4, "kind": "partition", "nodes": ["n1"]}
    assert "The fault in force then: partition of n1" in verdict.anomalies[0].sentence
    assert verdict.stats["lost_by_fault"] == {"partition 4": 1}
    assert verdict.anomalies[0].counts


def test_what_one_final_read_shows_is_durable() -> None:
    assert run([("n1", [1, 2]), ("n2", [])]).verdict == "valid"
    assert run([("n1", [1, 2])]).verdict == "valid"


def test_a_node_without_a_final_read_leaves_it_unknown() -> None:
    verdict = run([("n1", [1])])
    assert verdict.verdict == "unknown" and "no final read succeeded on n2" in verdict.reasons[0]
    assert run([]).verdict == "unknown"
    assert "never healed" in run([("n1", [1]), ("n2", [1])], healed=False).reasons[0]


def test_histories_that_name_no_nodes() -> None:
    """What is there is durable; what is absent is unknown. A nemesis of another recorder counts as a fault."""
    records: list[Record] = [("invoke", 0, "add", 1), ("ok", 0, "add", 1)]
    read: list[Record] = [("invoke", 1, "read", None), ("ok", 1, "read", [1])]
    nemesis: list[Record] = [("info", "nemesis", "stop-partition", None)]
    assert Durability().check(history(*records, *nemesis, *read), asked()).verdict == "valid"
    assert Durability().check(history(*records, *read, *nemesis), asked()).verdict == "unknown"
    missing = Durability().check(history(*records, *read[:1], ("ok", 1, "read", [])), asked())
    assert missing.verdict == "unknown" and "does not name nodes" in missing.reasons[0]
