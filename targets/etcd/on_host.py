"""etcd on hosts of the user's (`ON=ssh`): members that we start, or a cluster that is there.

In a cluster that is there our keys must not be: what an earlier run or anybody wrote under them would be taken for
this run's. So a run begins only where there is none, and removes at its end what lies under our prefixes.
"""

from __future__ import annotations

from typing import Any, Final

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Database, Node, program_on
from harness.target import Timeouts
from targets.etcd.gateway import CLIENT_PORT, NO_ANSWER, after, ask, encoded

PREFIXES: Final = ("append/", "register/", "set/", "lock/", "value/", "lease/", "watch/")
"""Whatever a workload writes begins with one of these."""
WAY_OUT: Final = "install it there (apt-get install etcd-server), or test one that runs there: OPTS=installed=yes"
PATIENCE: Final = Timeouts(op_s=20.0, connect_s=2.0)


def program(node: Node) -> str:
    """Where etcd is on the host. Raises InfrastructureError."""
    return program_on(node, "etcd", way_out=WAY_OUT)


def use_installed(cluster: Cluster) -> None:
    """Find the members that are there. Raises InfrastructureError, also where keys of ours are."""
    for node in cluster.nodes:
        node.install(Database(argv=[], ports=(CLIENT_PORT,)))
    try:
        left = {prefix: _count(cluster.nodes[0], prefix) for prefix in PREFIXES}
    except NO_ANSWER as error:
        raise InfrastructureError(
            f"{cluster.nodes[0].name}: the etcd that is there does not answer: {error}"
        ) from error
    found = [f"{count} under {prefix}" for prefix, count in left.items() if count]
    if found:
        raise InfrastructureError(
            f"this etcd holds keys where the test's would be ({', '.join(found)}): an earlier run was killed, or they "
            "are yours. If they are not, remove them: etcdctl del --prefix " + next(p for p in left if left[p])
        )


def remove_keys(cluster: Cluster) -> None:
    """Remove what lies under our prefixes. Raises InfrastructureError when no member does it."""
    said: Exception | None = None
    for node in cluster.nodes:
        try:
            for prefix in PREFIXES:
                ask(node, "/v3/kv/deleterange", _range(prefix), PATIENCE)
            return
        except NO_ANSWER as error:
            said = error
    raise InfrastructureError(f"the test's keys could not be removed from etcd: {said}")


def _count(node: Node, prefix: str) -> int:
    return int(ask(node, "/v3/kv/range", {**_range(prefix), "count_only": True}, PATIENCE).get("count", 0))


def _range(prefix: str) -> dict[str, Any]:
    return {"key": encoded(prefix), "range_end": after(prefix)}
