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

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import Cluster
from harness.nodes.docker import DockerCluster
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.target import (
    DidNotHappen,
    HasLeaders,
    HasPrimaries,
    HasReplicationLag,
    SessionContext,
    Target,
    Timeouts,
    Unknown,
)
from targets.redis import member, on_host
from targets.redis.connection import Connection
from targets.redis.errors import ERRORS, judged, row_of
from targets.redis.sessions import OURS, PORT, PRIMARY_NAME, REGISTER_KEYS, SET_KEY
from targets.redis.target import Redis
from tests.e2e.runs import need_docker
from tests.targets.relay import Relay

USUAL = Timeouts()
FAST = Timeouts(op_s=1.5, connect_s=1.0)
docker = pytest.mark.docker
pytestmark = pytest.mark.timeout(120)


def target(**given: Any) -> Redis:
    options = with_defaults(Redis.options, {"down_after_ms": "1000", **given})
    return Redis(image=Redis.default_image, options=options, timeouts=Timeouts(), workload="register")


def ask(endpoint: tuple[str, int], *command: str) -> Any:
    return target().ask(endpoint, *command)


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
def test_leaders_have_an_epoch_and_replicas_a_lag(cluster: Cluster) -> None:
    assert isinstance(target(), HasLeaders)
    assert isinstance(target(), HasReplicationLag)
    started = Redis(image="", options=target().chosen, timeouts=Timeouts(), workload="register")
    [leader] = started.leaders(cluster)
    assert leader.node == primary(cluster).name
    assert isinstance(leader.term, int)
    replicas = {node.name for node in cluster.nodes} - {leader.node}
    session(primary(cluster)).invoke(invoke("write", [40, 1]))
    deadline_s = time.monotonic() + 30
    while started.replication_lag(cluster) != dict.fromkeys(replicas, 0.0) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert started.replication_lag(cluster) == dict.fromkeys(replicas, 0.0)


@docker
def test_a_server_that_its_sentinel_does_not_name_leads_in_no_known_term(cluster: Cluster) -> None:
    """Method: a replica is told to follow nobody. It says that it leads; its Sentinel names the primary still, and
    makes it a replica again."""
    replica = next(node for node in cluster.nodes if node is not primary(cluster))
    rightful = primary(cluster).name
    ask(replica.endpoint(PORT), "REPLICAOF", "NO", "ONE")
    leaders = {leader.node: leader.term for leader in target().leaders(cluster)}
    assert leaders.get(replica.name) is None
    assert isinstance(leaders[rightful], int)
    deadline_s = time.monotonic() + 60
    while target().primaries(cluster) != [rightful] and time.monotonic() < deadline_s:
        time.sleep(0.2)
    assert target().primaries(cluster) == [rightful]


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
def test_a_local_read_is_answered_by_the_nodes_own_server(cluster: Cluster) -> None:
    """Method: servers count their commands. Each node's session writes through the primary and reads its own copy."""

    def commands(node: Any, name: str) -> int:
        lines = ask(node.endpoint(PORT), "INFO", "commandstats").splitlines()
        found = [line for line in lines if line.startswith(f"cmdstat_{name}:")]
        return int(found[0].partition("calls=")[2].partition(",")[0]) if found else 0

    leader = primary(cluster)
    for node in cluster.nodes:
        register, elements = session(node), session(node, "set")
        assert register.is_read(invoke("local-read", [41, None]))
        register.invoke(invoke("write", [41, 7]))
        elements.invoke(invoke("add", 4711))
        before = {(other.name, name): commands(other, name) for other in cluster.nodes for name in ("get", "smembers")}
        reads = 0
        deadline_s = time.monotonic() + 30
        while time.monotonic() < deadline_s:
            reads += 1
            own = register.invoke(invoke("local-read", [41, None])).value
            held = elements.invoke(invoke("local-read")).value
            if own == [41, 7] and 4711 in held:
                break
        assert (own, 4711 in held) == ([41, 7], True)
        for (name, command), count in before.items():
            other = next(each for each in cluster.nodes if each.name == name)
            assert commands(other, command) - count == (reads if other is node else 0), (name, command)
        register.close()
        elements.close()
    assert primary(cluster) is leader


class Hosts:
    """Some of the cluster's nodes, as if a user had named these."""

    def __init__(self, nodes: Any) -> None:
        self.nodes = nodes


