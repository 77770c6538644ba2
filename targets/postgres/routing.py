"""Which server a session talks to, where there are several.

A session through node n writes to the server on n itself if that one says it leads, else to the one that leads in the
highest timeline: every server is asked once, at opening, and the session stays with what it chose until it is lost.
That is what a program beside its database does; so while an old primary lives on beside a new one (`fence=no`), both
have clients. Nobody keeps a list of who leads, so nobody's list can be out of date.

With `reads=standby` what only reads goes to the server on n itself, whatever it is, over a second connection: for the
clients of all nodes but one that is a hot standby. So do local reads (`workloads.local_reads`), always; without
`reads=standby` over a connection that is made for the first of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import msgspec

from harness.nodes.base import Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext
from targets.postgres.connection import CannotConnect, Connection, ConnectionLost, ServerError
from targets.postgres.roles import role_of
from targets.postgres.transaction import LOCAL_READ, TransactionSession


def connect_to_primary(
    node: Node, nodes: Sequence[Node], connect: Callable[[Node], Connection]
) -> tuple[Node, Connection]:
    """The server for the writes of a client of `node`, and the connection that it answered on. Raises CannotConnect."""
    said: list[str] = []
    best: tuple[int, Node, Connection] | None = None
    for each in [node, *(other for other in nodes if other is not node)]:
        try:
            connection = connect(each)
        except CannotConnect as error:
            said.append(f"{each.name}: {error}")
            continue
        try:
            role = role_of(connection, each.name)
        except (ServerError, ConnectionLost) as error:
            connection.close()
            said.append(f"{each.name}: {error}")
            continue
        timeline = role.timeline or 0
        if not role.leads or (best is not None and timeline <= best[0]):
            connection.close()
            said.append(f"{each.name} is a standby")
            continue
        if best is not None:
            best[2].close()
        best = (timeline, each, connection)
        if each is node:
            break
    if best is None:
        raise CannotConnect(f"no server leads: {'; '.join(said)}"[:300])
    return best[1], best[2]


def for_standby(context: SessionContext) -> SessionContext:
    """A hot standby knows no SERIALIZABLE: its strictest level is REPEATABLE READ."""
    if context.options["isolation"] != "serializable":
        return context
    return msgspec.structs.replace(context, options={**context.options, "isolation": "repeatable-read"})


class RoutedSession:
    """Sessions of one kind as one. writes: with the primary, for all but reads if `reads` is given; that one, and the
    one that `open_own` makes, are with the node's own server. open_own raises CannotConnect.
    """

    def __init__(
        self, writes: TransactionSession, reads: TransactionSession | None, open_own: Callable[[], TransactionSession]
    ) -> None:
        self._writes, self._reads, self._own = writes, reads or writes, reads
        self._open_own = open_own
        self._lock = threading.Lock()
        self._closed = False

    def is_read(self, op: Op) -> bool:
        return self._writes.is_read(op)

    def invoke(self, op: Op) -> Op:
        if op.f == LOCAL_READ:
            return self._with_own_server().invoke(op)
        return (self._reads if self.is_read(op) else self._writes).invoke(op)

    def _with_own_server(self) -> TransactionSession:
        if self._own is None:
            try:
                own = self._open_own()
            except CannotConnect as error:
                raise DidNotHappen(f"the node's own server did not answer: {error}") from error
            with self._lock:
                self._own, closed = own, self._closed
            if closed:
                own.close()
        return self._own

    def close(self) -> None:
        """All of them, at once, from any thread."""
        with self._lock:
            self._closed = True
            sessions = [self._writes, self._reads, self._own]
        for session in sessions:
            if session is not None:
                session.close()
