"""Which server a session talks to, where there are several.

A session through node n writes to the server on n itself if that one says it leads, else to the one that leads in the
highest timeline: every server is asked once, at opening, and the session stays with what it chose until it is lost.
That is what a program beside its database does; so while an old primary lives on beside a new one (`fence=no`), both
have clients. Nobody keeps a list of who leads, so nobody's list can be out of date.

With `reads=standby` what only reads goes to the server on n itself, whatever it is, over a second connection: for the
clients of all nodes but one that is a hot standby.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from harness.nodes.base import Node
from harness.op import Op
from harness.target import SessionContext
from targets.postgres.connection import CannotConnect, Connection, ConnectionLost, ServerError
from targets.postgres.roles import role_of
from targets.postgres.transaction import TransactionSession


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


class SplitSession:
    """Two sessions of one kind as one: what only reads goes to the second."""

    def __init__(self, writes: TransactionSession, reads: TransactionSession) -> None:
        self._writes, self._reads = writes, reads

    def is_read(self, op: Op) -> bool:
        return self._writes.is_read(op)

    def invoke(self, op: Op) -> Op:
        return (self._reads if self.is_read(op) else self._writes).invoke(op)

    def close(self) -> None:
        """Both, at once, from any thread."""
        self._writes.close()
        self._reads.close()
