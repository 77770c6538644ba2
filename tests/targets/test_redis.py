"""Goal: Redis' sessions do what the ops say, send each command once, and tell the truth about what failed.

Method: three real servers with their Sentinels in pods; what a session sent is counted by a relay. Nodes are paused
and killed in mid-op, and the primary's failover is waited for.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import hiredis
import pytest

from harness.nodes.base import Cluster
from harness.nodes.docker import DockerCluster
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.target import DidNotHappen, HasPrimaries, SessionContext, Target, Timeouts, Unknown
from targets.redis.connection import Connection
from targets.redis.errors import ERRORS, judged, row_of
from targets.redis.sessions import PORT
from targets.redis.target import Redis, ask
from tests.e2e.runs import need_docker
from tests.targets.relay import Relay

USUAL = Timeouts()
FAST = Timeouts(op_s=1.5, connect_s=1.0)
docker = pytest.mark.docker
pytestmark = pytest.mark.timeout(120)


def target(**given: Any) -> Redis:
    options = with_defaults(Redis.options, {"down_after_ms": "1000", **given})
    return Redis(image=Redis.default_image, options=options, timeouts=Timeouts(), workload="register")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    need_docker(Redis.default_image)
    with DockerCluster(run_id="test-redis", nodes=3, image=Redis.default_image) as made:
        target().start(made)
        yield made


def session(node: Any, workload: str = "register", *, timeouts: Timeouts = USUAL, **given: Any) -> Any:
    context = SessionContext(0, timeouts, lambda: None, with_defaults(Redis.options, given))
    return Redis.workloads[workload].open(target(), node, context)


def primary(cluster: Cluster) -> Any:
    [name] = target().primaries(cluster)
    return next(node for node in cluster.nodes if node.name == name)


@docker
def test_it_is_a_target_with_primaries(cluster: Cluster) -> None:
    assert isinstance(target(), Target)
    assert isinstance(target(), HasPrimaries)
    assert target().version(cluster.nodes[0]).startswith(Redis.default_image.partition(":")[2])
    assert target().primaries(cluster) == [cluster.nodes[0].name]


@docker
def test_a_register_through_any_node(cluster: Cluster) -> None:
    first, other = session(cluster.nodes[0]), session(cluster.nodes[1])
    assert first.invoke(invoke("read", [1, None])) == Op("ok", "read", [1, None])
    with pytest.raises(DidNotHappen, match="compare failed: it held nothing"):
        first.invoke(invoke("cas", [1, [4, 5]]))
    assert first.invoke(invoke("cas", [1, [None, 5]])) == Op("ok", "cas", [1, [None, 5]])
    assert other.invoke(invoke("read", [1, None])).value == [1, 5]
    assert other.invoke(invoke("write", [1, 6])) == Op("ok", "write", [1, 6])
    for old in (None, 5, 60):
        with pytest.raises(DidNotHappen, match="compare failed: it held 6"):
            first.invoke(invoke("cas", [1, [old, 7]]))
    assert first.invoke(invoke("cas", [1, [6, 7]])).type == "ok"
    assert other.invoke(invoke("read", [1, None])).value == [1, 7]


@docker
def test_a_set(cluster: Cluster) -> None:
    mine = session(cluster.nodes[0], "set")
    for element in (10, 9, 10):
        assert mine.invoke(invoke("add", element)) == Op("ok", "add", element)
    assert mine.invoke(invoke("read")).value == [9, 10]


@docker
def test_a_replica_answers_reads_when_asked_to(cluster: Cluster) -> None:
    """Method: a replica that is told to follow nobody keeps what it had; only reads through it can see that."""
    replica = next(node for node in cluster.nodes if node is not primary(cluster))
    writer = session(primary(cluster))
    writer.invoke(invoke("write", [20, 1]))
    reading, usual = session(replica, reads="replica"), session(replica)
    deadline_s = time.monotonic() + 5
    while reading.invoke(invoke("read", [20, None])).value != [20, 1] and time.monotonic() < deadline_s:
        time.sleep(0.01)
    replica.agent.request("pause")
    try:
        writer.invoke(invoke("write", [20, 2]))
        assert usual.invoke(invoke("read", [20, None])).value == [20, 2]
    finally:
        replica.agent.request("resume")


@docker
def test_a_write_that_a_replica_refuses_did_not_happen(cluster: Cluster) -> None:
    replica = next(node for node in cluster.nodes if node is not primary(cluster))
    connection = Connection(*replica.endpoint(PORT), FAST)
    with contextlib.closing(connection), pytest.raises(DidNotHappen) as raised:
        connection.command("SET", "register/21", "1")
    assert raised.value.lost


@docker
def test_a_command_is_sent_once_when_its_server_dies_in_mid_op_and_another_takes_over(cluster: Cluster) -> None:
    node = primary(cluster)
    with Relay(*node.endpoint(PORT)) as relay:
        connection = Connection(*relay.address, FAST)
        connection.ready()
        connection.command("SET", "register/30", "1")
        node.agent.request("pause")
        raised: list[BaseException] = []

        def write() -> None:
            try:
                connection.command("SET", "register/30", "2")
            except BaseException as error:
                raised.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.3)
        node.agent.request("kill")
        writer.join(5)
        assert isinstance(raised[0], Unknown)
        assert raised[0].lost
        with pytest.raises(DidNotHappen):
            connection.command("SET", "register/30", "3")
        assert relay.connections == 1
        assert relay.sent.count(b"\r\nSET\r\n") == 2
    with pytest.raises(DidNotHappen) as refused:
        session(node)
    assert refused.value.lost
    survivors = [other for other in cluster.nodes if other is not node]
    for other in survivors:
        deadline_s = time.monotonic() + 30
        while target().primary_through(other, FAST)[0] == node.address and time.monotonic() < deadline_s:
            time.sleep(0.1)
        target().await_node(other, 30)
    assert session(survivors[0]).invoke(invoke("read", [30, None])).value[1] == 1, "a stopped server never took it"
    node.start_db()
    target().await_node(node, 30)
    deadline_s = time.monotonic() + 30
    while ask(node.endpoint(PORT), "ROLE")[0] == "master" and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert node.name not in target().primaries(cluster), "its Sentinel made it a replica"
    session(node).invoke(invoke("write", [31, 1]))


@docker
def test_a_session_to_a_node_that_is_stopped_is_not_opened(cluster: Cluster) -> None:
    """The kernel accepts connections for it: only an answer counts."""
    node = next(node for node in cluster.nodes if node is not primary(cluster))
    node.agent.request("pause")
    try:
        with pytest.raises(DidNotHappen):
            session(node, timeouts=FAST)
    finally:
        node.agent.request("resume")


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: row.code)
def test_each_row_is_reached_by_its_reply(row: Any) -> None:
    error = hiredis.ReplyError(f"{row.code} and so on")
    assert row_of(error) is row
    raised = judged(error)
    assert isinstance(raised, DidNotHappen if row.happened == "no" else Unknown)
    assert raised.lost == row.lost  # type: ignore[attr-defined]


def test_an_error_in_no_row_stays_itself() -> None:
    error = hiredis.ReplyError("ERR something new")
    assert judged(error) is error


def test_nothing_is_claimed_because_failovers_lose_writes() -> None:
    for workload in Redis.workloads:
        claim = Redis.claim(workload, {})
        assert claim.model is None
        assert "losing acknowledged writes" in claim.words
