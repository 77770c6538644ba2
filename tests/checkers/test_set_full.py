"""Sets, against the definition: is there an order of adds and reads that explains every read?

Method: hypothesis draws small histories of concurrent adds and reads, right ones with a few changes; an exhaustive
search over all orders (none, sessions, realtime) says what fits which model. The checker must call invalid exactly what
does not fit.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.collections import set_full
from checkers.collections.set_full import SetFull
from harness.history import History, HistoryError
from tests.checkers.histories import asked, history
from tests.checkers.small_histories import Call, explained, records_of, timings

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
some = settings(thorough, max_examples=EXAMPLES // 4)
MODELS = {"linearizable": "realtime", "strong-session-serializable": "session", "serializable": "none"}


def step(state: Hashable, call: Call) -> Iterator[Hashable]:
    assert isinstance(state, frozenset)
    if call.f == "add":
        yield state | {call.argument}
    elif sorted(state) == sorted(call.result):
        yield state


@st.composite
def set_histories(draw: Any, *, retries: bool = False) -> list[Call]:
    """Adds of 1, 2, 3 ... and reads; each takes effect at a moment of its own, then some answers are changed."""
    slots = draw(timings(draw(st.integers(1, 7)), 3))
    calls: list[Call] = []
    effects: list[tuple[int, int]] = []
    added = 0
    reads = []
    for number, (process, begin, end) in enumerate(slots):
        moment = draw(st.integers(begin, end))
        if draw(st.booleans()):
            added += 1
            element = draw(st.integers(1, added)) if retries else added
            outcome = draw(st.sampled_from(["ok", "ok", "ok", "info", "fail", "open"]))
            if outcome in ("ok", "info", "open") and (outcome == "ok" or draw(st.booleans())):
                late = draw(st.integers(0, 9)) if outcome != "ok" else 0
                effects.append((moment + late, element))
            mine = process if outcome in ("ok", "fail") else 10 + number
            calls.append(Call(mine, "add", element, outcome, element, begin, end))
        else:
            reads.append((process, begin, end, moment))
    for process, begin, end, moment in reads:
        seen = {element for at, element in effects if at <= moment}
        if draw(st.integers(0, 3)) == 0 and added:
            seen ^= {draw(st.integers(1, added))}
        answer = sorted(seen)
        if draw(st.integers(0, 19)) == 0:
            answer = [*answer, draw(st.integers(1, added + 1))]
        calls.append(Call(process, "read", None, "ok", draw(st.permutations(answer)), begin, end))
    return calls


def future(calls: list[Call]) -> bool:
    """Whether a read shows what nobody had begun to add: wrong under every model."""
    return any(
        call.f == "read"
        and any(
            not any(other.f == "add" and other.argument == e and other.begin < call.end for other in calls)
            for e in call.result
        )
        for call in calls
    )


def future_of_live(calls: list[Call]) -> bool:
    return future([call for call in calls if call.outcome != "fail"])


@thorough
@given(set_histories())
def test_invalid_is_what_no_order_explains(calls: list[Call]) -> None:
    for model, order in MODELS.items():
        verdict = SetFull().check(history(*records_of(calls)), asked(model))
        possible = explained(calls, frozenset(), step, order=order) and not future_of_live(calls)
        assert (verdict.verdict != "invalid") is possible, (model, verdict.anomaly_counts)
        assert bool(verdict.not_) is not (
            explained(calls, frozenset(), step, order="realtime") and not future_of_live(calls)
        )


@some
@given(set_histories(retries=True))
def test_an_element_may_be_added_again(calls: list[Call]) -> None:
    """Of several adds of one element any may be the first; a client's own order is then not judged to the last."""
    for model, order in MODELS.items():
        verdict = SetFull().check(history(*records_of(calls)), asked(model))
        possible = explained(calls, frozenset(), step, order=order) and not future_of_live(calls)
        if order == "session":
            assert verdict.verdict != "invalid" or not possible, (model, verdict.anomaly_counts)
        else:
            assert (verdict.verdict != "invalid") is possible, (model, verdict.anomaly_counts)


