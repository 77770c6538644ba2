"""What the harness asks of a database under test. Optional abilities are protocols of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec

from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.options import Option


class DidNotHappen(Exception):
    """Raised by a session's `invoke`: the op certainly had no effect → `fail`. The message is the reason.

    `lost` says that the session can't be used any more: the worker opens a new one, under a new process.
    """

    def __init__(self, reason: str, *, lost: bool = False) -> None:
        super().__init__(reason)
        self.lost = lost


class Unknown(Exception):
    """Raised by a session's `invoke`: nobody knows → `info`, for a reason that the target's table has.

    An exception that is neither this nor `DidNotHappen` is `info` too, and is counted as unmapped.
    """

    def __init__(self, reason: str, *, lost: bool = True) -> None:
        super().__init__(reason)
        self.lost = lost


class Timeouts(msgspec.Struct, frozen=True):
    """The times that an op's deadline implies (seconds)."""

    op_s: float = 5.0
    connect_s: float = 2.0

    @property
    def request_s(self) -> float:
        """For the driver: 80 % of the deadline."""
        return 0.8 * self.op_s

    @property
    def server_s(self) -> float:
        """For statements and locks on the server: 60 % of the deadline."""
        return 0.6 * self.op_s


class SessionContext(msgspec.Struct, frozen=True):
    """What a session is opened with.

    between_statements: to be called between two statements of one transaction, at each gap; sleeps there while a
    stall window is open and this transaction was chosen, and moves the op's deadline by as much.
    """

    process: int
    timeouts: Timeouts
    between_statements: Callable[[], None]
    options: Mapping[str, Any]
    """The target's and the workload's options, with defaults filled in."""


class Session(Protocol):
    """One connection to one node: no pool, no retry, no redirect. One thread uses it; another may close it."""

    def invoke(self, op: Op) -> Op:
        """Do it and return `op` as `ok`. Raises DidNotHappen → fail; any other exception → info (see `is_read`)."""
        ...

    def is_read(self, op: Op) -> bool:
        """Whether the op writes nothing: any error of it is then `fail`."""
        ...

    def close(self) -> None:
        """Shut the connection at once, from any thread, also while `invoke` is blocked in it. Never raises."""
        ...


class SessionFactory(Protocol):
    """One workload on one target.

    Also `local_reads: bool`, True where its sessions do the op `local-read` (in and out as `read`; see
    `workloads.local_reads`): answered by the session's own node alone, without asking a leader or a quorum. The option
    `final=converge` of register and set then tells whether, and how soon after the last heal, all nodes agree.
    """

    def setup(self, target: Any, cluster: Cluster) -> None:
        """Make the tables and rows that the workload needs; once, after the target is up."""
        ...

    def open(self, target: Any, node: Node, context: SessionContext) -> Session:
        """Connect, up to the server's handshake reply. What raises here is `fail`."""
        ...


class Claim(msgspec.Struct, frozen=True):
    """What the database promises at its settings: a consistency model, in whose words.

    model None: it promises nothing; the workload's own model is judged, and the report says so.
    """

    model: str | None
    words: str
    link: str


class KnownIssue(msgspec.Struct, frozen=True):
    """A misbehaviour that is known upstream. A hit on one is reported as known, and still invalid.

    versions: (first affected, first fixed) pairs, as text; "" for "all before" or "not fixed yet".
    workloads, anomalies: where it shows; an empty tuple means any. needs: kinds of faults without which it is another.
    needs_one_of: kinds of which any one will do, if there are any. options: values that the target's options must have,
    by name.
    """

    name: str
    sentence: str
    link: str
    versions: tuple[tuple[str, str], ...]
    workloads: tuple[str, ...] = ()
    anomalies: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    needs_one_of: tuple[str, ...] = ()
    options: Mapping[str, Any] = {}

    def covers(self, version: str) -> bool:
        """Whether this version of the database has the issue; False for a version that can't be read."""
        number = version_number(version)
        return bool(number) and any(
            version_number(affected) <= number and (not fixed or number < version_number(fixed))
            for affected, fixed in self.versions
        )


