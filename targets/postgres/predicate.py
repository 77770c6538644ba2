"""Rows that are inserted only if a search finds none, on PostgreSQL: the predicate workload.

Tables `left_rows` and `right_rows` (id int primary key, key int, indexed): an insert of `[key, [row, null]]` searches
both tables for the key and puts its row into the first, `[key, [null, row]]` into the second.
"""

from __future__ import annotations

from typing import Any

from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext
from targets.postgres.transaction import TransactionSession

TABLES = ("left_rows", "right_rows")


class PredicateSession(TransactionSession):
    """`insert` and `read`, see `workloads.predicate`."""

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def invoke(self, op: Op) -> Op:
        key, rows = op.value
        if op.f == "read":
            return op.replace(type="ok", value=[key, self.transaction(lambda: self._search(key))])
        assert op.f == "insert", op.f
        self.transaction(lambda: self._insert(key, rows))
        return op.replace(type="ok")

    def _search(self, key: int) -> list[int]:
        found: list[int] = []
        for number, table in enumerate(TABLES):
            if number:
                self.between_statements()
            rows = self.connection.execute(f"SELECT id FROM {table} WHERE key = $1", str(key)).rows
            found += [int(row or 0) for (row,) in rows]
        return found

    def _insert(self, key: int, rows: list[int | None]) -> None:
        if self._search(key):
            raise DidNotHappen("too late: a row was there")
        self.between_statements()
        for table, row in zip(TABLES, rows, strict=True):
            if row is not None:
                self.connection.execute(f"INSERT INTO {table} (id, key) VALUES ($1, $2)", str(row), str(key))


class PredicateSessions:
    """The tables and sessions. The index lets SERIALIZABLE lock what a search looked at, not the whole table."""

    def setup(self, target: Any, cluster: Cluster) -> None:
        with target.set_up(cluster) as connection:
            for table in TABLES:
                connection.execute(f"DROP TABLE IF EXISTS {table}")
                connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, key int NOT NULL)")
                connection.execute(f"CREATE INDEX ON {table} (key)")

    def open(self, target: Any, node: Node, context: SessionContext) -> PredicateSession:
        return target.session(PredicateSession, node, context)
