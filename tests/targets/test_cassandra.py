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
from cassandra import ConsistencyLevel

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, CommandFailed, Completed, Database
from harness.nodes.docker import DockerCluster
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.planning import offered_options
from harness.registry import find_nemesis, find_workload
from harness.stall import StallGate
from harness.target import DidNotHappen, SessionContext, Target, Timeouts, Unknown
from nemeses.base import Setting
from targets.cassandra import on_host
from targets.cassandra.connection import HEADER, PORT, Clock
from targets.cassandra.member import TOKENS, member, tokens
from targets.cassandra.nodetool import CLEANUP, COMPACT, OPERATIONS, REPAIR, run
from targets.cassandra.sessions import SCHEMA_TIMEOUTS
from targets.cassandra.target import Cassandra, ask
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
    {"writes": "one", "reads": "all", "cas": "read-write"},
    {"cas": "read-write"},
]
keys = itertools.count(1000)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    need_docker(Cassandra.default_image)
    with DockerCluster(run_id="test-cassandra", nodes=3, image=Cassandra.default_image) as made:
        target().start(made)
        for factory in Cassandra.workloads.values():
            factory.setup(target(), made)
        yield made


def target(**given: str) -> Cassandra:
    options = with_defaults(Cassandra.options, given)
    return Cassandra(image=Cassandra.default_image, options=options, timeouts=USUAL, workload="register")


def session(node: Any, timeouts: Timeouts = USUAL, between: Any = lambda: None, **given: str) -> Any:
    return session_of("register", node, timeouts, between, **given)


def session_of(workload: str, node: Any, timeouts: Timeouts = USUAL, between: Any = lambda: None, **given: str) -> Any:
    offered = offered_options(Cassandra, find_workload(workload), ())
    context = SessionContext(0, timeouts, between, with_defaults(offered, given))
    return Cassandra.workloads[workload].open(target(), node, context)


def queries(sent: bytes) -> int:
    """How many QUERY frames a client sent; the frames must be whole."""
    count = place = 0
    while place < len(sent):
        _, _, _, opcode, length = HEADER.unpack_from(sent, place)
        count += opcode == QUERY
        place += HEADER.size + length
    assert place == len(sent)
    return count


def await_whole(cluster: Cluster) -> None:
    """Until each node reads from all replicas: one that was away for a while may be taken for dead."""
    for node in cluster.nodes:
        Cassandra.workloads["register"]._await_replicas(node, time.monotonic() + 120)


@contextlib.contextmanager
def paused(cluster: Any, *places: int) -> Iterator[None]:
    """These nodes stopped, and all taken for alive again afterwards."""
    for place in places:
        cluster.nodes[place].agent.request("pause")
    try:
        yield
    finally:
        for place in places:
            cluster.nodes[place].agent.request("resume")
        await_whole(cluster)


@contextlib.contextmanager
def down(cluster: Any, *places: int) -> Iterator[None]:
    """These nodes killed, and up again afterwards."""
    for place in places:
        cluster.nodes[place].agent.request("kill")
    try:
        yield
    finally:
        for place in places:
            cluster.nodes[place].start_db()
        for place in places:
            target().await_node(cluster.nodes[place], 120)
        await_whole(cluster)


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


def test_every_table_is_without_speculative_retries(cluster: Cluster) -> None:
    mine = session(cluster.nodes[0])
    rows = mine._connection.query(
        "SELECT table_name, speculative_retry, additional_write_policy FROM system_schema.tables"
        " WHERE keyspace_name = 'faultline'"
    )
    assert len(rows) >= 6
    for row in rows:
        assert row["speculative_retry"] == row["additional_write_policy"] == "NEVER", row


@pytest.mark.parametrize("elements", ["rows", "column"])
@pytest.mark.parametrize("writes", ["lwt", "quorum", "one", "local-quorum", "all"])
def test_a_set(cluster: Cluster, elements: str, writes: str) -> None:
    element = next(keys)
    mine = session_of("set", cluster.nodes[0], elements=elements, writes=writes)
    before = mine.invoke(invoke("read")).value
    assert element not in before
    assert mine.invoke(invoke("add", element)) == Op("ok", "add", element)
    for reads in ("all", "serial", "quorum", "local-serial"):  # "all" first: it brings all copies up to date
        other = session_of("set", cluster.nodes[1], elements=elements, reads=reads)
        assert sorted(other.invoke(invoke("read")).value) == sorted([*before, element])


