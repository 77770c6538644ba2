"""What each server says of itself: whether it leads, in which timeline, how far its log reaches, whom it follows.

Every server is asked over a connection of its own, all at once, and none for longer than a second: one that is stopped
accepts connections and never answers. Half a question has no meaning here, so each answer is one statement's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import msgspec

from harness.nodes.base import Node
from targets.postgres.connection import CannotConnect, Connection, ConnectionLost, ServerError

LIMIT_S = 1.0
"""How long a server may take to say who it is."""

WHO = """
SELECT pg_is_in_recovery(),
  CASE WHEN pg_is_in_recovery() THEN NULL
       ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
  CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'
       ELSE pg_current_wal_lsn() - '0/0' END,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0' ELSE pg_current_wal_lsn() - '0/0' END,
  (SELECT sender_host FROM pg_stat_wal_receiver WHERE status = 'streaming')
"""


class Role(msgspec.Struct, frozen=True):
    """One server's own word, at one moment.

    timeline: of a server that leads, None of a standby. received, replayed: bytes of the log that it has (written or
    received), and that its queries see. follows: the address that a standby streams from, None while it does not.
    """

    name: str
    leads: bool
    timeline: int | None
    received: int
    replayed: int
    follows: str | None


@contextmanager
def bounded(connection: Connection, limit_s: float) -> Iterator[Connection]:
    """Shut the connection if what is done inside takes longer: it ends as ConnectionLost then."""
    timer = threading.Timer(limit_s, connection.close)
    timer.daemon = True
    timer.start()
    try:
        yield connection
    finally:
        timer.cancel()


def role_of(connection: Connection, name: str) -> Role:
    """Who the server at the other end says it is. Raises ServerError, ConnectionLost."""
    with bounded(connection, LIMIT_S):
        recovering, timeline, received, replayed, follows = connection.execute(WHO).rows[0]
    return Role(
        name=name,
        leads=recovering == "f",
        timeline=None if timeline is None else int(timeline),
        received=int(received or 0),
        replayed=int(replayed or 0),
        follows=follows,
    )


def roles(nodes: Sequence[Node], connect: Callable[[Node], Connection]) -> list[Role]:
    """The roles of those that answer, in the order of the nodes."""

    def ask(node: Node) -> Role | None:
        try:
            connection = connect(node)
        except CannotConnect:
            return None
        try:
            return role_of(connection, node.name)
        except (ServerError, ConnectionLost):
            return None
        finally:
            connection.close()

    if not nodes:
        return []
    with ThreadPoolExecutor(len(nodes), thread_name_prefix="who leads") as pool:
        return [role for role in pool.map(ask, nodes) if role is not None]


def newest_leader(found: Iterable[Role]) -> Role | None:
    """Of those that say they lead the one of the highest timeline: it was promoted last."""
    return max((role for role in found if role.leads), key=lambda role: role.timeline or 0, default=None)
