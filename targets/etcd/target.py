"""The etcd target: a static cluster of members, each in its own pod, with the vendor's defaults.

Election timeout, heartbeat, fsync and snapshots are what a user gets who sets nothing. Every member is given the
whole membership at its first start and finds it in its data afterwards, so a killed member is started again by the
same command.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Database, Node, require_database
from harness.options import Option
from harness.target import Claim, DidNotHappen, KnownIssue, SessionFactory, Timeouts, Unknown
from targets.etcd.errors import GatewayError
from targets.etcd.gateway import Gateway
from targets.etcd.sessions import CLIENT_PORT, AppendSession, RegisterSession, Sessions

PEER_PORT = 2380
DATA_DIR = "/var/lib/etcd"
START_TIMEOUT_S = 60.0
POLL_S = 0.1
API_GUARANTEES = "https://etcd.io/docs/v3.6/learning/api_guarantees/"

STALE_READ_20418 = KnownIssue(
    name="etcd #20418",
    sentence="A linearizable read can be stale: a retried ReadIndex request takes the answer to an earlier one.",
    link="https://github.com/etcd-io/etcd/issues/20418",
    versions=(("3.4.20", "3.4.42"), ("3.5.0", "3.5.28"), ("3.6.0", "3.6.9")),
    workloads=("register", "append"),
    needs=("pause",),
    options={"reads": "linearizable"},
)


class Etcd:
    """See `harness.target.Target`."""

    name: ClassVar[str] = "etcd"
    doc: ClassVar[str] = "etcd, a replicated key-value store (Raft); five members by default"
    substrates: ClassVar[tuple[str, ...]] = ("docker",)
    default_image: ClassVar[str] = "gcr.io/etcd-development/etcd:v3.6.16"
    default_nodes: ClassVar[int] = 5
    default_workload: ClassVar[str] = "append"
    options: ClassVar[Mapping[str, Option]] = {
        "reads": Option(
            "linearizable",
            "serializable: a member answers reads from what it has, without asking the others",
            ("linearizable", "serializable"),
        )
    }
    workloads: ClassVar[Mapping[str, SessionFactory]] = {
        "append": Sessions(AppendSession),
        "register": Sessions(RegisterSession),
    }
    faults: ClassVar[tuple[str, ...]] = ("partition", "kill", "pause", "clock")
    known_issues: ClassVar[tuple[KnownIssue, ...]] = (STALE_READ_20418,)

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None:
        self.image, self.chosen, self.timeouts = image, options, timeouts

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim:
        """Strict serializability for every operation, but for serializable reads, which may be stale."""
        if options.get("reads") == "serializable":
            words = (
                "Serializable range requests may access stale data with respect to quorum. "
                "Writes and the transactions that write are strictly serializable; what is read was true at some time."
            )
            return Claim("serializable" if workload == "append" else "sequential", words, API_GUARANTEES)
        words = (
            "etcd ensures strict serializability, which is the strongest isolation guarantee; reads are linearizable."
        )
        return Claim("strict-serializable" if workload == "append" else "linearizable", words, API_GUARANTEES)

    def start(self, cluster: Cluster) -> None:
        """Every member at once (a member alone waits for a quorum), then until each answers a linearizable read."""
        members = ",".join(f"{node.name}={peer_url(node)}" for node in cluster.nodes)
        for node in cluster.nodes:
            node.install(member(node, members, cluster.run_id, self.image))
        for node in cluster.nodes:
            node.start_db()
        deadline_s = time.monotonic() + START_TIMEOUT_S
        for node in cluster.nodes:
            self.await_node(node, max(1.0, deadline_s - time.monotonic()), starting=True)

    def stop(self, cluster: Cluster) -> None:
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

    def primaries(self, cluster: Cluster) -> list[str]:
        """Names of the members that believe to lead: after a partition there may be two for a moment."""
        leaders = []
        for node in cluster.nodes:
            with contextlib.suppress(OSError, http.client.HTTPException, GatewayError, DidNotHappen, Unknown):
                host, port = node.endpoint(CLIENT_PORT)
                with contextlib.closing(Gateway(host, port, Timeouts(op_s=1.0, connect_s=0.5))) as gateway:
                    status = gateway.post("/v3/maintenance/status", {})
                if status.get("leader") == status["header"]["member_id"]:
                    leaders.append(node.name)
        return leaders


def member(node: Node, members: str, run_id: str, image: str) -> Database:
    """How to run one member. members: `name=peer URL` of all, joined by commas."""
    listen = "0.0.0.0" if node.port(CLIENT_PORT) == CLIENT_PORT else node.address
    return Database(
        image=image,
        argv=[
            "/usr/local/bin/etcd",
            f"--name={node.name}",
            f"--data-dir={DATA_DIR}",
            f"--listen-client-urls=http://{listen}:{node.port(CLIENT_PORT)}",
            f"--advertise-client-urls=http://{node.address}:{node.port(CLIENT_PORT)}",
            f"--listen-peer-urls=http://{listen}:{node.port(PEER_PORT)}",
            f"--initial-advertise-peer-urls={peer_url(node)}",
            f"--initial-cluster={members}",
            f"--initial-cluster-token={run_id}",
            "--initial-cluster-state=new",
        ],
        ports=(CLIENT_PORT, PEER_PORT),
        data_dir=DATA_DIR,
    )


def peer_url(node: Node) -> str:
    """Where the other members reach this one."""
    return f"http://{node.address}:{node.port(PEER_PORT)}"


def get(node: Node, path: str, timeout_s: float) -> str:
    """The body of a plain GET on the client port, whatever its status. Raises OSError, http.client.HTTPException."""
    host, port = node.endpoint(CLIENT_PORT)
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=timeout_s)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode(errors="replace")
