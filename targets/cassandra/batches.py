"""How batch ops become CQL: two rows in two partitions of `halves (side int, n int, PRIMARY KEY (side, n))`.

    write n   BEGIN [UNLOGGED] BATCH INSERT (0, n); INSERT (1, n); APPLY BATCH
    read      SELECT side, n ... WHERE side IN (0, 1)

A logged batch is first stored on two nodes; if its coordinator does not finish it, they do, some ten seconds later.
Two rows of one partition would be one mutation, atomic without any log.
"""

from __future__ import annotations

from typing import Final

from harness.op import Op
from targets.cassandra.sessions import CassandraSession

READ: Final = "SELECT side, n FROM faultline.halves WHERE side IN (0, 1)"


class BatchSession(CassandraSession):
    """`write` and `read` of pairs of rows, see `workloads.batch`."""

    tables = ("CREATE TABLE IF NOT EXISTS faultline.halves (side int, n int, PRIMARY KEY (side, n))",)
    probe = READ
    serial = "all"

    def done(self, op: Op) -> Op:
        if op.f == "read":
            sides: list[list[int]] = [[], []]
            for row in self.select(READ):
                sides[row["side"]].append(row["n"])
            return op.replace(type="ok", value=sides)
        assert op.f == "write", op.f
        number = int(op.value)
        inserts = "".join(f"INSERT INTO faultline.halves (side, n) VALUES ({side}, {number}); " for side in (0, 1))
        logged = self._options["batches"] == "logged"
        self.plain(f"BEGIN {'' if logged else 'UNLOGGED '}BATCH {inserts}APPLY BATCH", in_parts=not logged)
        return op.replace(type="ok")
