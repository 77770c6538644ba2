"""Goal: Cassandra's sessions do what the ops say, send each request once, and tell the truth about what failed.

Method: three real nodes in pods; what a session sent is counted by a relay, frame by frame. Nodes are paused and
killed in mid-op. The tests that kill come last: a node needs ten seconds and more to come back.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness.nodes.base import Cluster
from harness.nodes.docker import DockerCluster
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.target import DidNotHappen, SessionContext, Target, Timeouts, Unknown
from targets.cassandra.connection import HEADER, Clock
from targets.cassandra.connection import PORT
from targets.cassandra.target import Cassandra
from tests.e2e.runs import need_docker
from tests.targets.relay import Relay, Through

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
USUAL = Timeouts()
QUERY = 0x07
PLAIN = {"writes": "quorum", "reads": "quorum", "cas": "read-write"}
ALL_WAYS = [
    {},
    PLAIN,
    PLAIN | {"timestamps": "server"},
    {"writes": "one", "reads": "one", "cas": "read-write"},
    {"cas": "read-write"},
]
keys = itertools.count(1000)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    need_docker(Cassandra.default_image)
    with DockerCluster(run_id="test-cassandra", nodes=3, image=Cassandra.default_image) as made:
        target().start(made)
        Cassandra.workloads["register"].setup(target(), made)
        yield made


def target(**given: str) -> Cassandra:
    options = with_defaults(Cassandra.options, given)
    return Cassandra(image=Cassandra.default_image, options=options, timeouts=USUAL, workload="register")


def session(node: Any, timeouts: Timeouts = USUAL, between: Any = lambda: None, **given: str) -> Any:
    context = SessionContext(0, timeouts, between, with_defaults(Cassandra.options, given))
    return Cassandra.workloads["register"].open(target(), node, context)


def queries(sent: bytes) -> int:
    """How many QUERY frames a client sent; the frames must be whole."""
    count = place = 0
    while place < len(sent):
        _, _, _, opcode, length = HEADER.unpack_from(sent, place)
        count += opcode == QUERY
        place += HEADER.size + length
    assert place == len(sent)
    return count


@contextlib.contextmanager
def paused(node: Any) -> Iterator[None]:
    node.agent.request("pause")
    try:
        yield
    finally:
        node.agent.request("resume")


@contextlib.contextmanager
def down(*nodes: Any) -> Iterator[None]:
    """These nodes killed, and up again afterwards."""
    for node in nodes:
        node.agent.request("kill")
    try:
        yield
    finally:
        for node in nodes:
            node.start_db()
            target().await_node(node, 120)


def test_it_is_a_target(cluster: Cluster) -> None:
    assert isinstance(target(), Target)
    assert target().version(cluster.nodes[2]).startswith(Cassandra.default_image.partition(":")[2])


@pytest.mark.parametrize("options", ALL_WAYS, ids=str)
def test_a_register(cluster: Cluster, options: dict[str, str]) -> None:
    key = next(keys)
    mine = session(cluster.nodes[0], **options)
    assert mine.invoke(invoke("read", [key, None])) == Op("ok", "read", [key, None])
    assert mine.invoke(invoke("cas", [key, [None, 5]])) == Op("ok", "cas", [key, [None, 5]])
    with pytest.raises(DidNotHappen, match="compare failed: it held 5"):
        mine.invoke(invoke("cas", [key, [None, 6]]))
    assert mine.invoke(invoke("cas", [key, [5, 6]])).type == "ok"
    with pytest.raises(DidNotHappen, match="compare failed: it held 6"):
        mine.invoke(invoke("cas", [key, [5, 7]]))
    assert mine.invoke(invoke("write", [key, 8])) == Op("ok", "write", [key, 8])
    assert mine.invoke(invoke("read", [key, None])).value == [key, 8]
    never, written = next(keys), next(keys)
    with pytest.raises(DidNotHappen, match="compare failed: it held None"):
        mine.invoke(invoke("cas", [never, [1, 2]]))
    assert mine.invoke(invoke("write", [written, 1])).type == "ok", "a blind write needs no row"
    assert mine.invoke(invoke("read", [written, None])).value == [written, 1]


def test_every_node_sees_what_another_wrote(cluster: Cluster) -> None:
    key = next(keys)
    for value, node in enumerate(cluster.nodes, start=1):
        session(node).invoke(invoke("write", [key, value]))
        for other in cluster.nodes:
            assert session(other).invoke(invoke("read", [key, None])).value == [key, value]


def test_read_check_write_loses_an_update_that_comes_between(cluster: Cluster) -> None:
    """The stall hook runs between the check and the write; what it does there another client may do."""
    key = next(keys)
    other = session(cluster.nodes[1], **PLAIN)
    mine = session(cluster.nodes[0], between=lambda: other.invoke(invoke("cas", [key, [None, 1]])), **PLAIN)
    assert mine.invoke(invoke("cas", [key, [None, 2]])).type == "ok"
    assert other.invoke(invoke("read", [key, None])).value == [key, 2]


def test_client_timestamps_grow_and_are_sent(cluster: Cluster) -> None:
    """A write that is stamped later wins, whoever comes later: the server's clock has no say."""
    key = next(keys)
    node = cluster.nodes[0]
    early, late = session(node, **PLAIN), session(node, **PLAIN)
    early._clock, late._clock = Clock(), Clock()
    late._clock._last_us = time.time_ns() // 1000 + 3_600_000_000
    late.invoke(invoke("write", [key, 1]))
    early.invoke(invoke("write", [key, 2]))
    assert early.invoke(invoke("read", [key, None])).value == [key, 1]
    stamps = [Clock().next_us()] + [early._clock.next_us() for _ in range(1000)]
    assert stamps == sorted(set(stamps))


