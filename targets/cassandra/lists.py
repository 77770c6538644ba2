"""How transactions on lists become CQL: a serial read, then one conditional batch on one partition.

One table, `lists (p int, k int, v list<int>, PRIMARY KEY (p, k))`. Lightweight transactions reach over the rows of one
partition and no further. So:

- With `max-ops=1` each list is a partition of its own, and a transaction one `UPDATE ... SET v = [1, 2, 3] ... IF v =
  [1, 2]`. (The final reads ask for many lists at once; they are read one after the other, when nobody writes any more.)
- Else all lists are rows of one partition. A transaction reads its lists by one SELECT at SERIAL, and writes by one
  batch whose conditions say that none of them has changed; for a list that it only read, `SET seen = 0`. All clients
  meet at that partition, so it is slow.

A transaction that only reads is the SELECT alone. With `writes` at a plain level there are no conditions, and nothing
is promised: `UPDATE ... SET v = v + [3]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.op import Op
from harness.target import DidNotHappen
from targets.cassandra.sessions import CassandraSession


class AppendSession(CassandraSession):
    """`txn` of `append` and `r`, see `workloads.append`."""

    tables = ("CREATE TABLE IF NOT EXISTS faultline.lists (p int, k int, v list<int>, seen int, PRIMARY KEY (p, k))",)
    probe = "SELECT v FROM faultline.lists WHERE p = -1"

    def is_read(self, op: Op) -> bool:
        return all(f == "r" for f, _, _ in op.value)

    def done(self, op: Op) -> Op:
        keys = sorted({int(key) for _, key, _ in op.value})
        reads_only = self.is_read(op)
        held = self._read(keys, reads_only)
        now = {key: list(held.get(key, ())) for key in keys}
        answer: list[list[Any]] = []
        for f, key, argument in op.value:
            if f == "append":
                now[key].append(argument)
            answer.append([f, key, list(now[key]) if f == "r" else argument])
        if not reads_only:
            self._context.between_statements()
            self._write(op, held, now)
        return op.replace(type="ok", value=answer)

    def _partition(self, key: int) -> int:
        return key if self._options["max-ops"] == 1 else 0

    def _read(self, keys: list[int], reads_only: bool) -> dict[int, list[int]]:
        read = self.select if reads_only else self.select_first
        if self._options["max-ops"] == 1:
            rows = [row for key in keys for row in read(f"SELECT k, v FROM faultline.lists WHERE p = {key}")]
        else:
            rows = read(f"SELECT k, v FROM faultline.lists WHERE p = 0 AND k IN ({_joined(keys)})")
        return {row["k"]: list(row["v"] or ()) for row in rows}

    def _write(self, op: Op, held: Mapping[int, list[int]], now: Mapping[int, list[int]]) -> None:
        statements = []
        for key, elements in now.items():
            old = held.get(key, [])
            where = f"WHERE p = {self._partition(key)} AND k = {key}"
            if self._by_paxos:
                change = "seen = 0" if elements == old else f"v = [{_joined(elements)}]"
                condition = f"v = [{_joined(old)}]" if old else "v = null"
                statements.append(f"UPDATE faultline.lists SET {change} {where} IF {condition}")
            elif elements != old:
                statements.append(f"UPDATE faultline.lists SET v = v + [{_joined(elements[len(old) :])}] {where}")
        statement = statements[0]
        if len(statements) > 1:
            statement = f"BEGIN BATCH {'; '.join(statements)}; APPLY BATCH"
        if not self._by_paxos:
            self.plain(statement)
        elif not self.conditional(statement)[0]:
            raise DidNotHappen("conflict: a list has changed since it was read")


def _joined(numbers: Iterable[int]) -> str:
    return ", ".join(str(int(number)) for number in numbers)
