"""The members of an etcd cluster: how each one runs, how one leaves the cluster, and how it joins again.

A member is `etcd --config-file=...`; the file and the data lie in the node's own directory (`Node.home`). Only the file
says how the member comes to its cluster: as one of its founders at first, later as one that was added. A node
that has left has no file, so whatever starts it by mistake ends at once: an empty member with a founder's file
would take itself for part of the cluster under its old identity.

Leaving: another member takes it out of the membership, then file, process and data go. Joining: another member adds
it (under a new identity), then it starts with the membership of that moment and gets its data from the leader. Requests
that change the membership may end in doubt, so what counts is the list of members, read linearizably.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, Final

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Database, Node
from harness.target import Timeouts, Unknown
from targets.etcd.errors import GatewayError
from targets.etcd.gateway import CLIENT_PORT, NO_ANSWER, ask

PEER_PORT: Final = 2380
PROGRAM: Final = "/usr/local/bin/etcd"
"""Where it is in the vendor's image."""
CHANGE_TIMEOUT_S: Final = 60.0
"""For one change of the membership. etcd refuses to add while a member has not been connected for five seconds."""
AGAIN_S: Final = 0.5
ASKING: Final = Timeouts(op_s=5.0, connect_s=1.0)


def database(node: Node, image: str, program: str = PROGRAM) -> Database:
    """How to run a member; `configure` says as what."""
    return Database(
        image=image,
        argv=[program, f"--config-file={config_file(node)}"],
        ports=(CLIENT_PORT, PEER_PORT),
    )


def configure(node: Node, members: dict[str, str], token: str, *, state: str) -> None:
    """Write a member's file. members: name → peer URL, its own among them. state: `new` for founders, or `existing`.

    All else is what etcd does by default; the gateway has to be named, because only on the command line it is on.
    """
    in_a_pod = node.database is not None and bool(node.database.image)
    listen = "0.0.0.0" if in_a_pod else node.address
    settings: dict[str, Any] = {
        "name": node.name,
        "data-dir": data_dir(node),
        "listen-client-urls": f"http://{listen}:{node.port(CLIENT_PORT)}",
        "advertise-client-urls": f"http://{node.address}:{node.port(CLIENT_PORT)}",
        "listen-peer-urls": f"http://{listen}:{node.port(PEER_PORT)}",
        "initial-advertise-peer-urls": peer_url(node),
        "initial-cluster": ",".join(f"{name}={url}" for name, url in members.items()),
        "initial-cluster-token": token,
        "initial-cluster-state": state,
        "enable-grpc-gateway": True,
    }
    node.run("sh", "-c", 'cat > "$0"', config_file(node), stdin=json.dumps(settings, indent=1) + "\n")


def config_file(node: Node) -> str:
    """YAML, of which JSON is a part."""
    return f"{node.home}/etcd.yaml"


def data_dir(node: Node) -> str:
    return f"{node.home}/etcd"


def peer_url(node: Node) -> str:
    """Where the other members reach this one."""
    return f"http://{node.address}:{node.port(PEER_PORT)}"


def leave(cluster: Cluster, node: Node) -> None:
    """Take a node out of the cluster and remove its data. Raises InfrastructureError."""
    others = [other for other in cluster.nodes if other.name != node.name]
    until_s = time.monotonic() + CHANGE_TIMEOUT_S
    said = "nobody answered"
    while True:
        listed, said = _listed(others, said)
        if listed is not None and not _entry_of(listed, node):
            break
        if listed is not None:
            said = _try(others, "/v3/cluster/member/remove", {"ID": _entry_of(listed, node)["ID"]})
        _wait(until_s, f"{node.name} could not be taken out of the cluster: {said}")
    node.run("rm", "-f", config_file(node))
    node.agent.request("kill", timeout_s=20.0)
    node.run("rm", "-rf", data_dir(node))


def join(cluster: Cluster, node: Node) -> None:
    """Add a node that has left, and start it; nothing is done for one that is a member. Raises InfrastructureError."""
    others = [other for other in cluster.nodes if other.name != node.name]
    until_s = time.monotonic() + CHANGE_TIMEOUT_S
    said = "nobody answered"
    while True:
        listed, said = _listed(others, said)
        if listed is not None and _entry_of(listed, node):
            break
        if listed is not None:
            said = _try(others, "/v3/cluster/member/add", {"peerURLs": [peer_url(node)]})
        _wait(until_s, f"{node.name} could not be added to the cluster: {said}")
    if not _entry_of(listed, node).get("name"):
        members = {str(entry.get("name") or node.name): str(entry["peerURLs"][0]) for entry in listed}
        configure(node, members, cluster.run_id, state="existing")
    if not node.db_pids():
        node.start_db()


def _listed(others: Sequence[Node], before: str) -> tuple[list[dict[str, Any]] | None, str]:
    """The members as a quorum knows them (3.4: the one asked), None where nobody answered; and what was said last."""
    said = before
    for other in others:
        try:
            return list(ask(other, "/v3/cluster/member/list", {"linearizable": True}, ASKING)["members"]), ""
        except NO_ANSWER as error:
            said = f"{other.name}: {error}"
    return None, said


def _entry_of(listed: list[dict[str, Any]], node: Node) -> dict[str, Any]:
    """The node's entry; {} where it is no member."""
    return next((entry for entry in listed if peer_url(node) in entry.get("peerURLs", ())), {})


def _try(others: Sequence[Node], path: str, body: dict[str, Any]) -> str:
    """Ask one after the other until one takes it or may have taken it; what was said."""
    said = "nobody answered"
    for other in others:
        try:
            ask(other, path, body, ASKING)
            return ""
        except (Unknown, GatewayError) as error:
            return f"{other.name}: {error}"
        except NO_ANSWER as error:
            said = f"{other.name}: {error}"
    return said


def _wait(until_s: float, problem: str) -> None:
    if time.monotonic() > until_s:
        raise InfrastructureError(problem)
    time.sleep(AGAIN_S)
