"""TOPOLOGY=patroni: Patroni decides who leads, with etcd as its store; the harness only breaks things and watches.

In each pod run an etcd member and Patroni, which runs PostgreSQL, all three one process tree: a kill, a pause, a cut or
a skewed clock takes the node's share of the store with it, as where the three live on one machine. (An etcd that no
fault ever reached would make Patroni look better than it is.) With three nodes any one of them may be lost.

Patroni keeps its defaults, but for `patroni_ttl_s`: a dead leader is replaced after about so long; loop_wait and
retry_timeout are a third of it, as in the defaults (30, 10, 10), which is the most that Patroni allows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Database, Node
from targets.postgres import replicated
from targets.postgres.connection import CannotConnect, Connection, ConnectionLost, ServerError
from targets.postgres.roles import newest_leader

PATRONI_IMAGE = "faultline-patroni:4.0"
"""Made by `make images` (images-patroni/): nobody ships PostgreSQL, Patroni and etcd in one."""
DATA = "/var/lib/faultline"
CONFIG = "/etc/faultline/patroni.json"
START_TIMEOUT_S = 120.0
POLL_S = 0.2
BOTH = """
set -eu
as_postgres() { exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
install -d -o postgres -g postgres -m 700 "$DATA/etcd"
chown postgres:postgres "$DATA"
as_postgres "$@" &
as_postgres patroni "$CONFIG"
"""
SYNCHRONOUS: dict[str, dict[str, Any]] = {
    "off": {},
    "on": {"synchronous_mode": True},
    "quorum": {"synchronous_mode": "quorum"},
    "strict": {"synchronous_mode": True, "synchronous_mode_strict": True},
}


class Servers(replicated.Servers, Protocol):
    """What is needed of the target."""

    chosen: Mapping[str, Any]


def start(target: Servers, cluster: Cluster, settings: Mapping[str, Any]) -> None:
    """All nodes; returns when one leads and all others stream from it. Raises InfrastructureError."""
    for node in cluster.nodes:
        node.install(member(node, cluster.nodes, target.image, target.chosen, settings))
    replicated.at_once(lambda node: node.start_db(), cluster.nodes)
    until = time.monotonic() + START_TIMEOUT_S
    for node in cluster.nodes:
        target.await_node(node, max(1.0, until - time.monotonic()), starting=True)
    while not _complete(target, cluster):
        if time.monotonic() > until:
            raise InfrastructureError(f"Patroni did not make a whole cluster within {START_TIMEOUT_S:g} s")
        time.sleep(POLL_S)


def member(
    node: Node, nodes: Sequence[Node], image: str, chosen: Mapping[str, Any], settings: Mapping[str, Any]
) -> Database:
    """How to run one node."""
    etcd = {
        "name": node.name,
        "data-dir": f"{DATA}/etcd",
        "listen-client-urls": "http://0.0.0.0:2379",
        "advertise-client-urls": f"http://{node.address}:2379",
        "listen-peer-urls": "http://0.0.0.0:2380",
        "initial-advertise-peer-urls": f"http://{node.address}:2380",
        "initial-cluster": ",".join(f"{each.name}=http://{each.address}:2380" for each in nodes),
        "initial-cluster-state": "new",
        "log-level": "warn",
    }
    return Database(
        image=image,
        argv=["bash", "-c", BOTH, "both", "etcd", *(f"--{name}={value}" for name, value in etcd.items())],
        env={"DATA": DATA, "CONFIG": CONFIG, "HOME": DATA, "PATRONI_LOG_LEVEL": "INFO"},
        ports=(5432,),
        data_dir=DATA,
        files={CONFIG: json.dumps(configuration(node, nodes, chosen, settings), indent=1)},
    )


def configuration(
    node: Node, nodes: Sequence[Node], chosen: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Patroni's, as JSON, which is YAML too."""
    ttl_s = chosen["patroni_ttl_s"]
    return {
        "scope": "faultline",
        "name": node.name,
        "restapi": {"listen": "0.0.0.0:8008", "connect_address": f"{node.address}:8008"},
        "etcd3": {"hosts": [f"{each.address}:2379" for each in nodes]},
        "bootstrap": {
            "dcs": {
                "ttl": ttl_s,
                "loop_wait": ttl_s // 3,
                "retry_timeout": ttl_s // 3,
                "maximum_lag_on_failover": 1048576,
                "postgresql": {"use_pg_rewind": True, "parameters": dict(settings)},
                **SYNCHRONOUS[chosen["sync"]],
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
        },
        "postgresql": {
            "listen": "0.0.0.0:5432",
            "connect_address": f"{node.address}:5432",
            "data_dir": f"{DATA}/pgdata",
            "pgpass": f"{DATA}/pgpass",
            "authentication": {
                "superuser": {"username": "postgres"},
                "replication": {"username": "postgres"},
            },
            "pg_hba": replicated.HBA_TEXT.splitlines(),
        },
    }


def _complete(target: Servers, cluster: Cluster) -> bool:
    """Whether all others stream from the leader, and it waits for them where it is to."""
    found = replicated.roles_in(target, cluster.nodes)
    leading = newest_leader(found)
    if leading is None or len(found) < len(cluster.nodes):
        return False
    leader = next(node for node in cluster.nodes if node.name == leading.name)
    if any(role.follows != leader.address for role in found if role.name != leading.name):
        return False
    if target.chosen["sync"] == "off":
        return True
    try:
        connection: Connection = target.connect(leader, "faultline-asks", statement_timeout="1000")
    except CannotConnect:
        return False
    try:
        waits = connection.execute(
            "SELECT 1 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum') AND state = 'streaming'"
        )
        return bool(waits.rows)
    except (ServerError, ConnectionLost):
        return False
    finally:
        connection.close()