@pytest.mark.parametrize("elements", ["rows", "column"])
def test_each_node_can_be_asked_for_its_own_copy(cluster: Cluster, elements: str) -> None:
    """What is written at ALL is in every copy, so each answers alone: two of three nodes are stopped meanwhile."""
    key, element = next(keys), next(keys)
    session(cluster.nodes[0], writes="all").invoke(invoke("write", [key, 5]))
    session_of("set", cluster.nodes[0], elements=elements, writes="all").invoke(invoke("add", element))
    register = session(cluster.nodes[2])
    one_set = session_of("set", cluster.nodes[2], elements=elements)
    assert register.is_read(invoke("local-read", [key, None]))
    with paused(cluster, 0, 1):
        assert register.invoke(invoke("local-read", [key, None])).value == [key, 5]
        assert element in one_set.invoke(invoke("local-read")).value
    assert {name for name, factory in Cassandra.workloads.items() if factory.local_reads} >= {"register", "set"}


def test_an_element_that_is_there_already_proves_nothing(cluster: Cluster) -> None:
    element = next(keys)
    mine = session_of("set", cluster.nodes[0])
    mine.invoke(invoke("add", element))
    with pytest.raises(Unknown, match="it was there already") as raised:
        mine.invoke(invoke("add", element))
    assert not raised.value.lost


def test_a_large_set_is_one_answer(cluster: Cluster) -> None:
    """More rows than drivers fetch at a time: paging would be several requests, at several moments."""
    node, many = cluster.nodes[0], 6000
    writer = session_of("set", node, writes="one")._connection
    first = 500_000_000
    for begin in range(first, first + many, 1000):
        rows = "".join(f"INSERT INTO faultline.elements (s, e) VALUES (0, {e}); " for e in range(begin, begin + 1000))
        writer.query(f"BEGIN UNLOGGED BATCH {rows}APPLY BATCH", level=ConsistencyLevel.ALL)
    with Relay(*node.endpoint(PORT)) as relay:
        found = session_of("set", Through(node, relay)).invoke(invoke("read")).value
        assert set(range(first, first + many)) <= set(found)
        assert (relay.connections, queries(relay.sent)) == (1, 1)


@pytest.mark.parametrize("writes", ["lwt", "one", "all"])
def test_a_counter(cluster: Cluster, writes: str) -> None:
    mine = session_of("counter", cluster.nodes[0], writes=writes)
    before = mine.invoke(invoke("read")).value
    assert mine.invoke(invoke("add", 5)) == Op("ok", "add", 5)
    assert mine.invoke(invoke("add", -2)).type == "ok"
    assert session_of("counter", cluster.nodes[1], reads="all").invoke(invoke("read")).value == before + 3


@pytest.mark.parametrize("retries,requests", [("none", 1), ("once", 2)])
def test_an_add_that_timed_out_is_sent_again_only_if_asked(cluster: Cluster, retries: str, requests: int) -> None:
    """At ALL, one node stopped for longer than both tries: the server says that it timed out, as long as it waits."""
    node = cluster.nodes[0]
    with Relay(*node.endpoint(PORT)) as relay:
        mine = session_of("counter", Through(node, relay), Timeouts(op_s=20.0), writes="all", retries=retries)
        with paused(cluster, 1), pytest.raises(Unknown) as raised:
            mine.invoke(invoke("add", 1))
        assert not raised.value.lost, raised.value
        assert (relay.connections, queries(relay.sent)) == (1, requests)


LISTS = [{"max-ops": "4"}, {"max-ops": "1"}]


def txn(*micro_ops: list[Any]) -> Op:
    return invoke("txn", list(micro_ops))


