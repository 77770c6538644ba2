"""The Cassandra target: three nodes, one data centre, every row on three of them.

The vendor's image and defaults, but for a small heap, for two waits that make sense only between data centres (the
ring delay, and waiting for gossip to settle; readiness is checked instead of waited for), and for what
`targets.cassandra.member.settings` lists.

All nodes are started at once: each is given its part of the ring, so none has to ask the others which is free.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from cassandra import ConsistencyLevel
from cassandra.protocol import ErrorMessage

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Node, require_database
from harness.options import Option
from harness.target import Claim, DidNotHappen, KnownIssue, SessionFactory, Timeouts, Unknown
from nemeses.base import Nemesis
from targets.cassandra import claims, on_host
from targets.cassandra.batches import BatchSession
from targets.cassandra.connection import Row
from targets.cassandra.counters import CounterSession
from targets.cassandra.known_issues import KNOWN_ISSUES
from targets.cassandra.levels import OPTIONS
from targets.cassandra.lists import AppendSession
from targets.cassandra.member import decommission, empty, member
from targets.cassandra.nodetool import OPERATIONS
from targets.cassandra.registers import RegisterSession
from targets.cassandra.sessions import REPLICAS, SCHEMA_TIMEOUTS, Sessions, connect
from targets.cassandra.sets import SetSession
from targets.cassandra.views import ViewSession

START_TIMEOUT_S = 300.0
"""Five nodes on two busy cores took more than three minutes. What has ended is not waited for."""
JOIN_TIMEOUT_S = 240.0
"""For both starts of a node that joins again: less than a run waits for its faults to be healed."""
POLL_S = 0.2


class Cassandra:
    """See `harness.target.Target`, `harness.target.HasMembership`."""

    name: ClassVar[str] = "cassandra"
    doc: ClassVar[str] = "Apache Cassandra, a replicated store without a leader; three nodes, every row on each"
    substrates: ClassVar[tuple[str, ...]] = ("docker", "ssh")
    default_image: ClassVar[str] = "cassandra:5.0"
    default_nodes: ClassVar[int] = 3
    membership_nodes: ClassVar[int] = REPLICAS + 1
    default_workload: ClassVar[str] = "register"
    options: ClassVar[Mapping[str, Option]] = OPTIONS
    workloads: ClassVar[Mapping[str, SessionFactory]] = {
        "register": Sessions(RegisterSession),
        "set": Sessions(SetSession),
        "set-final": Sessions(SetSession),
        "counter": Sessions(CounterSession),
        "append": Sessions(AppendSession),
        "batch": Sessions(BatchSession),
        "view": Sessions(ViewSession),
    }
    faults: ClassVar[tuple[str, ...]] = ("partition", "kill", "pause", "clock")
    nemeses: ClassVar[tuple[Nemesis, ...]] = OPERATIONS
    known_issues: ClassVar[tuple[KnownIssue, ...]] = KNOWN_ISSUES

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None:
        self.image, self.chosen, self.timeouts = image, options, timeouts
        self._left: set[str] = set()
        self._restarted: set[str] = set()
        """Nodes that have their data, and must serve yet."""
        self.installed = options.get("installed") == "yes"
        self._may_drop = False
        if self.installed:
            on_host.check_installed(options, self.options)

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim:
        """See `targets.cassandra.claims`."""
        return claims.claim(workload, options)

    def start(self, cluster: Cluster) -> None:
        """All nodes at once; then each must serve, know all others, and have the same schema as they."""
        if self.installed:
            on_host.use_installed(cluster)
            on_host.check(cluster, self._ask)
            self._may_drop = True
        else:
            for node in cluster.nodes:
                self._install(cluster, node)
        for node in cluster.nodes:
            node.start_db()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        for node in cluster.nodes:
            self.await_node(node, _left(deadline_s), starting=True)
        for node in cluster.nodes:
            self._await_ring(node, {each.address for each in cluster.nodes}, _left(deadline_s))

    def stop(self, cluster: Cluster) -> None:
        if self._may_drop:
            on_host.drop_keyspace(cluster, self._ask_patiently)
        for node in cluster.nodes:
            node.stop_db()

    def leave(self, cluster: Cluster, node: Node) -> None:
        """Decommission the node, stop it, and leave nothing on its disk."""
        if node.name in self._left:
            return
        try:
            decommission(node)
        except InfrastructureError:
            if not self._gone(cluster, node):
                raise
        self._empty(cluster, node)

    def join(self, cluster: Cluster, node: Node) -> None:
        """Start a node that has left, empty, and wait until it has its data; then restart it as it was at first."""
        if self._gone(cluster, node):
            self._empty(cluster, node)
        deadline_s = time.monotonic() + JOIN_TIMEOUT_S
        if node.name in self._left:
            everyone = {each.address for each in cluster.nodes if each is node or each.name not in self._left}
            node.start_db()
            self.await_node(node, _left(deadline_s))
            self._await_ring(node, everyone, _left(deadline_s))
            node.stop_db()
            self._install(cluster, node)
            self._left.discard(node.name)
            self._restarted.add(node.name)
            node.start_db()
        if node.name in self._restarted:
            self.await_node(node, _left(deadline_s))
            self._restarted.discard(node.name)

    def _empty(self, cluster: Cluster, node: Node) -> None:
        """A node that is no member any more: stopped, its data gone, and whoever starts it, it fetches them anew."""
        node.stop_db()
        if cluster.substrate == "ssh":
            empty(node, on_host.data_folder(node))
        else:
            empty(node)
        self._install(cluster, node, seed=False)
        self._left.add(node.name)

    def _gone(self, cluster: Cluster, node: Node) -> bool:
        """Whether others answer, and all of these say that it is no member. In doubt it is one: it would be emptied."""
        told = [self._members(other) for other in cluster.nodes if other is not node and other.name not in self._left]
        known = [members for members in told if members is not None]
        return bool(known) and not any(node.address in members for members in known)

    def _install(self, cluster: Cluster, node: Node, *, seed: bool = True) -> None:
        if cluster.substrate == "ssh":
            program = on_host.program(node)
            node.install(
                on_host.database(cluster.nodes, node, program, run_id=cluster.run_id, options=self.chosen, seed=seed)
            )
            return
        node.install(
            member(cluster.nodes, node, run_id=cluster.run_id, image=self.image, options=self.chosen, seed=seed)
        )

    def await_node(self, node: Node, timeout_s: float, *, starting: bool = False) -> None:
        """Until the node answers CQL; Cassandra opens its port after it joined the ring.

        starting: a node that has ended is not waited for. Raises InfrastructureError.
        """
        statement = "SELECT key FROM system.local"
        self._await(node, timeout_s, "it does not answer", lambda rows: bool(rows), statement, starting=starting)

    def _await_ring(self, node: Node, members: set[str], timeout_s: float) -> None:
        """Until the node knows where each other one's data lies, and that it has the same schema."""

        def complete(rows: list[Row]) -> bool:
            own = str(self._ask(node, "SELECT schema_version FROM system.local")[0]["schema_version"])
            known = {str(row["peer"]) for row in rows if row["tokens"] and str(row["schema_version"]) == own}
            return known >= members - {node.address}

        self._await(node, timeout_s, "it does not know all others, or their schema", complete, PEERS)

    def _members(self, node: Node) -> set[str] | None:
        """Addresses of the others that a node takes for members; None where it does not answer."""
        try:
            return {str(row["peer"]) for row in self._ask(node, PEERS)}
        except (OSError, ErrorMessage, DidNotHappen, Unknown):
            return None

    def _await(
        self,
        node: Node,
        timeout_s: float,
        problem: str,
        fulfilled: Any,
        statement: str,
        *,
        starting: bool = False,
    ) -> None:
        deadline_s = time.monotonic() + timeout_s
        said = ""
        while time.monotonic() < deadline_s:
            try:
                rows = self._ask(node, statement)
                if fulfilled(rows):
                    return
                said = str(rows)
            except (OSError, ErrorMessage, DidNotHappen, Unknown) as error:
                said = f"{type(error).__name__}: {error}"
                if starting:
                    require_database(node)
            time.sleep(POLL_S)
        raise InfrastructureError(f"{node.name}: {problem} after {timeout_s:.0f} s; last: {said[:200]}")

    def _ask(self, node: Node, statement: str) -> list[Row]:
        return ask(node, statement, self.timeouts)

    def _ask_patiently(self, node: Node, statement: str) -> list[Row]:
        return ask(node, statement, SCHEMA_TIMEOUTS)

    def version(self, node: Node) -> str:
        """The server's version, e.g. `5.0.5`. Raises OSError when it does not answer."""
        return str(self._ask(node, "SELECT release_version FROM system.local")[0]["release_version"])


PEERS = "SELECT peer, tokens, schema_version FROM system.peers_v2"


def ask(node: Node, statement: str, timeouts: Timeouts) -> list[Row]:
    """One statement at ONE over a connection of its own. Raises OSError, ErrorMessage, DidNotHappen, Unknown."""
    connection = connect(node, timeouts)
    try:
        return connection.query(statement, level=ConsistencyLevel.ONE)
    finally:
        connection.close()


def _left(deadline_s: float) -> float:
    return max(1.0, deadline_s - time.monotonic())
