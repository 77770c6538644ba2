"""What the harness asks of a place where databases run: `Node`, `Cluster`, and how a database process is described.

A *substrate* (docker, local, ssh) makes a `Cluster` of `Node`s. On each node one agent
(`harness.nodes.agent`, reached through `harness.nodes.agent_client`) does whatever has to be done there; faults talk
to it through `node.agent`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from harness.errors import InfrastructureError


class Completed(msgspec.Struct, frozen=True):
    """A command that ended with return code 0."""

    argv: list[str]
    stdout: str
    stderr: str


class CommandFailed(InfrastructureError):
    """A command on a node that failed or ran out of time (rc None)."""

    def __init__(self, node: str, argv: Sequence[str], rc: int | None, output: str) -> None:
        self.node, self.argv, self.rc, self.output = node, list(argv), rc, output
        what = "timed out" if rc is None else f"ended with {rc}"
        super().__init__(f"{node}: `{' '.join(argv)}` {what}: {output.strip()[-500:]}")


class AgentLost(InfrastructureError):
    """The agent of a node no longer answers (its lease is lost)."""


class LogLine(msgspec.Struct, frozen=True):
    """One line that the database printed."""

    node: str
    text: str


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """How to run a database on one node.

    image: the image to run (docker only). argv: the command; in docker the container's command after the image's own
    entrypoint, on `local` the whole command line. env: its environment, added to the image's or to an empty one.
    ports: the TCP ports that it listens on for clients and peers. data_dir: where it keeps its data (docker: the
    path inside the container, backed by a volume that the sandbox sees too; local: a directory made for the node).
    mem_mb: memory limit (docker only; 0: none).
    """

    argv: list[str]
    env: dict[str, str] = {}
    image: str = ""
    ports: tuple[int, ...] = ()
    data_dir: str = ""
    mem_mb: int = 0
    files: dict[str, str] = {}
    """path on the node → text; written before the first start (configuration)."""
    stop_signal: str = "SIGINT"
    """What ends it in an orderly way (`local` only; on docker the image says). SIGINT: PostgreSQL ends its sessions."""


class Agent(Protocol):
    """The controller's end of a node's agent: requests as JSON, answered in order of completion. Thread-safe."""

    def request(self, what: str, *, timeout_s: float = 10.0, **fields: Any) -> dict[str, Any]:
        """Ask and wait. Raises `CommandFailed` for an error answer, `AgentLost` when there is no agent any more."""
        ...

    @property
    def alive(self) -> bool: ...

    def close(self) -> None:
        """End the agent: it undoes every fault first."""
        ...


class Node(Protocol):
    """A host with an address, on which commands run."""

    name: str
    address: str
    """Where the other nodes and, on Linux, the controller reach it."""
    database: Database | None
    """What `install` was given."""
    home: str
    """A directory of this node's own, writable by the database's user, where a target may `put` files."""

    @property
    def agent(self) -> Agent: ...

    def port(self, port: int) -> int:
        """Where the database must listen to be what others know as `port`.

        docker: the same; local: a free one, fixed for the run.
        """
        ...

    def run(self, *argv: str, stdin: str | None = None, timeout_s: float = 30.0) -> Completed:
        """Run a command where the agent is. Raises `CommandFailed`."""
        ...

    def db_run(self, *argv: str, stdin: str | None = None, timeout_s: float = 30.0) -> Completed:
        """Run a command where the database is (its container; may have no shell). Raises `CommandFailed`."""
        ...

    def put(self, local: Path, remote: str) -> None: ...

    def get(self, remote: str, local: Path) -> None: ...

    def log_stream(self) -> Iterator[LogLine]:
        """What the database has printed so far."""
        ...

    def endpoint(self, port: int) -> tuple[str, int]:
        """(host, port) at which the controller reaches a database port of this node."""
        ...

    def install(self, database: Database) -> None:
        """Prepare the database on this node (container created, directory made), not started."""
        ...

    def start_db(self) -> None:
        """Start it, or start it again with its data after a kill. Waits until no process of its old tree is left."""
        ...

    def stop_db(self, timeout_s: float = 20.0) -> None:
        """End it in an orderly way; kill -9 after `timeout_s`. Nothing happens when it is not running."""
        ...

    def db_pids(self) -> list[int]:
        """Pids of the database's process tree, as the agent sees them; [] when it is down."""
        ...


class Cluster(Protocol):
    """The nodes of one run. A context manager: leaving it heals, stops the agents and removes what it made."""

    @property
    def run_id(self) -> str: ...

    @property
    def substrate(self) -> str: ...

    @property
    def nodes(self) -> Sequence[Node]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def check(self) -> None:
        """Raises `InfrastructureError` when an agent or a sandbox was lost."""
        ...

    def collect_logs(self, folder: Path) -> None:
        """Write each node's database log to folder/<node>/."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Facts for the report: engine, kernel, image digests, agents restarted."""
        ...


def save_logs(nodes: Sequence[Node], folder: Path, name: str) -> None:
    """What each node's database has printed, in folder/<node>/<name>."""
    for node in nodes:
        (folder / node.name).mkdir(parents=True, exist_ok=True)
        with (folder / node.name / name).open("w", encoding="utf-8") as file:
            file.writelines(line.text + "\n" for line in node.log_stream())


def require_database(node: Node) -> None:
    """Raises InfrastructureError, with the last lines of its log, when a node's database has no process any more."""
    if not node.db_pids():
        lines = [line.text.strip() for line in node.log_stream() if line.text.strip()]
        raise InfrastructureError(f"{node.name}: the database ended at its start: {' | '.join(lines[-3:])[-600:]}")


def program_on(node: Node, program: str, places: str = "", *, way_out: str) -> str:
    """Where a program is on a host of the user's: the newest one in `places` (globs of directories), else on its PATH.

    way_out: how to get it. Raises InfrastructureError.
    """
    search = '{ [ -z "$1" ] || ls -d $1; } 2>/dev/null | sort -V | tail -n 1 | grep . || command -v "$0"'
    patterns = " ".join(f"{place}/{program}" for place in places.split())
    try:
        return node.run("sh", "-c", search, program, patterns).stdout.strip()
    except CommandFailed:
        raise InfrastructureError(f"{node.name}: no program {program!r} on host {node.address}: {way_out}") from None


def node_named(cluster: Cluster, name: str) -> Node:
    """The node of that name. Raises KeyError."""
    for node in cluster.nodes:
        if node.name == name:
            return node
    raise KeyError(name)
