"""What PostgreSQL's manual promises at each isolation level, in its own words (chapter 13.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.target import Claim

MANUAL = "https://www.postgresql.org/docs/current/transaction-iso.html"

CLAIMS: dict[str, Claim] = {
    "serializable": Claim(
        model="serializable",
        words=(
            "The Serializable isolation level provides the strictest transaction isolation. This level emulates serial"
            " transaction execution for all committed transactions; as if transactions had been executed one after"
            " another, serially, rather than concurrently."
        ),
        link=f"{MANUAL}#XACT-SERIALIZABLE",
    ),
    "repeatable-read": Claim(
        model="snapshot-isolation",
        words=(
            "The Repeatable Read isolation level is implemented using a technique known in academic database literature"
            " and in some other database products as Snapshot Isolation."
        ),
        link=f"{MANUAL}#XACT-REPEATABLE-READ",
    ),
    "read-committed": Claim(
        model="read-committed",
        words=(
            "When a transaction uses this isolation level, a SELECT query (without a FOR UPDATE/SHARE clause) sees only"
            " data committed before the query began; it never sees either uncommitted data or changes committed by"
            " concurrent transactions during the query's execution."
        ),
        link=f"{MANUAL}#XACT-READ-COMMITTED",
    ),
}

READ_THEN_WRITE = Claim(
    model=None,
    words=(
        "Nothing is promised for a value that a client reads and writes back at Read Committed: what others wrote in"
        " between is lost. The manual: this level's partial isolation is adequate for many applications; however, it is"
        " not sufficient for all cases."
    ),
    link=f"{MANUAL}#XACT-READ-COMMITTED",
)
"""An append, add or transfer made so is no single step at this level: a verdict about it would not be one about the
database."""


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
    return CLAIMS[isolation]