@some
@given(set_histories())
def test_lost_and_stale_are_as_defined(calls: list[Call]) -> None:
    """Element by element: lost where all final reads that were due miss it, else stale where some due read does."""
    verdict = SetFull().check(history(*records_of(calls)), asked())
    reads = sorted((call for call in calls if call.f == "read"), key=lambda call: call.begin)
    adds = [call for call in calls if call.f == "add" and call.outcome != "fail"]
    quiet = max((call.end for call in adds if call.outcome == "ok"), default=-1)
    lost, stale = set(), set()
    for element in {call.argument for call in adds}:
        ends = [call.end for call in adds if call.argument == element and call.outcome == "ok"]
        ends += [read.end for read in reads if element in read.result]
        if not ends:
            continue
        due = [read for read in reads if read.begin > min(ends)]
        final = [read for read in due if read.begin > quiet]
        if final and not any(element in read.result for read in final):
            lost.add(element)
        elif any(element not in read.result for read in due):
            stale.add(element)
    assert {anomaly.key for anomaly in verdict.anomalies if anomaly.type == "lost-write"} == lost
    assert {anomaly.key for anomaly in verdict.anomalies if anomaly.type == "stale-read"} == stale
    assert (verdict.stats["lost"], verdict.stats["stale"]) == (len(lost), len(stale))


@some
@given(set_histories(), st.randoms(use_true_random=False))
def test_names_and_order_of_elements_do_not_matter(calls: list[Call], chance: Any) -> None:
    """Numbers far apart, strings and lists are judged as 1, 2, 3 are; and without invocations nothing is late."""
    plain = SetFull().check(history(*records_of(calls)), asked()).anomaly_counts
    for rename in (lambda e: e * 10**15, lambda e: f"e{e}", lambda e: [e, None], lambda e: e * 10**30):
        records: list[tuple[Any, ...]] = []
        for type_, process, f, value in records_of(calls):
            if f == "read" and value is not None:
                value = [rename(e) for e in value]
            elif f == "add":
                value = rename(value)
            records.append((type_, process, f, value))
        assert SetFull().check(history(*records), asked()).anomaly_counts == plain
    done = [record for record in records_of(calls) if record[0] != "invoke" and record[0] != "open"]
    untimed = SetFull().check(history(*done), asked("serializable"))
    assert not {"lost-write", "stale-read", "future-read"} & set(untimed.anomaly_types)


def test_a_lost_element_is_told_with_when_it_was_last_seen() -> None:
    verdict = SetFull().check(
        history(
            ("invoke", 0, "add", 7),
            ("ok", 0, "add", 7),
            ("invoke", 1, "read", None),
            ("ok", 1, "read", [7]),
            ("invoke", 0, "add", 8),
            ("ok", 0, "add", 8),
            ("invoke", 2, "read", None),
            ("ok", 2, "read", [8]),
        ),
        asked("linearizable"),
    )
    assert verdict.verdict == "invalid"
    lost = next(anomaly for anomaly in verdict.anomalies if anomaly.type == "lost-write")
    assert (lost.key, lost.ops, lost.details) == (7, [0, 1, 3, 7], {"lost_after_ms": 1.0})
    assert lost.sentence == (
        "Element 7 was added by client 0, who was told so, but the one read that began after the last add was "
        "acknowledged misses it. It was last seen by client 1, in a read that began 1.0 ms later."
    )
    assert verdict.stats["lost_after_ms_max"] == 1.0 and verdict.stats["visible_after_ms_max"] == 0.0


def test_a_stale_read_does_not_count_where_realtime_does_not() -> None:
    records = history(
        ("invoke", 0, "add", 1),
        ("ok", 0, "add", 1),
        ("invoke", 1, "read", None),
        ("ok", 1, "read", []),
        ("invoke", 1, "read", None),
        ("ok", 1, "read", [1]),
    )
    verdict = SetFull().check(records, asked("serializable"))
    assert (verdict.verdict, verdict.anomaly_counts) == ("valid", {"stale-read": 1})
    assert "strict-serializable" in verdict.also_not or "strong-snapshot-isolation" in verdict.not_
    assert SetFull().check(records, asked("linearizable")).verdict == "invalid"
    assert verdict.stats["visible_after_ms_max"] == 1.0


