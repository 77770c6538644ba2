"""What each of Redis' error replies proves: that a command had no effect (`fail`), or nothing (`info`).

A reply's first word is its code. Redis runs commands one at a time and checks these conditions before it runs one
(processCommand in src/server.c), so that a refused command did nothing. Each session sends single commands and scripts
that write once, at their end: a script that was refused in its middle wrote nothing either.

A reply in no row is raised as hiredis' `ReplyError`: `info`, counted as unmapped.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import hiredis

from harness.target import DidNotHappen, Unknown


class Row(NamedTuple):
    """code: the reply's first word. happened: "no" → fail, "unknown" → info. lost: the session is of no use now."""

    code: str
    happened: str
    lost: bool
    reason: str


ERRORS: Final = (
    Row("READONLY", "no", True, "a replica refuses writes: the one that led when the session was opened does no more"),
    Row("LOADING", "no", False, "refused: the server still reads its data set"),
    Row("MASTERDOWN", "no", False, "refused: a replica that lost its primary, set not to serve stale data"),
    Row("NOREPLICAS", "no", False, "refused before it ran: fewer replicas than min-replicas-to-write"),
    Row("MISCONF", "no", False, "refused before it ran: the last snapshot or append to disk failed"),
    Row("OOM", "no", False, "refused before it ran: memory is used up"),
    Row("BUSY", "no", False, "refused: a script has been running for too long"),
    Row("UNBLOCKED", "unknown", True, "a blocked client was freed because the server became a replica"),
)


def row_of(error: hiredis.ReplyError) -> Row | None:
    """The table's row for a reply, None if there is none."""
    code = str(error).partition(" ")[0]
    return next((row for row in ERRORS if row.code == code), None)


def judged(error: hiredis.ReplyError) -> Exception:
    """What a session raises for an error reply: DidNotHappen, Unknown, or the error itself (unmapped)."""
    row = row_of(error)
    if row is None:
        return error
    if row.happened == "no":
        return DidNotHappen(str(error), lost=row.lost)
    return Unknown(str(error), lost=row.lost)
