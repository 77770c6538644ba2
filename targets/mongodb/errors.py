"""What an error of MongoDB proves: that a write had no effect (`fail`), or nothing (`info`).

Three things are told apart before a code is looked up:

    the request was not sent        no server could be chosen, no connection be had → fail
    the connection broke            after the request was sent: a timeout, an end of file → info, the session is lost
    a write concern error           the server did the write and then waited in vain, whatever the code → info

What is left are refusals, with a code. `ERRORS` says which prove that a single write had no effect: those that a
server raises before it writes, or whose write it has undone (a storage transaction that was aborted). The server's list
of codes warns that the "not primary" ones as a group say nothing about whether a write happened, and to look at each;
one that may also come from a write that was interrupted later proves nothing here.

In a transaction any known error before commitTransaction is `fail`: what was not committed has no effect. In answer to
commitTransaction the labels decide, in the server's own words (src/mongo/db/error_labels.cpp): one that is labelled
TransientTransactionError is a failure "with no persistent side effects". The driver labels what nobody knows
UnknownTransactionCommitResult.

A code in no row is `info` and counted as unmapped, also in a transaction, because it says that this table is wrong.
Codes: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
"""

from __future__ import annotations

from typing import Final, NamedTuple

import pymongo.errors as errors

from harness.target import DidNotHappen, Unknown
from targets.mongodb.driver import SecondConnection

TRANSIENT: Final = "TransientTransactionError"
UNKNOWN_COMMIT: Final = "UnknownTransactionCommitResult"


class Row(NamedTuple):
    """happened: for a single write, "no" → fail, "unknown" → info. lost: the session is of no use now."""

    code: int
    name: str
    happened: str
    lost: bool
    reason: str


ERRORS: Final = {
    row.code: row
    for row in (
        Row(10107, "NotWritablePrimary", "no", True, "refused: the server is no primary, or no more"),
        Row(13435, "NotPrimaryNoSecondaryOk", "no", True, "refused: a read for the primary came to a secondary"),
        Row(13436, "NotPrimaryOrSecondary", "no", True, "refused: the server is recovering or rolling back"),
        Row(11000, "DuplicateKey", "no", False, "refused: there is a document with this _id"),
        Row(112, "WriteConflict", "no", False, "another write came first; this one was aborted"),
        Row(24, "LockTimeout", "no", False, "a lock was not granted in time, before the write"),
        Row(46, "LockBusy", "no", False, "a lock was not granted, before the write"),
        Row(26, "NamespaceNotFound", "no", False, "refused: there is no such collection"),
        Row(94, "NotYetInitialized", "no", True, "refused: the replica set has no configuration yet"),
        Row(133, "FailedToSatisfyReadPreference", "no", True, "refused: no server fits the read preference"),
        Row(134, "ReadConcernMajorityNotAvailableYet", "no", False, "refused: no majority-committed snapshot yet"),
        Row(216, "ElectionInProgress", "no", True, "refused: an election is under way"),
        Row(225, "TransactionTooOld", "no", True, "refused: the session has begun a newer transaction"),
        Row(239, "SnapshotTooOld", "no", False, "the snapshot to read from is gone; nothing was written"),
        Row(246, "SnapshotUnavailable", "no", False, "there is no snapshot to read from; nothing was written"),
        Row(43, "CursorNotFound", "no", False, "the rest of a read is gone"),
        Row(175, "QueryPlanKilled", "no", False, "the read's collection or index went away"),
        Row(187, "LinearizableReadConcernError", "no", False, "a read could not be shown to be linearizable"),
        Row(211, "KeyNotFound", "no", False, "refused: the member has no key yet for the cluster time it was told"),
        Row(365, "TemporarilyUnavailable", "no", False, "the cache was too full; the write was aborted"),
        Row(251, "NoSuchTransaction", "no", False, "the transaction was aborted already"),
        Row(267, "PreparedTransactionInProgress", "no", False, "refused: a transaction is being committed"),
        Row(290, "TransactionExceededLifetimeLimitSeconds", "no", False, "the transaction was open too long, aborted"),
        Row(50, "MaxTimeMSExpired", "unknown", False, "out of time: it may have been waiting after the write"),
        Row(64, "WriteConcernTimeout", "unknown", False, "written here; not enough members had it in time"),
        Row(79, "UnknownReplWriteConcern", "unknown", False, "written here; no such write concern"),
        Row(91, "ShutdownInProgress", "unknown", True, "the server shuts down, before or after the write"),
        Row(100, "UnsatisfiableWriteConcern", "unknown", False, "written here; there are too few members"),
        Row(189, "PrimarySteppedDown", "unknown", True, "the primary stepped down, before or after the write"),
        Row(262, "ExceededTimeLimit", "unknown", False, "out of time, before or after the write"),
        Row(9001, "SocketException", "unknown", True, "a connection of the server's broke, before or after the write"),
        Row(237, "CursorKilled", "unknown", False, "interrupted, before or after the write"),
        Row(279, "ClientDisconnect", "unknown", True, "interrupted: the server saw the connection end"),
        Row(355, "InterruptedDueToStorageChange", "unknown", True, "interrupted: the storage changes"),
        Row(11600, "InterruptedAtShutdown", "unknown", True, "interrupted: the server shuts down"),
        Row(11601, "Interrupted", "unknown", False, "interrupted, before or after the write"),
        Row(11602, "InterruptedDueToReplStateChange", "unknown", True, "interrupted: the member changes its state"),
    )
}


