"""What each of etcd's errors proves: that a request had no effect (`fail`), or nothing (`info`).

etcd answers an error of its JSON gateway as {"code": gRPC's code, "message": ...}. The message names the cause, and
every one here was looked up in the server's source (server/etcdserver/v3_server.go, api/v3rpc/rpctypes/error.go): what
matters is whether it can be raised after the proposal was handed to Raft. Requests that write nothing are `fail`
whatever the error (the interpreter sees to that), so the table speaks of writes.

An error that is in no row is raised as `GatewayError` itself: `info`, counted as unmapped.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from harness.target import DidNotHappen, Unknown


class GatewayError(Exception):
    """An error answer. code: gRPC's, -1 where the body had none. status: HTTP's."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{message} (gRPC code {code}, HTTP {status})")
        self.status, self.code, self.message = status, code, message


class Row(NamedTuple):
    """message: how the server's message begins. happened: "no" → fail, "unknown" → info. reason: why."""

    message: str
    happened: str
    reason: str


ERRORS: Final = (
    Row("etcdserver: request timed out", "unknown", "proposed, but not seen applied in time; may be applied later"),
    Row("etcdserver: leader changed", "unknown", "raised while waiting for the leader; a proposal may live on"),
    Row("etcdserver: server stopped", "unknown", "the server stopped while it waited for the proposal"),
    Row("raft: stopped", "unknown", "Raft stopped, perhaps after it took the proposal"),
    Row("context deadline exceeded", "unknown", "the request's own time was up, perhaps after it was proposed"),
    Row("context canceled", "unknown", "the request was abandoned, perhaps after it was proposed"),
    Row("stream terminated by RST_STREAM", "unknown", "the request's own time was up, seen inside the gateway"),
    Row("etcdserver: corrupt cluster", "unknown", "a corruption alarm; what this member refused another may hold"),
    Row("error reading from server", "unknown", "the gateway lost its own server after the request went out"),
    Row("transport is closing", "unknown", "the gateway lost its own server after the request went out"),
    Row("the connection is draining", "unknown", "the gateway lost its own server after the request went out"),
    Row("connection error", "unknown", "the gateway lost its own server"),
    Row("closing transport", "unknown", "the gateway lost its own server after the request went out"),
    Row("grpc: the client connection is closing", "unknown", "the gateway shuts down"),
    Row("etcdserver: no leader", "no", "refused before it was proposed"),
    Row("etcdserver: not leader", "no", "refused before it was proposed"),
    Row("raft proposal dropped", "no", "this member's own Raft refused the proposal: no leader, or a transfer"),
    Row("etcdserver: too many requests", "no", "refused before it was proposed: too far behind in applying"),
    Row("etcdserver: mvcc: database space exceeded", "no", "the quota is checked before the proposal and at apply"),
    Row("etcdserver: requested lease not found", "no", "said when it is applied: the lease had ended before"),
    Row("etcdserver: lease already exists", "no", "said when it is applied: a lease of that number was there before"),
    Row("etcdserver: mvcc: required revision has been compacted", "no", "of reads at a revision, and of compactions"),
    Row("etcdserver: mvcc: required revision is a future revision", "no", "of reads at a revision, and of compactions"),
    Row("etcdserver: unhealthy cluster", "no", "refused before it was proposed: a change of the membership"),
    Row("etcdserver: re-configuration failed", "no", "refused before it was proposed: a change of the membership"),
    Row("etcdserver: Peer URLs already exists", "no", "the membership has it already"),
    Row("etcdserver: member not found", "no", "the membership has it no more"),
    Row("etcdserver: request is too large", "no", "refused before it was proposed"),
    Row("etcdserver: duplicate key given in txn request", "no", "refused before it was proposed"),
    Row("etcdserver: too many operations in txn request", "no", "refused before it was proposed"),
    Row("etcdserver: key is not provided", "no", "refused before it was proposed"),
    Row("etcdserver: not capable", "no", "refused before it was proposed"),
    Row("etcdserver: rpc not supported for learner", "no", "refused before it was proposed"),
)


def row_of(error: GatewayError) -> Row | None:
    """The table's row for an error, None if there is none."""
    return next((row for row in ERRORS if error.message.startswith(row.message)), None)


def judged(error: GatewayError) -> Exception:
    """What a session raises for an error answer: DidNotHappen, Unknown, or the error itself (unmapped)."""
    row = row_of(error)
    if row is None:
        return error
    if row.happened == "no":
        return DidNotHappen(error.message)
    return Unknown(error.message, lost=False)