@pytest.mark.parametrize("options", LISTS, ids=str)
def test_a_list(cluster: Cluster, options: dict[str, str]) -> None:
    key = next(keys)
    mine, other = (session_of("append", node, **options) for node in cluster.nodes[:2])
    assert mine.invoke(txn(["r", key, None])).value == [["r", key, []]]
    assert mine.invoke(txn(["append", key, 1])).value == [["append", key, 1]]
    assert other.invoke(txn(["append", key, 2], ["r", key, None])).value == [["append", key, 2], ["r", key, [1, 2]]]
    assert mine.invoke(txn(["r", key, None])).value == [["r", key, [1, 2]]]


def test_a_transaction_on_several_lists(cluster: Cluster) -> None:
    one, two, three = (next(keys) for _ in range(3))
    mine = session_of("append", cluster.nodes[0])
    mine.invoke(txn(["append", one, 1]))
    done = mine.invoke(
        txn(["r", one, None], ["append", two, 1], ["append", one, 2], ["r", one, None], ["r", three, None])
    )
    assert done.value == [
        ["r", one, [1]],
        ["append", two, 1],
        ["append", one, 2],
        ["r", one, [1, 2]],
        ["r", three, []],
    ]
    assert mine.invoke(txn(["r", two, None], ["r", one, None])).value == [["r", two, [1]], ["r", one, [1, 2]]]


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("options", LISTS, ids=str)
def test_a_list_that_changed_in_between_is_a_conflict(cluster: Cluster, options: dict[str, str], read: bool) -> None:
    """Whether the transaction appends to that list, or has only read it and appends to another."""
    key, another = next(keys), next(keys)
    if read and options["max-ops"] == "1":
        return
    other = session_of("append", cluster.nodes[1], **options)
    interfere = lambda: other.invoke(txn(["append", key, 1]))  # noqa: E731
    mine = session_of("append", cluster.nodes[0], between=interfere, **options)
    with pytest.raises(DidNotHappen, match="conflict"):
        mine.invoke(txn(["r", key, None], ["append", another, 1]) if read else txn(["append", key, 2]))
    assert other.invoke(txn(["r", key, None])).value == [["r", key, [1]]]
    assert other.invoke(txn(["r", another, None])).value == [["r", another, []]]


def test_lists_without_conditions_lose_nothing_alone(cluster: Cluster) -> None:
    key, another = next(keys), next(keys)
    mine = session_of("append", cluster.nodes[0], writes="quorum", reads="quorum")
    mine.invoke(txn(["append", key, 1], ["append", another, 1]))
    mine.invoke(txn(["append", key, 2]))
    assert mine.invoke(txn(["r", key, None], ["r", another, None])).value == [["r", key, [1, 2]], ["r", another, [1]]]


@pytest.mark.parametrize("batches", ["logged", "unlogged"])
def test_a_batch(cluster: Cluster, batches: str) -> None:
    number = next(keys)
    mine = session_of("batch", cluster.nodes[0], batches=batches)
    assert mine.invoke(invoke("write", number)) == Op("ok", "write", number)
    here, there = session_of("batch", cluster.nodes[1]).invoke(invoke("read")).value
    assert number in here and number in there


def test_a_view(cluster: Cluster) -> None:
    key = next(keys)
    mine = session_of("view", cluster.nodes[0], writes="all")
    for value in (3, 4):
        assert mine.invoke(invoke("write", [key, value])) == Op("ok", "write", [key, value])
    until = time.monotonic() + 30
    while True:
        base, view = ([row for row in rows if row[0] == key] for rows in mine.invoke(invoke("read")).value)
        assert base == [[key, 4]]
        if view == base or time.monotonic() > until:
            break
        time.sleep(0.2)
    assert view == base, "the old entry is gone, the new one is there"


SENT = [
    ("register", {}, invoke("cas", [1, [None, 2]]), 1),
    ("register", {"cas": "read-write"}, invoke("cas", [2, [None, 2]]), 2),
    ("set", {}, invoke("add", 400_000_001), 1),
    ("counter", {}, invoke("add", 1), 1),
    ("append", {}, txn(["append", 400_000_001, 1], ["r", 400_000_002, None]), 2),
    ("append", {"max-ops": "1"}, txn(["append", 400_000_003, 1]), 2),
    ("append", {}, txn(["r", 400_000_004, None], ["r", 400_000_005, None]), 1),
    ("batch", {}, invoke("write", 400_000_001), 1),
    ("view", {}, invoke("write", [1, 1]), 1),
    ("view", {}, invoke("read"), 2),
]


