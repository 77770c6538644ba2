"""How view ops become CQL: rows of `base (k int PRIMARY KEY, v int)`, and a materialized view of them by `v`.

    write [k, v]   UPDATE base SET v = v WHERE k = k
    read           SELECT k, v of the base, then of the view

Each replica of the base keeps its own part of the view up to date, beside the write that the client waits for. Views
are off by default since Cassandra 4.0, where they count as experimental; the target switches them on.
"""

from __future__ import annotations

from harness.op import Op
from targets.cassandra.sessions import CassandraSession

READS = ("SELECT k, v FROM faultline.base", "SELECT k, v FROM faultline.base_by_v")


class ViewSession(CassandraSession):
    """`write` and `read` of rows and their view, see `workloads.view`."""

    tables = (
        "CREATE TABLE IF NOT EXISTS faultline.base (k int PRIMARY KEY, v int)",
        "CREATE MATERIALIZED VIEW IF NOT EXISTS faultline.base_by_v AS SELECT v, k FROM faultline.base"
        " WHERE v IS NOT NULL AND k IS NOT NULL PRIMARY KEY (v, k)",
    )
    probe = READS[1]
    serial = "all"

    def done(self, op: Op) -> Op:
        if op.f == "read":
            sides = [sorted([row["k"], row["v"]] for row in self.select(statement)) for statement in READS]
            return op.replace(type="ok", value=sides)
        assert op.f == "write", op.f
        key, value = (int(part) for part in op.value)
        self.plain("UPDATE faultline.base SET v = ? WHERE k = ?", [value, key])
        return op.replace(type="ok")
