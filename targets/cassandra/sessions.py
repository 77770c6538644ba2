"""What the sessions of all workloads share: one connection, levels and timestamps by the options, tables made once.

A workload here is a `Tables` (what is made for it) and a class derived from `CassandraSession` (how its ops become
CQL), in one small file each: `registers`, `sets`, `counters`, `lists`, `batches`, `views`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from cassandra import ConsistencyLevel
from cassandra.protocol import ErrorMessage

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext, Timeouts, Unknown
from targets.cassandra.connection import PORT, Clock, Connection, Row
from targets.cassandra.errors import Refused
from targets.cassandra.levels import read_level, write_level

REFUSED_PAUSE_S: Final = 0.5
"""What a client waits that was refused: else a cluster without a quorum is asked 800 times a second."""
SCHEMA_TIMEOUT_S: Final = 60.0
SCHEMA_TIMEOUTS: Final = Timeouts(op_s=30.0, connect_s=5.0)
REPLICAS: Final = 3
LOCAL_READ: Final = "local-read"
"""A read of the node's own copy: at ONE the node that was asked answers, if it is a replica."""


class CassandraSession:
    """One process' connection.

    tables: the statements that make what the workload needs. probe: a statement that reads one of them. serial: the
    plain level that stands for serial reads where there is no Paxos, None where there is. local_reads: whether it
    knows LOCAL_READ.
    """

    tables: ClassVar[tuple[str, ...]]
    probe: ClassVar[str]
    serial: ClassVar[str | None] = None
    local_reads: ClassVar[bool] = False

    def __init__(self, connection: Connection, context: SessionContext, clock: Clock) -> None:
        options = context.options
        self._connection, self._context, self._options = connection, context, options
        self._clock = clock if options["timestamps"] == "client" else None
        self._ahead_us = round(options["clients_ahead_s"] * 1e6)
        self._read_level = read_level(options, serial=self.serial)
        self._write_level = write_level(options)
        self._by_paxos = self.serial is None and options["writes"] == "lwt"
        self._closed = threading.Event()

    def close(self) -> None:
        self._closed.set()
        self._connection.close()

    def is_read(self, op: Op) -> bool:
        return op.f in ("read", LOCAL_READ)

    def invoke(self, op: Op) -> Op:
        try:
            return self.done(op)
        except Refused:
            self._closed.wait(REFUSED_PAUSE_S)
            raise

    def done(self, op: Op) -> Op:
        """Do it. Raises as `harness.target.Session.invoke` does."""
        raise NotImplementedError

    def select(self, statement: str, values: Sequence[int | None] = (), *, f: str = "read") -> list[Row]:
        """Read at the level of reads; for a LOCAL_READ at ONE."""
        level = ConsistencyLevel.ONE if f == LOCAL_READ else self._read_level
        return self._connection.query(statement, values, level=level)

    def select_first(self, statement: str, values: Sequence[int | None] = (), *, level: int | None = None) -> list[Row]:
        """The same before a write of the same op: nothing has happened if it fails."""
        try:
            return self._connection.query(statement, values, level=self._read_level if level is None else level)
        except Unknown as error:
            raise DidNotHappen(f"reading before the write: {error}", lost=error.lost) from error

    def plain(
        self,
        statement: str,
        values: Sequence[int | None] = (),
        *,
        level: int | None = None,
        in_parts: bool = False,
    ) -> None:
        """A write without a condition, with a timestamp of the clients' clock if they have one.

        in_parts: an unlogged batch over several partitions.
        """
        stamp = None if self._clock is None else self._clock.next_us() + self._ahead_us
        level = self._write_level if level is None else level
        self._connection.query(statement, values, level=level, timestamp_us=stamp, in_parts=in_parts)

    def conditional(self, statement: str, values: Sequence[int | None] = ()) -> tuple[bool, Row]:
        """A lightweight transaction: (was it applied, what the first row held else)."""
        row = self._connection.query(statement, values, conditional=True)[0]
        return bool(row["[applied]"]), row


class Sessions:
    """The SessionFactory of one workload."""

    def __init__(self, session: type[CassandraSession]) -> None:
        self._session = session
        self.local_reads = session.local_reads
        self._clock = Clock()

    def setup(self, target: Any, cluster: Cluster) -> None:
        """One keyspace on all nodes (three replicas at most), its tables; until every node sees every replica alive."""
        replicas = min(REPLICAS, len(cluster.nodes))
        retry = str(target.chosen["speculative_retry"]).upper()
        connection = connect(cluster.nodes[0], SCHEMA_TIMEOUTS)
        try:
            connection.query(
                "CREATE KEYSPACE IF NOT EXISTS faultline WITH replication ="
                f" {{'class': 'NetworkTopologyStrategy', 'replication_factor': {replicas}}}"
            )
            for table in self._session.tables:
                speculation = f" WITH speculative_retry = '{retry}' AND additional_write_policy = '{retry}'"
                connection.query(table + (speculation if table.startswith("CREATE TABLE") else ""))
        finally:
            connection.close()
        deadline_s = time.monotonic() + SCHEMA_TIMEOUT_S
        for node in cluster.nodes:
            self._await_replicas(node, deadline_s)

    def open(self, target: Any, node: Node, context: SessionContext) -> CassandraSession:
        try:
            connection = connect(node, context.timeouts)
        except (OSError, ErrorMessage) as error:
            raise DidNotHappen(f"{node.name} did not answer: {type(error).__name__}", lost=True) from error
        return self._session(connection, context, self._clock)

    def _await_replicas(self, node: Node, deadline_s: float) -> None:
        """Until a read at ALL goes through the node: it knows the table, and all replicas answer it."""
        while True:
            try:
                connection = connect(node, SCHEMA_TIMEOUTS)
                try:
                    connection.query(self._session.probe, level=ConsistencyLevel.ALL)
                    return
                finally:
                    connection.close()
            except (OSError, ErrorMessage, DidNotHappen, Unknown) as error:
                if time.monotonic() > deadline_s:
                    raise InfrastructureError(f"{node.name}: not all replicas answer it: {error}") from error
            time.sleep(0.2)


def connect(node: Node, timeouts: Timeouts) -> Connection:
    """A connection to a node, up to its READY. Raises OSError, ErrorMessage."""
    host, port = node.endpoint(PORT)
    return Connection(host, port, timeouts)