@pytest.mark.parametrize("workload,options,op,requests", SENT, ids=lambda part: str(part)[:40])
def test_how_many_requests_an_op_is(
    cluster: Cluster, workload: str, options: dict[str, str], op: Op, requests: int
) -> None:
    node = cluster.nodes[0]
    with Relay(*node.endpoint(PORT)) as relay:
        session_of(workload, Through(node, relay), **options).invoke(op)
        assert (relay.connections, queries(relay.sent)) == (1, requests)


def test_the_servers_timeout_leaves_time_for_its_answer(cluster: Cluster) -> None:
    """A write that times out at the node is told before the client gives up."""
    mine = session(cluster.nodes[0], writes="all")
    with paused(cluster, 1), pytest.raises(Unknown) as raised:
        mine.invoke(invoke("write", [next(keys), 1]))
    assert not raised.value.lost
    assert "write timeout" in str(raised.value) and "sent" in str(raised.value)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.kind)
def test_what_operators_do_is_done(cluster: Cluster, operation: Any) -> None:
    setting = Setting(cluster, target(), StallGate(), {})
    assert operation.prove(setting) is None
    assert operation.perform(setting, cluster.nodes[1])["took_s"] > 0


def test_closing_a_session_ends_its_op(cluster: Cluster) -> None:
    mine = session(cluster.nodes[1])
    with paused(cluster, 1):
        threading.Timer(0.2, mine.close).start()
        begin = time.monotonic()
        with pytest.raises(Unknown):
            mine.invoke(invoke("write", [next(keys), 1]))
        assert time.monotonic() - begin < 1.5
    mine.close()


def test_no_answer_in_time_is_unknown_and_the_session_is_lost(cluster: Cluster) -> None:
    mine = session(cluster.nodes[1], timeouts=Timeouts(op_s=1.0))
    with paused(cluster, 1):
        with pytest.raises(Unknown) as raised:
            mine.invoke(invoke("write", [next(keys), 1]))
        assert raised.value.lost


def test_a_session_to_a_node_that_is_stopped_is_not_opened(cluster: Cluster) -> None:
    """The kernel accepts connections for it: only an answer counts."""
    with paused(cluster, 1), pytest.raises(DidNotHappen) as raised:
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
        with down(cluster, 2):
            for writer in writers:
                writer.join(10)
        assert all(isinstance(error, Unknown) and error.lost for error in raised), raised
        assert min(invoked) > 3
        assert [relay.connections for relay in relays] == [1] * 6
        assert [queries(relay.sent) for relay in relays] == invoked


REFUSED: list[tuple[str, dict[str, str], Op]] = [
    ("set", {}, invoke("add", 300_000_001)),
    ("set", {"writes": "quorum"}, invoke("add", 300_000_002)),
    ("counter", {}, invoke("add", 1)),
    ("append", {}, txn(["append", 300_000_001, 1])),
    ("batch", {}, invoke("write", 300_000_000)),
    ("view", {}, invoke("write", [1, 1])),
]
"""Writes that a node knows it has too few replicas for."""


def test_without_a_quorum_writes_are_unknown_until_the_node_knows_it_then_refused(cluster: Cluster) -> None:
    left, *others = cluster.nodes
    told: list[str] = []
    took_s = 0.0
    with down(cluster, 1, 2):
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
        for workload, options, op in REFUSED:
            with pytest.raises(DidNotHappen, match="unavailable"):
                session_of(workload, left, **options).invoke(op)
        with pytest.raises(Unknown, match="unavailable in an unlogged batch"):
            session_of("batch", left, batches="unlogged").invoke(invoke("write", 300_000_001))
        assert session(left, reads="one").invoke(invoke("read", [next(keys), None])).type == "ok"
    assert took_s > 0.4, "a refused client does not ask again at once"
    assert told[0] == "unknown"
    assert set(told) == {"unknown", "refused"}