def judged(error: BaseException) -> BaseException:
    """What a session raises for an error of a single write or read: DidNotHappen, Unknown, or the error (unmapped)."""
    known = _without_answer(error) or _write_concern(error)
    if known is not None:
        return known
    row = row_of(error)
    if row is None:
        return error
    text = f"{row.code} {row.name}: {row.reason}"
    return DidNotHappen(text, lost=row.lost) if row.happened == "no" else Unknown(text, lost=row.lost)


def before_commit(error: BaseException) -> BaseException:
    """The same for an error of a transaction that commitTransaction was not sent for: it has no effect, if known."""
    outcome = judged(error)
    return DidNotHappen(f"before commit: {outcome}", lost=outcome.lost) if isinstance(outcome, Unknown) else outcome


def at_commit(error: BaseException) -> BaseException:
    """The same for an error in answer to commitTransaction; where there is no answer, nobody knows."""
    silent = _without_answer(error)
    if silent is not None:
        return Unknown(f"commitTransaction: {silent}", lost=True)
    known = _write_concern(error)
    if known is not None:
        return known
    row = row_of(error)
    if row is None:
        return error
    text = f"{row.code} {row.name}, in answer to commitTransaction"
    labelled = isinstance(error, errors.PyMongoError) and error.has_error_label(TRANSIENT)
    unknown = isinstance(error, errors.PyMongoError) and error.has_error_label(UNKNOWN_COMMIT)
    if labelled and not unknown:
        return DidNotHappen(f"{text} ({TRANSIENT})", lost=row.lost)
    return Unknown(text, lost=row.lost)


def row_of(error: BaseException) -> Row | None:
    """The table's row for the code in a server's answer, None if there is none."""
    if isinstance(error, errors.NotPrimaryError):
        details = error.details if isinstance(error.details, dict) else {}
        return ERRORS.get(details.get("code", 10107))
    if isinstance(error, errors.OperationFailure) and error.code is not None:
        return ERRORS.get(error.code)
    return None


def _without_answer(error: BaseException) -> BaseException | None:
    """For what is not a server's answer; None for an answer, and for an error of another kind."""
    if isinstance(error, SecondConnection | errors.ServerSelectionTimeoutError | errors.WaitQueueTimeoutError):
        return DidNotHappen(f"not sent: {type(error).__name__}", lost=True)
    if isinstance(error, errors.NetworkTimeout):
        return Unknown("no answer in time")
    if isinstance(error, errors.ConnectionFailure) and not isinstance(error, errors.NotPrimaryError):
        return Unknown(f"connection lost: {type(error).__name__}")
    return None


def _write_concern(error: BaseException) -> BaseException | None:
    """For a write that was done and not confirmed as widely as was asked for."""
    if not isinstance(error, errors.WriteConcernError):
        return None
    row = ERRORS.get(error.code or 0)
    name, lost = (row.name, row.lost) if row else ("write concern error", False)
    return Unknown(f"{error.code} {name}: written, not confirmed", lost=lost)
