"""TOPOLOGY=replicated: one primary and its streaming standbys, and what it takes to make another one the primary.

The first node begins as the primary, the others copy it (pg_basebackup) and follow it. Nothing fails over by itself:
who leads changes only by the fault `failover`. Each server knows its place from its own data directory (standby.signal,
primary_conninfo), so one that was killed comes back as what it was. To change that, an *order* is left in the node's
home: the address to follow, or `wait` until it is known. A server that begins obeys it first (start-member.sh).

Synchronous replication (`sync`): `on` waits for the first standby of the list, `quorum` for as many as make a majority
with the primary. What was acknowledged is then on so many standbys, and a new primary may be chosen only where enough
of them can be asked (`enough_to_choose`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Database, Node
from targets.postgres.connection import CannotConnect, Connection, ConnectionLost, ServerError
from targets.postgres.roles import Role, bounded, newest_leader, roles

DATA = "/var/lib/faultline"
HBA = "/etc/faultline/pg_hba.conf"
START = "/etc/faultline/start-member.sh"
HBA_TEXT = "local all all trust\nhost all all all trust\nhost replication all all trust\n"
"""The pods' network is the run's own."""
ATTACH_TIMEOUT_S = 60.0
PROMOTE_TIMEOUT_S = 30.0
POLL_S = 0.1
ANSWER_S = 20.0
"""How long a server that is to be promoted may take to answer at all: on a busy machine longer than a handshake may."""
WAIT = "wait"


class Servers(Protocol):
    """What is needed of the target."""

    image: str

    def connect(self, node: Node, application: str = ..., **settings: str) -> Connection: ...

    def await_node(self, node: Node, timeout_s: float, *, starting: bool = ...) -> None: ...


def synchronous_settings(sync: str, names: Sequence[str]) -> dict[str, str]:
    """Of each server, as anyone may come to lead."""
    if sync == "off":
        return {}
    method = {"on": "FIRST 1", "quorum": f"ANY {copies(sync, len(names))}"}[sync]
    return {"synchronous_standby_names": f"{method} ({', '.join(names)})"}


def copies(sync: str, count: int) -> int:
    """How many standbys have what was acknowledged."""
    return {"off": 0, "on": 1, "quorum": count // 2}[sync]


def enough_to_choose(sync: str, count: int) -> int:
    """Among how many of the standbys there is surely one that has all that was acknowledged; at least one."""
    return max(1, count - copies(sync, count)) if sync != "off" else 1


def member(node: Node, image: str, settings: Sequence[str]) -> Database:
    """How to run one server."""
    return Database(
        image=image,
        argv=["sh", START, "postgres", *settings],
        env={
            "POSTGRES_HOST_AUTH_METHOD": "trust",
            "PGDATA": f"{DATA}/pgdata",
            "FAULTLINE_NAME": node.name,
            "FAULTLINE_ORDER": order_path(node),
        },
        ports=(5432,),
        data_dir=DATA,
        files={HBA: HBA_TEXT, START: Path(__file__).with_name("start-member.sh").read_text("utf-8")},
    )


def member_settings(sync: str, names: Sequence[str]) -> dict[str, Any]:
    """Beside those of a single server: the log kept for whoever comes back, and a way back for an old primary."""
    return {
        "hba_file": HBA,
        "wal_keep_size": "512MB",
        "wal_log_hints": "on",
        "wal_retrieve_retry_interval": "200ms",
        **synchronous_settings(sync, names),
    }


def start(target: Servers, cluster: Cluster, settings: Sequence[str]) -> None:
    """The first node, then copies of it; returns when all of them stream. Raises InfrastructureError."""
    first, *others = cluster.nodes
    for node in cluster.nodes:
        node.install(member(node, target.image, settings))
    first.start_db()
    target.await_node(first, ATTACH_TIMEOUT_S, starting=True)

    def attach(node: Node) -> None:
        leave_order(node, first.address)
        node.start_db()
        target.await_node(node, ATTACH_TIMEOUT_S, starting=True)

    at_once(attach, others)
    await_streaming(target, cluster, first, others, ATTACH_TIMEOUT_S)


def at_once(do: Callable[[Node], Any], nodes: Sequence[Node]) -> None:
    """For all of them together; raises the first error when all have ended."""
    if nodes:
        with ThreadPoolExecutor(len(nodes), thread_name_prefix="servers") as pool:
            for future in [pool.submit(do, node) for node in nodes]:
                future.result()


def roles_in(target: Servers, nodes: Sequence[Node]) -> list[Role]:
    """Those that answer now."""
    return roles(nodes, lambda node: target.connect(node, "faultline-asks", statement_timeout="1000"))


def await_streaming(
    target: Servers, cluster: Cluster, leader: Node, standbys: Sequence[Node], timeout_s: float
) -> None:
    """Until all of them follow the leader, by their own word. Raises InfrastructureError."""
    until = time.monotonic() + timeout_s
    while True:
        following = {role.name for role in roles_in(target, standbys) if role.follows == leader.address}
        missing = [node.name for node in standbys if node.name not in following]
        if not missing:
            return
        if time.monotonic() > until:
            raise InfrastructureError(f"{', '.join(missing)} did not follow {leader.name} within {timeout_s:g} s")
        time.sleep(POLL_S)


# -- changing who leads


def order_path(node: Node) -> str:
    """The same path where the agent is and where the database is."""
    return f"{node.home}/follow"


def leave_order(node: Node, address: str) -> None:
    """What the node's server does when it begins next; all at once, as it may begin at any moment."""
    node.run("sh", "-c", 'printf %s "$1" > "$2.new" && mv "$2.new" "$2"', "order", address, order_path(node))


