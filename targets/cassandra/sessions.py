"""How register ops become CQL, by the options `writes`, `reads`, `cas` and `timestamps`.

One table, `registers (k int PRIMARY KEY, v int)`; a register that was never written has no row.

    read                      SELECT v ... at SERIAL, QUORUM or ONE
    write, writes=lwt         UPDATE ... SET v = ? WHERE k = ? IF v != -1
    write, writes=quorum|one  UPDATE ... SET v = ? WHERE k = ?
    cas, cas=lwt              UPDATE ... SET v = ? WHERE k = ? IF v = ?
    cas, cas=read-write       SELECT at QUORUM, check in the client, UPDATE at QUORUM

A plain write does not go through Paxos and mixes badly with one that does, so the blind write has a condition too: -1
is no register's value, and a missing row meets `v != -1` as well. Lightweight transactions commit at QUORUM.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

from cassandra import ConsistencyLevel
from cassandra.protocol import ErrorMessage

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext, Timeouts, Unknown
from targets.cassandra.connection import Clock, Connection
from targets.cassandra.errors import Refused

PORT: Final = 9042
REFUSED_PAUSE_S: Final = 0.5
"""What a client waits that was refused: else a cluster without a quorum is asked 800 times a second."""
SCHEMA_TIMEOUT_S: Final = 60.0
SCHEMA_TIMEOUTS: Final = Timeouts(op_s=30.0, connect_s=5.0)

READ: Final = "SELECT v FROM faultline.registers WHERE k = ?"
WRITE: Final = "UPDATE faultline.registers SET v = ? WHERE k = ?"
WRITE_BY_LWT: Final = "UPDATE faultline.registers SET v = ? WHERE k = ? IF v != -1"
CAS: Final = "UPDATE faultline.registers SET v = ? WHERE k = ? IF v = ?"

LEVELS: Final = {"serial": ConsistencyLevel.SERIAL, "quorum": ConsistencyLevel.QUORUM, "one": ConsistencyLevel.ONE}


class RegisterSession:
    """`read`, `write` and `cas` of one register, see `workloads.register`."""

    def __init__(self, connection: Connection, context: SessionContext, clock: Clock) -> None:
        options = context.options
        self._connection, self._context = connection, context
        self._clock = clock if options["timestamps"] == "client" else None
        self._read_level = LEVELS[options["reads"]]
        self._writes, self._cas = options["writes"], options["cas"]

        self._closed = threading.Event()

    def close(self) -> None:
        self._closed.set()
        self._connection.close()

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def invoke(self, op: Op) -> Op:
        try:
            return self._done(op)
        except Refused:
            self._closed.wait(REFUSED_PAUSE_S)
            raise

    def _done(self, op: Op) -> Op:
        key, value = op.value
        if op.f == "read":
            return op.replace(type="ok", value=[key, self._value(key, self._read_level)])
        if op.f == "write":
            if self._writes == "lwt":
                self._by_lwt(WRITE_BY_LWT, value, key)
            else:
                self._plain_write(key, value, LEVELS[self._writes])
            return op.replace(type="ok")
        assert op.f == "cas", op.f
        old, new = value
        if self._cas == "lwt":
            self._by_lwt(CAS, new, key, old)
        else:
            self._read_check_write(key, old, new)
        return op.replace(type="ok")

    def _value(self, key: int, level: int) -> int | None:
        rows = self._connection.query(READ, [key], level=level)
        return rows[0]["v"] if rows else None

    def _by_lwt(self, statement: str, *values: int | None) -> None:
        rows = self._connection.query(statement, values, conditional=True)
        if not rows[0]["[applied]"]:
            raise DidNotHappen(f"compare failed: it held {rows[0].get('v')}")

    def _plain_write(self, key: int, value: int, level: int) -> None:
        timestamp_us = None if self._clock is None else self._clock.next_us()
        self._connection.query(WRITE, [value, key], level=level, timestamp_us=timestamp_us)

    def _read_check_write(self, key: int, old: int | None, new: int) -> None:
        try:
            held = self._value(key, ConsistencyLevel.QUORUM)
        except Unknown as error:
            raise DidNotHappen(f"reading before the write: {error}", lost=error.lost) from error
        if held != old:
            raise DidNotHappen(f"compare failed: it held {held}")
        self._context.between_statements()
        self._plain_write(key, new, ConsistencyLevel.QUORUM)


class RegisterSessions:
    """The SessionFactory of the register workload."""

    def __init__(self) -> None:
        self._clock = Clock()

    def setup(self, target: Any, cluster: Cluster) -> None:
        """One keyspace on all nodes (three replicas at most), one table; until every node sees every replica alive."""
        replicas = min(3, len(cluster.nodes))
        connection = _connect(cluster.nodes[0], SCHEMA_TIMEOUTS)
        try:
            connection.query(
                "CREATE KEYSPACE IF NOT EXISTS faultline WITH replication ="
                f" {{'class': 'SimpleStrategy', 'replication_factor': {replicas}}}"
            )
            connection.query("CREATE TABLE IF NOT EXISTS faultline.registers (k int PRIMARY KEY, v int)")
        finally:
            connection.close()
        deadline_s = time.monotonic() + SCHEMA_TIMEOUT_S
        for node in cluster.nodes:
            _await_replicas(node, deadline_s)

    def open(self, target: Any, node: Node, context: SessionContext) -> RegisterSession:
        try:
            connection = _connect(node, context.timeouts)
        except (OSError, ErrorMessage) as error:
            raise DidNotHappen(f"{node.name} did not answer: {type(error).__name__}", lost=True) from error
        return RegisterSession(connection, context, self._clock)


def _connect(node: Node, timeouts: Timeouts) -> Connection:
    host, port = node.endpoint(PORT)
    return Connection(host, port, timeouts)


def _await_replicas(node: Node, deadline_s: float) -> None:
    """Until a read at ALL goes through the node: it knows the table, and all replicas answer it."""
    while True:
        try:
            connection = _connect(node, SCHEMA_TIMEOUTS)
            try:
                connection.query(READ, [-1], level=ConsistencyLevel.ALL)
                return
            finally:
                connection.close()
        except (OSError, ErrorMessage, DidNotHappen, Unknown) as error:
            if time.monotonic() > deadline_s:
                raise InfrastructureError(f"{node.name}: not all replicas answer it: {error}") from error
        time.sleep(0.2)
