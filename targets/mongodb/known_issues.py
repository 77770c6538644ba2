"""Misbehaviours of MongoDB that are known. A hit on one is named in the report, and still invalid."""

from __future__ import annotations

from harness.target import KnownIssue

KNOWN_ISSUES: tuple[KnownIssue, ...] = (
    KnownIssue(
        name="SERVER-48307: transactions that are retried break snapshot isolation",
        sentence=(
            "At the strongest read and write concerns, transactions showed read skew, cyclic information flow, writes"
            " that happened twice and reads of their own future, when parts of them were sent again (Jepsen, 2020)."
            " Fixed in 4.2.8."
        ),
        link="https://jepsen.io/analyses/mongodb-4.2.6",
        versions=(("4.2", "4.2.8"),),
        workloads=("append", "bank"),
        options={"transactions": "on"},
    ),
    KnownIssue(
        name="read concern snapshot without write concern majority",
        sentence=(
            "A transaction with read concern snapshot that does not commit with write concern majority may have read"
            " what is rolled back later, also when it only reads. MongoDB documents it; Jepsen showed it on 4.2.6."
        ),
        link="https://jepsen.io/analyses/mongodb-4.2.6",
        versions=(("4.0", ""),),
        workloads=("append", "bank"),
        options={"transactions": "on", "write_concern": "1"},
    ),
    KnownIssue(
        name="write concern 1: acknowledged writes are rolled back",
        sentence=(
            "A primary that is cut off goes on acknowledging writes with write concern 1 until it learns that another"
            " was elected; it rolls them back when it comes home. MongoDB documents it."
        ),
        link="https://www.mongodb.com/docs/manual/core/replica-set-rollbacks/",
        versions=(("2.0", ""),),
        workloads=("register", "set", "set-final", "counter", "causal"),
        options={"write_concern": "1"},
    ),
    KnownIssue(
        name="read concern local: reads of writes that are rolled back",
        sentence=(
            "Read concern local, MongoDB's default, returns writes that no majority has yet, from a primary that may be"
            " deposed already; they may be rolled back. MongoDB documents it."
        ),
        link="https://www.mongodb.com/docs/manual/reference/read-concern-local/",
        versions=(("3.2", ""),),
        workloads=("register", "set", "counter", "causal"),
        anomalies=("stale-read", "dirty-read", "aborted-read", "lost-write"),
        options={"read_concern": "local"},
    ),
)
