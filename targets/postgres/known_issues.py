"""Misbehaviours of PostgreSQL that are known. A hit on one is named in the report, and still invalid."""

from __future__ import annotations

from harness.target import KnownIssue

WRITE_SKEW = ("write-skew", "G2-item", "G2-item-realtime", "G2-item-process", "G2", "G2-realtime", "G2-process")
LOST = ("lost-write", "not-durable", "lost-update", "lost-element")
FORKS = (
    "long-fork",
    "G-nonadjacent",
    "G-nonadjacent-item",
    "G-nonadjacent-realtime",
    "G-nonadjacent-item-realtime",
    "G-nonadjacent-process",
    "G-nonadjacent-item-process",
)

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
        name="serializable: two commits that pass each other",
        sentence=(
            "A commit becomes visible before it counts as committed for conflicts between SERIALIZABLE transactions,"
            " and gives back its locks in between. If another one that has read what it changed passes it meanwhile, a"
            " third that sees only the first can commit a cycle. Rare, but for transactions that hold many locks. Seen"
            " on 16.14, 17.11, 18.4 and 18.6; no fix is known."
        ),
        link=(
            "https://github.com/postgres/postgres/blob/d1c0f81e72738bcd1b5abc86be7f5a90d659f7bc"
            "/src/backend/access/transam/xact.c"
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
    KnownIssue(
        name="serializable: a conflict is lost when a row is inserted and updated in one transaction",
        sentence=(
            "Up to 12.3 a SERIALIZABLE transaction's read could miss a conflict with a row that a concurrent"
            " transaction had inserted and then updated: write skew without any fault. Found by Jepsen, fixed in June"
            " 2020 in all releases."
        ),
        link="https://jepsen.io/analyses/postgresql-12.3",
        versions=(("9.1", "9.5.23"), ("9.6", "9.6.19"), ("10", "10.14"), ("11", "11.9"), ("12", "12.4")),
        workloads=("append", "rw-register"),
        anomalies=WRITE_SKEW[1:],
        options={"isolation": "serializable"},
    ),
    KnownIssue(
        name="a standby sees commits in another order than its primary",
        sentence=(
            "On the primary a commit becomes visible when its backend says so, on a standby in the order of the log."
            " Two readers, one on each, can disagree on which of two writes came first (long fork): snapshot isolation"
            " holds on each server, not across them. Known since 2013, seen by Jepsen on 13.15 to 17.4, by us on 18.6."
        ),
        link="https://jepsen.io/analyses/amazon-rds-for-postgresql-17.4",
        versions=(("9.0", ""),),
        anomalies=FORKS,
        options={"reads": "standby"},
    ),
    KnownIssue(
        name="a commit whose wait for a standby is cancelled can be lost",
        sentence=(
            "A client that cancels a COMMIT while it waits for a synchronous standby gets COMMIT with a WARNING: the"
            " transaction is committed here and visible, and gone when a standby without it is promoted. By design:"
            " the warning has to be read."
        ),
        link="https://paquier.xyz/postgresql-2/track-commit-synchronous",
        versions=(("9.1", ""),),
        anomalies=LOST,
        needs=("failover",),
        options={"commit_warnings": "ok"},
    ),
    KnownIssue(
        name="asynchronous replication loses acknowledged commits in a failover",
        sentence=(
            "With asynchronous replication a commit is acknowledged before any standby has it; what no standby had when"
            " one is promoted is lost. By design: synchronous_standby_names is for those who need more."
        ),
        link="https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION",
        versions=(("9.0", ""),),
        anomalies=LOST,
        needs=("failover",),
        options={"sync": "off", "fence": "yes"},
    ),
    KnownIssue(
        name="Patroni in asynchronous mode loses acknowledged commits when another server takes over",
        sentence=(
            "Without synchronous_mode a commit is acknowledged before any standby has it: what a primary acknowledges"
            " while it is cut off, just before it is killed, or after a pause until it learns that another leads, is"
            " lost when Patroni promotes a standby without it. By design: synchronous_mode is for those who need more."
        ),
        link="https://patroni.readthedocs.io/en/latest/replication_modes.html#asynchronous-mode-durability",
        versions=(("9.3", ""),),
        anomalies=LOST,
        needs_one_of=("partition", "kill", "pause"),
        options={"topology": "patroni", "sync": "off"},
    ),
    KnownIssue(
        name="an old primary that is not fenced goes on",
        sentence=(
            "A standby that is promoted does not end the old primary, and the old primary is not told: until somebody"
            " ends it, both acknowledge writes, and those of one are lost. By design: an operator, or what fails over,"
            " has to fence it."
        ),
        link="https://www.postgresql.org/docs/current/warm-standby-failover.html",
        versions=(("9.0", ""),),
        anomalies=(*LOST, *FORKS, "split-brain", "stale-read", "incompatible-order"),
        needs=("failover",),
        options={"fence": "no"},
    ),
    KnownIssue(
        name="CREATE INDEX and REINDEX CONCURRENTLY leave rows out of the index",
        sentence=(
            "In 14.0 to 14.3 VACUUM could remove row versions that a concurrent index build still needed; the index"
            " then lacks rows, and what is read through it is not all there is."
        ),
        link="https://www.postgresql.org/docs/release/14.4/",
        versions=(("14.0", "14.4"),),
        needs=("reindex",),
    ),
)
