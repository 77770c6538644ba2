"""How the workloads' ops become Redis commands, and whom a session talks to.

A session through node n asks the Sentinel on n who leads, as Redis' clients do, and connects to that server; without
Sentinels (one node) to node n itself. It has one connection until it is lost. A server that says it is a replica is
not taken. With `reads=replica` reads go to the server on node n itself, whatever it is, over a second connection; so do
local reads, over one that is opened for the first of them.

register: one key `faultline/register/<k>`, its value the number as text: GET, SET, and a script that compares and sets.
set: one set `faultline/set`: SADD and SMEMBERS.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

import hiredis

from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext
from targets.redis.connection import Connection

LOCAL_READ = "local-read"
PORT = 6379
SENTINEL_PORT = 26379
PRIMARY_NAME = "faultline"
"""The name under which our Sentinels watch the primary."""
OURS = "faultline/"
"""Each key that a workload writes begins so."""
REGISTER_KEYS = OURS + "register/"
SET_KEY = OURS + "set"
COMPARE_AND_SET = (
    "local held = redis.call('GET', KEYS[1]) or '' "
    "if held ~= ARGV[1] then return held == '' and 'nothing' or held end "
    "redis.call('SET', KEYS[1], ARGV[2]) return ''"
)
"""Returns '' when it has set, else what the key held; a register's values are numbers, so '' stands for none."""


class RedisSession:
    """What the sessions share. primary: for writes, and for reads unless `replica` is given.

    connect_own: opens a connection to the node's own server, for local reads; raises OSError, hiredis' errors.
    """

    def __init__(self, primary: Connection, replica: Connection | None, connect_own: Callable[[], Connection]) -> None:
        self._primary = primary
        self._reads = replica or primary
        self._local = replica
        self._connect_own = connect_own

    def is_read(self, op: Op) -> bool:
        return op.f in ("read", LOCAL_READ)

    def close(self) -> None:
        self._primary.close()
        self._reads.close()
        if self._local is not None:
            self._local.close()

    def for_read(self, op: Op) -> Connection:
        """Who answers a read. Raises DidNotHappen where the node's own server does not."""
        if op.f == "read":
            return self._reads
        if self._local is None:
            try:
                self._local = self._connect_own()
                self._local.ready()
            except (OSError, hiredis.HiredisError) as error:
                raise DidNotHappen(f"the node's own server did not answer: {type(error).__name__}") from error
        return self._local


class RegisterSession(RedisSession):
    """`read`, `local-read`, `write` and `cas` of one register, see `workloads.register`."""

    def invoke(self, op: Op) -> Op:
        number, value = op.value
        key = f"{REGISTER_KEYS}{number}"
        if self.is_read(op):
            text = self.for_read(op).command("GET", key)
            return op.replace(type="ok", value=[number, None if text is None else int(text)])
        if op.f == "write":
            self._primary.command("SET", key, str(value))
            return op.replace(type="ok")
        assert op.f == "cas", op.f
        old, new = ("" if each is None else str(each) for each in value)
        held = self._primary.command("EVAL", COMPARE_AND_SET, "1", key, old, new)
        if held:
            raise DidNotHappen(f"compare failed: it held {held}")
        return op.replace(type="ok")


class SetSession(RedisSession):
    """`add`, `read` and `local-read` of one set, see `workloads.set`."""

    def invoke(self, op: Op) -> Op:
        if self.is_read(op):
            return op.replace(type="ok", value=sorted(map(int, self.for_read(op).command("SMEMBERS", SET_KEY))))
        assert op.f == "add", op.f
        self._primary.command("SADD", SET_KEY, str(op.value))
        return op.replace(type="ok")


class SessionMaker(Protocol):
    def __call__(
        self, primary: Connection, replica: Connection | None, connect_own: Callable[[], Connection], /
    ) -> Any: ...


class Sessions:
    """A SessionFactory: Redis needs no tables."""

    local_reads = True

    def __init__(self, make: SessionMaker) -> None:
        self._make = make

    def setup(self, target: Any, cluster: Cluster) -> None:
        """Nothing to make: keys come into being when they are written."""

    def open(self, target: Any, node: Node, context: SessionContext) -> Any:
        opened: list[Connection] = []
        try:
            primary = target.connect(target.primary_through(node, context.timeouts), context.timeouts)
            opened.append(primary)
            role = primary.ask("ROLE")[0]
            if role != "master":
                raise DidNotHappen(f"the server that {node.name} takes for the primary is a {role}", lost=True)
            if context.options["reads"] == "replica":
                opened.append(target.connect(node.endpoint(PORT), context.timeouts))
        except (OSError, hiredis.HiredisError) as error:
            close(opened)
            raise DidNotHappen(f"{node.name} did not answer: {type(error).__name__}", lost=True) from error
        except DidNotHappen:
            close(opened)
            raise
        for connection in opened:
            connection.ready()
        replica = opened[1] if len(opened) > 1 else None
        return self._make(primary, replica, lambda: target.connect(node.endpoint(PORT), context.timeouts))


def close(connections: list[Connection]) -> None:
    """All of them."""
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.close()
