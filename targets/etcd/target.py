"""The etcd target: a static cluster of members, each in its own pod, with the vendor's defaults.

Election timeout, heartbeat, fsync and snapshots are what a user gets who sets nothing. How a member runs, leaves and
joins is in `targets.etcd.members`; a member that was killed is started again by the same command.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Node, require_database
from harness.options import Option
from harness.target import Claim, KnownIssue, Leader, SessionFactory, Timeouts
from nemeses.base import Nemesis
from targets.etcd import members, on_host
from targets.etcd.gateway import get
from targets.etcd.known_issues import KNOWN_ISSUES
from targets.etcd.leases import LeaseSession
from targets.etcd.locks import LockSession
from targets.etcd.operations import NEMESES
from targets.etcd.sessions import AppendSession, RegisterSession, Sessions
from targets.etcd.sets import SetSession
from targets.etcd.watches import WatchSessions

START_TIMEOUT_S = 60.0
JOIN_TIMEOUT_S = 30.0
POLL_S = 0.1
ASK_S = 0.5
"""For a question to a member that others wait for."""
API_GUARANTEES = "https://etcd.io/docs/v3.6/learning/api_guarantees/"
LEASE_API = "https://etcd.io/docs/v3.6/learning/api/#lease-api"
LOCK_NOTES = "https://etcd.io/docs/v3.6/learning/why/#notes-on-the-usage-of-lock-and-lease"


class Etcd:
    """See `harness.target.Target`."""

    name: ClassVar[str] = "etcd"
    doc: ClassVar[str] = "etcd, a replicated key-value store (Raft); five members by default"
    substrates: ClassVar[tuple[str, ...]] = ("docker", "ssh")
    default_image: ClassVar[str] = "gcr.io/etcd-development/etcd:v3.6.16"
    default_nodes: ClassVar[int] = 5
    default_workload: ClassVar[str] = "append"
    options: ClassVar[Mapping[str, Option]] = {
        "reads": Option(
            "linearizable",
            "serializable: a member answers reads from what it has, without asking the others",
            ("linearizable", "serializable"),
        ),
        "guard": Option(
            "key",
            "lock: what is compared in the transaction that writes the guarded value; none: it is just written",
            ("key", "none"),
        ),
    }
    workloads: ClassVar[Mapping[str, SessionFactory]] = {
        "append": Sessions(AppendSession),
        "register": Sessions(RegisterSession),
        "set": Sessions(SetSession),
        "set-final": Sessions(SetSession),
        "lock": Sessions(LockSession),
        "lease": Sessions(LeaseSession),
        "watch": WatchSessions(),
    }
    faults: ClassVar[tuple[str, ...]] = ("partition", "kill", "pause", "clock")
    nemeses: ClassVar[tuple[Nemesis, ...]] = NEMESES
    known_issues: ClassVar[tuple[KnownIssue, ...]] = KNOWN_ISSUES

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None:
        self.image, self.chosen, self.timeouts = image, options, timeouts
        self.installed = options.get("installed") == "yes"
        self.may_remove = False

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim:
        """Strict serializability, but for serializable reads, which may be stale, and for locks, which are leases."""
        if workload == "watch":
            words = (
                "Ordered: events are ordered by revision. Unique: an event will never appear on a watch twice. "
                "Reliable: a sequence of events will never drop any subsequence of events."
            )
            return Claim("linearizable", words, API_GUARANTEES)
        if workload == "lease":
            words = "A lease expires if the etcd cluster does not receive a keepAlive within a given TTL period."
            return Claim("linearizable", words, LEASE_API)
        if workload == "lock":
            if options.get("guard") == "none":
                words = "Owning a lease cannot guarantee the owner holds a lock of the resource."
                return Claim(None, words, LOCK_NOTES)
            words = "mutual exclusion is implemented based on the mechanism of version number validation"
            return Claim("linearizable", words, LOCK_NOTES)
        transactional = workload == "append"
        if options.get("reads") == "serializable":
            words = (
                "Serializable range requests may access stale data with respect to quorum. "
                "Writes and the transactions that write are strictly serializable; what is read was true at some time."
            )
            return Claim("serializable" if transactional else "sequential", words, API_GUARANTEES)
        words = (
            "etcd ensures strict serializability, which is the strongest isolation guarantee; reads are linearizable."
        )
        return Claim("strict-serializable" if transactional else "linearizable", words, API_GUARANTEES)

    def start(self, cluster: Cluster) -> None:
        """Every member at once (a member alone waits for a quorum), then until each answers a linearizable read."""
        if self.installed:
            on_host.use_installed(cluster)
            self.may_remove = True
        else:
            self._install(cluster)
        for node in cluster.nodes:
            node.start_db()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        for node in cluster.nodes:
            self.await_node(node, max(1.0, deadline_s - time.monotonic()), starting=True)

    def _install(self, cluster: Cluster) -> None:
        founders = {node.name: members.peer_url(node) for node in cluster.nodes}
        for node in cluster.nodes:
            program = on_host.program(node) if cluster.substrate == "ssh" else members.PROGRAM
            node.install(members.database(node, self.image, program))
            members.configure(node, founders, cluster.run_id, state="new")

    def stop(self, cluster: Cluster) -> None:
        if self.may_remove:
            on_host.remove_keys(cluster)
        for node in cluster.nodes:
            node.stop_db()

    def await_node(self, node: Node, timeout_s: float, *, starting: bool = False) -> None:
        """Until the member is healthy: it has a leader and answered a read through it.

        starting: a member that has ended is not waited for. Raises InfrastructureError.
        """
        deadline_s = time.monotonic() + timeout_s
        said = "nothing"
        while time.monotonic() < deadline_s:
            try:
                said = get(node, "/health", self.timeouts.connect_s)
                if json.loads(said).get("health") == "true":
                    return
            except (OSError, http.client.HTTPException, ValueError) as error:
                said = f"{type(error).__name__}: {error}"
                if starting:
                    require_database(node)
            time.sleep(POLL_S)
        raise InfrastructureError(f"{node.name}: etcd was not healthy within {timeout_s:.0f} s; it said {said[:200]}")

    def version(self, node: Node) -> str:
        """The server's version, e.g. `3.6.16`. Raises OSError when it does not answer."""
        return str(json.loads(get(node, "/version", self.timeouts.connect_s))["etcdserver"])

    def leave(self, cluster: Cluster, node: Node) -> None:
        """Take the node out of the cluster, stop it, remove its data. Raises InfrastructureError."""
        members.leave(cluster, node)

    def join(self, cluster: Cluster, node: Node) -> None:
        """Add the node as a new, empty member and wait until it serves. Raises InfrastructureError.

        A member that hangs after it got the leader's snapshot is killed and told of; when asked again it starts anew.
        """
        members.join(cluster, node)
        try:
            self.await_node(node, JOIN_TIMEOUT_S)
        except InfrastructureError:
            node.agent.request("kill", timeout_s=20.0)
            raise

    def primaries(self, cluster: Cluster) -> list[str]:
        """Names of the members that believe to lead: after a partition there may be two for a moment."""
        return [leader.node for leader in self.leaders(cluster)]

    def leaders(self, cluster: Cluster) -> list[Leader]:
        """The same with Raft's term. Both are of one moment: what Raft says of itself, not what was applied since."""
        with ThreadPoolExecutor(len(cluster.nodes)) as pool:
            found = pool.map(_leader, cluster.nodes)
        return [leader for leader in found if leader is not None]


def _leader(node: Node) -> Leader | None:
    """The node as leader, if it says so; None also where it does not answer."""
    try:
        status = json.loads(get(node, "/debug/vars", ASK_S))["raft.status"]
        leads = status["raftState"] == "StateLeader"
        return Leader(node.name, int(status["term"])) if leads else None
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None
