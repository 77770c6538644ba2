"""Lists that were not empty at first: judged as if they had been, but for beginnings that contradict each other."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.transactions.list_append import ListAppend
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict
from tests.checkers.test_list_append import A, ran
from tests.checkers.txn_histories import Op, append_histories

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))


def check(ops: list[Op], initial: str = "unknown", model: str = "strict-serializable") -> Verdict:
    return ListAppend().check(History.from_ops(ops), CheckOptions(model=model, workload={"initial": initial}))


def test_what_nobody_appended_and_all_reads_begin_with_is_the_initial_state() -> None:
    ops = ran(("ok", ["r", "x", [8, 9]]), ("ok", [A, "x", 1]), ("ok", ["r", "x", [8, 9, 1]]))
    assert check(ops).verdict == "valid"
    assert check(ops, "nil").anomaly_types == ["garbage-read"]


@pytest.mark.parametrize(
    "reads",
    [([8], [9]), ([8, 9], [8]), ([], [8]), ([8, 9], [9, 8]), ([1], [8, 1]), ([8, 1, 9], [8, 1])],
    ids=str,
)
def test_beginnings_that_differ_are_garbage(reads: tuple[list[Any], list[Any]]) -> None:
    ops = ran(("ok", [A, "x", 1]), *(("ok", ["r", "x", read]) for read in reads))
    verdict = check(ops, model="read-uncommitted")
    assert verdict.verdict == "invalid"
    assert "garbage-read" in verdict.anomaly_types


def test_a_sentence_shows_the_whole_list() -> None:
    ops = ran(("ok", [A, "x", 1], [A, "x", 2]), ("ok", ["r", "x", [8, 9, 1]]))
    [anomaly] = [a for a in check(ops).anomalies if a.type == "G1b"]
    assert "[8 9 1]" in anomaly.sentence


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(append_histories(txns=6, keys=2, mops=3), st.integers(0, 3), st.integers(0, 3))
def test_the_verdict_is_that_of_lists_that_were_empty_at_first(ops: list[Op], one: int, other: int) -> None:
    initial = {0: [901, 902, 903][:one], 1: [901, 905, 906][:other]}

    def full(op: Op) -> Op:
        body = [["r", k, [*initial[k], *(v or [])]] if f == "r" else [f, k, v] for f, k, v in op["value"]]
        return {**op, "value": body} if op["type"] == "ok" else op

    plain, filled = check(ops, "nil"), check([full(op) for op in ops])
    assert (filled.verdict, filled.anomaly_counts) == (plain.verdict, plain.anomaly_counts)
    assert (filled.not_, filled.also_not) == (plain.not_, plain.also_not)
    assert [a.ops for a in filled.anomalies] == [a.ops for a in plain.anomalies]
