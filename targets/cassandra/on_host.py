"""Cassandra on hosts of the user's (`ON=ssh`): nodes that we start from its programs, or a ring that is there.

Ours run with a cassandra.yaml of our own and keep everything in the node's home: of the host's configuration only what
its launcher gives is used, the classpath and the JVM's switches. They listen on the node's address alone, and ask for
no password. In a ring that is there, all is done in one keyspace, `faultline`, which must not be there when a run
begins and is dropped at its end. The hosts must be the whole ring: with a node that no fault reaches it would be
another test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cassandra.protocol import ErrorMessage

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import Cluster, CommandFailed, Database, Node, program_on
from harness.options import Option
from harness.target import DidNotHappen, Unknown
from targets.cassandra import nodetool
from targets.cassandra.connection import PORT, Row
from targets.cassandra.member import HEAP, STORAGE_PORT, TOKENS, java_options, seeds
from targets.cassandra.nodetool import PLACES

WAY_OUT: Final = (
    "install it there, with its Java (apt-get install cassandra from Apache's repository, or its tarball in"
    " /opt/cassandra), or test a ring that runs there: OPTS=installed=yes"
)
SERVERS_OWN: Final = ("paxos", "hints", "commitlog")
"""Options that set up nodes; those that are there have their own settings."""
KEYSPACE: Final = "faultline"
NO_ANSWER: Final = (OSError, ErrorMessage, DidNotHappen, Unknown)
NODETOOL_TIMEOUT_S: Final = 120.0

Ask = Callable[[Node, str], list[Row]]


def database(
    nodes: Sequence[Node], node: Node, program: str, *, run_id: str, options: Mapping[str, Any], seed: bool = True
) -> Database:
    """One node of a ring of these hosts, as `targets.cassandra.member.member` in a pod. Raises InfrastructureError."""
    home = node.home
    node.db_run("mkdir", "-p", f"{home}/logs", f"{home}/tmp")
    java = [
        java_options(nodes, node, options),
        f"-Dcassandra.config=file://{home}/cassandra.yaml",
        f"-Dcassandra-rackdc.properties=file://{home}/cassandra-rackdc.properties",
        f"-Dcassandra.storagedir={data_folder(node)}",
        f"-Djava.io.tmpdir={home}/tmp",
        f"-Djna.tmpdir={home}/tmp",
        "-XX:+PerfDisableSharedMem",
    ]
    return Database(
        argv=[program, "-f", "-R"],
        env={
            **HEAP,
            "CASSANDRA_LOG_DIR": f"{home}/logs",
            "CASSANDRA_HEAPDUMP_DIR": f"{home}/logs",
            "JVM_EXTRA_OPTS": " ".join(java),
        },
        ports=(PORT, STORAGE_PORT),
        data_dir=data_folder(node),
        files={
            f"{home}/cassandra.yaml": json.dumps(configuration(nodes, node, run_id=run_id, seed=seed), indent=2) + "\n",
            f"{home}/cassandra-rackdc.properties": "dc=dc1\nrack=rack1\n",
        },
        stop_signal="SIGTERM",
    )


def configuration(nodes: Sequence[Node], node: Node, *, run_id: str, seed: bool) -> dict[str, Any]:
    """A cassandra.yaml, of which JSON is a part; what is not in it has Cassandra's default."""
    data = data_folder(node)
    seed_provider = {
        "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
        "parameters": [{"seeds": seeds(nodes, node, seed=seed)}],
    }
    return {
        "cluster_name": f"faultline-{run_id}",
        "num_tokens": TOKENS,
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "data_file_directories": [f"{data}/data"],
        "commitlog_directory": f"{data}/commitlog",
        "saved_caches_directory": f"{data}/saved_caches",
        "hints_directory": f"{data}/hints",
        "cdc_raw_directory": f"{data}/cdc_raw",
        "seed_provider": [seed_provider],
        "listen_address": node.address,
        "rpc_address": node.address,
        "endpoint_snitch": "GossipingPropertyFileSnitch",
        "memtable_allocation_type": "heap_buffers",
        "cas_contention_timeout": "1000ms",
    }


def data_folder(node: Node) -> str:
    """Where a node that we start keeps its data."""
    return f"{node.home}/data"


def program(node: Node) -> str:
    """Where cassandra is on the host. Raises InfrastructureError."""
    return program_on(node, "cassandra", PLACES, way_out=WAY_OUT)


def check_installed(chosen: Mapping[str, Any], offered: Mapping[str, Option]) -> None:
    """Raises UsageError for options that a ring which is there can't be given, or that need one of ours."""
    for name in SERVERS_OWN:
        if chosen[name] != offered[name].default:
            raise UsageError(f"option {name}={chosen[name]} sets up a node; with installed=yes it has its own settings")
    if chosen.get("final") == "converge":
        raise UsageError(
            "option final=converge reads each node's own copy; with installed=yes the ring's settings (its snitch)"
            " decide which node answers"
        )


def use_installed(cluster: Cluster) -> None:
    """Find the nodes that are there. Raises InfrastructureError."""
    for node in cluster.nodes:
        node.install(Database(argv=[], ports=(PORT,)))


def check(cluster: Cluster, ask: Ask) -> None:
    """That the hosts are one whole ring, without our keyspace. Raises InfrastructureError."""
    addresses = {node.address for node in cluster.nodes}
    for node in cluster.nodes:
        try:
            members = {str(row["peer"]) for row in ask(node, "SELECT peer FROM system.peers_v2")} | {node.address}
        except NO_ANSWER as error:
            raise InfrastructureError(f"{node.name}: the Cassandra that is there does not answer: {error}") from error
        if members != addresses:
            raise InfrastructureError(
                f"{node.name}: its ring is {', '.join(sorted(members))}, the hosts are {', '.join(sorted(addresses))}:"
                " name them all (HOSTS=host/ADDRESS where Cassandra knows another address)"
            )
    if ask(cluster.nodes[0], f"SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = '{KEYSPACE}'"):
        raise InfrastructureError(
            f"this Cassandra has a keyspace {KEYSPACE!r}, where the test's would be: an earlier run was killed, or it"
            f" is yours. If it is not, drop it: DROP KEYSPACE {KEYSPACE}"
        )


def drop_keyspace(cluster: Cluster, ask: Ask) -> None:
    """Drop our keyspace, and the snapshots of its tables that Cassandra makes by itself when it is dropped.

    Raises InfrastructureError.
    """
    said: Exception | None = None
    for node in cluster.nodes:
        try:
            ask(node, f"DROP KEYSPACE IF EXISTS {KEYSPACE}")
            break
        except NO_ANSWER as error:
            said = error
    else:
        raise InfrastructureError(f"keyspace {KEYSPACE} could not be dropped: {said}")
    for node in cluster.nodes:
        try:
            clear = [*nodetool.program(node), "clearsnapshot", "--all", "--", KEYSPACE]
            node.db_run(*clear, timeout_s=NODETOOL_TIMEOUT_S)
        except CommandFailed as error:
            raise InfrastructureError(f"{node.name}: snapshots of {KEYSPACE} are left: {error}") from error
