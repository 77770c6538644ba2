"""How one node is run, by the entry contract of the vendor's image; how it leaves the ring, and joins it again.

All nodes are seeds: one that is restarted while it is cut off must come up and say so to its clients, where a node that
finds no seed would end. A seed does not bootstrap, though: it takes its part of the ring at once, empty. Right for the
first start, when all are empty; for one that joins again it would be a loss of data. So a node that has left is
installed anew as no seed, with nothing on its disk: whoever starts it then, it fetches its data first. When it has, it
is restarted as the seed that it was.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.errors import InfrastructureError
from harness.nodes.base import CommandFailed, Database, Node
from targets.cassandra import nodetool
from targets.cassandra.connection import PORT

STORAGE_PORT: Final = 7000
DATA_DIR: Final = "/var/lib/cassandra"
DATA_ON_NODE: Final = "/faultline/data"
"""The same, as the node's agent sees it."""
TOKENS: Final = 4
"""How many parts of the ring a node has."""
LEAVE_TIMEOUT_S: Final = 200.0
JVM_OPTIONS: Final = (
    "-Dcassandra.ring_delay_ms=3000 -Dcassandra.skip_wait_for_gossip_to_settle=0"
    " -XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC"
)
"""No long waits; a compiler and a collector that suit three small processes on a few cores."""
HEAP: Final = {"MAX_HEAP_SIZE": "448M", "HEAP_NEWSIZE": "96M"}
COMMIT_LOG: Final[Mapping[str, Mapping[str, str]]] = {
    "batch": {"commitlog_sync": "batch", "commitlog_sync_period": "0ms"},
    "periodic": {"commitlog_sync": "periodic", "commitlog_sync_period": "10000ms"},
}
"""Settings by the option `commitlog`."""


def settings(options: Mapping[str, Any]) -> dict[str, str]:
    """Settings of cassandra.yaml that differ from the vendor's.

    Reads at ONE are answered by the node that was asked, if it holds the row. Counters time out as other writes do, so
    that a second try fits into an op. Hints are on disk after a second, from where they are sent every ten seconds.
    commitlog=batch: no node says that it has a write before its log has it; by Cassandra's default (periodic) it does,
    and one that is killed forgets what came after its log's last marker, of which it sets ten in a second.
    """
    return {
        **COMMIT_LOG[str(options["commitlog"])],
        "materialized_views_enabled": "true",
        "dynamic_snitch": "false",
        "counter_write_request_timeout": "2000ms",
        "hints_flush_period": "1000ms",
        "paxos_variant": str(options["paxos"]),
        "hinted_handoff_enabled": "true" if options["hints"] == "on" else "false",
    }


def tokens(place: int, nodes: int) -> str:
    """A node's part of the ring: every so many tokens, all at the same distance."""
    count = nodes * TOKENS
    return ",".join(str(-(2**63) + (place + nodes * turn) * 2**64 // count) for turn in range(TOKENS))


def java_options(nodes: Sequence[Node], node: Node, options: Mapping[str, Any]) -> str:
    """What JVM_EXTRA_OPTS says, in a pod and on a host."""
    return " ".join(
        [
            JVM_OPTIONS,
            f"-Dcassandra.initial_token={tokens(list(nodes).index(node), len(nodes))}",
            "-Dcassandra.config.allow_system_properties=true",
            *(f"-Dcassandra.settings.{name}={value}" for name, value in settings(options).items()),
        ]
    )


def seeds(nodes: Sequence[Node], node: Node, *, seed: bool) -> str:
    """Addresses of the seeds as the node is told them: all; without the node itself, if it is none."""
    return ",".join(each.address for each in nodes if seed or each is not node)


def member(
    nodes: Sequence[Node], node: Node, *, run_id: str, image: str, options: Mapping[str, Any], seed: bool = True
) -> Database:
    """One node of a ring of these nodes. seed: see above."""
    return Database(
        image=image,
        argv=["cassandra", "-f"],
        env={
            "CASSANDRA_CLUSTER_NAME": f"faultline-{run_id}",
            "CASSANDRA_SEEDS": seeds(nodes, node, seed=seed),
            "CASSANDRA_LISTEN_ADDRESS": node.address,
            "CASSANDRA_BROADCAST_ADDRESS": node.address,
            "CASSANDRA_BROADCAST_RPC_ADDRESS": node.address,
            "CASSANDRA_RPC_ADDRESS": "0.0.0.0",
            "CASSANDRA_NUM_TOKENS": str(TOKENS),
            "CASSANDRA_ENDPOINT_SNITCH": "GossipingPropertyFileSnitch",
            **HEAP,
            "JVM_EXTRA_OPTS": java_options(nodes, node, options),
        },
        ports=(PORT, STORAGE_PORT),
        data_dir=DATA_DIR,
    )


def decommission(node: Node) -> None:
    """The node hands its data to the others and leaves. Raises InfrastructureError.

    Never by force, which would be needed where the others are fewer than the replicas that are asked for: what only the
    leaving node and one other hold, and a quorum was told of, would then be in one copy of three.
    """
    nodetool.run(node, "decommission", timeout_s=LEAVE_TIMEOUT_S)


def empty(node: Node, folder: str = DATA_ON_NODE) -> None:
    """Nothing is left on a stopped node's disk. folder: where its data lie. Raises InfrastructureError."""
    until = time.monotonic() + 20.0
    while node.db_pids():
        if time.monotonic() > until:
            raise InfrastructureError(f"{node.name}: its database did not end")
        time.sleep(0.1)
    try:
        node.run("find", folder, "-mindepth", "1", "-delete")
    except CommandFailed as error:
        raise InfrastructureError(f"{node.name}: its data could not be removed: {error}") from error
