"""The append workload on PostgreSQL: a list is a row, its elements one comma-separated text.

Key k is the row with id k of table txn<k mod tables> (id int primary key, sk int, val text): several tables, a primary
key and a second column, as in the reports that found misbehaviour so. Two ways to append (option `append`):
concat: the server adds the element, in one INSERT ... ON CONFLICT DO UPDATE (an UPDATE with `rows=existing`).
read-write: the client reads the list and writes it back, longer by one, as many programs do. `lock=for-update` makes
it lock what it reads; only a row that exists can be locked, so that belongs with `rows=existing`.
"""

from __future__ import annotations

from typing import Any

from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext
from targets.postgres.connection import Connection
from targets.postgres.transaction import TransactionSession

EXISTING_ROWS_PER_TABLE = 100_000


class AppendSession(TransactionSession):
    """txn [["append", k, v] | ["r", k, null], ...] → the same, with lists read."""

    def __init__(self, connection: Connection, context: SessionContext, **shared: Any) -> None:
        super().__init__(connection, context, **shared)
        options = context.options
        self._tables = [f"txn{number}" for number in range(options["tables"])]
        self._insert = options["rows"] == "insert"
        self._append = self._concat if options["append"] == "concat" else self._read_and_write
        self._lock = " FOR UPDATE" if options["lock"] == "for-update" else ""

    def is_read(self, op: Op) -> bool:
        return all(what == "r" for what, _, _ in op.value)

    def invoke(self, op: Op) -> Op:
        return op.replace(type="ok", value=self.transaction(lambda: self._run(op.value)))

    def _run(self, micro_ops: list[list[Any]]) -> list[list[Any]]:
        done: list[list[Any]] = []
        for what, key, value in micro_ops:
            if done:
                self.between_statements()
            if what == "append":
                self._append(key, value)
                done.append([what, key, value])
            else:
                done.append([what, key, self._read(key)])
        return done

    def _table(self, key: int) -> str:
        return self._tables[key % len(self._tables)]

    def _read(self, key: int, lock: str = "") -> list[int]:
        rows = self.connection.execute(f"SELECT val FROM {self._table(key)} WHERE id = $1{lock}", str(key)).rows
        text = rows[0][0] if rows else None
        return [int(element) for element in text.split(",")] if text else []

    def _concat(self, key: int, value: int) -> None:
        table = self._table(key)
        longer = "CASE WHEN t.val = '' THEN $2 ELSE t.val || ',' || $2 END"
        if self._insert:
            self.connection.execute(
                f"INSERT INTO {table} AS t (id, sk, val) VALUES ($1, $1, $2)"
                f" ON CONFLICT (id) DO UPDATE SET val = {longer}",
                str(key),
                str(value),
            )
        else:
            self._update(f"UPDATE {table} AS t SET val = {longer} WHERE id = $1", key, str(value))

    def _read_and_write(self, key: int, value: int) -> None:
        longer = ",".join(str(element) for element in [*self._read(key, self._lock), value])
        self.between_statements()
        table = self._table(key)
        if self._insert:
            self.connection.execute(
                f"INSERT INTO {table} (id, sk, val) VALUES ($1, $1, $2) ON CONFLICT (id) DO UPDATE SET val = $2",
                str(key),
                longer,
            )
        else:
            self._update(f"UPDATE {table} SET val = $2 WHERE id = $1", key, longer)

    def _update(self, sql: str, key: int, text: str) -> None:
        if self.connection.execute(sql, str(key), text).tag != "UPDATE 1":
            raise DidNotHappen(f"no row {key}: rows=existing makes {EXISTING_ROWS_PER_TABLE} rows in each table")


class AppendSessions:
    """Tables and sessions of the append workload."""

    def setup(self, target: Any, cluster: Cluster) -> None:
        with target.set_up(cluster) as connection:
            tables = target.chosen["tables"]
            for number in range(tables):
                connection.execute(f"DROP TABLE IF EXISTS txn{number}")
                connection.execute(f"CREATE TABLE txn{number} (id int PRIMARY KEY, sk int NOT NULL, val text NOT NULL)")
                if target.chosen["rows"] == "existing":
                    connection.execute(
                        f"INSERT INTO txn{number} SELECT id, id, '' FROM"
                        f" generate_series({number}, {tables * EXISTING_ROWS_PER_TABLE - 1}, {tables}) AS id"
                    )
                connection.execute(f"VACUUM (ANALYZE) txn{number}")

    def open(self, target: Any, node: Node, context: SessionContext) -> AppendSession:
        return target.session(AppendSession, node, context)
