"""Goal: G2 by predicate is found exactly where no order of the transactions explains the record.

Method: random small histories, some by a sound store, some by a flawed one, some corrupted, against brute force.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.transactions.predicate import Predicate
from harness.checker import CheckOptions
from harness.history import History, HistoryError
from harness.op import Op
from tests.checkers.histories import history
from tests.checkers.replay_oracle import MODELS, Txn, calls_that_count

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def verdict(ops: History, model: str = "serializable") -> Any:
    return Predicate().check(ops, CheckOptions(model=model))


@st.composite
def histories(draw: st.DrawFn) -> list[Op]:
    """Up to six ops of two keys by three clients; each answer is drawn, most often one that a sound store gives."""
    ops: list[Op] = []
    rows: dict[int, set[int]] = {0: set(), 1: set()}
    open_: dict[int, Op] = {}
    fresh = 1
    for _ in range(draw(st.integers(1, 12))):
        process = draw(st.integers(0, 2))
        if process not in open_:
            key = draw(st.integers(0, 1))
            if draw(st.booleans()):
                row = draw(st.integers(1, fresh)) if draw(st.integers(0, 5)) == 0 else fresh
                value: Any = [key, [row, None] if draw(st.booleans()) else [None, row]]
                op = Op("invoke", "insert", value, process)
                fresh = max(fresh, row + 1)
            else:
                op = Op("invoke", "read", [key, None], process)
            open_[process] = op
            ops.append(op)
            continue
        op = open_.pop(process)
        key = op.value[0]
        honest = draw(st.integers(0, 3)) > 0
        if op.f == "read":
            shown = set(rows[key])
            if not honest:
                shown = draw(st.sets(st.integers(1, max(1, fresh - 1)), max_size=2))
            ops.append(op.replace(type="ok", value=[key, sorted(shown)]))
            continue
        row = next(part for part in op.value[1] if part is not None)
        kind = draw(st.sampled_from(["ok", "ok", "ok", "info", "fail"]))
        happens = not rows[key] or not honest
        if kind == "ok" and not happens:
            kind = "fail"
        if happens and (kind == "ok" or (kind == "info" and draw(st.booleans()))):
            rows[key].add(row)
        ops.append(op.replace(type=kind))
    return [op.replace(index=i) for i, op in enumerate(ops)]


def txns_of(ops: list[Op]) -> list[Txn]:
    txns = []
    for op, told, begin, end in calls_that_count(ops):
        key = op.value[0]
        if op.f == "read" and told is not None:
            expected = frozenset(told.value[1])

            def run(state: Any, key: int = key, expected: frozenset[int] = expected) -> Any:
                return {} if {row for (k, row) in state if k == key} == expected else None
        else:
            row = next(part for part in op.value[1] if part is not None)

            def run(state: Any, key: int = key, row: int = row) -> Any:
                return None if any(k == key for k, _ in state) else {(key, row): True}

        txns.append(Txn(int(op.process), begin, end, run))
    return txns


@thorough
@given(histories(), st.sampled_from(sorted(MODELS)))
def test_verdicts_are_those_of_the_definitions(ops: list[Op], model: str) -> None:
    legal, order = MODELS[model]
    expected = "valid" if legal(txns_of(ops), order) else "invalid"
    found = verdict(History.from_ops(ops), model)
    assert found.verdict == expected or (found.verdict == "unknown" and inserted_twice(ops))


def inserted_twice(ops: list[Op]) -> bool:
    """Whether some row of a key may have been inserted by two."""
    failed = Counter((op.value[0], *op.value[1]) for op in ops if (op.type, op.f) == ("fail", "insert"))
    tried = Counter((op.value[0], *op.value[1]) for op in ops if (op.type, op.f) == ("invoke", "insert"))
    may = Counter[Any]()
    for (key, one, other), count in (tried - failed).items():
        may[key, one or other] += count
    return any(count > 1 for count in may.values())


@thorough
@given(histories(), st.sampled_from(sorted(MODELS)))
def test_the_sub_history_of_an_anomaly_shows_it_alone(ops: list[Op], model: str) -> None:
    for anomaly in verdict(History.from_ops(ops), model).anomalies:
        alone = verdict(History.from_ops([op for op in ops if op.index in anomaly.sub_history]), model)
        assert set(anomaly.ops) <= set(anomaly.sub_history)
        assert anomaly.type in alone.anomaly_types, (anomaly, alone)


def test_two_inserts_that_both_succeeded_are_g2() -> None:
    found = verdict(
        history(
            ("invoke", 0, "insert", [5, [1, None]]),
            ("invoke", 1, "insert", [5, [None, 2]]),
            ("ok", 0, "insert", [5, [1, None]]),
            ("ok", 1, "insert", [5, [None, 2]]),
        )
    )
    assert (found.verdict, found.anomaly_counts, found.not_) == ("invalid", {"G2": 1}, ["serializable"])
    assert found.anomalies[0].ops == [2, 3]
    assert [edge.kind for edge in found.anomalies[0].cycle] == ["rw", "rw"]
    assert "each searched, found nothing and inserted" in found.anomalies[0].sentence
    assert found.stats["keys_inserted_twice"] == 1


def test_g2_does_not_count_against_snapshot_isolation() -> None:
    records = [
        ("invoke", 0, "insert", [5, [1, None]]),
        ("invoke", 1, "insert", [5, [None, 2]]),
        ("ok", 0, "insert", [5, [1, None]]),
        ("info", 1, "insert", [5, [None, 2]]),
        ("invoke", 2, "read", [5, None]),
        ("ok", 2, "read", [5, [1, 2]]),
    ]
    assert verdict(history(*records), "snapshot-isolation").verdict == "valid"
    assert verdict(history(*records), "serializable").verdict == "invalid"
    assert verdict(history(*records[:4]), "serializable").verdict == "valid"


def test_an_attempt_that_failed_before_hides_nothing() -> None:
    refused = [("invoke", 0, "insert", [5, [1, None]]), ("fail", 0, "insert", [5, [1, None]])]
    again = [("invoke", 0, "insert", [5, [1, None]]), ("info", 0, "insert", [5, [1, None]])]
    other = [("invoke", 1, "insert", [5, [None, 2]]), ("ok", 1, "insert", [5, [None, 2]])]
    shown = [("invoke", 2, "read", [5, None]), ("ok", 2, "read", [5, [1, 2]])]
    assert verdict(history(*refused, *again, *other, *shown)).anomaly_counts == {"G2": 1}
    first = [("invoke", 3, "read", [5, None]), ("ok", 3, "read", [5, [1]])]
    then = [("invoke", 3, "read", [5, None]), ("ok", 3, "read", [5, []])]
    found = verdict(history(*refused, *again, *first, *then), "strong-session-serializable")
    assert found.anomaly_types == ["G-single-process"]


def test_the_read_that_proves_an_insert_is_part_of_the_sub_history() -> None:
    found = verdict(
        history(
            ("invoke", 0, "insert", [5, [1, None]]),
            ("ok", 0, "insert", [5, [1, None]]),
            ("invoke", 1, "insert", [5, [None, 2]]),
            ("info", 1, "insert", [5, [None, 2]]),
            ("invoke", 2, "read", [5, None]),
            ("ok", 2, "read", [5, [1, 2]]),
        )
    )
    assert (found.anomalies[0].ops, found.anomalies[0].sub_history) == ([1, 3], [0, 1, 2, 3, 4, 5])


def test_a_row_that_may_have_been_inserted_twice_is_no_proof() -> None:
    unsure = [("invoke", 0, "insert", [5, [1, None]]), ("info", 0, "insert", [5, [1, None]])]
    read = [("invoke", 1, "read", [5, None]), ("ok", 1, "read", [5, [1]])]
    again = [("invoke", 1, "insert", [5, [1, None]]), ("ok", 1, "insert", [5, [1, None]])]
    found = verdict(history(*unsure, *read, *again), "strict-serializable")
    assert found.verdict == "unknown" and "(5): rows must be unique" in found.reasons[0]


def test_a_row_acknowledged_and_not_found_is_named() -> None:
    records = history(
        ("invoke", 0, "insert", [5, [1, None]]),
        ("ok", 0, "insert", [5, [1, None]]),
        ("invoke", 1, "read", [5, None]),
        ("ok", 1, "read", [5, []]),
    )
    assert verdict(records).verdict == "valid"
    found = verdict(records, "strict-serializable")
    assert found.anomaly_types == ["G-single-realtime"]
    assert "had inserted before it began" in found.anomalies[0].sentence


def test_a_key_may_be_null() -> None:
    inserts = [("ok", 0, "insert", [None, [1, None]]), ("ok", 1, "insert", [None, [None, 2]])]
    found = verdict(history(*inserts))
    assert found.anomaly_types == ["G2"] and found.anomalies[0].sentence.startswith("Key null: ")


def test_reads_that_disagree_about_two_keys_name_both() -> None:
    records = [("invoke", process, "read", [process - 3, None]) for process in (5, 6)]
    records += [("invoke", key, "insert", [key, [key * 10, None]]) for key in (2, 3)]
    records += [("ok", key, "insert", [key, [key * 10, None]]) for key in (2, 3)]
    records += [("ok", 5, "read", [2, [20]]), ("invoke", 5, "read", [3, None]), ("ok", 5, "read", [3, []])]
    records += [("ok", 6, "read", [3, [30]]), ("invoke", 6, "read", [2, None]), ("ok", 6, "read", [2, []])]
    found = verdict(history(*records), "strong-session-snapshot-isolation")
    assert (found.verdict, found.anomaly_types) == ("invalid", ["G-nonadjacent-process", "G-single-realtime"])
    assert found.anomalies[0].sentence.startswith(("Keys 2, 3: ops ", "Keys 3, 2: ops "))


@pytest.mark.parametrize(
    ("f", "invoked", "completed"),
    [
        ("insert", 7, 7),
        ("insert", [7, [1, 2]], [7, [1, 2]]),
        ("insert", [7, [None, None]], None),
        ("read", [7, None], [8, []]),
        ("read", [7, None], [7, 3]),
    ],
)
def test_values_of_another_shape_are_named(f: str, invoked: Any, completed: Any) -> None:
    with pytest.raises(HistoryError, match="index"):
        verdict(history(("invoke", 0, f, invoked), ("ok", 0, f, completed)))
