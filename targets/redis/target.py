"""The Redis target: one primary and its replicas, each watched by the Sentinel beside it.

Every pod runs `redis-sentinel` and `redis-server` in the vendor's image; the first node begins as the primary. Both
programs write who leads into their configuration files, which lie in the data directory: a node that was killed comes
back as what it was, and its Sentinel corrects it. With one node there is no Sentinel.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import hiredis

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Database, Node, require_database
from harness.options import Option
from harness.target import Claim, KnownIssue, Leader, SessionFactory, Timeouts
from targets.redis.connection import Connection
from targets.redis.sessions import PORT, PRIMARY_NAME, SENTINEL_PORT, RegisterSession, Sessions, SetSession

DATA_DIR = "/data"
START_TIMEOUT_S = 60.0
POLL_S = 0.1
PROBE = Timeouts(op_s=1.0, connect_s=1.0)
SENTINEL_DOCS = "https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/"


class Redis:
    """See `harness.target.Target`."""

    name: ClassVar[str] = "redis"
    doc: ClassVar[str] = "Redis with Sentinel: a primary and two replicas, with failover"
    substrates: ClassVar[tuple[str, ...]] = ("docker",)
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
        self._alone = False

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
        for node in cluster.nodes:
            node.install(member(node, cluster, self.image, self.chosen))
        for node in cluster.nodes:
            node.start_db()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        for node in cluster.nodes:
            self.await_node(node, max(1.0, deadline_s - time.monotonic()), starting=True)
        self._await_replicas(cluster, deadline_s)

    def stop(self, cluster: Cluster) -> None:
        for node in cluster.nodes:
            node.stop_db()

    def await_node(self, node: Node, timeout_s: float, *, starting: bool = False) -> None:
        """Until it answers and its Sentinel names a primary that says it is one. Raises InfrastructureError."""
        deadline_s = time.monotonic() + timeout_s
        said = "nothing"
        while time.monotonic() < deadline_s:
            try:
                ask(node.endpoint(PORT), "PING")
                role = ask(self.primary_through(node, PROBE), "ROLE")[0]
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
        while len(ask(first.endpoint(PORT), "ROLE")[2]) < len(cluster.nodes) - 1 or not self._watched(cluster):
            if time.monotonic() > deadline_s:
                raise InfrastructureError(f"{first.name}: not every replica and Sentinel found the primary in time")
            time.sleep(POLL_S)

    def _watched(self, cluster: Cluster) -> bool:
        """Whether each Sentinel knows all the others, so that a majority can be had."""
        return self._alone or all(
            len(ask(node.endpoint(SENTINEL_PORT), "SENTINEL", "SENTINELS", PRIMARY_NAME)) == len(cluster.nodes) - 1
            for node in cluster.nodes
        )

    def version(self, node: Node) -> str:
        """The server's version, e.g. `8.0.2`. Raises OSError when it does not answer."""
        fields = dict(
            line.split(":", 1) for line in ask(node.endpoint(PORT), "INFO", "server").splitlines() if ":" in line
        )
        return str(fields["redis_version"])

    def primary_through(self, node: Node, timeouts: Timeouts) -> tuple[str, int]:
        """Where the primary is, as the Sentinel of this node says. Raises OSError, hiredis' errors."""
        if self._alone:
            return node.endpoint(PORT)
        found = ask(
            node.endpoint(SENTINEL_PORT), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY_NAME, timeouts=timeouts
        )
        if not found:
            raise ConnectionRefusedError(f"the Sentinel of {node.name} knows no primary")
        return str(found[0]), int(found[1])

    def primaries(self, cluster: Cluster) -> list[str]:
        """Names of the nodes whose server takes itself for the primary: in a partition there may be two."""
        return [node.name for node, role in roles(cluster) if role[0] == "master"]

    def leaders(self, cluster: Cluster) -> list[Leader]:
        """The same with the configuration epoch in which each leads, as the Sentinel beside it knows it."""
        return [Leader(node.name, self._epoch(node)) for node, role in roles(cluster) if role[0] == "master"]

    def _epoch(self, node: Node) -> int | None:
        """The epoch of a Sentinel's configuration counts if that names this node, and no failover is on the way:
        then the Sentinel may hold the new epoch already and the old primary still."""
        if self._alone:
            return 0
        with contextlib.suppress(OSError, hiredis.HiredisError):
            fields = ask(node.endpoint(SENTINEL_PORT), "SENTINEL", "MASTER", PRIMARY_NAME)
            known = dict(zip(fields[::2], fields[1::2], strict=False))
            if known["ip"] == node.address and "failover_in_progress" not in known["flags"]:
                return int(known["config-epoch"])
        return None

    def replication_lag(self, cluster: Cluster) -> dict[str, float]:
        """How far each replica's offset is behind that of the primary that it follows, while both answer."""
        offsets: dict[str, int] = {}
        follows: dict[str, tuple[str, int]] = {}
        for node, role in roles(cluster):
            if role[0] == "master":
                offsets[node.address] = int(role[1])
            elif role[0] == "slave":
                follows[node.name] = str(role[1]), int(role[4])
        return {
            name: float(max(0, offsets[primary] - offset))
            for name, (primary, offset) in follows.items()
            if primary in offsets and offset >= 0
        }