def test_three_nodes_are_too_few_for_one_to_leave(cluster: Cluster) -> None:
    """Nothing happens to any of them: Cassandra itself refuses."""
    said = find_nemesis("membership", Cassandra).prove(Setting(cluster, target(), StallGate(), {}))
    assert said is not None and "NODES=4" in said
    with pytest.raises(InfrastructureError, match="replication factor"):
        target().leave(cluster, cluster.nodes[1])
    target().join(cluster, cluster.nodes[1])
    assert session(cluster.nodes[1]).invoke(invoke("read", [next(keys), None])).type == "ok"


def test_a_command_that_fails_says_why_in_a_line(cluster: Cluster) -> None:
    with pytest.raises(InfrastructureError, match=r"n1: nodetool flush nosuch ended with .*nosuch") as raised:
        run(cluster.nodes[0], "flush", "nosuch", timeout_s=60)
    assert len(str(raised.value)) < 400


class Busy:
    """A node where `nodetool` fails as it is told to, (return code, words) in turn, and then does what it should."""

    name = "n1"
    database = Database(image="cassandra", argv=[])

    def __init__(self, *fails: tuple[int | None, str]) -> None:
        self.fails = list(fails)

    def db_run(self, *argv: str, timeout_s: float) -> Completed:
        if self.fails:
            raise CommandFailed(self.name, argv, *self.fails.pop(0))
        return Completed(list(argv), "", "")


NOT_NOW = "error: Node is involved in cluster membership changes. Not safe to run cleanup.\n-- StackTrace --"
BROKEN_OFF = "[2026-11-22 16:37:37,316] Starting repair command #1 (066bdff0), repairing keyspace system_traces\nfailed"
"""Both as 5.0.9 says it."""


def test_what_a_change_of_the_ring_was_in_the_way_of_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another failure is an error at once, as is a command that hung, and each one when time is up."""
    monkeypatch.setattr("targets.cassandra.nodetool.AGAIN_S", 0.0)
    setting: Any = None
    assert CLEANUP.perform(setting, Busy((2, NOT_NOW), (2, NOT_NOW)))["tries"] == 3
    assert REPAIR.perform(setting, Busy((2, BROKEN_OFF)))["tries"] == 2
    for operation, failure in [
        (CLEANUP, (1, "error: Server is not initialized yet")),
        (REPAIR, (1, "nodetool: Failed to connect")),
        (REPAIR, (None, BROKEN_OFF)),
        (COMPACT, (2, NOT_NOW)),
    ]:
        with pytest.raises(InfrastructureError, match=f"n1: nodetool {operation.kind}"):
            operation.perform(setting, Busy(failure))
    monkeypatch.setattr("targets.cassandra.nodetool.PATIENCE_S", -1.0)
    with pytest.raises(InfrastructureError, match="Not safe"):
        CLEANUP.perform(setting, Busy((2, NOT_NOW)))


class Hosts:
    """Some of the cluster's nodes, as if a user had named these."""

    def __init__(self, nodes: Any) -> None:
        self.nodes = nodes


@pytest.mark.timeout(900)
def test_a_ring_that_is_there_must_be_the_hosts_and_have_no_keyspace_of_ours(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(node: Any, statement: str) -> Any:
        return ask(node, statement, SCHEMA_TIMEOUTS)

    some: Any = Hosts(cluster.nodes[:2])
    with pytest.raises(InfrastructureError, match=cluster.nodes[2].address):
        on_host.check(some, told)
    with pytest.raises(InfrastructureError, match="DROP KEYSPACE faultline"):
        on_host.check(cluster, told)
    monkeypatch.setattr(on_host, "KEYSPACE", "spare")
    monkeypatch.setattr(on_host, "NODETOOL_TIMEOUT_S", LONG_S)
    on_host.check(cluster, told)
    for keyspace in ("spare", "theirs"):
        told(cluster.nodes[0], f"CREATE KEYSPACE {keyspace} WITH replication = {REPLICATION}")
        told(cluster.nodes[0], f"CREATE TABLE {keyspace}.t (k int PRIMARY KEY)")
        told(cluster.nodes[0], f"INSERT INTO {keyspace}.t (k) VALUES (1)")
    told(cluster.nodes[0], "DROP KEYSPACE theirs")
    on_host.drop_keyspace(cluster, told)
    on_host.check(cluster, told)
    rows = [told(node, "SELECT keyspace_name FROM system_views.snapshots") for node in cluster.nodes]
    kept = [{row["keyspace_name"] for row in each} for each in rows]
    assert any("theirs" in each for each in kept) and not any("spare" in each for each in kept), kept


REPLICATION = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}"
LONG_S = 240.0
"""For what takes seconds where there is time."""


