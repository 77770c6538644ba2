"""The scripted replica set as the target sees it: nodes, a cluster, sessions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, cast

from harness.nodes.base import Cluster, Completed, Database, Node
from harness.options import with_defaults
from harness.registry import find_workload
from harness.target import SessionContext, Timeouts
from targets.mongodb.target import MongoDB
from tests.targets.mongodb_server import Member, ReplicaSet

USUAL = Timeouts(op_s=30.0, connect_s=20.0)
"""Where all goes well: a busy machine has time enough."""
SHORT = Timeouts(op_s=2.5, connect_s=20.0)
"""Where no answer comes."""
REFUSED = Timeouts(op_s=2.5, connect_s=1.0)
"""Where no session can be opened."""


class MemberNode:
    """A node whose database is a scripted member. commands: what was run on it."""

    home = "/home-of-the-node"
    address = "127.0.0.1"

    def __init__(self, member: Member) -> None:
        self.member = member
        self.name = f"n{member.number + 1}"
        self.database: Database | None = None
        self.commands: list[tuple[str, ...]] = []

    def port(self, port: int) -> int:
        return self.member.port

    def endpoint(self, port: int) -> tuple[str, int]:
        return self.address, self.member.port

    def run(self, *argv: str, **more: Any) -> Completed:
        self.commands.append(argv)
        if any("rm -rf" in word for word in argv):
            self.member.data.clear()
        return Completed(list(argv), "/opt/mongod\n" if "mongod" in argv else "", "")

    def install(self, database: Database) -> None:
        self.database = database

    def start_db(self) -> None:
        self.member.start()

    def stop_db(self, timeout_s: float = 20.0) -> None:
        self.member.stop()

    def db_pids(self) -> list[int]:
        return [1] if self.member.running else []


def cluster_of(replica_set: ReplicaSet, where: str = "docker") -> Cluster:
    class Members:
        substrate = where
        nodes = [MemberNode(member) for member in replica_set.members]

    return cast(Cluster, Members())


def target_for(workload: str, cluster: Cluster | None = None, **options: Any) -> MongoDB:
    """The target as a run would make it, on a set that is up already."""
    offered = {**MongoDB.options, **find_workload(workload).options}
    chosen = with_defaults(offered, {name.replace("__", "-"): value for name, value in options.items()})
    made = MongoDB(image="", options=chosen, timeouts=USUAL, workload=workload)
    if cluster is not None:
        made.know(cluster)
    return made


def installed(workload: str, **options: Any) -> MongoDB:
    """The target as a run would make it on a set that is there already."""
    chosen = {**target_for(workload, **options).chosen, "installed": "yes"}
    return MongoDB(image="", options=chosen, timeouts=USUAL, workload=workload)


@contextlib.contextmanager
def session(
    cluster: Cluster,
    workload: str,
    node: Node | None = None,
    *,
    timeouts: Timeouts = USUAL,
    gap: Callable[[], None] = lambda: None,
    **options: Any,
) -> Iterator[Any]:
    """A session as the interpreter would open it, through the first node if none is named; closed at the end."""
    target = target_for(workload, cluster, **options)
    context = SessionContext(process=0, timeouts=timeouts, between_statements=gap, options=target.chosen)
    opened = target.workloads[workload].open(target, node or cluster.nodes[0], context)
    try:
        yield opened
    finally:
        opened.close()
