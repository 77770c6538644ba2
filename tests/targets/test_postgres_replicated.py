"""Goal: PostgreSQL with standbys is what its options say, and what a session may call done is what will last.

Method: plans and promises are compared with what is documented; commits that wait, and roles, with the embedded server.
Whole runs with failovers are the rows P3 to P6 of the track record (tests/e2e).
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor as Pool
from typing import Any

import pytest

from harness.errors import InfrastructureError, UsageError
from harness.judging import check, known_issues
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.plan import TestPlan
from harness.planning import Request, make_plan
from harness.target import DidNotHappen, HasLeaders, HasReplicationLag, Timeouts, Unknown
from harness.verdict import Anomaly, Verdict
from targets.postgres import replicated
from targets.postgres.connection import Connection, ConnectionLost, ServerError
from targets.postgres.failover import END_SESSIONS, standbys_that_answer
from targets.postgres.patroni import PATRONI_IMAGE, configuration
from targets.postgres.roles import Role, newest_leader, role_of
from targets.postgres.routing import connect_to_primary
from targets.postgres.target import Postgres
from tests.targets.postgres_server import Server, cluster_of, eventually, open_session, running, standby_of


def plan(
    *, target: str | None = "postgres", workload: str = "set", faults: tuple[str, ...] = ("none",), **asked: Any
) -> TestPlan:
    options = {name: asked.pop(name) for name in list(asked) if name in (*Postgres.options, "final", "fence")}
    return make_plan(Request(target=target, workload=workload, faults=faults, options=options, **asked))


class TestPlans:
    def test_a_single_server_is_what_it_was(self) -> None:
        assert (plan().nodes, plan().image, plan().on) == (1, "postgres:18", "docker")
        assert plan(target=None).on == "local"

    def test_standbys_make_three_nodes_in_the_same_image(self) -> None:
        made = plan(topology="replicated")
        assert (made.nodes, made.image, made.on) == (3, "postgres:18", "docker")
        assert plan(topology="replicated", image="postgres:17", nodes=5).nodes == 5

    def test_a_newcomer_who_asks_for_standbys_gets_them_on_docker(self) -> None:
        assert plan(target=None, topology="replicated").on == "docker"

    def test_patroni_has_an_image_of_its_own(self) -> None:
        made = plan(topology="patroni", sync="strict")
        assert (made.nodes, made.image) == (3, PATRONI_IMAGE)

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"topology": "replicated", "on": "local"}, "does not run on 'local'"),
            ({"topology": "replicated", "nodes": 1}, "must be 2 to"),
            ({"topology": "patroni", "nodes": 2}, "must be 3 to"),
            ({"nodes": 3}, "one server"),
            ({"sync": "on"}, "need standbys"),
            ({"reads": "standby"}, "need standbys"),
            ({"topology": "replicated", "sync": "strict"}, "is Patroni's"),
            ({"final": "converge"}, "whether standbys agree"),
            ({"topology": "replicated", "final": "converge", "workload": "rw-register"}, "final"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, asked: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            plan(**asked)

    @pytest.mark.parametrize("topology", ["replicated", "patroni"])
    @pytest.mark.parametrize("workload", ["set", "set-final", "register"])
    def test_a_run_may_end_when_standbys_agree_with_their_primary(self, workload: str, topology: str) -> None:
        assert plan(workload=workload, topology=topology, final="converge").options["final"] == "converge"

    def test_failover_has_its_options(self) -> None:
        made = plan(topology="replicated", faults=("failover",), on="docker")
        assert made.options["fence"] == "yes" and made.options["cut"] == 0.0


class TestClaims:
    @pytest.mark.parametrize(
        ("options", "model"),
        [
            ({"topology": "replicated"}, "serializable"),
            ({"topology": "replicated", "isolation": "repeatable-read"}, "snapshot-isolation"),
            ({"topology": "replicated", "reads": "standby"}, "snapshot-isolation"),
            ({"topology": "replicated", "reads": "standby", "isolation": "read-committed"}, "read-committed"),
            ({"topology": "patroni", "sync": "strict"}, "serializable"),
        ],
    )
    def test_the_level_decides_the_model(self, options: dict[str, str], model: str) -> None:
        assert Postgres.claim("set", with_defaults(Postgres.options, options)).model == model

    def test_every_way_to_replicate_has_its_own_words(self) -> None:
        ways = [("replicated", sync) for sync in ("off", "on", "quorum")]
        ways += [("patroni", sync) for sync in ("off", "on", "quorum", "strict")]
        claims = [
            Postgres.claim("set", with_defaults(Postgres.options, {"topology": topology, "sync": sync}))
            for topology, sync in ways
        ]
        assert len({claim.words for claim in claims}) == len(ways)
        assert all(claim.link.startswith("https://") for claim in claims)


class TestKnownIssues:
    """What a lost write is called depends on who made another server the primary, and on what commits wait for."""

    FAILOVER = "asynchronous replication loses acknowledged commits in a failover"
    NOT_FENCED = "an old primary that is not fenced goes on"
    PATRONI = "Patroni in asynchronous mode loses acknowledged commits when another server takes over"

    @pytest.mark.parametrize(
        ("asked", "names"),
        [
            ({"topology": "replicated", "faults": ("failover",)}, [FAILOVER]),
            ({"topology": "replicated", "faults": ("failover", "kill"), "fence": "no"}, [NOT_FENCED]),
            ({"topology": "replicated", "faults": ("failover",), "sync": "on"}, []),
            ({"topology": "replicated", "faults": ("kill", "partition", "pause")}, []),
            ({"topology": "patroni", "faults": ("kill",)}, [PATRONI]),
            ({"topology": "patroni", "faults": ("pause",)}, [PATRONI]),
            ({"topology": "patroni", "faults": ("clock", "partition")}, [PATRONI]),
            ({"topology": "patroni", "faults": ("clock",)}, []),
            ({"topology": "patroni", "faults": ("none",)}, []),
            *[({"topology": "patroni", "faults": ("kill",), "sync": sync}, []) for sync in ("on", "quorum", "strict")],
            ({"faults": ("kill",)}, []),
        ],
    )
    def test_a_lost_write_has_the_name_of_its_cause(self, asked: dict[str, Any], names: list[str]) -> None:
        lost = Verdict("invalid", "set", anomalies=[Anomaly("lost-write", [1], "gone")])
        options = {name: value for name, value in asked.items() if name != "faults"}
        found = known_issues(plan(faults=asked["faults"], **options), "17.11 (Debian 17.11-0+deb13u1)", lost)
        assert [issue.name for issue in found] == names

    def test_what_is_no_loss_has_another_cause(self) -> None:
        skew = Verdict("invalid", "append", anomalies=[Anomaly("G2-item", [1], "write skew")])
        assert not known_issues(plan(topology="patroni", faults=("kill",)), "17.11", skew)


class TestWhoMayBePromoted:
    """What was acknowledged is on `copies` standbys: among how many is one of them for sure?"""

    @pytest.mark.parametrize("count", [2, 3, 4, 5, 9])
    @pytest.mark.parametrize("sync", ["on", "quorum"])
    def test_any_so_many_standbys_hold_every_acknowledged_commit(self, sync: str, count: int) -> None:
        standbys, needed = count - 1, replicated.enough_to_choose(sync, count)
        holders = replicated.copies(sync, count)
        assert needed + holders > standbys, "so many can't miss all holders"
        assert needed == 1 or needed - 1 + holders <= standbys, "and no more are asked for than it takes"

    def test_without_waiting_one_is_enough(self) -> None:
        assert replicated.enough_to_choose("off", 5) == 1

    def test_settings(self) -> None:
        names = ["n1", "n2", "n3"]
        assert replicated.synchronous_settings("off", names) == {}
        assert replicated.synchronous_settings("on", names) == {"synchronous_standby_names": "FIRST 1 (n1, n2, n3)"}
        assert replicated.synchronous_settings("quorum", [*names, "n4", "n5"]) == {
            "synchronous_standby_names": "ANY 2 (n1, n2, n3, n4, n5)"
        }

    def test_the_one_with_most_of_the_log(self) -> None:
        short = Role("n2", leads=False, timeline=None, received=10, replayed=10, follows=None)
        long = Role("n3", leads=False, timeline=None, received=12, replayed=9, follows=None)
        assert replicated.best_standby([short, long]) is long

    def test_of_two_that_lead_the_one_promoted_last(self) -> None:
        old = Role("n1", leads=True, timeline=1, received=99, replayed=99, follows=None)
        new = Role("n2", leads=True, timeline=2, received=10, replayed=10, follows=None)
        standby = Role("n3", leads=False, timeline=None, received=500, replayed=500, follows="n2")
        assert newest_leader([old, new, standby]) is new
        assert newest_leader([standby]) is None


class PodNode:
    """What a configuration needs of a node."""

    def __init__(self, number: int) -> None:
        self.name, self.address, self.home = f"n{number}", f"10.0.0.{number}", "/faultline/home"


@pytest.mark.parametrize("ttl_s", [20, 30, 31, 600])
def test_patroni_takes_the_times_that_follow_from_the_ttl(ttl_s: int) -> None:
    nodes: Any = [PodNode(number) for number in (1, 2, 3)]
    chosen = with_defaults(Postgres.options, {"topology": "patroni", "sync": "strict", "patroni_ttl_s": ttl_s})
    made = configuration(nodes[0], nodes, chosen, {"max_connections": 100})
    dcs = made["bootstrap"]["dcs"]
    assert dcs["loop_wait"] + 2 * dcs["retry_timeout"] <= dcs["ttl"] == ttl_s
    assert dcs["synchronous_mode_strict"] is True
    assert made["etcd3"]["hosts"] == ["10.0.0.1:2379", "10.0.0.2:2379", "10.0.0.3:2379"]


@pytest.fixture(scope="module")
def waiting() -> Iterator[Server]:
    """A server whose commits wait for a standby that never comes."""
    with running(synchronous_standby_names="nobody") as server:
        connection = server.target().connect(server.node, synchronous_commit="local")
        connection.execute("CREATE TABLE elements (id int NOT NULL)")
        connection.close()
        yield server


class TestACommitThatWaits:
    @staticmethod
    def adding(server: Server, element: int, **options: Any) -> tuple[Any, Op]:
        target = server.target("set", cancel_commit_ms=100, **options)
        return open_session(target, "set", server.node), invoke("add", element)

    def test_a_cancelled_wait_is_unknown(self, waiting: Server) -> None:
        session, op = self.adding(waiting, 1)
        with pytest.raises(Unknown, match="canceling wait for synchronous replication"):
            session.invoke(op)
        session.close()

    def test_or_done_for_those_who_read_no_warnings(self, waiting: Server) -> None:
        session, op = self.adding(waiting, 2, commit_warnings="ok")
        assert session.invoke(op).type == "ok"
        assert 2 in session.invoke(invoke("read")).value, "it is visible here, though no standby has it"
        session.close()

    def test_the_session_goes_on_and_nothing_else_is_cancelled(self, waiting: Server) -> None:
        session, _ = self.adding(waiting, 0, commit_warnings="ok")
        for element in range(10, 20):
            assert session.invoke(invoke("add", element)).type == "ok"
            assert element in session.invoke(invoke("read")).value
        session.close()

    def test_a_failover_without_a_fence_ends_others_clients_but_not_those_that_wait(self, waiting: Server) -> None:
        """Ended, a commit that waits would be shown to all, though no standby has it: it is not the failover's work."""

        def of_node(name: str, *statements: str) -> Connection:
            connection = waiting.target().connect(waiting.node, f"faultline-{name}-7")
            for statement in statements:
                connection.execute(statement)
            return connection

        def waits() -> bool:
            asked = "SELECT wait_event FROM pg_stat_activity WHERE pid = $1::int"
            return own.execute(asked, str(committing.backend_pid)).rows == [["SyncRep"]]

        own, other = of_node("n1"), of_node("n2")
        committing = of_node("n3", "BEGIN", "INSERT INTO elements VALUES (77)")
        with Pool(1) as pool:
            commit = pool.submit(committing.execute, "COMMIT")
            assert eventually(waits, 30)
            replicated.tell(waiting.target(), waiting.node, END_SESSIONS.format(name="n1"))
            with pytest.raises((ServerError, ConnectionLost)):
                other.execute("SELECT 1")
            assert waits()
            assert own.execute("SELECT 1 FROM elements WHERE id = 77").rows == []
            committing.close()
            with pytest.raises(ConnectionLost):
                commit.result(30)
        own.close()

    def test_a_commit_that_does_not_wait_is_not_cancelled(self) -> None:
        with running() as server:
            target = server.set_up("set", cancel_commit_ms=5000)
            session = open_session(target, "set", server.node)
            assert session.invoke(invoke("add", 1)).type == "ok"
            assert not session.connection.warnings
            session.close()


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Server, Server]]:
    """A primary and a hot standby that streams from it."""
    with running() as primary, standby_of(primary) as standby:
        yield primary, standby


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[None]:
    """It accepts connections and answers nothing."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


class TestRoles:
    def test_a_single_server_says_who_it_is(self, waiting: Server) -> None:
        connection = waiting.target().connect(waiting.node)
        role = role_of(connection, "n1")
        connection.close()
        assert role.leads and role.timeline == 1 and role.received == role.replayed > 0 and role.follows is None

    def test_a_server_that_answers_nothing_is_left_out(self) -> None:
        with running() as server:
            target = server.target()
            assert [role.name for role in replicated.roles_in(target, [server.node])] == ["n1"]
            with stopped(server):
                assert replicated.roles_in(target, [server.node]) == []

    def test_a_server_that_is_slow_to_answer_can_be_told_all_the_same(self, waiting: Server) -> None:
        target = waiting.target()
        target.timeouts = Timeouts(connect_s=0.3)
        with stopped(waiting):
            with pytest.raises(InfrastructureError, match="no handshake"):
                replicated.tell(target, waiting.node, "SELECT 1")
            again = threading.Timer(1.0, waiting.process.send_signal, [signal.SIGCONT])
            again.start()
            replicated.tell(target, waiting.node, "SELECT 1", answer_s=60)
            again.join()

    def test_a_failover_waits_for_a_standby_that_is_slow_to_answer(self, pair: tuple[Server, Server]) -> None:
        target = pair[0].target()
        target.timeouts = Timeouts(connect_s=0.3)
        with stopped(pair[1]):
            assert replicated.roles_in(target, [pair[1].node]) == []
            again = threading.Timer(1.0, pair[1].process.send_signal, [signal.SIGCONT])
            again.start()
            [role] = standbys_that_answer(target, [pair[1].node], 1)
            again.join()
        assert role.name == "n2" and not role.leads and role.replayed > 0

    def test_the_own_server_is_taken_if_it_leads(self, waiting: Server) -> None:
        target = waiting.target()
        node, connection = connect_to_primary(waiting.node, [waiting.node], target.connect)
        connection.close()
        assert node is waiting.node

    def test_a_target_can_be_asked(self) -> None:
        target = Postgres(image="", options=with_defaults(Postgres.options, {}), timeouts=Timeouts(), workload="append")
        assert isinstance(target, HasLeaders) and isinstance(target, HasReplicationLag)


class TestLocalReads:
    """Method: a real standby, whose replay can be held. A client of its node writes to the primary."""

    @staticmethod
    def opened(pair: tuple[Server, Server], workload: str, **options: str) -> Any:
        """A session through the standby's node."""
        nodes = [server.node for server in pair]
        target = pair[0].target(workload, topology="replicated", **options)
        target._nodes = nodes
        target.workloads[workload].setup(target, cluster_of(*nodes))
        return open_session(target, workload, nodes[1], timeouts=Timeouts(op_s=5.0, connect_s=2.0))

    @staticmethod
    def connections(server: Server) -> int:
        """How many of our clients the server has."""
        asking = server.target().connect(server.node, "asks")
        found = asking.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'faultline-n%'")
        asking.close()
        return int(found.rows[0][0] or 0)

    @staticmethod
    @contextlib.contextmanager
    def held(standby: Server) -> Iterator[None]:
        """The standby replays nothing."""
        asking = standby.target().connect(standby.node)
        asking.execute("SELECT pg_wal_replay_pause()")
        paused = "SELECT pg_get_wal_replay_pause_state()"
        assert eventually(lambda: asking.execute(paused).rows == [["paused"]], 30)
        try:
            yield
        finally:
            asking.execute("SELECT pg_wal_replay_resume()")
            asking.close()

    def test_a_register_is_read_from_the_nodes_own_server(self, pair: tuple[Server, Server]) -> None:
        with contextlib.closing(self.opened(pair, "register")) as session:
            local = invoke("local-read", [1, None])
            assert session.is_read(local)
            session.invoke(invoke("write", [1, 7]))
            assert eventually(lambda: session.invoke(local).value == [1, 7], 30)
            with self.held(pair[1]):
                session.invoke(invoke("write", [1, 8]))
                assert session.invoke(invoke("read", [1, None])).value == [1, 8]
                assert session.invoke(local).value == [1, 7]
            assert eventually(lambda: session.invoke(local).value == [1, 8], 30)

    @pytest.mark.parametrize("workload", ["set", "set-final"])
    def test_so_is_a_set(self, pair: tuple[Server, Server], workload: str) -> None:
        with contextlib.closing(self.opened(pair, workload)) as session:
            local = invoke("local-read")
            assert session.is_read(local)
            with self.held(pair[1]):
                session.invoke(invoke("add", 5))
                assert session.invoke(invoke("read")).value == [5]
                assert session.invoke(local).value == []
            assert eventually(lambda: session.invoke(local).value == [5], 30)

    def test_what_the_own_server_does_not_answer_is_not_read(self, pair: tuple[Server, Server]) -> None:
        with contextlib.closing(self.opened(pair, "set")) as session:
            session.invoke(invoke("add", 5))
            with stopped(pair[1]), pytest.raises(DidNotHappen, match="own server did not answer") as raised:
                session.invoke(invoke("local-read"))
            assert not raised.value.lost
            assert session.invoke(invoke("read")).value == [5], "the session with the primary goes on"

    @pytest.mark.parametrize("reads", ["primary", "standby"])
    def test_they_have_one_connection_and_it_is_shut_with_the_session(
        self, pair: tuple[Server, Server], reads: str
    ) -> None:
        session = self.opened(pair, "set", reads=reads)
        assert self.connections(pair[1]) == (reads == "standby")
        for f in ("local-read", "read", "local-read"):
            session.invoke(invoke(f))
        assert self.connections(pair[0]) == self.connections(pair[1]) == 1
        session.close()
        assert eventually(lambda: self.connections(pair[0]) + self.connections(pair[1]) == 0, 30)
        with pytest.raises(DidNotHappen):
            session.invoke(invoke("local-read"))

    def test_a_session_that_was_shut_before_its_first_one_leaves_nothing_open(
        self, pair: tuple[Server, Server]
    ) -> None:
        session = self.opened(pair, "set")
        session.close()
        with pytest.raises(DidNotHappen):
            session.invoke(invoke("local-read"))
        assert eventually(lambda: self.connections(pair[1]) == 0, 30)


