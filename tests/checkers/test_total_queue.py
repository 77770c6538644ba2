"""Queues, against the definition: is there a choice of what unknown ops did that explains all that came out?

Method: hypothesis draws small histories; the oracle tries every value (or none) that each unknown dequeue may have
taken, and asks value by value whether what came out had gone in, and whether what went in came out.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.collections.total_queue import TotalQueue
from harness.history import HistoryError
from tests.checkers.histories import asked, history
from tests.checkers.small_histories import Call, records_of, timings

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
OUTCOMES = ("ok", "ok", "ok", "info", "fail", "open")


@st.composite
def queues(draw: Any) -> list[Call]:
    calls = []
    pool: list[int] = []
    number = 0
    for place, (process, begin, end) in enumerate(draw(timings(draw(st.integers(1, 8)), 3))):
        f = draw(st.sampled_from(["enqueue", "enqueue", "dequeue", "dequeue", "drain"]))
        outcome = draw(st.sampled_from(OUTCOMES))
        mine = process if outcome in ("ok", "fail") else 10 + place
        if f == "enqueue":
            number += 1
            value = draw(st.integers(max(1, number - 1), number))
            pool.append(value)
            calls.append(Call(mine, f, value, outcome, value, begin, end))
            continue
        size = min(len(pool), 1 if f == "dequeue" else 3)
        taken = [pool.pop(0) for _ in range(draw(st.integers(0, size)))]
        if draw(st.integers(0, 5)) == 0:
            taken = [*taken, draw(st.integers(1, number + 1))][:size] if size else taken
        result: Any = taken if f == "drain" else (taken[0] if taken else None)
        calls.append(Call(mine, f, None, outcome, result, begin, end))
    return calls


def outs_of(calls: list[Call]) -> list[tuple[int, Call]]:
    outs = []
    for call in calls:
        if call.outcome == "ok" and call.f == "dequeue" and call.result is not None:
            outs.append((call.result, call))
        elif call.outcome == "ok" and call.f == "drain":
            outs += [(value, call) for value in call.result]
    return outs


def explained(calls: list[Call]) -> bool:
    """By the definition: each out has an enqueue of its own that began before it returned, and everything acknowledged
    before some drain began is out, or was taken by a dequeue or drain of unknown outcome."""
    vacuum = any(call.f == "drain" and call.outcome in ("info", "open") for call in calls)
    unknown = [call for call in calls if call.f == "dequeue" and call.outcome in ("info", "open")]
    ins = [call for call in calls if call.f == "enqueue" and call.outcome != "fail"]
    outs = outs_of(calls)
    for value in {value for value, _ in outs}:
        mine = sorted(call.begin for call in ins if call.argument == value)
        ends = sorted(call.end for out, call in outs if out == value)
        if len(ends) > len(mine) or any(begin > end for begin, end in zip(mine, ends)):
            return False
    if vacuum:
        return True
    last = max((call.begin for call in calls if call.f == "drain" and call.outcome == "ok"), default=-1)
    due = Counter(call.argument for call in ins if call.outcome == "ok" and call.end < last)
    shown = Counter(value for value, _ in outs)
    values = [None, *due]
    return any(
        all(shown[value] + taken.count(value) >= count for value, count in due.items())
        for taken in product(values, repeat=len(unknown))
    )


VALUES: list[Callable[[int], Any]] = [
    lambda n: n,
    lambda n: f"v{n}",
    lambda n: [n, [n]],
    lambda n: 2**70 + n,
    lambda n: [1, True, "1", 2.5, [1], False, 0, 2**70, ""][n - 1],
]


def dressed(records: list[Any], value: Callable[[int], Any]) -> list[Any]:
    """The same with values of another type."""

    def worn(told: Any) -> Any:
        return None if told is None else [value(each) for each in told] if isinstance(told, list) else value(told)

    return [(type_, process, f, worn(told)) for type_, process, f, told in records]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(queues(), st.sampled_from(VALUES))
def test_invalid_is_what_no_choice_explains(calls: list[Call], value: Callable[[int], Any]) -> None:
    records = dressed(records_of(calls), value)
    verdict = TotalQueue().check(history(*records), asked())
    for anomaly in verdict.anomalies:
        alone = TotalQueue().check(history(*(records[index] for index in anomaly.sub_history)), asked())
        assert (anomaly.type, repr(anomaly.key)) in {(each.type, repr(each.key)) for each in alone.anomalies}
    assert (verdict.verdict != "invalid") is explained(calls), verdict
    outs = Counter(value for value, _ in outs_of(calls))
    ins = Counter(call.argument for call in calls if call.f == "enqueue" and call.outcome == "ok")
    if verdict.verdict == "valid":
        unknown = sum(call.f == "dequeue" and call.outcome in ("info", "open") for call in calls)
        assert (ins - outs).total() <= unknown
        assert verdict.stats["missing"] == (ins - outs).total()


def queue(*ops: tuple[str, str, Any]) -> Any:
    """One op after the other: (f, outcome, value)."""
    records: list[tuple[Any, ...]] = []
    for process, (f, outcome, value) in enumerate(ops):
        argument = value if f == "enqueue" else None
        records += [("invoke", process, f, argument), (outcome, process, f, value if outcome == "ok" else argument)]
    return TotalQueue().check(history(*records), asked())


def test_a_lost_value_is_named() -> None:
    verdict = queue(("enqueue", "ok", 1), ("enqueue", "ok", 2), ("dequeue", "ok", 2), ("drain", "ok", []))
    assert (verdict.verdict, verdict.anomaly_counts) == ("invalid", {"lost-write": 1})
    assert verdict.anomalies[0].key == 1 and verdict.anomalies[0].ops == [0, 1]


def test_a_dequeue_of_unknown_outcome_may_have_taken_one() -> None:
    ops: list[tuple[str, str, Any]] = [("enqueue", "ok", 1), ("enqueue", "ok", 2), ("dequeue", "info", None)]
    verdict = queue(*ops, ("drain", "ok", []))
    assert (verdict.verdict, verdict.anomaly_counts) == ("invalid", {"lost-write": 1})
    assert "at least 1 of them is lost" in verdict.anomalies[0].sentence
    assert queue(*ops, ("drain", "ok", [2])).verdict == "valid"
    assert queue(*ops, ("drain", "info", None), ("drain", "ok", [])).verdict == "unknown"


def test_without_a_drain_what_is_missing_is_unknown() -> None:
    assert queue(("enqueue", "ok", 1)).verdict == "unknown"
    assert queue(("enqueue", "ok", 1), ("dequeue", "ok", 1)).verdict == "valid"


def test_duplicates_can_be_allowed() -> None:
    records: list[tuple[Any, ...]] = [("invoke", 0, "enqueue", 1), ("ok", 0, "enqueue", 1)]
    for process in (1, 2):
        records += [("invoke", process, "dequeue", None), ("ok", process, "dequeue", 1)]
    assert TotalQueue().check(history(*records), asked()).anomaly_counts == {"duplicate-elements": 1}
    allowed = TotalQueue().check(history(*records), asked(duplicates="allowed"))
    assert allowed.verdict == "valid" and not allowed.anomalies[0].counts


def test_a_drain_of_another_shape_is_named() -> None:
    for told in (7, 0, "", False):
        with pytest.raises(HistoryError, match="index 1"):
            queue(("drain", "ok", told))


def test_an_enqueue_of_null_or_of_two_values_is_named() -> None:
    with pytest.raises(HistoryError, match="index 0: an enqueue of null"):
        queue(("enqueue", "ok", None), ("dequeue", "ok", None), ("drain", "ok", []))
    records = [("invoke", 0, "enqueue", 1), ("ok", 0, "enqueue", 2)]
    with pytest.raises(HistoryError, match="index 1: completes an enqueue of 2"):
        TotalQueue().check(history(*records), asked())
    other: list[Any] = [("invoke", 0, "enqueue", 1), ("ok", 0, "enqueue", "message 17")]
    assert TotalQueue().check(history(*other), asked()).verdict == "unknown"


def test_a_value_that_comes_out_again_before_it_went_in_again() -> None:
    verdict = queue(("enqueue", "ok", 1), ("dequeue", "ok", 1), ("dequeue", "ok", 1), ("enqueue", "ok", 1))
    assert (verdict.verdict, verdict.anomaly_counts) == ("invalid", {"future-read": 1})
    assert "took value 1 for the 2. time, when only 1 of its enqueues had begun" in verdict.anomalies[0].sentence
    assert verdict.anomalies[0].sub_history == list(range(8))


def test_many_queues_in_one_history_are_refused() -> None:
    """Taken for one queue's, an empty answer [key, null] would be a value that nobody enqueued."""
    records = [("invoke", 0, "dequeue", [1, None]), ("ok", 0, "dequeue", [1, None])]
    with pytest.raises(HistoryError, match=r"index 0: a dequeue of .* asks for one queue"):
        TotalQueue().check(history(*records), asked())


def test_completions_alone_prove_no_loss() -> None:
    records = [("ok", 0, "enqueue", 1), ("ok", 1, "drain", [])]
    verdict = TotalQueue().check(history(*records), asked())
    assert verdict.verdict == "unknown" and verdict.stats["missing"] == 1
