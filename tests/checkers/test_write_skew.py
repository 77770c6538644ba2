"""Doctors on call, against the definition: is there an order of the transactions, one after the other, that fits?

Method: hypothesis draws one pair's two leaves with every outcome, and up to two reads of all; the oracle tries every
order of every subset of the unknown ones. The checker must call invalid exactly what has no such order.
"""

from __future__ import annotations

import os
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers import models
from checkers.transactions.write_skew import WriteSkew
from harness.history import HistoryError
from tests.checkers.histories import asked, history

Step = tuple[str, Any]
EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
OUTCOMES = ("left", "stayed", "info", "fail", "open", "none")


def serializable(steps: list[Step], unknown: list[int]) -> bool:
    """steps: ("leave", (member, told)) and ("look", (off, off)). unknown: members whose leave may have happened."""
    for size in range(len(unknown) + 1):
        for chosen in combinations(unknown, size):
            for order in permutations([*steps, *(("leave", (member, None)) for member in chosen)]):
                off = [False, False]
                for kind, detail in order:
                    if kind == "look":
                        if tuple(off) != detail:
                            break
                        continue
                    member, told = detail
                    does = "stayed" if any(off) else "left"
                    if told not in (None, does):
                        break
                    if does == "left":
                        off[member] = True
                else:
                    return True
    return False


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    outcomes=st.tuples(st.sampled_from(OUTCOMES), st.sampled_from(OUTCOMES)),
    looks=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=2),
)
def test_invalid_is_what_no_order_explains(outcomes: tuple[str, str], looks: list[tuple[bool, bool]]) -> None:
    records: list[Any] = []
    for member, outcome in enumerate(outcomes):
        if outcome != "none":
            records.append(("invoke", member, "leave", [17, member, None]))
    steps: list[Step] = []
    unknown = []
    for member, outcome in enumerate(outcomes):
        if outcome in ("left", "stayed"):
            records.append(("ok", member, "leave", [17, member, outcome]))
            steps.append(("leave", (member, outcome)))
        elif outcome in ("fail", "info"):
            records.append((outcome, member, "leave", [17, member, None]))
        if outcome in ("info", "open"):
            unknown.append(member)
    for process, off in enumerate(looks, start=5):
        rows = [[17, not off[0], not off[1]]] if any(off) else []
        records += [("invoke", process, "read-all", None), ("ok", process, "read-all", rows)]
        steps.append(("look", off))
    verdict = WriteSkew().check(history(*records), asked("serializable"))
    possible = serializable(steps, unknown)
    assert (verdict.verdict != "invalid") is possible, verdict
    if possible and looks:
        assert verdict.verdict == "valid"


def test_two_acknowledged_leaves_are_write_skew_told_in_a_sentence() -> None:
    verdict = WriteSkew().check(
        history(
            ("invoke", 3, "leave", [17, 0, None]),
            ("invoke", 5, "leave", [17, 1, None]),
            ("ok", 3, "leave", [17, 0, "left"]),
            ("ok", 5, "leave", [17, 1, "left"]),
            ("invoke", 6, "read-all", None),
            ("ok", 6, "read-all", [[17, False, False]]),
        ),
        asked("serializable"),
    )
    assert verdict.verdict == "invalid"
    assert verdict.anomaly_counts == {"G2-item": 1}
    assert {"serializable", "repeatable-read"} <= {*verdict.not_, *verdict.also_not}
    assert "snapshot-isolation" not in {*verdict.not_, *verdict.also_not}
    assert verdict.anomalies[0].ops == [2, 3]
    assert [edge.kind for edge in verdict.anomalies[0].cycle] == ["rw", "rw"]
    assert "Pair 17" in verdict.anomalies[0].sentence
    assert "Nobody is on call" in verdict.anomalies[0].sentence


def test_write_skew_does_not_count_against_snapshot_isolation() -> None:
    records = [
        ("invoke", 0, "leave", [1, 0, None]),
        ("invoke", 1, "leave", [1, 1, None]),
        ("ok", 0, "leave", [1, 0, "left"]),
        ("ok", 1, "leave", [1, 1, "left"]),
        ("invoke", 2, "read-all", None),
        ("ok", 2, "read-all", [[1, 0, 0]]),
    ]
    verdict = WriteSkew().check(history(*records), asked("snapshot-isolation"))
    assert verdict.verdict == "valid"
    assert verdict.anomaly_counts == {"G2-item": 1}
    assert not verdict.anomalies[0].counts


