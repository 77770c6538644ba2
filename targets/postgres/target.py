"""PostgreSQL as a target: one server, on `local` from a Python package's binaries, on docker in the vendor's image.

Settings stay at the server's defaults, because defaults are what people run and where misbehaviours were found; only
its log leaves out errors of clients (a serializable run has thousands, and each is in the history). On `local` the
server listens on loopback alone and asks for a password that is made for the run and stored nowhere.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import Cluster, Database, Node, require_database
from harness.options import Option
from harness.target import Claim, SessionContext, SessionFactory, Timeouts
from targets.postgres.append import AppendSessions
from targets.postgres.claims import CLAIMS, claim
from targets.postgres.connection import CannotConnect, Connection, ConnectionLost, ServerError
from targets.postgres.elements import IdsSessions, SetSessions
from targets.postgres.embedded import FOLDERS, tree_on
from targets.postgres.known_issues import KNOWN_ISSUES
from targets.postgres.registers import RegisterSession, RegisterSessions, RwRegisterSession
from targets.postgres.sums import BankSessions, CounterSessions
from targets.postgres.transaction import TransactionSession
from targets.postgres.write_skew import WriteSkewSessions

PORT = 5432
IMAGE_DATA = "/var/lib/faultline"
START_TIMEOUT_S = 60.0
SETUP_TIMEOUT_S = 60.0

S = TypeVar("S", bound=TransactionSession)


class Postgres:
    """See the module's docstring, and README.md."""

    name: ClassVar[str] = "postgres"
    doc: ClassVar[str] = "PostgreSQL, one server; transactions at the isolation level that you choose"
    substrates: ClassVar[tuple[str, ...]] = ("docker", "local")
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
    }
    faults: ClassVar[tuple[str, ...]] = ("partition", "kill", "pause", "clock")
    known_issues = KNOWN_ISSUES
    options: ClassVar[Mapping[str, Option]] = {
        "isolation": Option("serializable", "isolation level of every transaction", tuple(CLAIMS)),
        "append": Option(
            "concat",
            "append: the server adds the element, or the client reads the list and writes it back",
            ("concat", "read-write"),
        ),
        "rows": Option(
            "insert",
            "append: rows are inserted as the workload goes (ON CONFLICT), or made beforehand",
            ("insert", "existing"),
        ),
        "lock": Option(
            "none", "append=read-write: lock what is read (belongs with rows=existing)", ("none", "for-update")
        ),
        "tables": Option(3, "append: number of tables that the keys are spread over", least=1, most=1000),
        "add": Option(
            "server",
            "counter: the server adds, or the client reads the number and writes it back",
            ("server", "read-write"),
        ),
        "max_connections": Option(100, "the server's max_connections (100 is its default)", least=20, most=10000),
        "deadlock_timeout_ms": Option(
            1000, "the server's deadlock_timeout in milliseconds (1000 is its default)", least=1, most=2147483647
        ),
        "fsync": Option("on", "the server's fsync", ("on", "off")),
        "version": Option("18", "local: which of the embedded PostgreSQLs", tuple(FOLDERS)),
    }

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None:
        if options["lock"] == "for-update" and (options["append"], options["rows"]) != ("read-write", "existing"):
            raise UsageError(
                "option lock=for-update locks rows that the client reads and writes back, and that exist:"
                " add append=read-write,rows=existing"
            )
        self.image, self.chosen, self.timeouts = image, options, timeouts
        self._password = ""

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim:
        return claim(workload, options)

    def start(self, cluster: Cluster) -> None:
        """Raises InfrastructureError, UsageError."""
        if len(cluster.nodes) != 1:
            raise UsageError(f"target 'postgres' is one server, not {len(cluster.nodes)} (NODES=1)")
        node = cluster.nodes[0]
        if cluster.substrate == "local":
            self._install_embedded(node)
        else:
            node.install(
                Database(
                    image=self.image,
                    argv=["postgres", *self._settings()],
                    env={"POSTGRES_HOST_AUTH_METHOD": "trust", "PGDATA": f"{IMAGE_DATA}/pgdata"},
                    ports=(PORT,),
                    data_dir=IMAGE_DATA,
                )
            )
        node.start_db()
        self.await_node(node, START_TIMEOUT_S, starting=True)

    def _install_embedded(self, node: Node) -> None:
        tree = tree_on(node, self.chosen["version"])
        data = f"{node.home}/data"
        settings = [*self._settings(), "-c", f"listen_addresses={node.address}", "-c", "unix_socket_directories="]
        argv = [f"{tree}/bin/postgres", "-D", data, "-p", str(node.port(PORT)), *settings]
        node.install(Database(argv=argv, ports=(PORT,), data_dir=data))
        self._password = secrets.token_hex(16)
        node.run(
            *(f"{tree}/bin/initdb", "-D", data, "--username=postgres", "--auth=scram-sha-256", "--pwfile=/dev/stdin"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            stdin=self._password + "\n",
            timeout_s=START_TIMEOUT_S,
        )

    def _settings(self) -> list[str]:
        settings = {
            "max_connections": self.chosen["max_connections"],
            "deadlock_timeout": f"{self.chosen['deadlock_timeout_ms']}ms",
            "fsync": self.chosen["fsync"],
            "log_min_messages": "log",
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def stop(self, cluster: Cluster) -> None:
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

    def session(self, kind: type[S], node: Node, context: SessionContext) -> S:
        """A session with the timeouts of the run on the server's side too. Raises CannotConnect."""
        application = f"faultline-{context.process}"
        limit_ms = str(round(context.timeouts.server_s * 1000))
        connection = self.connect(node, application, statement_timeout=limit_ms, lock_timeout=limit_ms)

        def end_backend(pid: int, of: str) -> None:
            ending = self.connect(node, "faultline-ends-abandoned", statement_timeout=limit_ms)
            try:
                ending.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid = $1::int AND application_name = $2::text",
                    str(pid),
                    of,
                )
            finally:
                ending.close()

        return kind(connection, context, application=application, end_backend=end_backend)
