"""PostgreSQL as a target: on `local` from a Python package's binaries, on docker in the vendor's image.

One server, or several on docker: a primary and its standbys (replicated.py), or Patroni (patroni.py).

Settings stay at the server's defaults, because defaults are what people run and where misbehaviours were found; only
its log leaves out errors of clients (a serializable run has thousands, and each is in the history). On `local` the
server listens on loopback alone and asks for a password that is made for the run and stored nowhere.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import Cluster, Database, Node, node_named, require_database
from harness.options import Option
from harness.target import Claim, Leader, SessionContext, SessionFactory, Timeouts
from nemeses.base import Nemesis
from targets.postgres import on_host, patroni, replicated
from targets.postgres.append import AppendSessions
from targets.postgres.claims import claim
from targets.postgres.connection import CannotConnect, Connection, ConnectionLost, ServerError
from targets.postgres.elements import IdsSessions, SetSessions
from targets.postgres.embedded import tree_on
from targets.postgres.failover import Failover
from targets.postgres.known_issues import KNOWN_ISSUES
from targets.postgres.operations import Reindex
from targets.postgres.options import OPTIONS, check
from targets.postgres.patroni import PATRONI_IMAGE
from targets.postgres.predicate import PredicateSessions
from targets.postgres.registers import RegisterSession, RegisterSessions, RwRegisterSession
from targets.postgres.roles import Role, newest_leader
from targets.postgres.routing import RoutedSession, connect_to_primary, for_standby
from targets.postgres.sums import BankSessions, CounterSessions
from targets.postgres.transaction import TransactionSession
from targets.postgres.write_skew import WriteSkewSessions

PORT = 5432
IMAGE_DATA = "/var/lib/faultline"
START_TIMEOUT_S = 60.0
SETUP_TIMEOUT_S = 60.0

END_BACKEND = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid = $1::int AND application_name = $2::text AND wait_event IS DISTINCT FROM 'SyncRep'"
)
"""Not one that waits for a standby: to end it would show its commit to all, though no standby has it."""

S = TypeVar("S", bound=TransactionSession)


class Postgres:
    """See the module's docstring, and README.md."""

    name: ClassVar[str] = "postgres"
    doc: ClassVar[str] = (
        "PostgreSQL, alone, with streaming standbys, or under Patroni; at the isolation level you choose"
    )
    substrates: ClassVar[tuple[str, ...]] = ("docker", "local", "ssh")
    default_image: ClassVar[str] = "postgres:18"
    default_nodes: ClassVar[int] = 1
    most_nodes: ClassVar[int] = 1
    default_workload: ClassVar[str] = "append"
    workloads: ClassVar[Mapping[str, SessionFactory]] = {
        "append": AppendSessions(),
        "write-skew": WriteSkewSessions(),
        "register": RegisterSessions(RegisterSession),
        "rw-register": RegisterSessions(RwRegisterSession),
        "set": SetSessions(),
        "set-final": SetSessions(),
        "unique-ids": IdsSessions(),
        "counter": CounterSessions(),
        "bank": BankSessions(),
        "predicate": PredicateSessions(),
        "long-fork": RegisterSessions(RwRegisterSession),
    }
    faults: ClassVar[tuple[str, ...]] = ("partition", "kill", "pause", "clock")
    known_issues = KNOWN_ISSUES
    options: ClassVar[Mapping[str, Option]] = OPTIONS
    nemeses: ClassVar[tuple[Nemesis, ...]] = (Failover(), Reindex())

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None:
        check(options)
        self.topology = options["topology"]
        self.image = PATRONI_IMAGE if self.topology == "patroni" and image == self.default_image else image
        self.chosen, self.timeouts = options, timeouts
        self._nodes: Sequence[Node] = ()
        self._password = ""
        self.installed = options.get("installed") == "yes"
        self._own_schema = False
        if self.installed:
            on_host.check_installed(options, OPTIONS)

    @classmethod
    def for_options(cls, options: Mapping[str, str]) -> type[Postgres]:
        """Several servers where the topology has them."""
        return {"replicated": ReplicatedPostgres, "patroni": PatroniPostgres}.get(options.get("topology", ""), cls)

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim:
        return claim(workload, options)

    def start(self, cluster: Cluster) -> None:
        """Raises InfrastructureError, UsageError."""
        if self.topology == "single" and len(cluster.nodes) != 1:
            raise UsageError(f"target 'postgres' is one server, not {len(cluster.nodes)} (NODES=1)")
        self._nodes = cluster.nodes
        if self.topology == "replicated":
            names = [node.name for node in cluster.nodes]
            more = replicated.member_settings(self.chosen["sync"], names)
            replicated.start(self, cluster, arguments(self._settings() | more))
            return
        if self.topology == "patroni":
            patroni.start(self, cluster, self._settings())
            return
        node = cluster.nodes[0]
        if cluster.substrate == "local":
            self._install_embedded(node)
        elif self.installed:
            self._password = on_host.use_installed(node, PORT)
        elif cluster.substrate == "ssh":
            self._password = on_host.install(node, PORT, arguments(self._settings()))
        else:
            node.install(
                Database(
                    image=self.image,
                    argv=["postgres", *arguments(self._settings())],
                    env={"POSTGRES_HOST_AUTH_METHOD": "trust", "PGDATA": f"{IMAGE_DATA}/pgdata"},
                    ports=(PORT,),
                    data_dir=IMAGE_DATA,
                )
            )
        node.start_db()
        self.await_node(node, START_TIMEOUT_S, starting=True)
        if self.installed:
            with self.connected(node) as connection:
                on_host.make_schema(connection)
            self._own_schema = True

    def _install_embedded(self, node: Node) -> None:
        tree = tree_on(node, self.chosen["version"])
        data = f"{node.home}/data"
        settings = [
            *arguments(self._settings()),
            "-c",
            f"listen_addresses={node.address}",
            "-c",
            "unix_socket_directories=",
        ]
        argv = [f"{tree}/bin/postgres", "-D", data, "-p", str(node.port(PORT)), *settings]
        node.install(Database(argv=argv, ports=(PORT,), data_dir=data))
        self._password = secrets.token_hex(16)
        node.run(
            *(f"{tree}/bin/initdb", "-D", data, "--username=postgres", "--auth=scram-sha-256", "--pwfile=/dev/stdin"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            stdin=self._password + "\n",
            timeout_s=START_TIMEOUT_S,
        )

    def _settings(self) -> dict[str, Any]:
        return {
            "max_connections": self.chosen["max_connections"],
            "deadlock_timeout": f"{self.chosen['deadlock_timeout_ms']}ms",
            "fsync": self.chosen["fsync"],
            "log_min_messages": "log",
        }

    def stop(self, cluster: Cluster) -> None:
        if self._own_schema:
            with self.connected(cluster.nodes[0]) as connection:
                on_host.drop_schema(connection)
        for node in cluster.nodes:
            node.stop_db()

    def await_node(self, node: Node, timeout_s: float, *, starting: bool = False) -> None:
        """Until the server answers a query. starting: one that has ended is not waited for. InfrastructureError."""
        until = time.monotonic() + timeout_s
        while True:
            try:
                connection = self.connect(node)
                try:
                    connection.execute("SELECT 1")
                    return
                finally:
                    connection.close()
            except (CannotConnect, ServerError, ConnectionLost) as error:
                if time.monotonic() >= until:
                    raise InfrastructureError(f"{node.name}: PostgreSQL does not serve: {error}") from error
                if starting:
                    require_database(node)
            time.sleep(0.05)

    def version(self, node: Node) -> str:
        with self.connected(node) as connection:
            return connection.execute("SHOW server_version").rows[0][0] or ""

    def connect(self, node: Node, application: str = "faultline", **settings: str) -> Connection:
        """A connection of our own. Raises CannotConnect."""
        host, port = node.endpoint(PORT)
        if self._own_schema:
            settings["search_path"] = on_host.SCHEMA
        return Connection(
            host,
            port,
            password=self._password,
            connect_timeout_s=self.timeouts.connect_s,
            settings={"application_name": application, **settings},
        )

    def clock_s(self, node: Node) -> float:
        """What the server thinks the time is, in seconds since 1970. Raises InfrastructureError."""
        with self.connected(node) as connection:
            return float(connection.execute("SELECT extract(epoch FROM clock_timestamp())").rows[0][0] or "nan")

    @contextmanager
    def connected(self, node: Node) -> Iterator[Connection]:
        """A connection for set-up. Raises InfrastructureError for whatever goes wrong."""
        connection: Connection | None = None
        try:
            connection = self.connect(node, statement_timeout=str(round(SETUP_TIMEOUT_S * 1000)))
            yield connection
        except (CannotConnect, ServerError, ConnectionLost) as error:
            raise InfrastructureError(f"{node.name}: PostgreSQL: {error}") from error
        finally:
            if connection is not None:
                connection.close()

    @contextmanager
    def set_up(self, cluster: Cluster) -> Iterator[Connection]:
        """A connection to the primary for making tables; at its end the standbys have them. InfrastructureError."""
        if self.topology == "single":
            with self.connected(cluster.nodes[0]) as connection:
                yield connection
            return
        with self.connected(node_named(cluster, self.leader(cluster))) as connection:
            yield connection
            end = int(connection.execute("SELECT pg_current_wal_lsn() - '0/0'").rows[0][0] or 0)
        until = time.monotonic() + SETUP_TIMEOUT_S
        while sum(role.replayed >= end for role in self.roles(cluster)) < len(cluster.nodes):
            if time.monotonic() > until:
                raise InfrastructureError(f"not every standby had the workload's tables after {SETUP_TIMEOUT_S:g} s")
            time.sleep(0.05)

    # -- several servers

    def roles(self, cluster: Cluster) -> list[Role]:
        """Who each server says it is; those that don't answer are left out."""
        return replicated.roles_in(self, cluster.nodes)

    def leader(self, cluster: Cluster) -> str:
        """The server that takes writes; of several the one promoted last. Raises InfrastructureError."""
        if self.topology == "single":
            return cluster.nodes[0].name
        leading = newest_leader(self.roles(cluster))
        if leading is None:
            raise InfrastructureError("no server leads")
        return leading.name

    def primaries(self, cluster: Cluster) -> list[str]:
        """The servers that say they lead. Nobody needs to ask the only one."""
        return [leader.node for leader in self.leaders(cluster)]

    def leaders(self, cluster: Cluster) -> list[Leader]:
        """The same with their timelines: each promotion begins another one."""
        if self.topology == "single":
            return []
        return [Leader(role.name, role.timeline) for role in self.roles(cluster) if role.leads]

    def replication_lag(self, cluster: Cluster) -> dict[str, float]:
        """Bytes of the newest primary's log that each standby's queries don't see yet."""
        found = [] if self.topology == "single" else self.roles(cluster)
        leader = newest_leader(found)
        if leader is None:
            return {}
        return {role.name: float(max(0, leader.received - role.replayed)) for role in found if not role.leads}

    # -- sessions

    def session(self, kind: type[S], node: Node, context: SessionContext) -> S | RoutedSession:
        """A session through a node, with the timeouts of the run on the server's side too. Raises CannotConnect."""
        application = f"faultline-{node.name}-{context.process}"
        limit_ms = str(round(context.timeouts.server_s * 1000))

        def connect(to: Node) -> Connection:
            return self.connect(to, application, statement_timeout=limit_ms, lock_timeout=limit_ms)

        def made(at: Node, connection: Connection, context: SessionContext) -> S:
            def end_backend(pid: int, of: str) -> None:
                ending = self.connect(at, "faultline-ends-abandoned", statement_timeout=limit_ms)
                try:
                    ending.execute(END_BACKEND, str(pid), of)
                finally:
                    ending.close()

            return kind(connection, context, application=application, end_backend=end_backend)

        def with_own_server() -> S:
            return made(node, connect(node), for_standby(context))

        if self.topology == "single":
            return made(node, connect(node), context)
        reads = with_own_server() if self.chosen["reads"] == "standby" else None
        try:
            primary, connection = connect_to_primary(node, self._nodes, connect)
        except BaseException:
            if reads is not None:
                reads.close()
            raise
        return RoutedSession(made(primary, connection, context), reads, with_own_server)


class ReplicatedPostgres(Postgres):
    """What `topology=replicated` changes about the defaults of a plan."""

    substrates: ClassVar[tuple[str, ...]] = ("docker",)
    default_nodes: ClassVar[int] = 3
    least_nodes: ClassVar[int] = 2
    most_nodes: ClassVar[int] = 9


class PatroniPostgres(ReplicatedPostgres):
    """What `topology=patroni` changes: an image that has it, and nodes enough for etcd's majority."""

    default_image: ClassVar[str] = PATRONI_IMAGE
    least_nodes: ClassVar[int] = 3


def arguments(settings: Mapping[str, Any]) -> list[str]:
    """As `postgres` takes them."""
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
