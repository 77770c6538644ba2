"""What each of Cassandra's errors proves: that a request had no effect (`fail`), or nothing (`info`).

The codes are those of the native protocol. What matters is whether an error can be raised after the write, or the
Paxos proposal, went out to a replica; each row was looked up in the server's source (service/StorageProxy.java of 5.0).
Requests that write nothing are `fail` whatever the error, so the table speaks of writes.

Unavailable is three errors. Before Paxos, before a plain write, and for all rows of a logged batch before any of them,
the coordinator counts the live replicas and refuses. But a lightweight transaction counts them again, at the *commit's*
consistency level, after its proposal was accepted: such a write will be finished by whoever comes next. The level in
the error tells them apart. And an unlogged batch counts for each partition when its turn comes: others may be written.

A write timeout says what was being written, and every kind of it is unknown. Even that of the batch log: one of the
two nodes that it was sent to may have stored it, and will play the batch.

An error that is in no row is raised as it is: `info`, counted as unmapped.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cassandra import ConsistencyLevel, WriteType
from cassandra.protocol import ErrorMessage

from harness.target import DidNotHappen, Unknown

SERIAL_LEVELS: Final = (ConsistencyLevel.SERIAL, ConsistencyLevel.LOCAL_SERIAL)


class Refused(DidNotHappen):
    """Too few replicas for the moment: asking again at once gets the same answer."""


class Row(NamedTuple):
    """happened: "no" → fail, "unknown" → info. reason: why."""

    name: str
    happened: str
    reason: str


UNAVAILABLE: Final = 0x1000
UNAVAILABLE_BEFORE: Final = Row("unavailable", "no", "too few replicas alive; refused before anything was sent")
UNAVAILABLE_AT_COMMIT: Final = Row(
    "unavailable at commit", "unknown", "too few replicas, perhaps after it was accepted"
)
UNAVAILABLE_IN_PARTS: Final = Row(
    "unavailable in an unlogged batch", "unknown", "too few replicas for one partition; others may be written"
)

WRITE_TIMEOUT: Final = 0x1100
WRITE_TIMEOUTS: Final = {
    WriteType.SIMPLE: "sent; too few replicas answered in time",
    WriteType.BATCH: "in the batch log; it will be played until it is done",
    WriteType.UNLOGGED_BATCH: "sent; some rows may be written, some not",
    WriteType.COUNTER: "the leader may have counted it",
    WriteType.BATCH_LOG: "a node that did store the batch log plays it",
    WriteType.CAS: "proposed; another round may finish it",
    WriteType.VIEW: "a replica could not lock the view's row in time; others may have the write",
    WriteType.CDC: "sent; some replicas may have it",
}
"""What was being written → why nobody knows what became of it."""

ERRORS: Final = {
    0x1001: Row("overloaded", "unknown", "can come after some replicas were sent the write"),
    0x1002: Row("bootstrapping", "unknown", "raised by the read inside a lightweight transaction, in any round"),
    WRITE_TIMEOUT: Row("write timeout", "unknown", "sent, or about to be; see WRITE_TIMEOUTS"),
    0x1200: Row("read timeout", "unknown", "raised by the read inside a lightweight transaction, in any round"),
    0x1300: Row("read failure", "unknown", "raised by the read inside a lightweight transaction, in any round"),
    0x1500: Row("write failure", "unknown", "sent; some replicas failed, others may have it"),
    0x1700: Row("CAS result unknown", "unknown", "accepted by some replicas only; another round may finish it"),
    0x2000: Row("syntax error", "no", "refused before it was executed"),
    0x2100: Row("unauthorized", "no", "refused before it was executed"),
    0x2200: Row("invalid request", "no", "refused before it was executed"),
}


def row_of(error: ErrorMessage, *, conditional: bool, in_parts: bool = False) -> Row | None:
    """The table's row for an error, None if there is none. conditional: it was a lightweight transaction.

    in_parts: it was an unlogged batch over several partitions.
    """
    if error.code == UNAVAILABLE:
        if in_parts:
            return UNAVAILABLE_IN_PARTS
        late = conditional and error.info["consistency"] not in SERIAL_LEVELS
        return UNAVAILABLE_AT_COMMIT if late else UNAVAILABLE_BEFORE
    return ERRORS.get(error.code)


def judged(error: ErrorMessage, *, conditional: bool, in_parts: bool = False) -> Exception:
    """What a session raises for an error answer: DidNotHappen (or Refused), Unknown, or the error itself (unmapped)."""
    row = row_of(error, conditional=conditional, in_parts=in_parts)
    if row is None:
        return error
    text = f"{row.name}: {error.message}"
    if error.code == WRITE_TIMEOUT and isinstance(error.info, dict):
        text += f" ({WRITE_TIMEOUTS.get(error.info.get('write_type'), row.reason)})"
    if row is UNAVAILABLE_BEFORE:
        return Refused(text)
    return DidNotHappen(text) if row.happened == "no" else Unknown(text, lost=False)
