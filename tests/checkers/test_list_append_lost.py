"""Lost appends: an acknowledged append is called lost where a newer one was seen without it, and it never again.

Method: examples of each condition; then random histories, where what is called lost must be so by the definition, and
all that is so must be called so (brute force over the records).
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import given, settings

from checkers.transactions import list_append_lost
from checkers.transactions.list_append import ListAppend
from checkers.transactions.list_append_versions import version_orders
from checkers.transactions.txn_columns import columns_of
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict
from tests.checkers.test_list_append import A, one_by_one
from tests.checkers.txn_histories import append_histories

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))


def check(*txns: tuple[Any, ...], model: str = "strict-serializable") -> Verdict:
    """Transactions one after the other."""
    return ListAppend().check(History.from_ops(one_by_one(*txns)), CheckOptions(model=model))


LOST = (("ok", [A, "x", 1]), ("ok", [A, "x", 2]), ("ok", ["r", "x", [2]]))


def test_a_newer_element_without_the_acknowledged_one() -> None:
    verdict = check(*LOST)
    assert (verdict.verdict, verdict.anomalies[0].type) == ("invalid", "lost-write")
    anomaly = verdict.anomalies[0]
    assert anomaly.sentence == (
        "T1 (op 1) appended 1 to x and was told that it is committed; T2 (op 3) began after that and appended 2. "
        "T3 (op 5) then read x = [2]: the later element without the earlier one, and from then on nobody ever saw 1 "
        "again. The write is gone."
    )
    assert (anomaly.ops, anomaly.key, anomaly.counts) == ([1, 3, 5], "x", True)
    assert list_append_lost.EVIDENCE in verdict.anomaly_types
    assert not check(*LOST, model="serializable").anomalies[0].counts


def test_a_late_node_is_no_loss() -> None:
    verdict = check(("ok", [A, "x", 1]), ("ok", [A, "x", 2]), ("ok", ["r", "x", []]), ("ok", ["r", "x", [1]]))
    assert verdict.verdict == "invalid"
    assert "lost-write" not in verdict.anomaly_types


def test_one_that_is_seen_again_was_not_lost() -> None:
    assert "lost-write" not in check(*LOST, ("ok", ["r", "x", [1, 2]])).anomaly_types


def test_one_that_was_seen_before_and_never_again() -> None:
    seen = (LOST[0], ("ok", ["r", "x", [1]]), *LOST[1:])
    assert check(*seen).anomaly_counts["lost-write"] == 1
    longer = (LOST[0], ("ok", [A, "x", 3]), ("ok", ["r", "x", [1, 3]]), *LOST[1:])
    assert check(*longer).anomaly_counts["lost-write"] == 2


def test_one_that_was_not_acknowledged_may_be_missing() -> None:
    assert check(("info", [A, "x", 1]), *LOST[1:]).verdict == "valid"
    assert check(("fail", [A, "x", 1]), *LOST[1:]).verdict == "valid"


def test_the_readers_own_append_shows_nothing_of_the_others() -> None:
    verdict = check(LOST[0], ("ok", [A, "x", 2], ["r", "x", [2]]))
    assert verdict.verdict == "invalid"
    assert "lost-write" not in verdict.anomaly_types


def test_nor_does_one_that_the_reader_appends_only_afterwards() -> None:
    verdict = check(LOST[0], ("ok", ["r", "x", [2]], [A, "x", 2]))
    assert verdict.anomaly_counts["future-read"] == 1
    assert "lost-write" not in verdict.anomaly_types
    others = check(LOST[0], ("ok", [A, "x", 3]), ("ok", ["r", "x", [3, 2]], [A, "x", 2]))
    assert others.anomaly_counts["lost-write"] == 1


def test_what_others_appended_behind_the_readers_own_append_is_not_overlooked() -> None:
    verdict = check(LOST[0], ("ok", [A, "x", 3]), ("ok", [A, "x", 2], ["r", "x", [2, 3]]))
    assert verdict.anomaly_counts["lost-write"] == 1


def lost_by_definition(ops: list[dict[str, Any]]) -> set[tuple[Any, Any]]:
    """(key, value) of every lost append: the docstring of `checkers.transactions.list_append_lost`, read literally."""
    begins: dict[Any, int] = {}
    txns: list[tuple[str, int, int, list[Any]]] = []
    for place, op in enumerate(ops):
        if op["type"] == "invoke":
            begins[op["process"]] = place
            txns.append(("info", place, -1, op["value"]))
        else:
            began = begins[op["process"]]
            where = next(i for i, txn in enumerate(txns) if txn[1] == began)
            body = op["value"] if op["type"] == "ok" else txns[where][3]
            txns[where] = (op["type"], began, place, body)
    appends = [(t, m[1], m[2]) for t in txns for m in t[3] if m[0] == "append" and t[0] != "fail"]
    reads = [(t, m[1], m[2] or []) for t in txns for m in t[3] if m[0] == "r" and t[0] == "ok"]
    lost = set()
    for writer, key, value in appends:
        if writer[0] != "ok":
            continue
        for reader, read_key, elements in reads:
            if read_key != key or reader[1] < writer[2] or value in elements:
                continue
            newer = any(
                other_key == key and other in elements and later is not reader and later[1] > writer[2]
                for later, other_key, other in appends
            )
            again = any(t[2] > reader[1] and k == key and value in seen for t, k, seen in reads)
            if newer and not again:
                lost.add((key, value))
    return lost


def test_random_histories_agree_with_the_definition() -> None:
    met: set[int] = set()

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(append_histories(txns=7, keys=2, mops=3))
    def judged(ops: list[dict[str, Any]]) -> None:
        columns = columns_of(History.from_ops(ops))
        txn = columns.txn_of_mop()
        versions = version_orders(columns, txn)
        found = list_append_lost.lost_appends(columns, txn, versions, 99)
        claimed = {
            (columns.keys[columns.key[case.append]], columns.shown_value(columns.value[case.append]))
            for case in list_append_lost.find(columns, txn, versions)
        }
        numbers = {key: number for number, key in enumerate(columns.keys)}
        expected = set()
        for key, value in lost_by_definition(ops):
            number = numbers[key]
            order = versions.value[versions.start[number] : versions.start[number + 1]]
            shown = versions.agreed[number] and value in [columns.shown_value(each) for each in order]
            if versions.usable[number] and not shown:
                expected.add((key, value))
        assert claimed == expected
        assert found.count == len(claimed) == len(found.shown)
        met.add(len(claimed))
        if claimed:
            verdict = ListAppend().check_columns(columns, CheckOptions(model="strict-serializable"))
            assert "lost-write" in verdict.anomaly_types
            others = set(verdict.anomaly_types) - {"lost-write"}
            assert others, "a lost append is a cycle, or worse"

    judged()
    assert len(met) > 1, "histories with and without lost appends must have been drawn"