def test_without_a_final_read_it_is_unknown_but_not_when_a_violation_is_proven() -> None:
    leaves = [("invoke", 0, "leave", [1, 0, None]), ("ok", 0, "leave", [1, 0, "left"])]
    assert WriteSkew().check(history(*leaves), asked()).verdict == "unknown"
    both = [*leaves, ("invoke", 1, "leave", [1, 1, None]), ("ok", 1, "leave", [1, 1, "left"])]
    assert WriteSkew().check(history(*both), asked()).verdict == "invalid"


def test_an_acknowledged_leave_that_is_gone_counts_where_realtime_does() -> None:
    records = history(
        ("invoke", 0, "leave", [1, 0, None]),
        ("ok", 0, "leave", [1, 0, "left"]),
        ("invoke", 1, "read-all", None),
        ("ok", 1, "read-all", []),
    )
    assert WriteSkew().check(records, asked("serializable")).verdict == "valid"
    verdict = WriteSkew().check(records, asked("strict-serializable"))
    assert (verdict.verdict, verdict.anomaly_types) == ("invalid", ["lost-write"])


@pytest.mark.parametrize("model", sorted(models.REPORTED))
def test_a_verdict_and_the_models_ruled_out_say_the_same(model: str) -> None:
    left = [("invoke", 0, "leave", [1, 0, None]), ("ok", 0, "leave", [1, 0, "left"])]
    stale = [("invoke", 1, "read-all", None), ("ok", 1, "read-all", [])]
    both = [("invoke", 2, "leave", [1, 1, None]), ("ok", 2, "leave", [1, 1, "left"])]
    for records in ([*left, *stale], [*left, *both, *stale], [*left, *both]):
        verdict = WriteSkew().check(history(*records), asked(model))
        assert (verdict.verdict == "invalid") is (model in {*verdict.not_, *verdict.also_not})


def test_without_invocations_values_are_judged_and_realtime_is_not() -> None:
    both = [("ok", 0, "leave", [1, 0, "left"]), ("ok", 1, "leave", [1, 1, "left"])]
    look = ("ok", 2, "read-all", [[1, False, False]])
    verdict = WriteSkew().check(history(*both, look), asked())
    assert (verdict.verdict, verdict.anomaly_types) == ("invalid", ["G2-item"])
    stale = history(both[0], ("ok", 2, "read-all", []))
    assert WriteSkew().check(stale, asked()).verdict == "valid"
    verdict = WriteSkew().check(stale, asked("strict-serializable"))
    assert verdict.verdict == "unknown" and "no invocations" in verdict.reasons[-1]
    later = history(("ok", 0, "leave", [1, 0, "stayed"]), ("ok", 1, "leave", [1, 1, "left"]), look)
    assert "garbage-read" in WriteSkew().check(later, asked()).anomaly_types
    earlier = history(("ok", 0, "leave", [1, 0, "stayed"]), both[1], ("ok", 2, "read-all", [[1, True, False]]))
    assert WriteSkew().check(earlier, asked()).verdict == "valid"


def test_somebody_off_call_in_a_pair_that_nobody_touched() -> None:
    verdict = WriteSkew().check(
        history(("invoke", 1, "read-all", None), ("ok", 1, "read-all", [[4, True, False]])), asked()
    )
    assert (verdict.verdict, verdict.anomaly_types) == ("invalid", ["garbage-read"])


@pytest.mark.parametrize(
    ("invoked", "told"),
    [([1, 2, None], [1, 2, "left"]), ([1, 0, None], [1, 1, "left"]), ([1, 0, None], [1, 0, "away"]), (7, 7)],
)
def test_values_of_another_shape_are_named(invoked: Any, told: Any) -> None:
    with pytest.raises(HistoryError, match="index"):
        WriteSkew().check(history(("invoke", 0, "leave", invoked), ("ok", 0, "leave", told)), asked())
