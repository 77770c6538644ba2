"""Goal: a session is one connection, and no request is ever sent twice, whatever goes wrong.

Method: the real driver against scripted servers, which count what reached them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from harness.nodes.base import Cluster
from harness.op import invoke
from harness.target import DidNotHappen, Timeouts, Unknown
from tests.targets.mongodb_cluster import REFUSED, SHORT, cluster_of, session
from tests.targets.mongodb_server import ReplicaSet, drop_after, drop_before, error, no_answer

pytestmark = pytest.mark.timeout(120)
TXN = invoke("txn", [["append", 1, 1], ["r", 1, None]])


@pytest.fixture
def members() -> Iterator[ReplicaSet]:
    with ReplicaSet() as made:
        yield made


@pytest.fixture
def cluster(members: ReplicaSet) -> Cluster:
    return cluster_of(members)


def test_a_session_has_one_connection_and_the_watching_thread_one_of_its_own(
    members: ReplicaSet, cluster: Cluster
) -> None:
    with session(cluster, "register") as mine:
        for value in range(1, 30):
            mine.invoke(invoke("write", [1, value]))
        assert members.members[0].connections == 2
        asked_by_both = members.members[0].count("hello") + members.members[0].count("ismaster")
        assert asked_by_both <= 4, "each connection's first, and the one that is asked for at opening"
    assert members.members[0].count("update") == 29


@pytest.mark.parametrize("breaks", [drop_before, drop_after])
def test_a_write_whose_connection_breaks_is_sent_once_and_unknown(
    members: ReplicaSet, cluster: Cluster, breaks: Any
) -> None:
    with session(cluster, "register") as mine:
        members.primary.on("update", breaks)
        with pytest.raises(Unknown, match="connection lost") as raised:
            mine.invoke(invoke("write", [1, 1]))
        assert raised.value.lost
        with pytest.raises(DidNotHappen, match="not sent") as refused:
            mine.invoke(invoke("write", [1, 2]))
        assert refused.value.lost
    assert members.primary.count("update") == 1


def test_a_write_without_an_answer_is_sent_once_and_unknown(members: ReplicaSet, cluster: Cluster) -> None:
    with session(cluster, "register", timeouts=SHORT) as mine:
        members.primary.on("update", no_answer)
        with pytest.raises(Unknown, match="no answer in time"):
            mine.invoke(invoke("write", [1, 1]))
        with pytest.raises(DidNotHappen, match="not sent"):
            mine.invoke(invoke("write", [1, 2]))
    assert members.primary.count("update") == 1


def test_a_read_whose_connection_breaks_is_sent_once(members: ReplicaSet, cluster: Cluster) -> None:
    with session(cluster, "register") as mine:
        members.primary.on("find", drop_before)
        with pytest.raises(Unknown):
            mine.invoke(invoke("read", [1, None]))
    assert members.primary.count("find") == 1


@pytest.mark.parametrize(
    "breaks",
    [drop_before, drop_after, error(91, "ShutdownInProgress", "RetryableWriteError"), error(189, "SteppedDown")],
)
def test_commit_is_sent_once_though_drivers_repeat_it_by_themselves(
    members: ReplicaSet, cluster: Cluster, breaks: Any
) -> None:
    with session(cluster, "append") as mine:
        members.primary.on("commitTransaction", breaks)
        with pytest.raises(Unknown):
            mine.invoke(TXN)
    assert members.primary.count("commitTransaction") == 1
    assert members.primary.count("update") == 1


def test_a_statement_that_breaks_ends_the_transaction_without_a_commit(members: ReplicaSet, cluster: Cluster) -> None:
    with session(cluster, "append") as mine:
        members.primary.on("find", drop_after)
        with pytest.raises(DidNotHappen, match="before commit: connection lost") as raised:
            mine.invoke(TXN)
        assert raised.value.lost
    assert members.primary.count("commitTransaction") == 0
    assert members.primary.data.get("lists", {}) == {}


def test_a_server_that_was_killed_and_is_back_gets_nothing_from_an_old_session(
    members: ReplicaSet, cluster: Cluster
) -> None:
    with session(cluster, "register") as mine:
        mine.invoke(invoke("write", [1, 1]))
        members.members[0].stop()
        members.members[0].start()
        with pytest.raises((Unknown, DidNotHappen)) as raised:
            mine.invoke(invoke("write", [1, 2]))
        assert raised.value.lost
    assert members.members[0].count("update") == 1, "what was sent to the old server's socket reached nobody"


def test_closing_from_another_thread_ends_a_wait_at_once(members: ReplicaSet, cluster: Cluster) -> None:
    """The request's own limit is 80 s here: only the close can have ended it within the test's time."""
    patient = Timeouts(op_s=100.0, connect_s=20.0)
    with session(cluster, "register", timeouts=patient) as mine:
        members.primary.on("update", no_answer)
        raised: list[BaseException] = []

        def write() -> None:
            try:
                mine.invoke(invoke("write", [1, 1]))
            except BaseException as problem:
                raised.append(problem)

        writer = threading.Thread(target=write)
        writer.start()
        while members.primary.count("update") == 0:
            threading.Event().wait(0.01)
        mine.close()
        writer.join(30)
        assert not writer.is_alive()
        assert isinstance(raised[0], Unknown)


def test_a_session_to_a_server_that_says_nothing_is_not_opened(members: ReplicaSet, cluster: Cluster) -> None:
    """Its port is open; only an answer counts. Every question is left without one."""
    silent = [no_answer] * 20
    for name in ("hello", "ismaster", "isMaster"):
        members.members[0].on(name, *silent)
    with pytest.raises(DidNotHappen) as raised, session(cluster, "register", timeouts=REFUSED):
        pass
    assert raised.value.lost


def test_a_server_that_is_down_refuses(members: ReplicaSet, cluster: Cluster) -> None:
    members.members[0].stop()
    with pytest.raises(DidNotHappen), session(cluster, "register", timeouts=REFUSED):
        pass


def test_with_retryable_writes_the_driver_repeats_a_write_under_one_number(
    members: ReplicaSet, cluster: Cluster
) -> None:
    with session(cluster, "register", retryable_writes="on") as mine:
        members.primary.on("update", drop_before)
        assert mine.invoke(invoke("write", [1, 1])).type == "ok"
        first, second = members.primary.asked("update")
        assert (first["lsid"], first["txnNumber"]) == (second["lsid"], second["txnNumber"])
    assert members.primary.data["registers"][1]["value"] == 1


def test_a_refusal_of_what_was_sent_twice_proves_nothing(members: ReplicaSet, cluster: Cluster) -> None:
    refusal = error(112, "WriteConflict")
    with session(cluster, "register", retryable_writes="on") as mine:
        members.primary.on("update", refusal)
        with pytest.raises(DidNotHappen, match="WriteConflict"):
            mine.invoke(invoke("write", [1, 1]))
        members.primary.on("update", drop_after, refusal)
        with pytest.raises(Unknown, match="sent again by the driver"):
            mine.invoke(invoke("write", [1, 2]))
    assert members.primary.data["registers"][1]["value"] == 2
