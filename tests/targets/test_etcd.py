"""Goal: etcd's sessions do what the ops say, send each request once, and tell the truth about what failed.

Method: three real members in pods; what a session sent is counted by a relay, what the server did by its own count of
writes to each key (`version`). Members are paused, cut off and killed in mid-op.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness.nodes.base import Cluster
from harness.nodes.docker import DockerCluster
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.target import DidNotHappen, HasPrimaries, SessionContext, Target, Timeouts, Unknown
from targets.etcd.gateway import Gateway, encoded
from targets.etcd.gateway import CLIENT_PORT
from targets.etcd.target import Etcd
from tests.e2e.runs import need_docker
from tests.targets.relay import Relay, Through

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]
USUAL = Timeouts()
FAST = Timeouts(op_s=1.5, connect_s=1.0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    need_docker(Etcd.default_image)
    with DockerCluster(run_id="test-etcd", nodes=3, image=Etcd.default_image) as made:
        target().start(made)
        yield made


def target(**given: str) -> Etcd:
    options = with_defaults(Etcd.options, given)
    return Etcd(image=Etcd.default_image, options=options, timeouts=Timeouts(), workload="register")


def context(timeouts: Timeouts = USUAL, between: Any = lambda: None, **given: str) -> SessionContext:
    return SessionContext(0, timeouts, between, with_defaults(Etcd.options, given))


def session(node: Any, workload: str = "register", **arguments: Any) -> Any:
    return Etcd.workloads[workload].open(target(), node, context(**arguments))


def writes_seen(node: Any, key: str) -> int:
    """How often a key was written, as the server counts."""
    gateway = Gateway(*node.endpoint(CLIENT_PORT), Timeouts())
    with contextlib.closing(gateway):
        pairs = gateway.post("/v3/kv/range", {"key": encoded(key)}).get("kvs", [])
    return int(pairs[0]["version"]) if pairs else 0


def follower(cluster: Cluster) -> Any:
    leaders = target().primaries(cluster)
    return next(node for node in cluster.nodes if node.name not in leaders)


@contextlib.contextmanager
def down(cluster: Cluster, *nodes: Any) -> Iterator[None]:
    """These members killed, and up again afterwards."""
    for node in nodes:
        node.agent.request("kill")
    try:
        yield
    finally:
        for node in nodes:
            node.start_db()
        for node in cluster.nodes:
            target().await_node(node, 30)


def test_it_is_a_target_with_primaries(cluster: Cluster) -> None:
    assert isinstance(target(), Target)
    assert isinstance(target(), HasPrimaries)
    assert target().version(cluster.nodes[0]) == Etcd.default_image.partition(":v")[2]
    assert len(target().primaries(cluster)) == 1


def test_a_register(cluster: Cluster) -> None:
    first, other = session(cluster.nodes[0]), session(cluster.nodes[1])
    assert first.invoke(invoke("read", [1, None])) == Op("ok", "read", [1, None])
    assert first.invoke(invoke("cas", [1, [None, 5]])) == Op("ok", "cas", [1, [None, 5]])
    assert other.invoke(invoke("read", [1, None])).value == [1, 5]
    assert other.invoke(invoke("write", [1, 6])) == Op("ok", "write", [1, 6])
    for old in (None, 5, 60):
        with pytest.raises(DidNotHappen, match="compare failed: it held 6"):
            first.invoke(invoke("cas", [1, [old, 7]]))
    assert first.invoke(invoke("cas", [1, [6, 7]])).type == "ok"
    assert other.invoke(invoke("read", [1, None])).value == [1, 7]
    assert other.invoke(invoke("read", [2, None])).value == [2, None]


def test_lists(cluster: Cluster) -> None:
    first, other = session(cluster.nodes[0], "append"), session(cluster.nodes[1], "append")
    assert first.invoke(invoke("txn", [["r", 1, None]])).value == [["r", 1, []]]
    appended = [["append", 1, 1], ["r", 1, None], ["append", 2, 1], ["append", 1, 2]]
    assert first.invoke(invoke("txn", appended)).value == [
        ["append", 1, 1],
        ["r", 1, [1]],
        ["append", 2, 1],
        ["append", 1, 2],
    ]
    assert other.invoke(invoke("txn", [["r", 1, None], ["r", 2, None]])).value == [["r", 1, [1, 2]], ["r", 2, [1]]]
    assert first.is_read(invoke("txn", [["r", 1, None], ["r", 2, None]]))
    assert not first.is_read(invoke("txn", appended))


@pytest.mark.parametrize("reads_only", [False, True])
def test_a_transaction_fails_when_a_key_changed_that_it_read(cluster: Cluster, reads_only: bool) -> None:
    """The stall hook runs between reading and writing; what it does there another client may do."""
    node, key = cluster.nodes[0], 100 + reads_only
    other = session(node, "append")
    micro_op = ["append", key, 2]

    def interfere() -> None:
        other._context = context()
        other.invoke(invoke("txn", [["append", key, 1]]))

    mine = session(node, "append", between=interfere)
    txn = [["r", key, None], ["append", key + 1000, 1]] if reads_only else [micro_op]
    with pytest.raises(DidNotHappen, match="compare failed"):
        mine.invoke(invoke("txn", txn))
    assert other.invoke(invoke("txn", [["r", key, None], ["r", key + 1000, None]])).value == [
        ["r", key, [1]],
        ["r", key + 1000, []],
    ]


def test_serializable_reads_answer_without_a_quorum_and_linearizable_ones_do_not(cluster: Cluster) -> None:
    left, *others = cluster.nodes
    session(left).invoke(invoke("write", [30, 1]))
    with down(cluster, *others):
        local = session(left, reads="serializable")
        assert local.invoke(invoke("read", [30, None])).value == [30, 1]
        asking = session(left, timeouts=FAST)
        with pytest.raises(Unknown):
            asking.invoke(invoke("read", [30, None]))


def test_a_write_without_a_quorum_is_unknown_and_the_session_lives(cluster: Cluster) -> None:
    """The server is asked to give up before the client does, so the answer is etcd's own error."""
    left, *others = cluster.nodes
    mine = session(left, timeouts=FAST)
    with down(cluster, *others):
        begin = time.monotonic()
        with pytest.raises(Unknown) as raised:
            mine.invoke(invoke("write", [31, 1]))
        assert time.monotonic() - begin < FAST.request_s
        assert not raised.value.lost
    assert mine.invoke(invoke("read", [31, None])).value in ([31, None], [31, 1])


