"""What is promised at each isolation level, and what replication adds or takes, in the manuals' own words.

The level decides the model. What replication promises is about failover, which no consistency model has a word for: an
acknowledged write that is gone counts against every model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.target import Claim

MANUAL = "https://www.postgresql.org/docs/current"
LEVELS = f"{MANUAL}/transaction-iso.html"
PATRONI = "https://patroni.readthedocs.io/en/latest/replication_modes.html"

CLAIMS: dict[str, Claim] = {
    "serializable": Claim(
        model="serializable",
        words=(
            "The Serializable isolation level provides the strictest transaction isolation. This level emulates serial"
            " transaction execution for all committed transactions; as if transactions had been executed one after"
            " another, serially, rather than concurrently."
        ),
        link=f"{LEVELS}#XACT-SERIALIZABLE",
    ),
    "repeatable-read": Claim(
        model="snapshot-isolation",
        words=(
            "The Repeatable Read isolation level is implemented using a technique known in academic database literature"
            " and in some other database products as Snapshot Isolation."
        ),
        link=f"{LEVELS}#XACT-REPEATABLE-READ",
    ),
    "read-committed": Claim(
        model="read-committed",
        words=(
            "When a transaction uses this isolation level, a SELECT query (without a FOR UPDATE/SHARE clause) sees only"
            " data committed before the query began; it never sees either uncommitted data or changes committed by"
            " concurrent transactions during the query's execution."
        ),
        link=f"{LEVELS}#XACT-READ-COMMITTED",
    ),
}

READ_THEN_WRITE = Claim(
    model=None,
    words=(
        "Nothing is promised for a value that a client reads and writes back at Read Committed: what others wrote in"
        " between is lost. The manual: this level's partial isolation is adequate for many applications; however, it is"
        " not sufficient for all cases."
    ),
    link=f"{LEVELS}#XACT-READ-COMMITTED",
)
"""An append, add or transfer made so is no single step at this level: a verdict about it would not be one about the
database."""

STANDBY_MODELS = {"serializable": "snapshot-isolation", "repeatable-read": "snapshot-isolation"}
"""Isolation → what holds where reads go to hot standbys, which know no SERIALIZABLE."""
STANDBY_READS = (
    "A Repeatable Read transaction run on the standby can sometimes see a transient state that is inconsistent with any"
    " serial execution of the transactions on the primary.",
    f"{MANUAL}/mvcc-caveats.html",
)

FAILOVER: dict[tuple[str, str], tuple[str, str]] = {
    ("replicated", "off"): (
        "The isolation level's promise holds as long as nobody fails over. PostgreSQL streaming replication is"
        " asynchronous by default. If the primary server crashes then some transactions that were committed may not"
        " have been replicated to the standby server, causing data loss.",
        f"{MANUAL}/warm-standby.html#SYNCHRONOUS-REPLICATION",
    ),
    ("replicated", "on"): (
        "The isolation level's promise, and: when requesting synchronous replication, each commit of a write"
        " transaction will wait until confirmation is received that the commit has been written to the write-ahead log"
        " on disk of both the primary and standby server.",
        f"{MANUAL}/warm-standby.html#SYNCHRONOUS-REPLICATION",
    ),
    ("replicated", "quorum"): (
        "The isolation level's promise, and: the method ANY specifies a quorum-based synchronous replication and makes"
        " transaction commits wait until their WAL records are replicated to at least the requested number of"
        " synchronous standbys in the list.",
        f"{MANUAL}/warm-standby.html#SYNCHRONOUS-REPLICATION-MULTIPLE-STANDBYS",
    ),
    ("patroni", "off"): (
        "The isolation level's promise holds as long as nobody fails over. Patroni: in asynchronous mode the cluster is"
        " allowed to lose some committed transactions to ensure availability.",
        f"{PATRONI}#asynchronous-mode-durability",
    ),
    ("patroni", "on"): (
        "The isolation level's promise, and: when synchronous_mode is turned on Patroni will not promote a standby"
        " unless it is certain that the standby contains all transactions that may have returned a successful commit"
        " status to client.",
        f"{PATRONI}#synchronous-mode",
    ),
    ("patroni", "quorum"): (
        "The isolation level's promise, and: a standby is promoted only if enough of the servers that acknowledge"
        " commits can be reached to find one that has them all (Patroni's quorum commit mode).",
        f"{PATRONI}#quorum-commit-mode",
    ),
    ("patroni", "strict"): (
        "As synchronous_mode, and the primary takes no writes when no synchronous standby is available:"
        " synchronous_mode_strict.",
        f"{PATRONI}#synchronous-mode",
    ),
}
"""(topology, sync) → what is promised, and where."""


def claim(workload: str, options: Mapping[str, Any]) -> Claim:
    """What holds for the workload at these options of the target."""
    isolation = options["isolation"]
    read_then_write = {
        "append": options["append"] == "read-write" and options["lock"] == "none",
        "counter": options["add"] == "read-write",
        "bank": True,
    }
    if isolation == "read-committed" and read_then_write.get(workload, False):
        return READ_THEN_WRITE
    level = CLAIMS[isolation]
    failover = FAILOVER.get((options["topology"], options["sync"]))
    if failover is None:
        return level
    if options["reads"] == "standby":
        words, link = STANDBY_READS
        return Claim(STANDBY_MODELS.get(isolation, level.model), words, link)
    words, link = failover
    return Claim(level.model, words, link)
