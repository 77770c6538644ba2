"""Whom a session talks to, and how it asks.

A session through node n asks n who leads (`hello`) and connects to that server, which must say itself that it is a
writable primary; writes go there. The node of a side that is cut off may name a primary that is none any more: that is
how a split brain looks to clients. Reads go to the same server, or by `read_preference` to a member that the same hello
names:

    primary              the primary alone; a server that is none any more refuses
    primaryPreferred     the primary, or node n itself while none is known; then writes fail
    secondary            node n if it is a secondary, else the next member
    secondaryPreferred   the same; the primary where there is no other member
    nearest              node n, whatever it is

The connections are those that were opened then; nothing is redirected later. Reads are `find` commands written here,
because the driver asks a server that it is connected to directly with `primaryPreferred`, whatever its user says, and
would go on reading from one that was deposed. For causal consistency between two connections, each hears the other's
times after every answer (`advance_cluster_time`, `advance_operation_time`: what the manual tells applications to do).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pymongo.errors
from pymongo import WriteConcern
from pymongo.collection import Collection
from pymongo.read_preferences import ReadPreference
from pymongo.synchronous.client_session import ClientSession

from harness.nodes.base import Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext, Unknown
from targets.mongodb.driver import Driver
from targets.mongodb.errors import judged

PORT: Final = 27017
SET_NAME: Final = "faultline"
DATABASE: Final = "faultline"
MODES: Final = {
    "primary": ReadPreference.PRIMARY,
    "primaryPreferred": ReadPreference.PRIMARY_PREFERRED,
    "secondary": ReadPreference.SECONDARY,
    "secondaryPreferred": ReadPreference.SECONDARY_PREFERRED,
    "nearest": ReadPreference.NEAREST,
}
BATCH: Final = 100_000
"""Documents in one answer (at most; 16 MB end it too). A server may make room for as many, so it is not without end."""


class Link:
    """One session's connections. writes: the primary's. reads: the same or another member's. level: read concern."""

    def __init__(self, writes: Driver, reads: Driver, context: SessionContext, level: str) -> None:
        options = context.options
        self.writes, self.reads, self.level = writes, reads, level
        self.between_statements = context.between_statements
        self._mode = options["read_preference"]
        self._causal = options["causal"] == "on"
        self._limit_ms = round(context.timeouts.server_s * 1000)
        self.write_concern = write_concern(options["write_concern"], self._limit_ms)
        self._sessions: dict[Driver, ClientSession] = {}

    def session(self, driver: Driver) -> ClientSession:
        """The driver's one session, made when it is first asked for."""
        if driver not in self._sessions:
            self._sessions[driver] = driver.session(causal=self._causal)
        return self._sessions[driver]

    def collection(self, name: str) -> Collection[dict[str, Any]]:
        """For writes, with the write concern that was chosen; in a transaction the transaction's own counts."""
        return self.writes.client[DATABASE].get_collection(name, write_concern=self.write_concern)

    def causal_session(self) -> ClientSession | None:
        """What single writes are to be given as `session`."""
        return self.session(self.writes) if self._causal else None

    def find(self, collection: str, condition: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Documents, by the read concern and preference that were chosen."""
        driver = self.reads
        session = self.session(driver) if self._causal else None
        concern: dict[str, Any] = {"level": self.level}
        if session is not None and session.operation_time is not None:
            concern["afterClusterTime"] = session.operation_time
        command = {
            "find": collection,
            "filter": dict(condition),
            "batchSize": BATCH,
            "readConcern": concern,
            "maxTimeMS": self._limit_ms,
            "$readPreference": {"mode": self._mode},
        }
        mode = MODES[self._mode]
        return list(driver.client[DATABASE].cursor_command(command, read_preference=mode, session=session))

    def find_in(
        self, transaction: ClientSession, collection: str, condition: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Documents as a transaction sees them; it has its own read concern."""
        command = {"find": collection, "filter": dict(condition), "batchSize": BATCH, "maxTimeMS": self._limit_ms}
        return list(self.writes.client[DATABASE].cursor_command(command, session=transaction))

    @property
    def commit_limit_ms(self) -> int:
        return self._limit_ms

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Single operations inside: their errors become DidNotHappen or Unknown where the table has them."""
        before = self.writes.attempts
        try:
            yield
        except pymongo.errors.PyMongoError as error:
            raise self.unless_repeated(judged(error), before) from error
        finally:
            self.exchange_times()

    def unless_repeated(self, outcome: BaseException, before: int) -> BaseException:
        """A write that the driver sent more than once: its last answer proves nothing about the first."""
        if isinstance(outcome, DidNotHappen) and self.writes.attempts - before > 1:
            return Unknown(f"sent again by the driver: {outcome}", lost=outcome.lost)
        return outcome

    def exchange_times(self) -> None:
        """Each of two causal sessions hears what the other has seen."""
        if not self._causal or self.reads is self.writes:
            return
        one, other = self.session(self.writes), self.session(self.reads)
        for source, goal in ((one, other), (other, one)):
            if source.cluster_time is not None:
                goal.advance_cluster_time(source.cluster_time)
            if source.operation_time is not None:
                goal.advance_operation_time(source.operation_time)

    def close(self) -> None:
        self.writes.close()
        if self.reads is not self.writes:
            self.reads.close()


def write_concern(name: str, limit_ms: int) -> WriteConcern:
    """1: the primary has it in memory. majority. journaled: a majority has it on disk, whatever the set's default."""
    if name == "1":
        return WriteConcern(w=1)
    return WriteConcern(w="majority", wtimeout=limit_ms, j=True if name == "journaled" else None)


def open_link(target: Any, node: Node, context: SessionContext) -> Link:
    """Connect as the module's docstring says. Raises DidNotHappen: nothing was asked of the database yet."""
    opened: list[Driver] = []
    try:
        return _open(target, node, context, opened)
    except pymongo.errors.PyMongoError as error:
        _close(opened)
        raise DidNotHappen(f"{node.name} did not answer: {type(error).__name__}", lost=True) from error
    except BaseException:
        _close(opened)
        raise


def _open(target: Any, node: Node, context: SessionContext, opened: list[Driver]) -> Link:
    def connect(endpoint: tuple[str, int], **whole: Any) -> Driver:
        opened.append(Driver(*endpoint, context.timeouts, **whole))
        return opened[-1]

    if context.options["retryable_writes"] == "on":
        whole = connect(node.endpoint(PORT), whole_set=target.set_name)
        whole.hello()
        return Link(whole, whole, context, target.level)
    own = connect(node.endpoint(PORT))
    said = own.hello()
    own_address = said.get("me", "")
    primary = _primary(target, node, own, said, connect, context)
    preference = context.options["read_preference"]
    others = [host for host in said.get("hosts", []) if host not in (own_address, said.get("primary"))]
    if preference in ("primary", "primaryPreferred") or not said.get("setName"):
        reads = primary
    elif preference == "nearest" or said.get("secondary"):
        reads = own
    elif others:
        reads = connect(target.endpoint_of(others[0]))
        reads.hello()
    elif preference == "secondary":
        raise DidNotHappen("the set has no secondary", lost=True)
    else:
        reads = primary
    for each in opened:
        if each not in (primary, reads):
            each.close()
    return Link(primary, reads, context, target.level)


def _primary(
    target: Any, node: Node, own: Driver, said: Mapping[str, Any], connect: Any, context: SessionContext
) -> Driver:
    """The connection for writes. Raises DidNotHappen when there is no primary to be found through this node."""
    if said.get("isWritablePrimary"):
        return own
    if not said.get("primary"):
        if context.options["read_preference"] == "primary" or not said.get("secondary"):
            raise DidNotHappen(f"{node.name} knows no primary", lost=True)
        return own
    primary = connect(target.endpoint_of(said["primary"]))
    if not primary.hello().get("isWritablePrimary"):
        raise DidNotHappen(f"the server that {node.name} takes for the primary is none", lost=True)
    return primary


def _close(drivers: list[Driver]) -> None:
    for each in drivers:
        each.close()


class LinkedSession:
    """What the sessions of all workloads share."""

    def __init__(self, link: Link) -> None:
        self.link = link

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def close(self) -> None:
        self.link.close()
