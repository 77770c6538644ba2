"""Goal: etcd's sessions do what the ops say, send each request once, and tell the truth about what failed.

Method: three real members in pods; what a session sent is counted by a relay, what the server did by its own count of
writes to each key (`version`). Members are paused, cut off and killed in mid-op.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from checkers.ordering.watch import Watch
from harness.checker import CheckOptions
from harness.errors import InfrastructureError
from harness.fault import Fault
from harness.history import History
from harness.nodes.base import Cluster, node_named
from harness.nodes.docker import DockerCluster
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.stall import StallGate
from harness.target import (
    DidNotHappen,
    HasLeaders,
    HasMembership,
    HasPrimaries,
    SessionContext,
    Target,
    Timeouts,
    Unknown,
)
from nemeses.base import Setting
from targets.etcd.gateway import CLIENT_PORT, Gateway, ask, encoded
from targets.etcd.target import Etcd
from targets.etcd.watches import Feed
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


def context(timeouts: Timeouts = USUAL, between: Any = lambda: None, **given: Any) -> SessionContext:
    return SessionContext(0, timeouts, between, {"ttl_s": 0.0, **with_defaults(Etcd.options, given), **given})


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
    until(
        lambda: [count for count, writer in zip(acknowledged, writers, strict=True) if writer.is_alive()],
        lambda counts: min(counts, default=11) > 10,
    )
    with down(cluster, node):
        for writer in writers:
            writer.join(10)
    assert max(acknowledged) > 10
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


def test_a_set_is_read_whole_and_at_one_moment_however_many_pages_it_takes(cluster: Cluster) -> None:
    mine, other = session(cluster.nodes[0], "set"), session(cluster.nodes[1], "set")
    for element in range(10):
        assert mine.invoke(invoke("add", element)) == Op("ok", "add", element)
    post = other._gateway.post

    def post_and_add(path: str, body: Any) -> Any:
        answer = post(path, body)
        mine.invoke(invoke("add", 100 + len(pages)))
        pages.append(body)
        return answer

    pages: list[Any] = []
    other.page = 4
    other._gateway.post = post_and_add
    assert other.invoke(invoke("read", None)).value == list(range(10)), "what came between two pages is not in it"
    assert len(pages) == 3
    assert sorted(mine.invoke(invoke("read", None)).value) == [*range(10), 100, 101, 102]
    assert mine.is_read(invoke("read", None))
    assert not mine.is_read(invoke("add", 1))


@pytest.mark.parametrize("ttl_s", [0.0, 60.0])
def test_a_lock_has_one_holder(cluster: Cluster, ttl_s: float) -> None:
    lock = 1 if ttl_s else 2
    first, other = (session(node, "lock", ttl_s=ttl_s) for node in cluster.nodes[:2])
    _, token = first.invoke(invoke("acquire", [lock, None])).value
    with pytest.raises(DidNotHappen, match="held since revision"):
        other.invoke(invoke("acquire", [lock, None]))
    assert first.invoke(invoke("update", [lock, token])).value == [lock, [token, 0, 1]]
    assert first.invoke(invoke("update", [lock, token])).value == [lock, [token, 1, 2]]
    assert first.invoke(invoke("release", [lock, token])) == Op("ok", "release", [lock, token])
    _, later = other.invoke(invoke("acquire", [lock, None])).value
    assert later > token
    assert other.invoke(invoke("update", [lock, later])).value == [lock, [later, 2, 3]]
    with pytest.raises(DidNotHappen, match="no longer held"):
        first.invoke(invoke("update", [lock, token]))
    if not ttl_s:
        with pytest.raises(DidNotHappen, match="no longer held"):
            first.invoke(invoke("release", [lock, token]))
    assert other.invoke(invoke("release", [lock, later])).type == "ok"


@pytest.mark.parametrize("guard,lost", [("none", True), ("key", False)])
def test_a_holder_that_stalls_past_its_lease_is_kept_out_only_by_the_guard(
    cluster: Cluster, guard: str, lost: bool
) -> None:
    """While it stalls its lease ends (etcd's shortest is two seconds), and another one takes the lock and updates."""
    lock = 10 + lost
    other = session(cluster.nodes[1], "lock", guard=guard, ttl_s=30.0)
    theirs: list[Any] = []

    def stall() -> None:
        if theirs:
            return
        token = until_ok(lambda: other.invoke(invoke("acquire", [lock, None]))).value[1]
        theirs.append(other.invoke(invoke("update", [lock, token])).value)

    mine = session(cluster.nodes[0], "lock", between=stall, guard=guard, ttl_s=1.0)
    _, token = mine.invoke(invoke("acquire", [lock, None])).value
    if lost:
        assert mine.invoke(invoke("update", [lock, token])).value == [lock, [token, 0, 1]]
        assert theirs[0][1][1:] == [0, 1], "both rest on the same value"
    else:
        with pytest.raises(DidNotHappen, match="no longer held"):
            mine.invoke(invoke("update", [lock, token]))
        with pytest.raises(DidNotHappen, match="lease not found"):
            mine.invoke(invoke("release", [lock, token]))


def until_ok(do: Any, timeout_s: float = 30.0) -> Any:
    """The answer of the first call that does not say DidNotHappen."""
    until_s = time.monotonic() + timeout_s
    while True:
        try:
            return do()
        except DidNotHappen:
            if time.monotonic() > until_s:
                raise


def test_a_key_lives_as_long_as_its_lease(cluster: Cluster) -> None:
    mine, other = session(cluster.nodes[0], "lease", ttl_s=4.0), session(cluster.nodes[1], "lease", ttl_s=60.0)
    begin = time.monotonic()
    assert mine.invoke(invoke("grant", [1, None])) == Op("ok", "grant", [1, 4])
    assert other.invoke(invoke("keep", [1, None])) == Op("ok", "keep", [1, 4]), "it is the lease's own time that counts"
    assert other.invoke(invoke("grant", [2, None])).value == [2, 60]
    assert mine.invoke(invoke("read", [2, None])).value == [2, True]
    assert other.invoke(invoke("revoke", [2, None])).type == "ok"
    assert mine.invoke(invoke("read", [2, None])).value == [2, False]
    with pytest.raises(DidNotHappen, match="lease not found"):
        mine.invoke(invoke("revoke", [2, None]))
    with pytest.raises(DidNotHappen, match="no such lease"):
        mine.invoke(invoke("keep", [2, None]))
    while other.invoke(invoke("read", [1, None])).value[1]:
        assert time.monotonic() < begin + 60, "it runs out at some time"
        time.sleep(0.05)
    assert time.monotonic() > begin + 4


class TestWatching:
    """One session watches what another writes; keys and values as the workload has them."""

    @pytest.fixture
    def writer(self, cluster: Cluster) -> Any:
        return session(cluster.nodes[0], "watch")

    def write(self, writer: Any, *values: int) -> list[list[int]]:
        """The events that writing makes."""
        answers = [writer.invoke(invoke("write", [value % 3, value])).value for value in values]
        return [[revision, key, value] for key, value, revision in answers]

    def watch(self, watching: Any, begin: int) -> tuple[Any, int]:
        watcher, asked, events, end = watching.invoke(invoke("watch", [5, begin, None])).value
        assert (watcher, asked) == (5, begin)
        return events, end

    def test_each_event_is_given_once_and_in_order(self, cluster: Cluster, writer: Any) -> None:
        watching = session(cluster.nodes[1], "watch")
        first = self.write(writer, 1, 2, 3)
        events, end = self.watch(watching, first[0][0])
        assert (events, end) == (first, first[-1][0] + 1)
        stream = watching._feed
        assert self.watch(watching, end) == ([], end)
        more = self.write(writer, 4, 5)
        assert self.watch(watching, end) == (more, more[-1][0] + 1)
        assert watching._feed is stream, "the same stream goes on"
        assert self.watch(watching, first[1][0]) == ([*first[1:], *more], more[-1][0] + 1), "for another watcher"
        assert watching.is_read(invoke("watch", [5, 1, None]))
        assert not watching.is_read(invoke("write", [1, 1]))

    def test_another_session_goes_on_from_any_revision(self, cluster: Cluster, writer: Any) -> None:
        events = self.write(writer, *range(10, 16))
        for number, event in enumerate(events):
            watching = session(cluster.nodes[number % 3], "watch")
            assert self.watch(watching, event[0])[0] == events[number:]
            watching.close()

    def test_what_was_compacted_is_told_and_the_rest_can_be_watched(self, cluster: Cluster, writer: Any) -> None:
        events = self.write(writer, *range(20, 25))
        up_to_date, node = session(cluster.nodes[1], "watch"), cluster.nodes[2]
        assert self.watch(up_to_date, events[0][0])[0] == events
        ask(cluster.nodes[0], "/v3/kv/compaction", {"revision": str(events[3][0]), "physical": True}, USUAL)
        given = until(lambda: self.watch(session(node, "watch"), events[0][0]), lambda answer: answer[0] == "compacted")
        assert given[1] == events[3][0]
        assert self.watch(session(node, "watch"), given[1])[0] == events[3:]
        more = self.write(writer, 25)
        assert self.watch(up_to_date, events[-1][0] + 1)[0] == more, "a stream that was past it goes on"

    def test_a_member_that_dies_takes_the_session_along(self, cluster: Cluster, writer: Any) -> None:
        node = cluster.nodes[2]
        watching = session(node, "watch", timeouts=FAST)
        begin = self.write(writer, 30)[0][0]
        assert self.watch(watching, begin)[1] == begin + 1
        with down(cluster, node), pytest.raises((DidNotHappen, Unknown)) as raised:
            self.watch(watching, begin + 1)
        assert raised.value.lost

    def test_what_was_before_the_run_is_none_of_its_events(self, cluster: Cluster, writer: Any) -> None:
        self.write(writer, 40)
        run = target()
        Etcd.workloads["watch"].setup(run, cluster)
        events = self.write(writer, 41)
        watching = Etcd.workloads["watch"].open(run, cluster.nodes[1], context())
        assert self.watch(watching, 1) == (events, events[0][0] + 1)


class Messages:
    """A stream that says what the test has it say, as no etcd should."""

    def __init__(self, *revisions: int) -> None:
        self._left = list(revisions)

    def next(self, until_s: float) -> dict[str, Any] | None:
        revision = self._left.pop(0)
        pair = {"key": encoded("watch/1"), "value": encoded(str(revision)), "mod_revision": str(revision)}
        return {"events": [{"kv": pair}]}


def test_an_event_out_of_order_is_handed_on_and_found() -> None:
    for revisions in ((10, 12, 11, 13), (10, 11, 10, 13)):
        feed = Feed(Messages(*revisions), 10)  # type: ignore[arg-type]
        feed.read(13, time.monotonic() + 1)
        given = feed.given(13)
        assert [event[0] for event in given] == list(revisions[1:])
        assert feed.given(13) == [[13, 1, 13]], "it is told once"
        answer = Op("ok", "watch", [5, 13, given, 14], 0)
        ops = [Op("invoke", "write", [1, value], value) for value in sorted(set(revisions))]
        ops += [Op("ok", "write", [1, value, value], value) for value in sorted(set(revisions))]
        ops += [Op("invoke", "watch", [5, 13, None], 0), answer]
        history = History.from_ops([op.replace(index=place, time_ns=place) for place, op in enumerate(ops)])
        assert Watch().check(history, CheckOptions()).verdict == "invalid"


def until(ask_for: Any, good: Any, timeout_s: float = 30.0) -> Any:
    """The first answer that is good."""
    until_s = time.monotonic() + timeout_s
    while not good(answer := ask_for()):
        assert time.monotonic() < until_s, answer
        time.sleep(0.1)
    return answer


def test_who_leads_says_so_with_its_term(cluster: Cluster) -> None:
    """The next leader has a higher one, and a member that is down says nothing."""
    assert isinstance(target(), HasLeaders)
    (before,) = until(lambda: target().leaders(cluster), lambda leaders: len(leaders) == 1)
    with down(cluster, node_named(cluster, before.node)):
        (after,) = until(lambda: target().leaders(cluster), lambda leaders: len(leaders) == 1)
    assert after.node != before.node
    assert after.term > before.term


@pytest.mark.parametrize("nemesis", Etcd.nemeses, ids=lambda nemesis: nemesis.kind)
def test_an_operation_is_done_and_says_what_it_did(cluster: Cluster, nemesis: Any) -> None:
    mine = session(cluster.nodes[0])
    for value in range(120):
        mine.invoke(invoke("write", [70, value]))
    setting = Setting(cluster, target(), StallGate(), {})
    nodes, params = nemesis.plan(setting, random.Random(0))
    observed = nemesis.inject(setting, Fault(1, nemesis.kind, nemesis.kind, nodes, params))
    assert observed["took_effect"]
    (done,) = observed["done"].values()
    if nemesis.kind == "snapshot":
        assert done["bytes"] > 10_000
    elif nemesis.kind == "defrag":
        assert 0 < done["bytes_after"] <= done["bytes_before"]
    else:
        assert done["newest"] - done["revision"] == params["keep"]
        assert nemesis.inject(setting, Fault(2, "compaction", "compaction", nodes, {"keep": 0}))["took_effect"]
        mine.invoke(invoke("write", [70, 120]))
        (again,) = nemesis.inject(setting, Fault(3, "compaction", "compaction", nodes, {"keep": 100}))["done"].values()
        assert again["revision"] == again["newest"], "where older ones are gone already"
    mine.invoke(invoke("write", [70, 121]))
    assert nemesis.prove(setting) is None


def test_an_operation_on_a_member_that_is_down_fails(cluster: Cluster) -> None:
    node = cluster.nodes[2]
    setting = Setting(cluster, target(), StallGate(), {})
    with down(cluster, node):
        for nemesis in Etcd.nemeses:
            with pytest.raises(InfrastructureError, match="n3: "):
                nemesis.perform(setting, node)


def test_a_member_leaves_for_good_and_joins_as_a_new_one(cluster: Cluster) -> None:
    """The leader, which is the hardest. While it is away nothing can start it, and the others serve."""
    assert isinstance(target(), HasMembership)
    (leader,) = until(lambda: target().primaries(cluster), lambda leaders: len(leaders) == 1)
    node = node_named(cluster, leader)
    others = [other for other in cluster.nodes if other is not node]
    session(node).invoke(invoke("write", [80, 1]))
    before = identity(others[0], node)
    target().leave(cluster, node)
    assert identity(others[0], node) is None
    assert node.db_pids() == []
    with contextlib.suppress(InfrastructureError):
        node.start_db()
    until(node.db_pids, lambda pids: pids == [])
    until_ok(lambda: session(others[0]).invoke(invoke("write", [80, 2])))
    target().leave(cluster, node)
    target().join(cluster, node)
    assert identity(others[0], node) not in (None, before)
    assert session(node, reads="serializable").invoke(invoke("read", [80, None])).value == [80, 2], "it has the data"
    pids = node.db_pids()
    target().join(cluster, node)
    assert node.db_pids() == pids, "a member is left alone"


def test_a_member_that_does_not_serve_after_it_joined_is_killed_and_starts_anew_when_asked_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that hangs can't be had at will (see the README), one whose time is over at once can."""
    node = follower(cluster)
    until_ok(lambda: session(node).invoke(invoke("write", [81, 1])))
    target().leave(cluster, node)
    with monkeypatch.context() as impatient:
        impatient.setattr("targets.etcd.target.JOIN_TIMEOUT_S", 0.0)
        with pytest.raises(InfrastructureError, match=f"{node.name}: etcd was not healthy"):
            target().join(cluster, node)
    assert until(node.db_pids, lambda pids: pids == []) == []
    target().join(cluster, node)
    assert until_ok(lambda: session(node).invoke(invoke("read", [81, None]))).value == [81, 1]


def identity(asked: Any, node: Any) -> str | None:
    """The member's id, as another one knows it."""
    listed = ask(asked, "/v3/cluster/member/list", {"linearizable": True}, USUAL)["members"]
    return next((member["ID"] for member in listed if member.get("name") == node.name), None)


def test_what_is_claimed_follows_the_options() -> None:
    for workload, options, model in [
        ("append", {"reads": "linearizable"}, "strict-serializable"),
        ("register", {"reads": "linearizable"}, "linearizable"),
        ("set", {"reads": "linearizable"}, "linearizable"),
        ("append", {"reads": "serializable"}, "serializable"),
        ("register", {"reads": "serializable"}, "sequential"),
        ("set", {"reads": "serializable"}, "sequential"),
        ("watch", {"reads": "serializable"}, "linearizable"),
        ("lock", {"guard": "key"}, "linearizable"),
        ("lock", {"guard": "none"}, None),
    ]:
        assert Etcd.claim(workload, options).model == model


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
