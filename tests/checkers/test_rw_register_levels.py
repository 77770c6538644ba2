"""The levels between read committed and snapshot isolation, of registers: simplest cases, and against definitions."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.transactions import rw_register, rw_register_levels
from checkers.transactions.rw_register import RwRegister
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict
from tests.checkers import rw_visibility_oracle
from tests.checkers.rw_histories import Op, register_histories

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
LEVELS = [
    strength + level
    for strength in rw_visibility_oracle.STRENGTHS
    for level in rw_visibility_oracle.AXIOMS
    if level != "update-atomic"
]


def check(ops: list[Op], model: str) -> Verdict:
    return RwRegister().check(History.from_ops(ops), CheckOptions(model=model))


def ran(*txns: list[list[Any]]) -> list[Op]:
    """Committed transactions of one client each, all of them at once."""
    ops = [{"type": "invoke", "process": i, "f": "txn", "value": body} for i, body in enumerate(txns)]
    ops += [{**op, "type": "ok"} for op in ops]
    return [{**op, "index": i} for i, op in enumerate(ops)]


def agree(ops: list[Op]) -> None:
    for model, legal in rw_visibility_oracle.legal(ops, LEVELS).items():
        verdict = check(ops, model)
        assert verdict.verdict == ("valid" if legal else "invalid"), (model, verdict.anomaly_types, verdict.reasons)


W, R = "w", "r"
LONG_FORK = ran([[W, "x", 1]], [[W, "y", 1]], [[R, "x", 1], [R, "y", None]], [[R, "x", None], [R, "y", 1]])
VANISHED = ran([[W, "x", 1], [W, "y", 1]], [[R, "x", 1], [R, "y", None]])
FRACTURED = ran([[W, "x", 1], [W, "y", 1]], [[R, "y", None], [R, "x", 1]])
HIDDEN = ran(
    [[W, "x", 1], [W, "y", 1]],
    [[W, "x", 2], [W, "y", 2]],
    [[R, "x", 1], [R, "y", 2]],
    [[R, "y", 2], [R, "x", 1]],
    [[R, "x", 2], [R, "y", 1]],
)
NO_CAUSE = ran([[W, "x", 1]], [[R, "x", 1], [W, "y", 1]], [[R, "y", 1], [R, "x", None]])
OVERTAKEN = ran([[R, "x", None], [W, "x", 2]], [[W, "x", 1]], [[R, "x", 1], [W, "y", 1]], [[R, "y", 1], [R, "x", None]])
TWICE = ran([[R, "x", None], [W, "x", 1]], [[R, "x", None], [W, "x", 2]])


@pytest.mark.parametrize(
    ("ops", "type_", "broken", "kept"),
    [
        (LONG_FORK, "long-fork", ["prefix", "snapshot-isolation"], ["parallel-snapshot-isolation", "causal-cerone"]),
        (VANISHED, "OTV", ["monotonic-atomic-view", "read-atomic"], ["read-committed", "cursor-stability"]),
        (FRACTURED, "fractured-read", ["read-atomic", "prefix"], ["monotonic-atomic-view", "cursor-stability"]),
        (HIDDEN, "OTV", ["monotonic-atomic-view", "read-atomic"], ["read-committed", "cursor-stability"]),
        (NO_CAUSE, "causality-violation", ["causal-cerone", "prefix"], ["read-atomic", "cursor-stability"]),
        (TWICE, "lost-update", ["cursor-stability"], ["monotonic-atomic-view", "causal-cerone", "prefix"]),
    ],
    ids=["long-fork", "OTV", "fractured-read", "every-order", "causality", "cursor"],
)
def test_each_level_by_its_simplest_case(ops: list[Op], type_: str, broken: list[str], kept: list[str]) -> None:
    for model in broken:
        verdict = check(ops, model)
        assert verdict.verdict == "invalid", model
        assert type_ in verdict.anomaly_types
        assert model in {*verdict.not_, *verdict.also_not}
    for model in kept:
        assert check(ops, model).verdict == "valid", model
    anomaly = next(a for a in check(ops, broken[0]).anomalies if a.type == type_)
    assert "T1 (op " in anomaly.sentence
    kept_ops = [op for op in ops if op["index"] in set(anomaly.sub_history)]
    assert type_ in check(kept_ops, broken[0]).anomaly_types


@thorough
@given(register_histories(txns=5, keys=2, mops=3))
def test_levels_are_those_of_their_definitions(ops: list[Op]) -> None:
    agree(ops)


@thorough
@given(register_histories(txns=5, keys=3, mops=4, corrupt=False))
def test_levels_on_uncorrupted_histories(ops: list[Op]) -> None:
    agree(ops)


@settings(thorough, max_examples=max(40, EXAMPLES // 4))
@given(register_histories(txns=6, keys=2, mops=2, corrupt=False))
def test_levels_on_longer_histories(ops: list[Op]) -> None:
    agree(ops)


@settings(thorough, max_examples=max(50, EXAMPLES // 3))
@given(register_histories(txns=5, keys=3, mops=3, corrupt=False))
def test_levels_where_only_the_knots_are_asked(ops: list[Op]) -> None:
    """What is done for large histories, done for small ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rw_register, "SMALL", 0)
        agree(ops)


@settings(thorough, max_examples=max(40, EXAMPLES // 4))
@given(register_histories(txns=6, keys=2, mops=3), st.sampled_from(sorted(rw_register_levels.LEVELS)))
def test_findings_show_again_in_their_sub_history(ops: list[Op], model: str) -> None:
    for anomaly in check(ops, "strong-" + model).anomalies:
        assert set(anomaly.ops) <= set(anomaly.sub_history)
        if anomaly.counts:
            kept = [op for op in ops if op["index"] in set(anomaly.sub_history)]
            assert check(kept, "strong-" + model).verdict == "invalid", anomaly
