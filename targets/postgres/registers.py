"""Registers on PostgreSQL: a row each in `registers` (id int primary key, val int), alone or in transactions.

register: each op is one statement in a transaction of its own; a compare-and-set is an UPDATE with the old value in its
condition, or an INSERT that does nothing when there is a row. rw-register: a transaction of reads and writes.
"""

from __future__ import annotations

from typing import Any

from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext
from targets.postgres.transaction import LOCAL_READ, TransactionSession

READ = "SELECT val FROM registers WHERE id = $1"
WRITE = "INSERT INTO registers AS r (id, val) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET val = $2"
CREATE = "INSERT INTO registers (id, val) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING"
REPLACE = "UPDATE registers SET val = $3 WHERE id = $1 AND val = $2"


class _Registers(TransactionSession):
    def _read(self, key: int) -> int | None:
        rows = self.connection.execute(READ, str(key)).rows
        return int(rows[0][0] or 0) if rows else None

    def _write(self, key: int, value: int) -> None:
        self.connection.execute(WRITE, str(key), str(value))


class RegisterSession(_Registers):
    """`read`, `local-read`, `write` and `cas` of one register, see `workloads.register`."""

    local_reads = True

    def is_read(self, op: Op) -> bool:
        return op.f in ("read", LOCAL_READ)

    def invoke(self, op: Op) -> Op:
        key, value = op.value
        if self.is_read(op):
            return op.replace(type="ok", value=[key, self.transaction(lambda: self._read(key))])
        if op.f == "write":
            self.transaction(lambda: self._write(key, value))
        else:
            assert op.f == "cas", op.f
            self.transaction(lambda: self._compare_and_set(key, *value))
        return op.replace(type="ok")

    def _compare_and_set(self, key: int, old: int | None, new: int) -> None:
        if old is None:
            done = self.connection.execute(CREATE, str(key), str(new)).tag == "INSERT 0 1"
        else:
            done = self.connection.execute(REPLACE, str(key), str(old), str(new)).tag == "UPDATE 1"
        if not done:
            raise DidNotHappen(f"compare failed: it did not hold {'nothing' if old is None else old}")


class RwRegisterSession(_Registers):
    """txn [["w", k, v] | ["r", k, null], ...] → the same, with what was read."""

    def is_read(self, op: Op) -> bool:
        return all(what == "r" for what, _, _ in op.value)

    def invoke(self, op: Op) -> Op:
        return op.replace(type="ok", value=self.transaction(lambda: self._run(op.value)))

    def _run(self, micro_ops: list[list[Any]]) -> list[list[Any]]:
        done: list[list[Any]] = []
        for what, key, value in micro_ops:
            if done:
                self.between_statements()
            if what == "w":
                self._write(key, value)
                done.append([what, key, value])
            else:
                done.append([what, key, self._read(key)])
        return done


class RegisterSessions:
    """The table and sessions of both."""

    def __init__(self, make: type[TransactionSession]) -> None:
        self._make = make
        self.local_reads = make.local_reads

    def setup(self, target: Any, cluster: Cluster) -> None:
        with target.set_up(cluster) as connection:
            connection.execute("DROP TABLE IF EXISTS registers")
            connection.execute("CREATE TABLE registers (id int PRIMARY KEY, val int NOT NULL)")

    def open(self, target: Any, node: Node, context: SessionContext) -> Any:
        return target.session(self._make, node, context)
