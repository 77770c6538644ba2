"""The Cassandra target: three nodes, one data centre, every row on three of them.

The vendor's image and defaults, but for a small heap and for two waits that make sense only between data centres (the
ring delay, and waiting for gossip to settle); readiness is checked instead of waited for. Nodes join one after the
other, as Cassandra asks. All are seeds: a node that is restarted while cut off must come up and say so to its
clients, where a node that finds no seed would end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from cassandra import ConsistencyLevel
from cassandra.protocol import ErrorMessage

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Database, Node, require_database
from harness.options import Option
from harness.target import Claim, DidNotHappen, KnownIssue, SessionFactory, Timeouts, Unknown
from targets.cassandra.connection import Connection
from targets.cassandra.sessions import PORT, RegisterSessions

STORAGE_PORT = 7000
DATA_DIR = "/var/lib/cassandra"
START_TIMEOUT_S = 180.0
POLL_S = 0.2
JVM_OPTIONS = (
    "-Dcassandra.ring_delay_ms=3000 -Dcassandra.skip_wait_for_gossip_to_settle=0"
    " -XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC"
)
"""No long waits; a compiler and a collector that suit three small processes on a few cores."""
ARCHITECTURE = "https://cassandra.apache.org/doc/5.0/cassandra/architecture/guarantees.html"

SERIAL_READS_12126 = KnownIssue(
    name="CASSANDRA-12126",
    sentence="A SERIAL read, or a compare-and-set that does not apply, can miss a write that a later one then sees.",
    link="https://issues.apache.org/jira/browse/CASSANDRA-12126",
    versions=(("", "3.0.24"), ("3.1", "3.11.10")),
    workloads=("register",),
    options={"writes": "lwt", "reads": "serial", "cas": "lwt"},
)


class Cassandra:
    """See `harness.target.Target`."""

    name: ClassVar[str] = "cassandra"
    doc: ClassVar[str] = "Apache Cassandra, a replicated store without a leader; three nodes, every row on each"
    substrates: ClassVar[tuple[str, ...]] = ("docker",)
    default_image: ClassVar[str] = "cassandra:5.0"
    default_nodes: ClassVar[int] = 3
    default_workload: ClassVar[str] = "register"
    options: ClassVar[Mapping[str, Option]] = {
        "writes": Option(
            "lwt", "blind writes: a lightweight transaction, or plain at that level", ("lwt", "quorum", "one")
        ),
        "reads": Option("serial", "the consistency level of reads", ("serial", "quorum", "one")),
        "cas": Option(
            "lwt",
            "compare-and-set: a lightweight transaction, or read, check and write at QUORUM",
            ("lwt", "read-write"),
        ),
        "timestamps": Option(
            "client", "who stamps plain writes: the clients, from one clock, or the node asked", ("client", "server")
        ),
    }
    workloads: ClassVar[Mapping[str, SessionFactory]] = {"register": RegisterSessions()}
    faults: ClassVar[tuple[str, ...]] = ("partition", "kill", "pause", "clock")
    known_issues: ClassVar[tuple[KnownIssue, ...]] = (SERIAL_READS_12126,)

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None:
        self.image, self.chosen, self.timeouts = image, options, timeouts

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim:
        """Linearizable when everything goes through Paxos; else nothing (eventual consistency)."""
        if (options.get("writes"), options.get("reads"), options.get("cas")) == ("lwt", "serial", "lwt"):
            return Claim("linearizable", "lightweight transactions with linearizable consistency", ARCHITECTURE)
        return Claim(None, "eventual consistency: the write with the highest timestamp wins in the end", ARCHITECTURE)

    def start(self, cluster: Cluster) -> None:
        """One node after the other; each must serve, and all must know each other, before the next one joins."""
        seeds = ",".join(node.address for node in cluster.nodes)
        for node in cluster.nodes:
            node.install(member(node, seeds, cluster.run_id, self.image))
        for count, node in enumerate(cluster.nodes, start=1):
            node.start_db()
            self.await_node(node, START_TIMEOUT_S, starting=True)
            for known in cluster.nodes[:count]:
                self._await_peers(known, count - 1, START_TIMEOUT_S)

    def stop(self, cluster: Cluster) -> None:
        for node in cluster.nodes:
            node.stop_db()

    def await_node(self, node: Node, timeout_s: float, *, starting: bool = False) -> None:
        """Until the node answers CQL; Cassandra opens its port after it joined the ring.

        starting: a node that has ended is not waited for. Raises InfrastructureError.
        """
        statement = "SELECT key FROM system.local"
        self._await(node, timeout_s, "it does not answer", lambda rows: bool(rows), statement, starting=starting)

    def _await_peers(self, node: Node, count: int, timeout_s: float) -> None:
        statement = "SELECT peer, host_id, schema_version FROM system.peers_v2"
        known = lambda rows: sum(row["host_id"] is not None for row in rows) >= count  # noqa: E731
        self._await(node, timeout_s, f"it does not know its {count} peers", known, statement)

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

    def _ask(self, node: Node, statement: str) -> list[dict[str, Any]]:
        host, port = node.endpoint(PORT)
        connection = Connection(host, port, self.timeouts)
        try:
            return connection.query(statement, level=ConsistencyLevel.ONE)
        finally:
            connection.close()

    def version(self, node: Node) -> str:
        """The server's version, e.g. `5.0.5`. Raises OSError when it does not answer."""
        return str(self._ask(node, "SELECT release_version FROM system.local")[0]["release_version"])


def member(node: Node, seeds: str, run_id: str, image: str) -> Database:
    """How to run one node, by the entry contract of the vendor's image (environment variables)."""
    return Database(
        image=image,
        argv=["cassandra", "-f"],
        env={
            "CASSANDRA_CLUSTER_NAME": f"faultline-{run_id}",
            "CASSANDRA_SEEDS": seeds,
            "CASSANDRA_LISTEN_ADDRESS": node.address,
            "CASSANDRA_BROADCAST_ADDRESS": node.address,
            "CASSANDRA_BROADCAST_RPC_ADDRESS": node.address,
            "CASSANDRA_RPC_ADDRESS": "0.0.0.0",
            "CASSANDRA_NUM_TOKENS": "4",
            "CASSANDRA_ENDPOINT_SNITCH": "SimpleSnitch",
            "MAX_HEAP_SIZE": "448M",
            "HEAP_NEWSIZE": "96M",
            "JVM_EXTRA_OPTS": JVM_OPTIONS,
        },
        ports=(PORT, STORAGE_PORT),
        data_dir=DATA_DIR,
    )