def tell(target: Servers, node: Node, *statements: str, limit_s: float = 5.0, answer_s: float = 0.0) -> None:
    """Have a server do something. Raises InfrastructureError for whatever goes wrong, or takes longer.

    answer_s: for how long connecting to it is tried.
    """
    until = time.monotonic() + answer_s
    while True:
        try:
            connection = target.connect(node, "faultline-operates")
            break
        except CannotConnect as error:
            if time.monotonic() >= until:
                raise InfrastructureError(f"{node.name}: {error}") from error
        time.sleep(POLL_S)
    try:
        with bounded(connection, limit_s):
            for statement in statements:
                connection.execute(statement)
    except (ServerError, ConnectionLost) as error:
        raise InfrastructureError(f"{node.name}: {error}") from error
    finally:
        connection.close()


def promote(target: Servers, node: Node) -> None:
    """Make a standby the primary; returns when it takes writes. Raises InfrastructureError.

    The checkpoint makes the new timeline known to pg_rewind.
    """
    node.run("rm", "-f", order_path(node))
    ask = f"SELECT pg_promote(true, {PROMOTE_TIMEOUT_S:.0f})"
    tell(target, node, ask, limit_s=PROMOTE_TIMEOUT_S + 1, answer_s=ANSWER_S)
    until = time.monotonic() + PROMOTE_TIMEOUT_S
    while not any(role.leads for role in roles_in(target, [node])):
        if time.monotonic() > until:
            raise InfrastructureError(f"{node.name} was promoted and does not lead")
        time.sleep(POLL_S)
    tell(target, node, "CHECKPOINT", limit_s=PROMOTE_TIMEOUT_S, answer_s=ANSWER_S)


def follow(target: Servers, node: Node, leader: Node) -> None:
    """Have a standby that runs follow another server. Raises InfrastructureError."""
    conninfo = (
        f"host={leader.address} port=5432 user=postgres dbname=postgres connect_timeout=2 application_name={node.name}"
    )
    tell(target, node, f"ALTER SYSTEM SET primary_conninfo = '{conninfo}'", "SELECT pg_reload_conf()")


def rejoin(target: Servers, node: Node, leader: Node) -> None:
    """End whatever runs there, and begin again as a standby of the leader. Raises InfrastructureError."""
    leave_order(node, leader.address)
    node.agent.request("kill", timeout_s=20.0)
    node.start_db()
    target.await_node(node, ATTACH_TIMEOUT_S, starting=True)


def best_standby(found: Sequence[Role]) -> Role:
    """The one that has most of the log; the first of equals."""
    return max(found, key=lambda role: max(role.received, role.replayed))


def reunite(target: Servers, cluster: Cluster, needed: int, settle_s: float = 5.0) -> dict[str, str]:
    """Make of whatever there is one primary and its standbys; node → what had to be done. Raises InfrastructureError.

    The primary is the one of the highest timeline; where none leads, the standby with most of the log is promoted, if
    `needed` of them answer. A standby that can simply follow does; all others are rebuilt from the primary.
    """
    done: dict[str, str] = {}
    found = roles_in(target, cluster.nodes)
    leading = newest_leader(found)
    if leading is None:
        if len(found) < needed:
            raise InfrastructureError(f"no server leads, and {len(found)} standbys answer where {needed} are needed")
        leading = best_standby(found)
        promote(target, next(node for node in cluster.nodes if node.name == leading.name))
        done[leading.name] = "promoted"
    leader = next(node for node in cluster.nodes if node.name == leading.name)
    leader.run("rm", "-f", order_path(leader))
    by_name = {role.name: role for role in found}
    for node in cluster.nodes:
        role = by_name.get(node.name)
        if node is leader or (role is not None and role.follows == leader.address):
            continue
        if role is not None and not role.leads and _follows_soon(target, cluster, node, leader, settle_s):
            done[node.name] = "follows"
            continue
        rejoin(target, node, leader)
        await_streaming(target, cluster, leader, [node], ATTACH_TIMEOUT_S)
        done[node.name] = "rejoined"
    return done


def _follows_soon(target: Servers, cluster: Cluster, node: Node, leader: Node, settle_s: float) -> bool:
    try:
        follow(target, node, leader)
        await_streaming(target, cluster, leader, [node], settle_s)
    except InfrastructureError:
        return False
    return True
