"""Session guarantees, PRAM and causal memory of registers: simplest cases, and against the definitions."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from checkers.transactions.rw_register import RwRegister
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict
from tests.checkers import rw_session_oracle
from tests.checkers.rw_histories import Op, register_histories

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
W, R = "w", "r"


def check(ops: list[Op], model: str) -> Verdict:
    return RwRegister().check(History.from_ops(ops), CheckOptions(model=model))


def in_sessions(*txns: tuple[int, list[list[Any]]]) -> list[Op]:
    """Transactions one after the other, each (process, mops)."""
    ops = [
        {"type": type_, "process": process, "f": "txn", "value": body}
        for process, body in txns
        for type_ in ("invoke", "ok")
    ]
    return [{**op, "index": i} for i, op in enumerate(ops)]


CASES = {
    "read-your-writes": (in_sessions((0, [[W, "x", 1]]), (0, [[R, "x", None]])), []),
    "monotonic-reads": (
        in_sessions((0, [[W, "x", 1]]), (1, [[W, "x", 2]]), (2, [[R, "x", 1]]), (2, [[R, "x", 2]]), (2, [[R, "x", 1]])),
        ["read-your-writes", "monotonic-writes", "writes-follow-reads"],
    ),
    "writes-follow-reads": (
        in_sessions((0, [[R, "x", 2]]), (0, [[W, "x", 1]]), (1, [[R, "x", 1]]), (1, [[W, "x", 2]])),
        ["read-your-writes", "monotonic-reads", "PRAM"],
    ),
    "PRAM-violation": (
        in_sessions((0, [[W, "x", 1]]), (0, [[W, "y", 1]]), (1, [[R, "y", 1]]), (1, [[R, "x", None]])),
        ["read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"],
    ),
    "session-causality": (
        in_sessions(
            (0, [[W, "x", 1]]), (1, [[R, "x", 1]]), (1, [[W, "y", 1]]), (2, [[R, "y", 1]]), (2, [[R, "x", None]])
        ),
        ["PRAM"],
    ),
}


@pytest.mark.parametrize("type_", CASES)
def test_each_promise_by_its_simplest_case(type_: str) -> None:
    ops, kept = CASES[type_]
    for model in ({"PRAM-violation": "PRAM", "session-causality": "causal"}.get(type_, type_), "causal"):
        verdict = check(ops, model)
        assert verdict.verdict == "invalid", model
        assert type_ in verdict.anomaly_types
        assert model in {*verdict.not_, *verdict.also_not}
    for model in kept:
        assert check(ops, model).verdict == "valid", model
    anomaly = next(a for a in check(ops, "causal").anomalies if a.type == type_)
    assert "of process" in anomaly.sentence
    again = [op for op in ops if op["index"] in set(anomaly.sub_history)]
    assert type_ in check(again, "causal").anomaly_types


def test_reading_what_one_writes_later_is_no_pram() -> None:
    ops = in_sessions((0, [[R, "x", 1]]), (0, [[W, "x", 1]]))
    assert check(ops, "PRAM").verdict == "invalid"
    for model in ("read-your-writes", "monotonic-reads", "monotonic-writes"):
        assert check(ops, model).verdict == "valid"


def test_one_order_of_all_writes_may_overrule_what_a_client_saw() -> None:
    """Causal consistency of transactions allows what PRAM does not."""
    ops = in_sessions(
        (0, [[W, "x", 2]]),
        (0, [[R, "z", None]]),
        (1, [[W, "z", 1]]),
        (1, [[W, "x", 1]]),
        (1, [[W, "y", 1]]),
        (0, [[R, "y", 1]]),
        (0, [[R, "x", 2]]),
    )
    assert check(ops, "strong-session-causal-cerone").verdict == "valid"
    assert check(ops, "PRAM").verdict == "invalid"
    assert check(ops, "strong-session-parallel-snapshot-isolation").verdict == "invalid"


@thorough
@given(register_histories(txns=6, keys=2, mops=3))
def test_promises_are_those_of_the_definitions(ops: list[Op]) -> None:
    agree(ops)


@thorough
@given(register_histories(txns=8, keys=2, mops=2, corrupt=False))
def test_promises_on_longer_histories(ops: list[Op]) -> None:
    agree(ops)


def agree(ops: list[Op]) -> None:
    for model, kept in rw_session_oracle.kept(ops).items():
        verdict = check(ops, model)
        assert verdict.verdict == ("valid" if kept else "invalid"), (model, verdict.anomaly_types, verdict.reasons)