def version_number(text: str) -> tuple[int, ...]:
    """The first dotted number in a version's text: "v3.5.28" → (3, 5, 28); () where there is none."""
    found = re.search(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


@runtime_checkable
class Target(Protocol):
    """A database. Made once a run, from the plan's options with defaults filled in."""

    name: ClassVar[str]
    doc: ClassVar[str]
    """One line for `faultline list`."""
    substrates: ClassVar[tuple[str, ...]]
    """Where it runs, the default first."""
    default_image: ClassVar[str]
    default_nodes: ClassVar[int]
    """Also `least_nodes` and `most_nodes`, where a target needs several nodes or can't have as many as a plan can.

    Also a classmethod `for_options(options: Mapping[str, str]) -> type[Target]`, where options (as text, unchecked)
    make another image, other numbers of nodes or other substrates the default: a subclass that says so.
    """
    default_workload: ClassVar[str]
    options: ClassVar[Mapping[str, Option]]
    workloads: ClassVar[Mapping[str, SessionFactory]]
    faults: ClassVar[tuple[str, ...]]
    """Kinds of faults that make sense here, those of a default run.

    Also `nemeses: ClassVar[tuple[Nemesis, ...]]`, where a target has faults of its own, by their own kinds.
    """
    known_issues: ClassVar[tuple[KnownIssue, ...]]

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None: ...

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim: ...

    def start(self, cluster: Cluster) -> None:
        """Install and start the database on every node and wait until it serves. Raises InfrastructureError."""
        ...

    def stop(self, cluster: Cluster) -> None: ...

    def await_node(self, node: Node, timeout_s: float) -> None:
        """Wait until one node serves requests. Raises InfrastructureError."""
        ...

    def version(self, node: Node) -> str: ...


@runtime_checkable
class HasPrimaries(Protocol):
    """A target that can say which nodes lead: faults can aim at them, and the report shows who led when.

    Asked every half second through the run, from a thread of its own, beside everything else that goes on: by the
    network rather than by a process on the node, with timeouts of a second. Nodes that don't answer are left out.
    """

    def primaries(self, cluster: Cluster) -> list[str]:
        """Names of the nodes that say of themselves that they lead: in a partition there may be two."""
        ...


class Leader(msgspec.Struct, frozen=True):
    """A node that said of itself that it leads. term: in which term, timeline or epoch; None: not known.

    What a term must be: the database raises it whenever another node takes over, and lets no two nodes ever lead in
    the same one (Raft's term, MongoDB's election id, PostgreSQL's timeline). Two leaders in one term are reported as
    split brain, and the run is invalid: both halves have to be the node's own word, of the same moment. Whoever can't
    be sure (a node promoted a moment ago that does not know its new term yet) says None.
    """

    node: str
    term: int | str | None


@runtime_checkable
class HasLeaders(Protocol):
    """A target whose leaders know in which term they lead: a stale self-report is told from a split brain.

    Asked as `HasPrimaries` is, and instead of it where a target has both.
    """

    def leaders(self, cluster: Cluster) -> list[Leader]:
        """The nodes that say of themselves that they lead, each with its term."""
        ...


@runtime_checkable
class HasMembership(Protocol):
    """A target whose nodes can leave the database's cluster and join it again while it works.

    Also `membership_nodes: ClassVar[int]`, how many nodes there must be for one to leave, where that is not 3.
    """

    def leave(self, cluster: Cluster, node: Node) -> None:
        """Take the node out through the others, stop it, remove its data. Raises InfrastructureError."""
        ...

    def join(self, cluster: Cluster, node: Node) -> None:
        """Add the node as a new, empty member and wait until it serves; does nothing for a member."""
        ...


@runtime_checkable
class HasReplicationLag(Protocol):
    """A target that can say how far its replicas are behind.

    Asked every second through the run, as `HasPrimaries` is; drawn in the report.
    """

    def replication_lag(self, cluster: Cluster) -> dict[str, float]:
        """Replica's name → bytes of the log that it has not replayed yet; those that don't answer are left out."""
        ...
