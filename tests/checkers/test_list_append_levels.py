"""The levels between read committed and snapshot isolation, each by its simplest case and against its definition."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from checkers import models
from checkers.transactions.list_append import ListAppend
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict
from tests.checkers import txn_oracle, txn_visibility_oracle
from tests.checkers.test_list_append import A, ran
from tests.checkers.txn_histories import Op, append_histories

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
LEVELS = [
    strength + level
    for strength in txn_visibility_oracle.STRENGTHS
    for level in txn_visibility_oracle.AXIOMS
    if level != "update-atomic"
]


def check(ops: list[Op], model: str) -> Verdict:
    return ListAppend().check(History.from_ops(ops), CheckOptions(model=model))


LONG_FORK = ran(
    ("ok", [A, "x", 1]),
    ("ok", [A, "y", 1]),
    ("ok", ["r", "x", [1]], ["r", "y", []]),
    ("ok", ["r", "x", []], ["r", "y", [1]]),
)
VANISHED = ran(("ok", [A, "x", 1], [A, "y", 1]), ("ok", ["r", "x", [1]], ["r", "y", []]))
FRACTURED = ran(("ok", [A, "x", 1], [A, "y", 1]), ("ok", ["r", "y", []], ["r", "x", [1]]))
NO_CAUSE = ran(("ok", [A, "x", 1]), ("ok", ["r", "x", [1]], [A, "y", 1]), ("ok", ["r", "y", [1]], ["r", "x", []]))
PREFIX = ran(
    ("ok", [A, "x", 1], [A, "z", 1]),
    ("ok", [A, "y", 1], [A, "z", 2]),
    ("ok", ["r", "y", [1]], ["r", "x", []]),
    ("ok", ["r", "z", [1, 2]]),
)
OVERTAKEN = ran(("ok", ["r", "x", []], [A, "x", 2]), ("ok", [A, "x", 1]), ("ok", ["r", "x", [1, 2]]))


@pytest.mark.parametrize(
    ("ops", "type_", "broken", "kept"),
    [
        (LONG_FORK, "long-fork", ["prefix", "snapshot-isolation"], ["parallel-snapshot-isolation", "consistent-view"]),
        (VANISHED, "OTV", ["monotonic-atomic-view", "read-atomic"], ["read-committed", "cursor-stability"]),
        (FRACTURED, "fractured-read", ["read-atomic", "prefix"], ["monotonic-atomic-view", "cursor-stability"]),
        (NO_CAUSE, "causality-violation", ["causal-cerone", "causal", "prefix"], ["read-atomic", "PRAM"]),
        (PREFIX, "prefix-violation", ["prefix", "parallel-snapshot-isolation"], ["causal-cerone", "PRAM"]),
        (OVERTAKEN, "G-cursor", ["cursor-stability", "update-atomic"], ["read-atomic", "causal-cerone", "prefix"]),
    ],
    ids=["long-fork", "OTV", "fractured-read", "causality", "prefix", "cursor"],
)
def test_each_level_by_its_simplest_case(ops: list[Op], type_: str, broken: list[str], kept: list[str]) -> None:
    for model in broken:
        verdict = check(ops, model)
        assert verdict.verdict == "invalid", model
        assert type_ in verdict.anomaly_types
        assert model in {*verdict.not_, *verdict.also_not}
    for model in kept:
        assert check(ops, model).verdict == "valid", model
    anomaly = next(a for a in verdict.anomalies if a.type == type_)
    assert "T1 (op " in anomaly.sentence
    places = {op.get("index", i) for i, op in enumerate(ops)}
    kept_ops = [op for i, op in enumerate(ops) if i in anomaly.sub_history]
    assert set(anomaly.sub_history) <= places
    assert type_ in check(kept_ops, broken[0]).anomaly_types


def test_a_cycle_of_sessions_is_sought_where_a_weaker_one_of_its_kind_was_found() -> None:
    """The lost update is a G-single; that its client had written before breaks prefix in sessions, and not without."""
    ops: list[Op] = [
        {"type": "invoke", "process": 0, "f": "txn", "value": [[A, "y", 2]]},
        {"type": "invoke", "process": 1, "f": "txn", "value": [[A, "y", 1], [A, "x", 1], ["r", "y", None]]},
        {"type": "ok", "process": 0, "f": "txn", "value": [[A, "y", 2]]},
        {"type": "ok", "process": 1, "f": "txn", "value": [[A, "y", 1], [A, "x", 1], ["r", "y", [1]]]},
        {"type": "invoke", "process": 0, "f": "txn", "value": [[A, "y", 3], ["r", "x", None]]},
        {"type": "ok", "process": 0, "f": "txn", "value": [[A, "y", 3], ["r", "x", None]]},
    ]
    numbered = [{**op, "index": i} for i, op in enumerate(ops)]
    for model in ("prefix", "strong-session-prefix"):
        assert check(numbered, model).verdict == ("valid" if model == "prefix" else "invalid")
        assert txn_visibility_oracle.legal(numbered, model) == (model == "prefix")


def test_who_read_and_overwrote_the_same_list_saw_it() -> None:
    """T2 read what T1 appended and appended to it. So it saw T1, and must have seen T3, upon which T1 had appended."""
    ops = ran(
        ("ok", [A, "x", 1], ["r", "x", [3, 1]]),
        ("ok", ["r", "y", None], ["r", "x", [3, 1]], [A, "x", 2]),
        ("ok", [A, "y", 1], [A, "x", 3]),
    )
    for model in LEVELS:
        assert (check(ops, model).verdict == "valid") is txn_visibility_oracle.legal(ops, model), model
    assert "prefix-violation" in check(ops, "prefix").anomaly_types


@thorough
@given(append_histories(txns=5, keys=2, mops=3))
def test_levels_of_atomic_visibility_are_those_of_their_definitions(ops: list[Op]) -> None:
    for model in LEVELS:
        expected = "valid" if txn_visibility_oracle.legal(ops, model) else "invalid"
        assert check(ops, model).verdict == expected, model


@thorough
@given(append_histories(txns=4, keys=3, mops=4, corrupt=False))
def test_levels_on_uncorrupted_histories(ops: list[Op]) -> None:
    for model in LEVELS:
        expected = "valid" if txn_visibility_oracle.legal(ops, model) else "invalid"
        assert check(ops, model).verdict == expected, model


@thorough
@given(append_histories(txns=5, keys=2, mops=3))
def test_update_atomic_is_never_judged_wrongly(ops: list[Op]) -> None:
    for strength in txn_visibility_oracle.STRENGTHS:
        model = strength + "update-atomic"
        wrong = "invalid" if txn_visibility_oracle.legal(ops, model) else "valid"
        assert check(ops, model).verdict != wrong, model


def test_a_write_and_a_read_on_different_keys_leave_update_atomic_open() -> None:
    ops = ran(
        ("ok", [A, "x", 1], [A, "y", 1]),
        ("ok", ["r", "y", []], [A, "x", 2]),
        ("ok", ["r", "x", [1, 2]], ["r", "y", [1]]),
    )
    assert not txn_visibility_oracle.legal([{**op, "index": i} for i, op in enumerate(ops)], "update-atomic")
    verdict = check(ops, "update-atomic")
    assert verdict.verdict == "unknown"
    assert "update-atomic" in verdict.reasons[0]
    assert check(ops[:2], "update-atomic").verdict == "valid"


@thorough
@given(append_histories(txns=5, keys=2, mops=3))
def test_monotonic_atomic_view_and_cursor_stability(ops: list[Op]) -> None:
    expected = "valid" if txn_visibility_oracle.monotonic_atomic_view(ops) else "invalid"
    assert check(ops, "monotonic-atomic-view").verdict == expected
    for strength in txn_visibility_oracle.STRENGTHS:
        model = strength + "cursor-stability"
        expected = "valid" if txn_oracle.legal(ops, model) else "invalid"
        assert check(ops, model).verdict == expected, model


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(append_histories(txns=6, keys=2, mops=3))
def test_findings_show_again_in_their_sub_history(ops: list[Op]) -> None:
    """The same type, or one that breaks as many models: with some transactions gone, a cycle may have a worse name.

    Where writers are left out, what they wrote is garbage, and can make another anomaly of it.
    """
    for anomaly in check(ops, "strict-serializable").anomalies:
        kept: list[dict[str, Any]] = [op for op in ops if op["index"] in set(anomaly.sub_history)]
        assert set(anomaly.ops) <= set(anomaly.sub_history)
        again = check(kept, "strict-serializable")
        if anomaly.type in again.anomaly_types or "garbage-read" in again.anomaly_types:
            continue
        weakest, stronger = models.ruled_out([anomaly.type])
        assert {*weakest, *stronger} <= {*again.not_, *again.also_not}, (anomaly, again)