class Spot:
    def __init__(self, number: int) -> None:
        self.name, self.address = f"n{number}", f"10.0.0.{number}"


class Restarting(Cassandra):
    """Its ring is always complete; a node does not answer in time where it is told so."""

    answers: list[bool]

    def _gone(self, cluster: Any, node: Any) -> bool:
        return False

    def _install(self, cluster: Any, node: Any, *, seed: bool = True) -> None:
        node.did.append("installed as a seed" if seed else "installed")

    def _await_ring(self, node: Any, members: set[str], timeout_s: float) -> None: ...

    def await_node(self, node: Any, timeout_s: float, *, starting: bool = False) -> None:
        node.did.append("awaited")
        if not self.answers.pop(0):
            raise InfrastructureError("it does not answer")


class Recorded(Spot):
    """A node that tells what was done to it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.did: list[str] = []

    def start_db(self) -> None:
        self.did.append("started")

    def stop_db(self) -> None:
        self.did.append("stopped")


def test_a_node_that_did_not_serve_in_time_after_it_joined_is_waited_for_when_it_is_asked_to_join_again() -> None:
    made = target()
    ring = Restarting(image=made.image, options=made.chosen, timeouts=made.timeouts, workload="register")
    node, other = Recorded(1), Recorded(2)
    cluster: Any = Hosts([node, other])
    ring._left = {node.name}
    ring.answers = [True, False, True]
    with pytest.raises(InfrastructureError, match="does not answer"):
        ring.join(cluster, node)
    assert node.did == ["started", "awaited", "stopped", "installed as a seed", "started", "awaited"]
    ring.join(cluster, node)
    ring.join(cluster, node)
    assert node.did[6:] == ["awaited"], "once, and nothing is done to one that serves"


def test_a_node_that_joins_again_is_no_seed() -> None:
    """As a seed it would take its part of the ring empty: a loss of data that nobody but we would have made."""
    spots: Any = [Spot(number) for number in (1, 2, 3)]
    options = with_defaults(Cassandra.options, {})
    first = member(spots, spots[0], run_id="r", image="i", options=options)
    again = member(spots, spots[0], run_id="r", image="i", options=options, seed=False)
    assert first.env["CASSANDRA_SEEDS"] == "10.0.0.1,10.0.0.2,10.0.0.3"
    assert again.env["CASSANDRA_SEEDS"] == "10.0.0.2,10.0.0.3"
    assert again.data_dir == first.data_dir and again.env["JVM_EXTRA_OPTS"] == first.env["JVM_EXTRA_OPTS"]


@pytest.mark.parametrize("nodes", [1, 3, 4, 5])
def test_the_ring_is_shared_out_evenly(nodes: int) -> None:
    each = [[int(token) for token in tokens(place, nodes).split(",")] for place in range(nodes)]
    every = sorted(token for own in each for token in own)
    assert len(set(every)) == nodes * TOKENS and {len(own) for own in each} == {TOKENS}
    assert every[0] >= -(2**63) and every[-1] < 2**63
    steps = {after - before for before, after in itertools.pairwise(every)}
    assert max(steps) - min(steps) <= 1


def test_what_is_claimed_follows_the_options() -> None:
    for options in ALL_WAYS:
        claim = Cassandra.claim("register", with_defaults(Cassandra.options, options))
        assert claim.model == ("linearizable" if not options else None)


@pytest.mark.parametrize("version,known", [("2.2.19", True), ("3.0.24", False), ("3.11.9", True), ("5.0.9", False)])
def test_the_serial_read_issue_is_known_for_its_versions(version: str, known: bool) -> None:
    assert Cassandra.known_issues[0].covers(version) == known
