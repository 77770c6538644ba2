"""The Redis target: one primary and its replicas, each watched by the Sentinel beside it.

Every node runs `redis-sentinel` and `redis-server`, in pods in the vendor's image; the first node begins as the
primary. Both programs write who leads into their configuration files, which lie in the data directory: a node that was
killed comes back as what it was, and its Sentinel corrects it. With one node there is no Sentinel.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import hiredis

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Node, require_database
from harness.options import Option
from harness.target import Claim, KnownIssue, Leader, SessionFactory, Timeouts
from targets.redis import member, on_host
from targets.redis.connection import Connection
from targets.redis.sessions import PORT, PRIMARY_NAME, SENTINEL_PORT, RegisterSession, Sessions, SetSession

START_TIMEOUT_S = 60.0
POLL_S = 0.1
PROBE = Timeouts(op_s=1.0, connect_s=1.0)
SENTINEL_DOCS = "https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/"


class Redis:
    """See `harness.target.Target`."""

    name: ClassVar[str] = "redis"
    doc: ClassVar[str] = "Redis with Sentinel: a primary and two replicas, with failover"
    substrates: ClassVar[tuple[str, ...]] = ("docker", "ssh")
    default_image: ClassVar[str] = "redis:8.0"
    default_nodes: ClassVar[int] = 3
    default_workload: ClassVar[str] = "register"
    options: ClassVar[Mapping[str, Option]] = {
        "reads": Option(
            "primary", "which server answers reads: the primary, or the node's own", ("primary", "replica")
        ),
        "appendonly": Option("yes", "whether every write goes to the log on disk; no: snapshots only", ("yes", "no")),
        "min_replicas": Option(0, "how many replicas must be connected for a write to be taken", least=0, most=4),
        "down_after_ms": Option(
            2000, "after how long without an answer a Sentinel takes a server for dead", least=100, most=60_000
        ),
    }
    workloads: ClassVar[Mapping[str, SessionFactory]] = {
        "register": Sessions(RegisterSession),
        "set": Sessions(SetSession),
    }
    faults: ClassVar[tuple[str, ...]] = ("partition", "kill", "pause", "clock")
    known_issues: ClassVar[tuple[KnownIssue, ...]] = ()

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None:
        self.image, self.chosen, self.timeouts = image, options, timeouts
        self.installed = options.get("installed") == "yes"
        if self.installed:
            on_host.check_installed(options, self.options)
        self.primary_name = PRIMARY_NAME
        self._password = ""
        self._alone = False
        self._nodes: dict[str, Node] = {}
        self._may_remove = False

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim:
        """Nothing: with Sentinel, writes may be lost in a failover."""
        words = (
            "Redis + Sentinel as a whole are an eventually consistent system where the merge function is last failover"
            " wins, and the data from old masters are discarded to replicate the data of the current master, so there"
            " is always a window for losing acknowledged writes."
        )
        return Claim(None, words, SENTINEL_DOCS)

    def start(self, cluster: Cluster) -> None:
        """Every node, then until each one's Sentinel names a primary that has all its replicas."""
        self._alone = len(cluster.nodes) == 1
        self._nodes = {node.address: node for node in cluster.nodes}
        if self.installed:
            self._use_installed(cluster)
        elif cluster.substrate == "ssh":
            self._password = secrets.token_hex(16)
            for node in cluster.nodes:
                program = on_host.program(node)
                node.install(member.on_host(cluster.nodes, node, program, self.chosen, password=self._password))
        else:
            for node in cluster.nodes:
                node.install(member.in_pod(cluster.nodes, node, self.image, self.chosen))
        for node in cluster.nodes:
            node.start_db()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        for node in cluster.nodes:
            self.await_node(node, max(1.0, deadline_s - time.monotonic()), starting=True)
        self._await_replicas(cluster, deadline_s)

    def _use_installed(self, cluster: Cluster) -> None:
        """Find the servers and Sentinels that are there. Raises InfrastructureError, also where keys of ours are."""
        self._password = on_host.use_installed(cluster)
        if not self._alone:
            self.primary_name = on_host.primary_name(cluster, self.ask)
        on_host.check(cluster, self.ask)
        self._may_remove = True

    def stop(self, cluster: Cluster) -> None:
        if self._may_remove:
            on_host.remove_keys(cluster, self.ask)
        for node in cluster.nodes:
            node.stop_db()

    def await_node(self, node: Node, timeout_s: float, *, starting: bool = False) -> None:
        """Until it answers and its Sentinel names a primary that says it is one. Raises InfrastructureError."""
        deadline_s = time.monotonic() + timeout_s
        said = "nothing"
        while time.monotonic() < deadline_s:
            try:
                self.ask(node.endpoint(PORT), "PING")
                role = self.ask(self.primary_through(node, PROBE), "ROLE")[0]
                if role == "master":
                    return
                said = f"the primary that its Sentinel names is a {role}"
            except (OSError, hiredis.HiredisError) as error:
                said = f"{type(error).__name__}: {error}"
                if starting:
                    require_database(node)
            time.sleep(POLL_S)
        raise InfrastructureError(f"{node.name}: Redis did not serve within {timeout_s:.0f} s: {said[:200]}")

    def _await_replicas(self, cluster: Cluster, deadline_s: float) -> None:
        first = cluster.nodes[0]
        while len(self._followers(first)) < len(cluster.nodes) - 1 or not self._watched(cluster):
            if time.monotonic() > deadline_s:
                raise InfrastructureError(f"{first.name}: not every replica and Sentinel found the primary in time")
            time.sleep(POLL_S)

    def _followers(self, node: Node) -> list[Any]:
        """The replicas of the primary that the node's Sentinel names."""
        role = self.ask(self.primary_through(node, PROBE), "ROLE")
        return list(role[2]) if role[0] == "master" else []

    def _watched(self, cluster: Cluster) -> bool:
        """Whether each Sentinel knows all the others, so that a majority can be had."""
        return self._alone or all(
            len(self.ask(node.endpoint(SENTINEL_PORT), "SENTINEL", "SENTINELS", self.primary_name))
            >= len(cluster.nodes) - 1
            for node in cluster.nodes
        )

    def version(self, node: Node) -> str:
        """The server's version, e.g. `8.0.2`. Raises OSError when it does not answer."""
        fields = dict(
            line.split(":", 1) for line in self.ask(node.endpoint(PORT), "INFO", "server").splitlines() if ":" in line
        )
        return str(fields["redis_version"])

    def primary_through(self, node: Node, timeouts: Timeouts) -> tuple[str, int]:
        """Where the primary is, as the Sentinel of this node says. Raises OSError, hiredis' errors."""
        if self._alone:
            return node.endpoint(PORT)
        found = self.ask(
            node.endpoint(SENTINEL_PORT), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.primary_name, timeouts=timeouts
        )
        if not found:
            raise ConnectionRefusedError(f"the Sentinel of {node.name} knows no primary")
        primary = self._nodes.get(str(found[0]))
        return (str(found[0]), int(found[1])) if primary is None else primary.endpoint(PORT)

    def connect(self, endpoint: tuple[str, int], timeouts: Timeouts) -> Connection:
        """Logged in. Raises OSError, hiredis' errors."""
        return Connection(*endpoint, timeouts, password=self._password)

    def ask(self, endpoint: tuple[str, int], *command: str, timeouts: Timeouts = PROBE) -> Any:
        """One question over a connection of its own. Raises OSError, hiredis' errors."""
        with contextlib.closing(self.connect(endpoint, timeouts)) as connection:
            return connection.ask(*command)

    def primaries(self, cluster: Cluster) -> list[str]:
        """Names of the nodes whose server takes itself for the primary: in a partition there may be two."""
        return [node.name for node, role in self._roles(cluster) if role[0] == "master"]

    def leaders(self, cluster: Cluster) -> list[Leader]:
        """The same with the configuration epoch in which each leads, as the Sentinel beside it knows it."""
        return [Leader(node.name, self._epoch(node)) for node, role in self._roles(cluster) if role[0] == "master"]

    def _epoch(self, node: Node) -> int | None:
        """The epoch of a Sentinel's configuration counts if that names this node, and no failover is on the way:
        then the Sentinel may hold the new epoch already and the old primary still."""
        if self._alone:
            return 0
        with contextlib.suppress(OSError, hiredis.HiredisError):
            fields = self.ask(node.endpoint(SENTINEL_PORT), "SENTINEL", "MASTER", self.primary_name)
            known = dict(zip(fields[::2], fields[1::2], strict=False))
            if known["ip"] == node.address and "failover_in_progress" not in known["flags"]:
                return int(known["config-epoch"])
        return None

    def replication_lag(self, cluster: Cluster) -> dict[str, float]:
        """How far each replica's offset is behind that of the primary that it follows, while both answer."""
        offsets: dict[str, int] = {}
        follows: dict[str, tuple[str, int]] = {}
        for node, role in self._roles(cluster):
            if role[0] == "master":
                offsets[node.address] = int(role[1])
            elif role[0] == "slave":
                follows[node.name] = str(role[1]), int(role[4])
        return {
            name: float(max(0, offsets[primary] - offset))
            for name, (primary, offset) in follows.items()
            if primary in offsets and offset >= 0
        }

    def _roles(self, cluster: Cluster) -> Iterator[tuple[Node, Any]]:
        """Each node that answers, with what its server says: `["master", offset, ...]`, `["slave", ip, ...]`."""
        for node in cluster.nodes:
            with contextlib.suppress(OSError, hiredis.HiredisError):
                role = self.ask(node.endpoint(PORT), "ROLE")
                yield node, role
