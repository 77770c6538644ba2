"""How register ops become CQL, by the options `writes`, `reads`, `cas` and `timestamps`.

One table, `registers (k int PRIMARY KEY, v int)`; a register that was never written has no row.

    read                     SELECT v ... at the level of `reads`; local-read: at ONE
    write, writes=lwt        UPDATE ... SET v = ? WHERE k = ? IF v != -1
    write, writes=quorum...  UPDATE ... SET v = ? WHERE k = ?
    cas, cas=lwt             UPDATE ... SET v = ? WHERE k = ? IF v = ?
    cas, cas=read-write      SELECT at QUORUM, check in the client, UPDATE at QUORUM

A plain write does not go through Paxos and mixes badly with one that does, so the blind write has a condition too: -1
is no register's value, and a missing row meets `v != -1` as well. Lightweight transactions commit at QUORUM.
"""

from __future__ import annotations

from typing import Final

from cassandra import ConsistencyLevel

from harness.op import Op
from harness.target import DidNotHappen
from targets.cassandra.sessions import LOCAL_READ, CassandraSession

READ: Final = "SELECT v FROM faultline.registers WHERE k = ?"
WRITE: Final = "UPDATE faultline.registers SET v = ? WHERE k = ?"
WRITE_BY_LWT: Final = "UPDATE faultline.registers SET v = ? WHERE k = ? IF v != -1"
CAS: Final = "UPDATE faultline.registers SET v = ? WHERE k = ? IF v = ?"


class RegisterSession(CassandraSession):
    """`read`, `write` and `cas` of one register, see `workloads.register`."""

    tables = ("CREATE TABLE IF NOT EXISTS faultline.registers (k int PRIMARY KEY, v int)",)
    local_reads = True
    probe = "SELECT v FROM faultline.registers WHERE k = -1"

    def done(self, op: Op) -> Op:
        key, value = op.value
        if op.f in ("read", LOCAL_READ):
            rows = self.select(READ, [key], f=op.f)
            return op.replace(type="ok", value=[key, rows[0]["v"] if rows else None])
        if op.f == "write":
            if self._by_paxos:
                self._compare_and_set(WRITE_BY_LWT, value, key)
            else:
                self.plain(WRITE, [value, key])
            return op.replace(type="ok")
        assert op.f == "cas", op.f
        old, new = value
        if self._options["cas"] == "lwt":
            self._compare_and_set(CAS, new, key, old)
        else:
            self._read_check_write(key, old, new)
        return op.replace(type="ok")

    def _compare_and_set(self, statement: str, *values: int | None) -> None:
        applied, row = self.conditional(statement, values)
        if not applied:
            raise DidNotHappen(f"compare failed: it held {row.get('v')}")

    def _read_check_write(self, key: int, old: int | None, new: int) -> None:
        rows = self.select_first(READ, [key], level=ConsistencyLevel.QUORUM)
        held = rows[0]["v"] if rows else None
        if held != old:
            raise DidNotHappen(f"compare failed: it held {held}")
        self._context.between_statements()
        self.plain(WRITE, [new, key], level=ConsistencyLevel.QUORUM)
