"""How set ops become CQL, by the options `elements`, `writes` and `reads`.

    elements=rows     elements (s int, e int, PRIMARY KEY (s, e)): one partition, a row for each element
                      INSERT ..., with writes=lwt IF NOT EXISTS
    elements=column   collections (k int PRIMARY KEY, v set<int>): one row
                      UPDATE ... SET v = v + {e}, with writes=lwt IF mark = null, a column that stays empty

An element is added once and by one client. So a transaction that finds it there already is a contradiction, which
proves nothing about who put it there: unknown.
"""

from __future__ import annotations

from typing import Final

from harness.op import Op
from harness.target import Unknown
from targets.cassandra.sessions import LOCAL_READ, CassandraSession

READ_ROWS: Final = "SELECT e FROM faultline.elements WHERE s = 0"
READ_COLUMN: Final = "SELECT v FROM faultline.collections WHERE k = 0"


class SetSession(CassandraSession):
    """`add` and `read` of one set, see `workloads.set`."""

    tables = (
        "CREATE TABLE IF NOT EXISTS faultline.elements (s int, e int, PRIMARY KEY (s, e))",
        "CREATE TABLE IF NOT EXISTS faultline.collections (k int PRIMARY KEY, v set<int>, mark int)",
    )
    local_reads = True
    probe = "SELECT e FROM faultline.elements WHERE s = -1"

    def done(self, op: Op) -> Op:
        in_rows = self._options["elements"] == "rows"
        if op.f in ("read", LOCAL_READ):
            rows = self.select(READ_ROWS if in_rows else READ_COLUMN, f=op.f)
            found = [row["e"] for row in rows] if in_rows else [e for row in rows for e in row["v"] or ()]
            return op.replace(type="ok", value=found)
        assert op.f == "add", op.f
        statement, condition = _add(int(op.value), in_rows)
        if not self._by_paxos:
            self.plain(statement)
        elif not self.conditional(f"{statement} {condition}")[0]:
            raise Unknown("it was there already, though it was sent once", lost=False)
        return op.replace(type="ok")


def _add(element: int, in_rows: bool) -> tuple[str, str]:
    """(statement, the condition that always holds)."""
    if in_rows:
        return f"INSERT INTO faultline.elements (s, e) VALUES (0, {element})", "IF NOT EXISTS"
    return f"UPDATE faultline.collections SET v = v + {{{element}}} WHERE k = 0", "IF mark = null"