def test_a_request_is_sent_once_when_its_member_dies_in_mid_op(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    with Relay(*node.endpoint(CLIENT_PORT)) as relay:
        mine = session(Through(node, relay))
        assert mine.invoke(invoke("write", [40, 1])).type == "ok"
        node.agent.request("pause")
        raised: list[BaseException] = []

        def write() -> None:
            try:
                mine.invoke(invoke("write", [40, 2]))
            except BaseException as error:
                raised.append(error)

        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.3)
        with down(cluster, node):
            writer.join(5)
        assert isinstance(raised[0], Unknown)
        assert raised[0].lost
        with pytest.raises(DidNotHappen):
            mine.invoke(invoke("write", [40, 3]))
        assert relay.connections == 1
        assert relay.sent.count(b"POST /v3/kv/put ") == 2
    assert writes_seen(node, "register/40") == 1, "a member that was stopped when it came never took it"


def test_what_the_server_did_is_what_was_sent_when_members_are_killed_under_load(cluster: Cluster) -> None:
    """Each writer has its key: the server's count of its writes lies between those acknowledged and those sent."""
    node = cluster.nodes[0]
    sent, acknowledged, unknown = [0] * 6, [0] * 6, [0] * 6

    def write(number: int) -> None:
        mine = session(node, timeouts=FAST)
        while True:
            sent[number] += 1
            try:
                mine.invoke(invoke("write", [50 + number, sent[number]]))
                acknowledged[number] += 1
            except DidNotHappen:
                continue
            except Unknown as error:
                unknown[number] += 1
                if error.lost:
                    return

    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for writer in writers:
        writer.start()
    time.sleep(0.7)
    with down(cluster, node):
        for writer in writers:
            writer.join(10)
    assert min(acknowledged) > 10
    for number in range(6):
        seen = writes_seen(cluster.nodes[1], f"register/{50 + number}")
        assert acknowledged[number] <= seen <= acknowledged[number] + unknown[number]


def test_closing_a_session_ends_its_op(cluster: Cluster) -> None:
    node = cluster.nodes[1]
    mine = session(node)
    node.agent.request("pause")
    try:
        threading.Timer(0.2, mine.close).start()
        begin = time.monotonic()
        with pytest.raises(Unknown):
            mine.invoke(invoke("write", [60, 1]))
        assert time.monotonic() - begin < 1.5
    finally:
        node.agent.request("resume")
    mine.close()


def test_a_session_to_a_member_that_is_down_is_not_opened(cluster: Cluster) -> None:
    node = cluster.nodes[2]
    with down(cluster, node), pytest.raises(DidNotHappen) as raised:
        session(node)
    assert raised.value.lost


def test_a_session_to_a_member_that_is_stopped_is_not_opened(cluster: Cluster) -> None:
    """The kernel accepts connections for it: only an answer counts."""
    node = cluster.nodes[2]
    node.agent.request("pause")
    try:
        with pytest.raises(DidNotHappen):
            session(node, timeouts=FAST)
    finally:
        node.agent.request("resume")


def test_what_is_claimed_follows_the_reads() -> None:
    for workload, reads, model in [
        ("append", "linearizable", "strict-serializable"),
        ("register", "linearizable", "linearizable"),
        ("append", "serializable", "serializable"),
        ("register", "serializable", "sequential"),
    ]:
        assert Etcd.claim(workload, {"reads": reads}).model == model


@pytest.mark.parametrize(
    "version,known",
    [
        ("3.4.19", False),
        ("3.4.20", True),
        ("3.4.42", False),
        ("3.5.27", True),
        ("3.5.28", False),
        ("3.6.8", True),
        ("3.6.9", False),
        ("3.7.0", False),
    ],
)
def test_the_stale_read_issue_is_known_for_its_versions(version: str, known: bool) -> None:
    assert Etcd.known_issues[0].covers(version) == known
