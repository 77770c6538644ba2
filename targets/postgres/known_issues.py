"""Misbehaviours of PostgreSQL that are known. A hit on one is named in the report, and still invalid."""

from __future__ import annotations

from harness.target import KnownIssue

WRITE_SKEW = ("write-skew", "G2-item", "G2-item-realtime", "G2-item-process", "G2", "G2-realtime", "G2-process")

KNOWN_ISSUES: tuple[KnownIssue, ...] = (
    KnownIssue(
        name="serializable: conflicts with summarized transactions are missed",
        sentence=(
            "A SERIALIZABLE transaction that stays open while some 1,350 others commit"
            " (10 x (max_connections + worker and sender slots) with default settings) can commit a write skew:"
            " the server then keeps only a summary of committed transactions, and what a summarized one has read"
            " no longer conflicts with a later write. Seen on 15.20, 16.14, 18.4 and 18.6; no fix is known."
            " A larger max_connections moves the limit."
        ),
        link=(
            "https://github.com/postgres/postgres/blob/d1c0f81e72738bcd1b5abc86be7f5a90d659f7bc"
            "/src/backend/storage/lmgr/predicate.c"
        ),
        versions=(("9.1", ""),),
        workloads=("append", "write-skew"),
        anomalies=WRITE_SKEW,
        options={"isolation": "serializable"},
    ),
    KnownIssue(
        name="serializable: G2-item with INSERT ... ON CONFLICT",
        sentence=(
            "Two SERIALIZABLE transactions that each insert a key which the other looked up and did not find can both"
            " commit (rarely: a few in a million). Reported upstream in 2026 for 18.4."
        ),
        link="https://hackorum.dev/topics/139733",
        versions=(("18.4", ""),),
        workloads=("append",),
        anomalies=WRITE_SKEW[1:],
        options={"isolation": "serializable", "append": "concat", "rows": "insert"},
    ),
)