@docker
def test_servers_that_are_there_must_be_the_hosts_and_lose_only_our_keys(cluster: Cluster) -> None:
    leader = primary(cluster)
    others: Any = Hosts([node for node in cluster.nodes if node is not leader])
    some: Any = Hosts([leader, others.nodes[0]])
    assert on_host.primary_name(cluster, target().ask) == PRIMARY_NAME
    with pytest.raises(InfrastructureError, match="among the hosts"):
        on_host.primary_name(others, target().ask)
    with pytest.raises(InfrastructureError, match="none says it is"):
        on_host.check(others, target().ask)
    with pytest.raises(InfrastructureError, match=others.nodes[1].address):
        on_host.check(some, target().ask)
    theirs = [f"theirs/{number}" for number in range(3_000)] + ["faultline", "set"]
    ask(leader.endpoint(PORT), "MSET", *(word for key in theirs for word in (key, "1")))
    session(leader).invoke(invoke("write", [50, 1]))
    session(leader, "set").invoke(invoke("add", 50))
    with pytest.raises(InfrastructureError, match=f"keys below {OURS}.*redis-cli"):
        on_host.check(cluster, target().ask)
    assert {f"{REGISTER_KEYS}50", SET_KEY} <= set(on_host.our_keys(leader, target().ask))
    on_host.remove_keys(cluster, target().ask)
    on_host.check(cluster, target().ask)
    assert int(ask(leader.endpoint(PORT), "EXISTS", *theirs)) == len(theirs)
    assert session(leader).invoke(invoke("read", [50, None])).value == [50, None]
    ask(leader.endpoint(PORT), "DEL", *theirs)


@docker
def test_a_password_is_given_where_one_is_asked_for(cluster: Cluster) -> None:
    replica = next(node for node in cluster.nodes if node is not primary(cluster))
    with contextlib.closing(Connection(*replica.endpoint(PORT), FAST, password="needless")) as open_to_all:
        assert open_to_all.ask("PING") == "PONG"
        open_to_all.ask("CONFIG", "SET", "requirepass", "right")
        try:
            with contextlib.closing(Connection(*replica.endpoint(PORT), FAST, password="right")) as logged_in:
                assert logged_in.ask("PING") == "PONG"
            with pytest.raises(hiredis.ReplyError, match="WRONGPASS"):
                Connection(*replica.endpoint(PORT), FAST, password="wrong")
            some: Any = Hosts([replica])
            with pytest.raises(InfrastructureError, match="REDISCLI_AUTH"):
                on_host.check(some, target().ask)
        finally:
            open_to_all.ask("CONFIG", "SET", "requirepass", "")


@docker
def test_a_write_that_a_replica_refuses_did_not_happen(cluster: Cluster) -> None:
    replica = next(node for node in cluster.nodes if node is not primary(cluster))
    connection = Connection(*replica.endpoint(PORT), FAST)
    with contextlib.closing(connection), pytest.raises(DidNotHappen) as raised:
        connection.command("SET", f"{REGISTER_KEYS}21", "1")
    assert raised.value.lost


@docker
def test_a_command_is_sent_once_when_its_server_dies_in_mid_op_and_another_takes_over(cluster: Cluster) -> None:
    node = primary(cluster)
    with Relay(*node.endpoint(PORT)) as relay:
        connection = Connection(*relay.address, FAST)
        connection.ready()
        connection.command("SET", f"{REGISTER_KEYS}30", "1")
        node.agent.request("pause")
        raised: list[BaseException] = []

        def write() -> None:
            try:
                connection.command("SET", f"{REGISTER_KEYS}30", "2")
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
            connection.command("SET", f"{REGISTER_KEYS}30", "3")
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


class Spot:
    """A host as far as its configuration goes."""

    def __init__(self, number: int) -> None:
        self.name, self.address, self.home = f"n{number}", f"10.0.0.{number}", "/var/lib/faultline/r/home"


@pytest.mark.parametrize("count", [1, 3])
def test_on_a_host_both_keep_to_the_home_and_the_address_and_ask_for_a_password(count: int) -> None:
    spots: Any = [Spot(number + 1) for number in range(count)]
    made = member.on_host(spots, spots[-1], "/opt/redis-server", target().chosen, password="secret")
    assert len(made.files) == (2 if count > 1 else 1)
    for path, text in made.files.items():
        assert path.startswith(f"{spots[0].home}/")
        lines = text.splitlines()
        assert f"bind 10.0.0.{count}" in lines and "requirepass secret" in lines
        assert f"dir {spots[0].home}/redis" in lines
    assert "/opt/redis-server" in made.argv and "secret" not in " ".join(made.argv)
    assert made.ports == ((PORT, 26379) if count > 1 else (PORT,))


@pytest.mark.parametrize("option", ["appendonly=no", "min_replicas=1", "down_after_ms=1000"])
def test_servers_that_are_there_are_given_no_settings(option: str) -> None:
    name, _, value = option.partition("=")
    options = with_defaults(Redis.options, {name: value}) | {"installed": "yes"}
    with pytest.raises(UsageError, match=f"option {option} .*own settings"):
        Redis(image="", options=options, timeouts=Timeouts(), workload="register")


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