def test_without_a_read_after_an_acknowledged_add_it_is_unknown() -> None:
    records: list[tuple[Any, ...]] = [("invoke", 0, "read", None), ("ok", 0, "read", [])]
    records += [("invoke", 0, "add", 1), ("ok", 0, "add", 1)]
    verdict = SetFull().check(history(*records), asked())
    assert verdict.verdict == "unknown" and verdict.stats["never_read"] == 1
    assert SetFull().check(history(*records[:2]), asked()).verdict == "valid"


@pytest.mark.parametrize("value", [7, "abc", {"a": 1}, True])
def test_a_read_of_another_shape_is_named(value: Any) -> None:
    with pytest.raises(HistoryError, match="index 1: the value of an ok read must be a list"):
        SetFull().check(history(("invoke", 0, "read", None), ("ok", 0, "read", value)), asked())


def test_sets_by_key_are_not_taken_for_one() -> None:
    """Their elements would all be missing: the adds are of pairs, the reads of what is in them."""
    records = [("invoke", 0, "add", [1, 5]), ("ok", 0, "add", [1, 5])]
    records += [("invoke", 0, "read", [1, None]), ("ok", 0, "read", [1, [5]])]
    with pytest.raises(HistoryError, match=r"index 2: .* asks for one set of many"):
        SetFull().check(history(*records), asked())


def test_many_findings_are_all_counted() -> None:
    records: list[tuple[Any, ...]] = []
    for element in range(500):
        records += [("invoke", 0, "add", element), ("ok", 0, "add", element)]
    records += [("invoke", 1, "read", None), ("ok", 1, "read", [])]
    verdict = SetFull().check(history(*records), asked())
    assert verdict.anomaly_counts == {"lost-write": 500} and len(verdict.anomalies) == 8


def test_no_more_findings_are_worked_out_than_may_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs a sentence: a set of a million that lost half of it would take minutes."""
    made: list[str] = []

    def counted(columns: Any, kind: str, *rest: Any) -> Any:
        made.append(kind)
        return finding(columns, kind, *rest)

    finding = set_full._finding
    monkeypatch.setattr(set_full, "_finding", counted)
    records: list[tuple[Any, ...]] = []
    for element in range(500):
        records += [("invoke", 0, "add", element), ("ok", 0, "add", element)]
    records += [("invoke", 1, "read", None), ("ok", 1, "read", list(range(1000, 1300)))]
    records += [("invoke", 1, "read", None), ("ok", 1, "read", [*range(250)] * 2)]
    verdict = SetFull().check(history(*records), asked())
    counts = verdict.anomaly_counts
    assert all(counts[kind] == 250 for kind in ("lost-write", "stale-read", "duplicate-elements")), counts
    assert counts["garbage-read"] == 300
    assert set(made) <= set(counts) and all(made.count(kind) <= 100 for kind in counts)


def test_an_empty_history_is_valid() -> None:
    assert SetFull().check(History.from_ops([]), asked()).verdict == "valid"


def test_what_one_client_saw_and_did_has_names_of_its_own() -> None:
    """They count where sessions do: under strong-session-serializable, not under serializable."""
    records: list[tuple[Any, ...]] = [("invoke", 0, "add", 1), ("ok", 0, "add", 1)]
    for process, seen in ((0, []), (1, [1]), (1, [])):
        records += [("invoke", process, "read", None), ("ok", process, "read", seen)]
    verdict = SetFull().check(history(*records), asked("strong-session-serializable"))
    assert verdict.anomaly_counts == {"stale-read": 1, "missed-own-write": 1, "non-monotonic-read": 1}
    counting = {anomaly.type: anomaly.ops for anomaly in verdict.anomalies if anomaly.counts}
    assert counting == {"missed-own-write": [0, 1, 3], "non-monotonic-read": [0, 1, 5, 7]}
    assert SetFull().check(history(*records), asked("serializable")).verdict == "valid"