def test_a_standby_and_its_primary_show_two_writes_in_different_orders() -> None:
    """The known issue, by hand. The first write's record is in the log, so that the standby shows it, while its commit
    waits on the primary; the second commits in the meantime."""
    history: list[dict[str, Any]] = []

    def record(type_: str, process: int, op: Op, value: Any) -> None:
        history.append({"type": type_, "process": process, "f": op.f, "value": value})

    def done(session: Any, process: int, op: Op) -> Any:
        record("invoke", process, op, op.value)
        value = session.invoke(op).value
        record("ok", process, op, value)
        return value

    reading = invoke("read", [["r", 1, None], ["r", 2, None]])
    with running(synchronous_standby_names="nobody") as primary, standby_of(primary) as standby, Pool(1) as pool:
        nodes = [primary.node, standby.node]
        setting_up = primary.target().connect(primary.node, synchronous_commit="local")
        setting_up.execute("CREATE TABLE registers (id int PRIMARY KEY, val int NOT NULL)")
        setting_up.close()
        following = primary.target().connect(standby.node)
        there = "SELECT 1 FROM pg_class WHERE relname = 'registers'"
        assert eventually(lambda: following.execute(there).rows == [["1"]], 60)
        following.close()

        def opened(at: Server, **options: Any) -> Any:
            target = primary.target("long-fork", topology="replicated", reads="standby", **options)
            target._nodes = nodes
            assert eventually(lambda: len(replicated.roles_in(target, nodes)) == 2, 30)
            return open_session(target, "long-fork", at.node)

        first, second = opened(primary), opened(primary, cancel_commit_ms=100, commit_warnings="ok")
        by_standby, by_primary = opened(standby), opened(primary)
        writing = invoke("write", [["w", 1, 1]])
        record("invoke", 0, writing, writing.value)
        committing = pool.submit(first.invoke, writing)
        assert eventually(lambda: by_standby.invoke(reading).value[0] == ["r", 1, 1], 30)
        assert done(by_standby, 1, reading) == [["r", 1, 1], ["r", 2, None]]
        done(second, 2, invoke("write", [["w", 2, 1]]))
        assert done(by_primary, 3, reading) == [["r", 1, None], ["r", 2, 1]]
        for session in (first, second, by_standby, by_primary):
            session.close()
        with pytest.raises(Unknown):
            committing.result(30)
    verdict = check(history, workload="long-fork", model="snapshot-isolation")
    assert (verdict.verdict, verdict.anomaly_counts["long-fork"]) == ("invalid", 1)
