"""Lost writes of registers: a write is called lost where it is proven to be gone, and a late replica is no loss.

Method: examples of each condition; then small registers drawn by hypothesis, where every write that is called lost must
be so by the definition, worked out by brute force from the records, and the history have no order at all.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from checkers.linearizability.linearizable import Linearizable
from checkers.linearizability.linearizable_calls import Call, Calls, calls_by_object
from checkers.linearizability.linearizable_model import NEVER
from checkers.linearizability.register_lost_writes import LostWrite, LostWrites
from checkers.linearizability.register_model import Register
from harness.history import FAIL, OK, History
from harness.verdict import Anomaly
from tests.checkers.histories import asked, history
from tests.checkers.linearizability_oracle import linearizable

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))


def on(node: str | None, process: int, f: str, value: Any, result: Any = None) -> list[tuple[Any, ...]]:
    """A call of an unkeyed register and its answer."""
    return [
        ("invoke", process, f, value, None, node),
        ("ok", process, f, value if result is None else result, None, node),
    ]


def read(node: str | None, process: int, result: Any) -> list[tuple[Any, ...]]:
    return on(node, process, "read", None, result)


def lost(*records: tuple[Any, ...]) -> list[Anomaly]:
    verdict = Linearizable().check(history(*records), asked("linearizable"))
    return [anomaly for anomaly in verdict.anomalies if anomaly.type == "lost-write"]


WRITTEN = (*on("n1", 1, "write", 12), *on("n1", 3, "write", 17))


def test_no_node_has_it_any_more() -> None:
    records = (*WRITTEN, *read("n2", 2, 17), *read("n1", 1, 12), *read("n2", 2, 12))
    [anomaly] = lost(*records)
    assert anomaly.sentence == (
        "The register: client 3's write of 17 was acknowledged at 0.003 s. From 0.006 s on reads through every node "
        "returned 12, which was there before it, and nobody ever saw 17 again: the write is gone."
    )
    assert anomaly.ops == [1, 3, 7, 9]
    verdict = Linearizable().check(history(*records), asked("linearizable"))
    assert verdict.anomaly_types == ["lost-write", "nonlinearizable"]
    assert all(anomaly.counts for anomaly in verdict.anomalies)
    weaker = Linearizable().check(history(*records), asked("sequential"))
    assert not any(anomaly.counts for anomaly in weaker.anomalies)


def test_one_node_that_is_late_is_no_loss() -> None:
    verdict = Linearizable().check(history(*WRITTEN, *read("n2", 2, 12), *read("n2", 2, 12)), asked("linearizable"))
    assert verdict.anomaly_types == ["nonlinearizable", "stale-read"]


def test_what_is_seen_again_was_not_lost() -> None:
    back = (*read("n1", 1, 12), *read("n2", 2, 12))
    assert lost(*WRITTEN, *back)
    assert not lost(*WRITTEN, *back, *read("n1", 1, 17))
    assert not lost(*WRITTEN, *back, *on("n1", 4, "cas", [17, 18]))


def test_what_was_made_from_it_and_is_seen_again_shows_that_it_was_not_lost() -> None:
    changed = (("invoke", 5, "cas", [17, 18], None, "n1"), ("info", 5, "cas", [17, 18], None, "n1"))
    back = (*read("n1", 1, 12), *read("n2", 2, 12))
    assert lost(*WRITTEN, *changed, *back)
    assert not lost(*WRITTEN, *changed, *back, *read("n1", 1, 18))


def test_something_newer_in_between_leaves_it_open() -> None:
    assert not lost(*WRITTEN, *read("n1", 1, 12), *on("n1", 4, "write", 20), *read("n1", 1, 20), *read("n2", 2, 12))


def test_a_change_of_the_older_value_proves_that_it_came_back() -> None:
    [anomaly] = lost(*WRITTEN, *on("n2", 2, "cas", [12, 20]), *read("n1", 1, 20))
    assert anomaly.sentence == (
        "The register: client 3's write of 17 was acknowledged at 0.003 s. At 0.004 s client 2 changed 12, which was "
        "there before, to 20, and nobody ever saw 17 again: the write is gone."
    )
    assert anomaly.ops == [1, 3, 5]


def test_a_write_that_was_seen_counts_without_its_acknowledgement() -> None:
    unknown = (("invoke", 3, "write", 17, None, "n1"), ("info", 3, "write", 17, None, "n1"))
    back = (*read("n1", 1, None), *read("n2", 2, None))
    assert not lost(*unknown, *back)
    [anomaly] = lost(*unknown, *read("n2", 2, 17), *back)
    assert "client 3's write of 17 was seen by client 2 at 0.003 s. From 0.004 s on" in anomaly.sentence
    assert "returned null, which was there before it" in anomaly.sentence


def test_without_nodes_every_client_must_have_looked() -> None:
    written = (*on(None, 1, "write", 12), *on(None, 3, "write", 17))
    assert not lost(*written, *read(None, 1, 12))
    assert not lost(*written, *read(None, 1, 12), *read(None, 2, 12))
    assert lost(*written, *read(None, 1, 12), *read(None, 3, 12))


def test_a_value_that_may_have_been_written_twice_proves_nothing() -> None:
    twice = (*on("n1", 1, "write", 12), *on("n1", 3, "write", 17), *on("n1", 3, "write", 12))
    assert not lost(*twice, *read("n1", 1, 12), *read("n1", 2, 12))


@st.composite
def registers(draw: st.DrawFn) -> History:
    """Up to 7 calls, mostly one after another and with values of their own; two nodes, or none recorded."""
    named = draw(st.booleans())
    known: list[Any] = [None, 1]
    calls = []
    for number in range(draw(st.integers(2, 7))):
        f = draw(st.sampled_from(["read", "read", "read", "write", "cas"]))
        old = draw(st.sampled_from(known))
        new = draw(st.sampled_from([number + 2, number + 2, 2]))
        if f != "read":
            known.append(new)
        value = {"read": None, "write": new, "cas": [old, new]}[f]
        outcome = draw(st.sampled_from(["ok", "ok", "ok", "ok", "info", "fail"]))
        calls.append((f, value, outcome, old if f == "read" and outcome == "ok" else value))
    order = list(range(len(calls)))
    records: list[tuple[Any, ...]] = []
    waiting: list[int] = []
    for number in order:
        f, value, _, _ = calls[number]
        node = draw(st.sampled_from(["n1", "n2"])) if named else None
        records.append(("invoke", number, f, value, None, node))
        waiting.append(number)
        while waiting and draw(st.sampled_from([True, True, False])):
            done = waiting.pop(draw(st.integers(0, len(waiting) - 1)))
            records.append((calls[done][2], done, calls[done][0], calls[done][3], None, None))
    return history(*records)


def action(call: Call) -> Any:
    return call.action


def check_by_definition(register: Calls, claimed: LostWrite) -> None:
    """The docstring of `register_lost_writes`, condition by condition, by looking at every call."""
    may = [call for call in register.calls if call.outcome != FAIL]
    done = [call for call in may if call.outcome == OK]
    puts = [call for call in may if action(call)[0] != "read"]
    finds = [call for call in done if action(call)[0] != "write"]

    def happened_by(call: Call) -> int:
        ends = [each.end for each in finds if action(each)[1] == action(call)[-1]]
        return min([*ends, call.returned])

    write, value = claimed.write, action(claimed.write)[-1]
    assert [call for call in puts if action(call)[-1] == value] == [write]
    looks = claimed.looks_back
    for look in looks:
        assert look in finds
        assert look.place > happened_by(write)
        older = [call for call in puts if action(call)[-1] == action(look)[1]]
        if action(look)[1] is None:
            assert not older
        else:
            assert len(older) == 1
            assert happened_by(older[0]) < write.place
    traces, grew = {value}, True
    while grew:
        more = {action(call)[2] for call in puts if action(call)[0] == "cas" and action(call)[1] in traces}
        grew = not more <= traces
        traces |= more
    assert not any(action(call)[1] in traces and call.end > looks[0].place for call in finds)
    if action(looks[-1])[0] == "cas":
        return
    assert len(looks) > 1
    between = [call for call in finds if looks[0].place <= call.place <= looks[-1].place]
    assert between == looks
    nodes = {
        register.history.node[place] for place in range(len(register.history)) if register.history.type[place] == 0
    }
    if None in nodes:
        assert {call.process for call in register.calls} == {call.process for call in looks}
    else:
        assert nodes == {register.history.node[call.place] for call in looks}


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(registers())
def test_whatever_is_called_lost_is_lost_by_the_definition(recorded: History) -> None:
    for register in calls_by_object(recorded, Register()):
        lost_writes = LostWrites(register, None)
        for claimed in lost_writes.find():
            check_by_definition(register, claimed)
            assert not linearizable(Register(), register.operations)
            assert all(call.end < NEVER for call in claimed.looks_back)
            assert {call.place for call in claimed.looks_back} <= {call.place for call in lost_writes.explained}
            assert "the write is gone" in claimed.sentence


@pytest.mark.parametrize("kind", ["read", "cas"])
def test_losses_of_both_kinds_are_drawn(kind: str) -> None:
    """Found in some 200 registers; the same ones each time, so that it can't depend on chance."""

    def shown_by_one(recorded: History) -> bool:
        losses = [
            loss for register in calls_by_object(recorded, Register()) for loss in LostWrites(register, None).find()
        ]
        return any(action(loss.looks_back[-1])[0] == kind for loss in losses)

    drawn = settings(max_examples=20_000, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    assert shown_by_one(find(registers(), shown_by_one, settings=drawn))
