"""Numbers that are added to, on PostgreSQL: a counter, and bank accounts.

counter: one row. The server adds (`add=server`), or the client reads the number and writes it back (`add=read-write`).
bank: a row an account. A transfer reads both balances, and writes both as numbers that the client worked out; below
REPEATABLE READ that loses updates, which is what applications do.
"""

from __future__ import annotations

from typing import Any

from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext
from targets.postgres.connection import Connection
from targets.postgres.transaction import TransactionSession

COUNT = "SELECT total FROM counter"
BALANCE = "SELECT balance FROM accounts WHERE id = $1"
BALANCES = "SELECT id, balance FROM accounts ORDER BY id"
SET_BALANCE = "UPDATE accounts SET balance = $2 WHERE id = $1"


class CounterSession(TransactionSession):
    """`add` and `read` of one number, see `workloads.counter`."""

    def __init__(self, connection: Connection, context: SessionContext, **shared: Any) -> None:
        super().__init__(connection, context, **shared)
        self._add = self._on_server if context.options["add"] == "server" else self._read_and_write

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def invoke(self, op: Op) -> Op:
        if op.f == "read":
            return op.replace(type="ok", value=self.transaction(self._read))
        assert op.f == "add", op.f
        self.transaction(lambda: self._add(op.value))
        return op.replace(type="ok")

    def _read(self) -> int:
        return int(self.connection.execute(COUNT).rows[0][0] or 0)

    def _on_server(self, amount: int) -> None:
        self.connection.execute("UPDATE counter SET total = total + $1", str(amount))

    def _read_and_write(self, amount: int) -> None:
        total = self._read() + amount
        self.between_statements()
        self.connection.execute("UPDATE counter SET total = $1", str(total))


class BankSession(TransactionSession):
    """`transfer` and `read`, see `workloads.bank`."""

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def invoke(self, op: Op) -> Op:
        if op.f == "read":
            return op.replace(type="ok", value=self.transaction(self._read))
        assert op.f == "transfer", op.f
        self.transaction(lambda: self._transfer(op.value["from"], op.value["to"], op.value["amount"]))
        return op.replace(type="ok")

    def _read(self) -> list[list[int]]:
        rows = self.connection.execute(BALANCES).rows
        return [[int(number or 0), int(balance or 0)] for number, balance in rows]

    def _balance(self, account: int) -> int:
        return int(self.connection.execute(BALANCE, str(account)).rows[0][0] or 0)

    def _transfer(self, source: int, goal: int, amount: int) -> None:
        left = self._balance(source) - amount
        if left < 0:
            raise DidNotHappen(f"not enough in {source}")
        there = self._balance(goal) + amount
        self.between_statements()
        self.connection.execute(SET_BALANCE, str(source), str(left))
        self.connection.execute(SET_BALANCE, str(goal), str(there))


class CounterSessions:
    """The table and sessions of the counter."""

    def setup(self, target: Any, cluster: Cluster) -> None:
        with target.set_up(cluster) as connection:
            connection.execute("DROP TABLE IF EXISTS counter")
            connection.execute("CREATE TABLE counter (total int NOT NULL)")
            connection.execute("INSERT INTO counter VALUES (0)")

    def open(self, target: Any, node: Node, context: SessionContext) -> CounterSession:
        return target.session(CounterSession, node, context)


class BankSessions:
    """The table and sessions of the bank."""

    def setup(self, target: Any, cluster: Cluster) -> None:
        accounts, balance = target.chosen["accounts"], target.chosen["balance"]
        with target.set_up(cluster) as connection:
            connection.execute("DROP TABLE IF EXISTS accounts")
            connection.execute("CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL)")
            connection.execute(
                f"INSERT INTO accounts SELECT id, {balance} FROM generate_series(0, {accounts - 1}) AS id"
            )

    def open(self, target: Any, node: Node, context: SessionContext) -> BankSession:
        return target.session(BankSession, node, context)
