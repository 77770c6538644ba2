"""Session guarantees in list-append: each by its simplest case, and all against the definitions."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from checkers.transactions import list_append_sessions
from checkers.transactions.list_append import ListAppend
from checkers.transactions.list_append_versions import version_orders
from checkers.transactions.txn_columns import READ, columns_of
from harness.checker import CheckOptions
from harness.history import History
from tests.checkers.session_oracle import broken_guarantees, kept_memory
from tests.checkers.txn_histories import Op, append_histories

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
A = "append"


def in_sessions(*txns: tuple[int, list[Any]]) -> list[Op]:
    """Transactions one after the other, each (process, mops)."""
    ops = []
    for process, mops in txns:
        asked = [m if m[0] == A else ["r", m[1], None] for m in mops]
        ops.append({"type": "invoke", "process": process, "f": "txn", "value": asked})
        ops.append({"type": "ok", "process": process, "f": "txn", "value": mops})
    return [{**op, "index": i} for i, op in enumerate(ops)]


CASES = {
    "read-your-writes": in_sessions((0, [[A, "x", 1]]), (0, [["r", "x", []]])),
    "monotonic-reads": in_sessions((0, [[A, "x", 1]]), (1, [["r", "x", [1]]]), (1, [["r", "x", []]])),
    "monotonic-writes": in_sessions((0, [[A, "x", 1]]), (0, [[A, "x", 2]]), (1, [["r", "x", [2, 1]]])),
    "writes-follow-reads": in_sessions(
        (0, [[A, "x", 1]]), (1, [["r", "x", [1]]]), (1, [[A, "x", 2]]), (2, [["r", "x", [2]]])
    ),
}


@pytest.mark.parametrize("guarantee", CASES)
def test_each_guarantee_by_its_simplest_case(guarantee: str) -> None:
    ops = CASES[guarantee]
    for model in (guarantee, "causal", "strict-serializable", "strong-session-snapshot-isolation"):
        verdict = ListAppend().check(History.from_ops(ops), CheckOptions(model=model))
        assert verdict.verdict == "invalid", model
        assert guarantee in verdict.anomaly_types
        assert guarantee in verdict.not_
        assert "causal" in verdict.also_not
    anomaly = next(a for a in verdict.anomalies if a.type == guarantee)
    assert "of the same client" in anomaly.sentence
    others = {"read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"} - {guarantee}
    for model in others:
        assert ListAppend().check(History.from_ops(ops), CheckOptions(model=model)).verdict == "valid", model


def test_a_session_remembers_more_keys_than_there_is_room_for_at_first() -> None:
    keys = list_append_sessions.ROOM_AT_FIRST // 2 + 100
    written = [(0, [[A, key, 1]]) for key in range(keys)]
    seen = [(0, [["r", key, [] if key in (0, keys // 2, keys - 1) else [1]]]) for key in range(keys)]
    shown = [(1, [["r", key, [1]]]) for key in (0, keys // 2, keys - 1)]
    verdict = ListAppend().check(History.from_ops(in_sessions(*written, *seen, *shown)), CheckOptions())
    assert verdict.anomaly_counts["read-your-writes"] == 3
    assert {anomaly.key for anomaly in verdict.anomalies if anomaly.type == "read-your-writes"} == {
        0,
        keys // 2,
        keys - 1,
    }


def test_what_a_client_sees_within_a_transaction_hides_nothing_that_it_saw_before() -> None:
    """Its append came out behind what it had read earlier, and it read even more in the transaction that appended."""
    ops = in_sessions(
        (0, [["r", "x", [2, 3]]]), (0, [[A, "x", 1], ["r", "x", [2, 3, 1]], [A, "x", 2]]), (0, [[A, "x", 3]])
    )
    verdict = ListAppend().check(History.from_ops(ops), CheckOptions())
    told = [a.sentence for a in verdict.anomalies if a.type == "writes-follow-reads"]
    assert len(told) == 2 and "appended 2 to x after T1 (op 1) of the same client had read x = [2 3], but" in told[0]


def test_another_client_is_promised_nothing() -> None:
    for ops in CASES.values():
        renamed = [{**op, "process": 100 + i // 2} for i, op in enumerate(ops)]
        verdict = ListAppend().check(History.from_ops(renamed), CheckOptions(model="causal"))
        assert verdict.verdict == "valid"


@thorough
@given(append_histories(txns=7, keys=2, mops=3))
def test_broken_guarantees_are_those_of_the_definitions(ops: list[Op]) -> None:
    columns = columns_of(History.from_ops(ops))
    txn = columns.txn_of_mop()
    versions = version_orders(columns, txn)
    claimed = set()
    for case in list_append_sessions.find(columns, txn, versions):
        key, t = columns.keys[columns.key[case.later]], int(txn[case.later])
        if columns.function[case.later] == READ:
            where: Any = (int(columns.began[t]), int(case.later - columns.mop_start[t]))
        else:
            where = columns.shown_value(columns.value[case.later])
        claimed.add((list_append_sessions.TYPES[case.kind], key, where))
    usable = {columns.keys[k] for k in range(len(columns.keys)) if versions.usable[k]}
    assert claimed == {case for case in broken_guarantees(ops) if case[1] in usable}


NO_EXECUTION = {"garbage-read", "future-read", "duplicate-elements", "cyclic-versions"}


@thorough
@given(append_histories(txns=6, keys=2, mops=3))
def test_pram_and_causal_memory_are_those_of_the_definitions(ops: list[Op]) -> None:
    agree_on_memory(ops)


@thorough
@given(append_histories(txns=8, keys=2, mops=2, corrupt=False))
def test_pram_and_causal_memory_on_longer_histories(ops: list[Op]) -> None:
    agree_on_memory(ops)


def agree_on_memory(ops: list[Op]) -> None:
    for model, kept in kept_memory(ops).items():
        verdict = ListAppend().check(History.from_ops(ops), CheckOptions(model=model))
        if NO_EXECUTION & set(verdict.anomaly_types) or "does not see its own" in str(verdict.anomalies):
            assert verdict.verdict == "invalid"
            continue
        assert verdict.verdict == ("valid" if kept else "invalid"), (model, verdict.anomaly_types, verdict.reasons)


PRAM_CASES = {
    "its own later append": in_sessions((0, [["r", "x", [1]]]), (0, [[A, "x", 1]])),
    "another's appends to two keys": in_sessions(
        (0, [[A, "x", 1]]), (0, [[A, "y", 1]]), (1, [["r", "y", [1]]]), (1, [["r", "x", []]])
    ),
    "an order that only a later read shows": in_sessions(
        (0, [[A, "z", 1]]),
        (0, [[A, "x", 1]]),
        (1, [[A, "x", 2]]),
        (1, [[A, "y", 1]]),
        (2, [["r", "y", [1]]]),
        (2, [["r", "z", []]]),
        (2, [["r", "x", [1, 2]]]),
    ),
}


@pytest.mark.parametrize("case", PRAM_CASES)
def test_pram_is_more_than_its_guarantees(case: str) -> None:
    ops = PRAM_CASES[case]
    for model in ("PRAM", "causal"):
        verdict = ListAppend().check(History.from_ops(ops), CheckOptions(model=model))
        assert verdict.verdict == "invalid"
        assert "PRAM-violation" in verdict.anomaly_types
    for model in ("read-your-writes", "monotonic-reads", "monotonic-writes"):
        assert ListAppend().check(History.from_ops(ops), CheckOptions(model=model)).verdict == "valid"
    anomaly = next(a for a in verdict.anomalies if a.type == "PRAM-violation")
    kept = [op for op in ops if op["index"] in set(anomaly.sub_history)]
    assert "PRAM-violation" in ListAppend().check(History.from_ops(kept), CheckOptions()).anomaly_types


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(append_histories(txns=7, keys=1, mops=2))
def test_findings_show_again_in_their_sub_history(ops: list[Op]) -> None:
    for anomaly in ListAppend().check(History.from_ops(ops), CheckOptions()).anomalies:
        if anomaly.type in list_append_sessions.TYPES:
            kept = [op for op in ops if op["index"] in set(anomaly.sub_history)]
            assert anomaly.type in ListAppend().check(History.from_ops(kept), CheckOptions()).anomaly_types