def test_a_session_is_one_connection_and_an_op_one_request(cluster: Cluster) -> None:
    node, key = cluster.nodes[0], next(keys)
    with Relay(*node.endpoint(PORT)) as relay:
        mine = session(Through(node, relay))
        mine.invoke(invoke("read", [key, None]))
        mine.invoke(invoke("write", [key, 1]))
        mine.invoke(invoke("cas", [key, [1, 2]]))
        assert (relay.connections, queries(relay.sent)) == (1, 3)


def test_closing_a_session_ends_its_op(cluster: Cluster) -> None:
    mine = session(cluster.nodes[1])
    with paused(cluster.nodes[1]):
        threading.Timer(0.2, mine.close).start()
        begin = time.monotonic()
        with pytest.raises(Unknown):
            mine.invoke(invoke("write", [next(keys), 1]))
        assert time.monotonic() - begin < 1.5
    mine.close()


def test_no_answer_in_time_is_unknown_and_the_session_is_lost(cluster: Cluster) -> None:
    mine = session(cluster.nodes[1], timeouts=Timeouts(op_s=1.0))
    with paused(cluster.nodes[1]):
        with pytest.raises(Unknown) as raised:
            mine.invoke(invoke("write", [next(keys), 1]))
        assert raised.value.lost


def test_a_session_to_a_node_that_is_stopped_is_not_opened(cluster: Cluster) -> None:
    """The kernel accepts connections for it: only an answer counts."""
    with paused(cluster.nodes[1]), pytest.raises(DidNotHappen) as raised:
        session(cluster.nodes[1], timeouts=Timeouts(connect_s=0.5))
    assert raised.value.lost


def test_an_error_of_the_statement_itself_did_not_happen(cluster: Cluster) -> None:
    mine = session(cluster.nodes[0])
    for statement in ("UPDATE faultline.nothing SET v = 1 WHERE k = 1", "UPDATE UPDATE"):
        with pytest.raises(DidNotHappen):
            mine._connection.query(statement)
    assert mine.invoke(invoke("read", [next(keys), None])).type == "ok", "the session lives"


def test_each_op_is_sent_once_when_its_node_dies_in_mid_op(cluster: Cluster) -> None:
    """Six writers, each through a relay of its own, when their node is stopped and then killed."""
    node = cluster.nodes[2]
    invoked = [0] * 6
    raised: list[Any] = [None] * 6

    def write(number: int, mine: Any) -> None:
        key = next(keys)
        try:
            while True:
                invoked[number] += 1
                mine.invoke(invoke("write", [key, invoked[number]]))
        except BaseException as error:
            raised[number] = error

    with contextlib.ExitStack() as stack:
        relays = [stack.enter_context(Relay(*node.endpoint(PORT))) for _ in range(6)]
        writers = [
            threading.Thread(target=write, args=(number, session(Through(node, relay), **PLAIN)))
            for number, relay in enumerate(relays)
        ]
        for writer in writers:
            writer.start()
        time.sleep(1.5)
        node.agent.request("pause")
        time.sleep(0.5)
        with down(node):
            for writer in writers:
                writer.join(10)
        assert all(isinstance(error, Unknown) and error.lost for error in raised), raised
        assert min(invoked) > 3
        assert [relay.connections for relay in relays] == [1] * 6
        assert [queries(relay.sent) for relay in relays] == invoked


def test_without_a_quorum_writes_are_unknown_until_the_node_knows_it_then_refused(cluster: Cluster) -> None:
    left, *others = cluster.nodes
    told: list[str] = []
    took_s = 0.0
    with down(*others):
        with pytest.raises(DidNotHappen) as closed:
            session(others[0])
        assert closed.value.lost
        mine = session(left)
        until = time.monotonic() + 60
        while "refused" not in told and time.monotonic() < until:
            begin = time.monotonic()
            try:
                mine.invoke(invoke("write", [next(keys), 1]))
                told.append("done")
            except Unknown as error:
                assert not error.lost, error
                told.append("unknown")
            except DidNotHappen as error:
                assert "unavailable" in str(error)
                told.append("refused")
                took_s = time.monotonic() - begin
        with pytest.raises(DidNotHappen):
            session(left, **PLAIN).invoke(invoke("write", [next(keys), 1]))
        assert session(left, reads="one").invoke(invoke("read", [next(keys), None])).type == "ok"
    assert took_s > 0.4, "a refused client does not ask again at once"
    assert told[0] == "unknown"
    assert set(told) == {"unknown", "refused"}


def test_what_is_claimed_follows_the_options() -> None:
    for options in ALL_WAYS:
        claim = Cassandra.claim("register", with_defaults(Cassandra.options, options))
        assert claim.model == ("linearizable" if not options else None)


@pytest.mark.parametrize("version,known", [("2.2.19", True), ("3.0.24", False), ("3.11.9", True), ("5.0.9", False)])
def test_the_serial_read_issue_is_known_for_its_versions(version: str, known: bool) -> None:
    assert Cassandra.known_issues[0].covers(version) == known
