"""Counters, against the definition: is there an order of adds and reads in which each read returns the sum so far?

Method: hypothesis draws small histories of concurrent adds, up and down, and reads; an exhaustive search over orders
decides. The checker's three methods are also compared with each other, on the same histories.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.collections import counter as counter_module
from checkers.collections.counter import Counter
from harness.history import HistoryError
from tests.checkers.histories import asked, history
from tests.checkers.small_histories import Call, explained, records_of, timings

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def step(state: Hashable, call: Call) -> Iterator[Hashable]:
    assert isinstance(state, int)
    if call.f == "add":
        yield state + call.argument
    elif state == call.result:
        yield state


@st.composite
def counters(draw: Any) -> list[Call]:
    slots = draw(timings(draw(st.integers(1, 8)), 3))
    calls: list[Call] = []
    effects: list[tuple[int, int]] = []
    reads = []
    for number, (process, begin, end) in enumerate(slots):
        moment = draw(st.integers(begin, end))
        if draw(st.booleans()):
            outcome = draw(st.sampled_from(["ok", "ok", "ok", "info", "fail", "open"]))
            amount = draw(st.sampled_from([1, 2, 5, -1, -3]))
            if outcome == "ok" or (outcome != "fail" and draw(st.booleans())):
                effects.append((moment, amount))
            mine = process if outcome in ("ok", "fail") else 10 + number
            calls.append(Call(mine, "add", amount, outcome, amount, begin, end))
        else:
            reads.append((process, begin, end, moment))
    for process, begin, end, moment in reads:
        value = sum(amount for at, amount in effects if at <= moment)
        value += draw(st.sampled_from([0, 0, 0, 1, 2, -1]))
        calls.append(Call(process, "read", None, "ok", value, begin, end))
    return calls


def alone(calls: list[Call], *, exact: bool) -> bool:
    """Whether each read by itself is explained: by some of the open adds (exact), or within the bounds."""
    adds = [call for call in calls if call.f == "add" and call.outcome != "fail"]
    for read in calls:
        if read.f != "read":
            continue
        base = sum(call.argument for call in adds if call.outcome == "ok" and call.end < read.begin)
        free = [
            call.argument
            for call in adds
            if call.begin < read.end and not (call.outcome == "ok" and call.end < read.begin)
        ]
        sums = {base + sum(some) for size in range(len(free) + 1) for some in combinations(free, size)}
        if not (read.result in sums if exact else min(sums) <= read.result <= max(sums)):
            return False
    return True


@thorough
@given(counters())
def test_invalid_is_what_no_order_explains(calls: list[Call]) -> None:
    records = history(*records_of(calls))
    verdict = Counter().check(records, asked("linearizable"))
    assert (verdict.verdict != "invalid") is explained(calls, 0, step, order="realtime"), verdict
    loose = Counter().check(records, asked("serializable"))
    if loose.verdict == "invalid":
        assert not explained(calls, 0, step, order="none")
    assert (loose.anomaly_counts, loose.not_) == (verdict.anomaly_counts, verdict.not_), "shown whatever is judged"
    assert any(anomaly.counts for anomaly in loose.anomalies) is (loose.verdict == "invalid")


@settings(thorough, max_examples=EXAMPLES // 2)
@given(counters(), st.sampled_from(["bounds", "subset-sums"]))
def test_the_weaker_methods_find_what_they_say(calls: list[Call], method: str) -> None:
    """With its budgets at nothing the checker falls back, says so, and judges each read by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counter_module, "NODES_MAX", -1)
        if method == "bounds":
            patch.setattr(counter_module, "WIDTH_MAX", -1)
        verdict = Counter().check(history(*records_of(calls)), asked("linearizable"))
    exact = verdict.stats["method"] != "bounds"
    assert (verdict.verdict != "invalid") is alone(calls, exact=exact) or (verdict.stats["method"] == "search"), (
        verdict.stats
    )


def test_a_count_that_no_choice_of_adds_makes_is_told() -> None:
    verdict = Counter().check(
        history(
            ("invoke", 0, "add", 10),
            ("ok", 0, "add", 10),
            ("invoke", 1, "add", 5),
            ("invoke", 2, "read", None),
            ("ok", 2, "read", 13),
        ),
        asked("linearizable"),
    )
    assert (verdict.verdict, verdict.anomaly_counts) == ("invalid", {"wrong-count": 1})
    assert verdict.anomalies[0].details == {"method": "subset-sums", "read": 13, "lower": 10, "upper": 15}
    assert "makes the difference of 3" in verdict.anomalies[0].sentence


def test_what_counts_is_shown_before_what_only_realtime_forbids() -> None:
    """More late reads than are kept, and one at the end that no choice of adds makes: that counts anywhere."""
    records: list[tuple[Any, ...]] = [("invoke", 0, "add", 10), ("ok", 0, "add", 10)]
    for value in [0] * (counter_module.SHOWN + 20) + [7]:
        records += [("invoke", 1, "read", None), ("ok", 1, "read", value)]
    weak = Counter().check(history(*records), asked("read-committed"))
    assert (weak.verdict, weak.anomaly_counts) == ("invalid", {"wrong-count": counter_module.SHOWN + 21})
    assert [anomaly.details["read"] for anomaly in weak.anomalies if anomaly.counts] == [7]
    late = Counter().check(history(*records[:-2]), asked("read-committed"))
    assert (late.verdict, late.not_) == ("valid", ["linearizable"])
    assert late.anomaly_counts == {"wrong-count": counter_module.SHOWN + 20}


def test_two_reads_that_are_possible_one_by_one_and_not_together() -> None:
    """The unknown add of 5 is in the first read, so it must be in the second."""
    verdict = Counter().check(
        history(
            ("invoke", 1, "add", 5),
            ("info", 1, "add", 5),
            ("invoke", 2, "read", None),
            ("ok", 2, "read", 5),
            ("invoke", 2, "read", None),
            ("ok", 2, "read", 0),
        ),
        asked("linearizable"),
    )
    assert (verdict.verdict, verdict.stats["method"]) == ("invalid", "search")
    assert verdict.anomalies[0].ops == [5]


def test_without_reads_nothing_is_known() -> None:
    assert Counter().check(history(("invoke", 0, "add", 1), ("ok", 0, "add", 1)), asked()).verdict == "unknown"
    assert Counter().check(history(), asked()).verdict == "valid"


@pytest.mark.parametrize(
    ("f", "value"), [("add", "x"), ("add", None), ("add", 1.5), ("add", 2**70), ("read", [1]), ("read", True)]
)
def test_what_is_no_whole_number_is_named(f: str, value: Any) -> None:
    with pytest.raises(HistoryError, match=r"index [01]: "):
        Counter().check(history(("invoke", 0, f, value), ("ok", 0, f, value)), asked())


def test_many_adds_do_not_wrap() -> None:
    records: list[tuple[Any, ...]] = []
    for _ in range(3):
        records += [("invoke", 0, "add", 2**61), ("ok", 0, "add", 2**61)]
    with pytest.raises(HistoryError, match="64 bits"):
        Counter().check(history(*records), asked())
