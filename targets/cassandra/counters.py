"""How counter ops become CQL: one row of `counters (k int PRIMARY KEY, v counter)`.

    add n    UPDATE ... SET v = v + n
    read     SELECT v; no row is 0

A counter's add is no idempotent write: the node that leads it reads, adds and writes. Sent again after a timeout it may
be counted twice; with `retries=once` the session does what careless clients do, and sends it again.
"""

from __future__ import annotations

from typing import Final

from harness.op import Op
from harness.target import Unknown
from targets.cassandra.sessions import CassandraSession

READ: Final = "SELECT v FROM faultline.counters WHERE k = 0"


class CounterSession(CassandraSession):
    """`add` and `read` of one counter, see `workloads.counter`."""

    tables = ("CREATE TABLE IF NOT EXISTS faultline.counters (k int PRIMARY KEY, v counter)",)
    probe = "SELECT v FROM faultline.counters WHERE k = -1"
    serial = "quorum"

    def done(self, op: Op) -> Op:
        if op.f == "read":
            rows = self.select(READ)
            return op.replace(type="ok", value=rows[0]["v"] if rows else 0)
        assert op.f == "add", op.f
        statement = f"UPDATE faultline.counters SET v = v + {int(op.value)} WHERE k = 0"
        try:
            self._add(statement)
        except Unknown as error:
            if error.lost or self._options["retries"] == "none":
                raise
            self._again(statement)
        return op.replace(type="ok")

    def _add(self, statement: str) -> None:
        """Counters have timestamps of their own, none of a client's."""
        self._connection.query(statement, level=self._write_level)

    def _again(self, statement: str) -> None:
        """The second try; whatever comes of it, the first may have been counted."""
        try:
            self._add(statement)
        except Unknown:
            raise
        except Exception as error:
            raise Unknown(f"sent twice; the second time: {error}", lost=False) from error
