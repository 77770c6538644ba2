"""What an error of PostgreSQL proves: the table from SQLSTATE to `fail` or `info`, with the reason.

Before COMMIT is sent a transaction certainly has no effect, whatever goes wrong: an error aborts it, and so does the
end of its connection. Once COMMIT was sent, only an error that can arise before the commit record is written proves
that it was rolled back; PostgreSQL reports serialization failures, deadlocks and deferred constraints so, and nothing
can raise an ERROR after that record. What merely ends the session (a shutdown, a crash, a cancel that may meet a wait
for a standby) proves nothing.

A code that is not in the table is no proof even before COMMIT: it is `info`, and counted as unmapped, because it says
that this table or a session is wrong. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.target import DidNotHappen, Unknown
from targets.postgres.connection import ConnectionLost, ServerError


class Meaning(msgspec.Struct, frozen=True):
    """reason: for readers of a history. at_commit: what it proves in answer to COMMIT (before it: always `fail`)."""

    reason: str
    at_commit: Literal["fail", "info"]


ERRORS: dict[str, Meaning] = {
    "40001": Meaning("serialization failure", "fail"),
    "40P01": Meaning("deadlock detected", "fail"),
    "23505": Meaning("unique violation", "fail"),
    "25P02": Meaning("the transaction was aborted already", "fail"),
    "53200": Meaning("out of shared memory (predicate locks or conflicts)", "fail"),
    "55P03": Meaning("lock timeout", "fail"),
    "57014": Meaning("canceled: statement timeout, or a user's request", "info"),
    "25P03": Meaning("idle in transaction for too long", "info"),
    "25006": Meaning("the server is read-only", "fail"),
    "53300": Meaning("too many connections", "info"),
    "57P01": Meaning("terminated by an administrator, or the server shuts down", "info"),
    "57P02": Meaning("another backend crashed, the server restarts", "info"),
    "57P03": Meaning("the server is starting up or shutting down", "info"),
    "57P05": Meaning("idle session timeout", "info"),
}


NO_PRIMARY = "25006"
"""The code of a server that is no primary (any more): the session has to look for another one."""


def before_commit(error: ServerError | ConnectionLost) -> Exception:
    """What a session raises for an error before it sent COMMIT; the error itself when the table does not have it."""
    if isinstance(error, ConnectionLost):
        return DidNotHappen(f"connection lost before COMMIT: {error}", lost=True)
    meaning = ERRORS.get(error.sqlstate)
    if meaning is None:
        return error
    return DidNotHappen(f"{error.sqlstate} {meaning.reason}", lost=error.lost or error.sqlstate == NO_PRIMARY)


def at_commit(error: ServerError | ConnectionLost) -> Exception:
    """What a session raises for an error in answer to COMMIT; the error itself when the table does not have it."""
    if isinstance(error, ConnectionLost):
        return Unknown(f"connection lost in COMMIT: {error}", lost=True)
    meaning = ERRORS.get(error.sqlstate)
    if meaning is None:
        return error
    if meaning.at_commit == "fail":
        return DidNotHappen(f"{error.sqlstate} {meaning.reason}", lost=error.lost)
    return Unknown(f"{error.sqlstate} {meaning.reason}, in answer to COMMIT", lost=True)
