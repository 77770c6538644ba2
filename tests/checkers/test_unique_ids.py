"""Unique ids, against the definition: no two acknowledged ids are equal. Method: hypothesis, and a plain count."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.collections.unique_ids import UniqueIds
from harness.history import HistoryError
from tests.checkers.histories import asked, history

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
numbers = st.integers(0, 12)
ids = st.one_of(
    st.sampled_from([0, False, 1, True, "1", "True", 1.5, [1], [True], [[1]], -1, 2**63, -(2**63)]),
    numbers,
    numbers.map(lambda n: f"id{n}"),
    numbers.map(lambda n: [n, n % 2]),
    numbers.map(lambda n: 2**70 + n),
)
calls = st.lists(st.tuples(st.sampled_from(["ok", "ok", "ok", "fail", "info"]), st.one_of(ids)), max_size=12)


def judge(outcomes: list[tuple[str, Any]]) -> Any:
    records: list[tuple[Any, ...]] = []
    for process, (outcome, value) in enumerate(outcomes):
        records.append(("invoke", process, "generate", None))
        records.append((outcome, process, "generate", value if outcome == "ok" else None))
    return UniqueIds().check(history(*records), asked("linearizable"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(calls, st.lists(st.tuples(st.just("ok"), numbers), max_size=12)))
def test_it_is_as_defined(outcomes: list[tuple[str, Any]]) -> None:
    verdict = judge(outcomes)
    given_out = Counter(repr(value) for outcome, value in outcomes if outcome == "ok")
    twice = {value: count for value, count in given_out.items() if count > 1}
    assert verdict.anomaly_counts == ({"duplicate-id": len(twice)} if twice else {})
    assert {repr(anomaly.key): len(anomaly.ops) for anomaly in verdict.anomalies} == twice
    for anomaly in verdict.anomalies:
        alone = [("ok", place, "generate", outcomes[index // 2][1]) for place, index in enumerate(anomaly.sub_history)]
        assert len(UniqueIds().check(history(*alone), asked()).anomalies) == 1
    assert verdict.verdict == ("invalid" if twice else "valid" if given_out or not outcomes else "unknown")
    assert verdict.not_ == (["linearizable"] if twice else [])


def test_a_duplicate_is_told() -> None:
    verdict = judge([("ok", 7), ("ok", 8), ("ok", 7)])
    assert verdict.anomalies[0].ops == [1, 5]
    assert verdict.anomalies[0].sentence == "Id 7 was handed out 2 times: to clients 0, 2 (ops 1, 5)."
    assert (verdict.stats["least"], verdict.stats["most"]) == (7, 8)


def test_ops_of_another_name_are_refused() -> None:
    """Ids of an op that this checker does not know would be no ids, and the history without them valid."""
    records = [("invoke", 0, "next-id", None), ("ok", 0, "next-id", 7)]
    with pytest.raises(HistoryError, match="index 0: known are the ops generate, not 'next-id'"):
        UniqueIds().check(history(*records, *records), asked())


def test_an_ok_without_an_id_is_refused() -> None:
    with pytest.raises(HistoryError, match="index 1: an ok generate must have an id"):
        judge([("ok", None)])
