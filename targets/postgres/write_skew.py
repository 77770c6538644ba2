"""The write-skew workload on PostgreSQL: doctors on call, one row each.

Pair p is the rows 2p and 2p+1 of `doctors` (id int primary key, on_call boolean). A transaction reads both by primary
key and, if both are on call, takes its own member off. Rows are half a page apart from full (fillfactor 50), so that an
update stays in its page and touches no index: conflicts are then between the two of a pair and hardly anyone else.
"""

from __future__ import annotations

from typing import Any

from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import SessionContext
from targets.postgres.transaction import TransactionSession
from workloads.write_skew import pairs_in_all

READ_BOTH = "SELECT id, on_call FROM doctors WHERE id IN ($1, $2)"
LEAVE = "UPDATE doctors SET on_call = false WHERE id = $1"
READ_ALL = """
SELECT a.id / 2, a.on_call, b.on_call
FROM doctors a JOIN doctors b ON b.id = a.id + 1
WHERE a.id % 2 = 0 AND NOT (a.on_call AND b.on_call)
"""


class WriteSkewSession(TransactionSession):
    """leave [pair, member, null] → [pair, member, "left" | "stayed"]; read-all → [[pair, on_call, on_call], ...]."""

    def is_read(self, op: Op) -> bool:
        return op.f == "read-all"

    def invoke(self, op: Op) -> Op:
        if op.f == "read-all":
            return op.replace(type="ok", value=self.transaction(self._read_all))
        pair, member, _ = op.value
        left = self.transaction(lambda: self._leave(pair, member))
        return op.replace(type="ok", value=[pair, member, "left" if left else "stayed"])

    def _leave(self, pair: int, member: int) -> bool:
        ids = (str(2 * pair), str(2 * pair + 1))
        rows = self.connection.execute(READ_BOTH, *ids).rows
        if len(rows) != 2:
            raise LookupError(f"pair {pair} has {len(rows)} rows instead of 2: was the table set up with enough pairs?")
        if any(on_call != "t" for _, on_call in rows):
            return False
        self.between_statements()
        self.connection.execute(LEAVE, ids[member])
        return True

    def _read_all(self) -> list[list[Any]]:
        rows = self.connection.execute(READ_ALL).rows
        return [[int(pair or 0), first == "t", second == "t"] for pair, first, second in rows]


class WriteSkewSessions:
    """The table and sessions of the write-skew workload."""

    def setup(self, target: Any, cluster: Cluster) -> None:
        with target.set_up(cluster) as connection:
            connection.execute("DROP TABLE IF EXISTS doctors")
            connection.execute(
                "CREATE TABLE doctors (id int PRIMARY KEY, on_call boolean NOT NULL) WITH (fillfactor = 50)"
            )
            last = 2 * pairs_in_all(target.chosen) - 1
            connection.execute(f"INSERT INTO doctors SELECT id, true FROM generate_series(0, {last}) AS id")
            connection.execute("VACUUM (ANALYZE) doctors")

    def open(self, target: Any, node: Node, context: SessionContext) -> WriteSkewSession:
        return target.session(WriteSkewSession, node, context)