def roles(cluster: Cluster) -> Iterator[tuple[Node, Any]]:
    """Each node that answers, with what its server says of itself: `["master", offset, ...]`, `["slave", ip, ...]`."""
    for node in cluster.nodes:
        with contextlib.suppress(OSError, hiredis.HiredisError):
            role = ask(node.endpoint(PORT), "ROLE")
            yield node, role


def ask(endpoint: tuple[str, int], *command: str, timeouts: Timeouts = PROBE) -> Any:
    """One question over a connection of its own. Raises OSError, hiredis' errors."""
    with contextlib.closing(Connection(*endpoint, timeouts)) as connection:
        return connection.ask(*command)


def member(node: Node, cluster: Cluster, image: str, options: Mapping[str, Any]) -> Database:
    """How to run one node: configuration files where their programs may rewrite them, and both programs."""
    first = cluster.nodes[0]
    server = [
        f"port {PORT}",
        "protected-mode no",
        f"dir {DATA_DIR}",
        f"appendonly {options['appendonly']}",
        f"min-replicas-to-write {options['min_replicas']}",
        f"replica-announce-ip {node.address}",
        *([] if node is first else [f"replicaof {first.address} {PORT}"]),
    ]
    watcher = [
        f"port {SENTINEL_PORT}",
        "protected-mode no",
        f"dir {DATA_DIR}",
        f"sentinel announce-ip {node.address}",
        f"sentinel monitor {PRIMARY_NAME} {first.address} {PORT} {len(cluster.nodes) // 2 + 1}",
        f"sentinel down-after-milliseconds {PRIMARY_NAME} {options['down_after_ms']}",
        f"sentinel failover-timeout {PRIMARY_NAME} {3 * options['down_after_ms']}",
        f"sentinel parallel-syncs {PRIMARY_NAME} {len(cluster.nodes)}",
    ]
    both = f"redis-sentinel {DATA_DIR}/sentinel.conf & exec redis-server {DATA_DIR}/redis.conf"
    alone = len(cluster.nodes) == 1
    files = {f"{DATA_DIR}/redis.conf": "\n".join(server) + "\n"}
    if not alone:
        files[f"{DATA_DIR}/sentinel.conf"] = "\n".join(watcher) + "\n"
    return Database(
        image=image,
        argv=["redis-server", f"{DATA_DIR}/redis.conf"] if alone else ["sh", "-c", both],
        ports=(PORT, SENTINEL_PORT),
        data_dir=DATA_DIR,
        files=files,
    )
