"""Goal: what an error proves is what the table says, reached through the real driver.

Method: scripted servers answer with each code of the table, as a command's error, as a write's and as a write
concern's, outside of transactions, inside, and in answer to commitTransaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymongo.errors
import pytest

from harness.nodes.base import Cluster
from harness.op import invoke
from harness.target import DidNotHappen, Unknown
from targets.mongodb.errors import ERRORS, TRANSIENT, judged, row_of
from tests.targets.mongodb_cluster import cluster_of, session
from tests.targets.mongodb_server import ReplicaSet, error, write_concern_error, write_error

pytestmark = pytest.mark.timeout(120)
WRITE = invoke("write", [1, 1])
TXN = invoke("txn", [["append", 1, 1], ["append", 2, 1]])
AS_ROWS = pytest.mark.parametrize("row", ERRORS.values(), ids=lambda row: row.name)


@pytest.fixture(scope="module")
def members() -> Iterator[ReplicaSet]:
    with ReplicaSet() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(members: ReplicaSet) -> Cluster:
    return cluster_of(members)


def outcome(mine: Any, op: Any) -> Any:
    with pytest.raises((DidNotHappen, Unknown)) as raised:
        mine.invoke(op)
    return raised.value


@AS_ROWS
def test_a_single_write(members: ReplicaSet, cluster: Cluster, row: Any) -> None:
    with session(cluster, "register") as mine:
        members.primary.on("update", error(row.code, row.name))
        raised = outcome(mine, WRITE)
    assert isinstance(raised, DidNotHappen if row.happened == "no" else Unknown)
    assert raised.lost == row.lost
    assert row.name in str(raised)


@AS_ROWS
def test_a_write_concern_error_proves_nothing_whatever_its_code(
    members: ReplicaSet, cluster: Cluster, row: Any
) -> None:
    with session(cluster, "register") as mine:
        members.primary.on("update", write_concern_error(row.code, row.name))
        raised = outcome(mine, WRITE)
    assert isinstance(raised, Unknown) and raised.lost == row.lost
    with session(cluster, "register") as anew:
        assert anew.invoke(invoke("read", [1, None])).value == [1, 1], "it was written"


@AS_ROWS
def test_before_commit_every_known_error_is_a_failure(members: ReplicaSet, cluster: Cluster, row: Any) -> None:
    commits = members.primary.count("commitTransaction")
    with session(cluster, "append") as mine:
        members.primary.on("update", error(row.code, row.name, TRANSIENT))
        raised = outcome(mine, TXN)
    assert isinstance(raised, DidNotHappen)
    assert raised.lost == row.lost
    assert members.primary.count("commitTransaction") == commits
    assert members.primary.data.get("lists", {}) == {}


@AS_ROWS
def test_at_commit_the_label_decides(members: ReplicaSet, cluster: Cluster, row: Any) -> None:
    with session(cluster, "append") as mine:
        members.primary.on("commitTransaction", error(row.code, row.name))
        assert isinstance(outcome(mine, TXN), Unknown), "without a label nobody knows"
    driver_says_unknown = row.code in pymongo_unknown_commit_codes()
    with session(cluster, "append") as mine:
        members.primary.on("commitTransaction", error(row.code, row.name, TRANSIENT))
        raised = outcome(mine, TXN)
    assert isinstance(raised, Unknown if driver_says_unknown else DidNotHappen)


def pymongo_unknown_commit_codes() -> set[int]:
    """Those that the drivers' specification labels UnknownTransactionCommitResult, whatever the server labels."""
    return {6, 7, 50, 64, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436}


@pytest.mark.parametrize("code", [64, 100, 91, 11602])
def test_a_write_concern_error_of_commit_is_unknown(members: ReplicaSet, cluster: Cluster, code: int) -> None:
    """100 is one that the driver does not label: its class says enough."""
    with session(cluster, "append") as mine:
        members.primary.on("commitTransaction", write_concern_error(code, ERRORS[code].name))
        assert isinstance(outcome(mine, invoke("txn", [["append", 50 + code, 1]])), Unknown)
    with session(cluster, "append") as anew:
        assert anew.invoke(invoke("txn", [["r", 50 + code, None]])).value == [["r", 50 + code, [1]]], "it was done"


def test_a_write_error_in_an_answer_that_is_ok(members: ReplicaSet, cluster: Cluster) -> None:
    with session(cluster, "set") as mine:
        members.primary.on("insert", write_error(11000, "E11000 duplicate key error"))
        assert isinstance(outcome(mine, invoke("add", 1)), DidNotHappen)
        members.primary.on("insert", write_error(11601, "Interrupted"))
        assert isinstance(outcome(mine, invoke("add", 2)), Unknown)


def test_a_transaction_goes_on_in_the_same_session_after_a_failure(members: ReplicaSet, cluster: Cluster) -> None:
    with session(cluster, "append") as mine:
        members.primary.on("update", error(112, "WriteConflict", TRANSIENT))
        aborts = members.primary.count("abortTransaction")
        assert not outcome(mine, TXN).lost
        assert members.primary.count("abortTransaction") == aborts + 1
        assert mine.invoke(invoke("txn", [["append", 9, 1], ["r", 9, None]])).value[1] == ["r", 9, [1]]


def test_a_code_in_no_row_stays_itself(members: ReplicaSet, cluster: Cluster) -> None:
    with session(cluster, "register") as mine:
        members.primary.on("update", error(4711, "SomethingNew"))
        with pytest.raises(pymongo.errors.OperationFailure):
            mine.invoke(WRITE)
    with session(cluster, "append") as mine:
        members.primary.on("update", error(4711, "SomethingNew"))
        with pytest.raises(pymongo.errors.OperationFailure):
            mine.invoke(TXN)
    with session(cluster, "append") as mine:
        members.primary.on("commitTransaction", error(4711, "SomethingNew"))
        with pytest.raises(pymongo.errors.OperationFailure):
            mine.invoke(TXN)


def test_what_has_no_code_is_not_guessed() -> None:
    assert row_of(pymongo.errors.OperationFailure("no code")) is None
    other = ValueError("not of the driver")
    assert judged(other) is other


def test_codes_are_told_once_with_a_reason() -> None:
    assert all(row.happened in ("no", "unknown") and row.reason for row in ERRORS.values())
    assert {ERRORS[code].happened for code in (189, 11600, 11602, 91, 50, 64)} == {"unknown"}
    assert {ERRORS[code].happened for code in (10107, 11000, 112)} == {"no"}
