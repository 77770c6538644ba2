"""Rows that are only ever inserted, on PostgreSQL: the elements of a set, and ids from a sequence."""

from __future__ import annotations

from typing import Any

from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import SessionContext
from targets.postgres.transaction import LOCAL_READ, TransactionSession


class SetSession(TransactionSession):
    """`add`, `read` and `local-read`, see `workloads.set`."""

    local_reads = True

    def is_read(self, op: Op) -> bool:
        return op.f in ("read", LOCAL_READ)

    def invoke(self, op: Op) -> Op:
        if self.is_read(op):
            return op.replace(type="ok", value=self.transaction(self._read))
        assert op.f == "add", op.f
        self.transaction(lambda: self.connection.execute("INSERT INTO elements VALUES ($1)", str(op.value)))
        return op.replace(type="ok")

    def _read(self) -> list[int]:
        return [int(element or 0) for (element,) in self.connection.execute("SELECT id FROM elements").rows]


class IdsSession(TransactionSession):
    """`generate`, see `workloads.unique_ids`: a row with a serial column is inserted."""

    def is_read(self, op: Op) -> bool:
        return False

    def invoke(self, op: Op) -> Op:
        return op.replace(type="ok", value=self.transaction(self._insert))

    def _insert(self) -> int:
        return int(self.connection.execute("INSERT INTO ids DEFAULT VALUES RETURNING id").rows[0][0] or 0)


class SetSessions:
    """The table and sessions of the set. No primary key: an element that is there twice shall be seen."""

    local_reads = SetSession.local_reads

    def setup(self, target: Any, cluster: Cluster) -> None:
        with target.set_up(cluster) as connection:
            connection.execute("DROP TABLE IF EXISTS elements")
            connection.execute("CREATE TABLE elements (id int NOT NULL)")

    def open(self, target: Any, node: Node, context: SessionContext) -> SetSession:
        return target.session(SetSession, node, context)


class IdsSessions:
    """The table and sessions of the ids."""

    def setup(self, target: Any, cluster: Cluster) -> None:
        with target.set_up(cluster) as connection:
            connection.execute("DROP TABLE IF EXISTS ids")
            connection.execute("CREATE TABLE ids (id serial)")

    def open(self, target: Any, node: Node, context: SessionContext) -> IdsSession:
        return target.session(IdsSession, node, context)
