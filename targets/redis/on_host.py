"""Redis on hosts of the user's (`ON=ssh`): servers and Sentinels that we start, or those that are there.

Of those that are there nothing is changed but keys below `faultline/`. What somebody else wrote there would be taken
for this run's, so a run begins only where there is none, and removes at its end what it wrote. The hosts must be the
whole of it: a server that could be promoted, and that no fault reaches, would make another test of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

import hiredis

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import Cluster, Database, Node, program_on
from harness.options import Option
from harness.target import Timeouts
from targets.redis.sessions import OURS, PORT, SENTINEL_PORT

WAY_OUT: Final = "install it there (apt-get install redis-server), or test one that runs there: OPTS=installed=yes"
SERVERS_OWN: Final = ("appendonly", "min_replicas", "down_after_ms")
"""Options that set up servers and Sentinels; those that are there have their own settings."""
PATIENCE: Final = Timeouts(op_s=20.0, connect_s=2.0)
ONE_PRIMARY_S: Final = 60.0
"""How long the end of a failover is waited for before keys are removed."""
POLL_S: Final = 0.2
SCAN_STEP: Final = "1000"
NO_ANSWER: Final = (OSError, hiredis.HiredisError)


class Ask(Protocol):
    """See `targets.redis.target.Redis.ask`."""

    def __call__(self, endpoint: tuple[str, int], *command: str, timeouts: Timeouts = ...) -> Any: ...


def program(node: Node) -> str:
    """Where redis-server is on the host. Raises InfrastructureError."""
    return program_on(node, "redis-server", way_out=WAY_OUT)


def check_installed(chosen: Mapping[str, Any], offered: Mapping[str, Option]) -> None:
    """Raises UsageError for options that servers which are there can't be given."""
    for name in SERVERS_OWN:
        if chosen[name] != offered[name].default:
            raise UsageError(
                f"option {name}={chosen[name]} sets up a server; with installed=yes it has its own settings"
            )


def use_installed(cluster: Cluster) -> str:
    """Find the servers that are there; their password, from REDISCLI_AUTH. Raises InfrastructureError."""
    for node in cluster.nodes:
        node.install(Database(argv=[], ports=(PORT,)))
    return os.environ.get("REDISCLI_AUTH", "")


def primary_name(cluster: Cluster, ask: Ask) -> str:
    """The name under which every host's Sentinel watches these hosts. Raises InfrastructureError."""
    addresses = {node.address for node in cluster.nodes}
    names = {}
    for node in cluster.nodes:
        try:
            watched = [fields_of(each) for each in ask(node.endpoint(SENTINEL_PORT), "SENTINEL", "MASTERS")]
        except NO_ANSWER as error:
            raise InfrastructureError(
                f"{node.name}: no Sentinel answers at port {SENTINEL_PORT} of {node.address} ({error}); several hosts"
                " are tested only with a Sentinel on each"
            ) from error
        ours = [each["name"] for each in watched if each["ip"] in addresses]
        if len(ours) != 1:
            told = ", ".join(f"{each['name']} at {each['ip']}" for each in watched) or "nothing"
            raise InfrastructureError(
                f"{node.name}: its Sentinel must watch one primary that is among the hosts; it watches {told}"
                " (where a host has several addresses, name the one that Redis knows: HOSTS=host/ADDRESS)"
            )
        names[node.name] = ours[0]
    if len(set(names.values())) > 1:
        raise InfrastructureError(f"the hosts' Sentinels watch different primaries: {names}")
    return names[cluster.nodes[0].name]


def check(cluster: Cluster, ask: Ask) -> None:
    """That the hosts are one primary and its replicas, with none of our keys. Raises InfrastructureError."""
    addresses = {node.address for node in cluster.nodes}
    leading = []
    for node in cluster.nodes:
        try:
            mode = fields_in(ask(node.endpoint(PORT), "INFO", "server")).get("redis_mode", "standalone")
            role = ask(node.endpoint(PORT), "ROLE")
        except NO_ANSWER as error:
            raise InfrastructureError(f"{node.name}: {_why(error)}") from error
        if mode != "standalone":
            raise InfrastructureError(f"{node.name}: Redis runs in {mode} mode there; tested is Redis with Sentinel")
        if role[0] == "master":
            leading.append(node)
            members = {str(each[0]) for each in role[2]} | {node.address}
    if len(leading) != 1:
        names = ", ".join(node.name for node in leading) or "none"
        raise InfrastructureError(f"one of the hosts must be the primary, the others its replicas: {names} says it is")
    if members != addresses:
        raise InfrastructureError(
            f"the primary {leading[0].name} has members {', '.join(sorted(members))}, the hosts are"
            f" {', '.join(sorted(addresses))}: name them all (HOSTS=host/ADDRESS where Redis knows another address)"
        )
    found = our_keys(leading[0], ask)
    if found:
        raise InfrastructureError(
            f"this Redis holds {len(found)} keys below {OURS}, where the test's would be: an earlier run was killed, or"
            f" they are yours. If they are not, remove them: redis-cli --scan --pattern '{OURS}*' | xargs redis-cli del"
        )


def remove_keys(cluster: Cluster, ask: Ask) -> None:
    """Remove what lies below `faultline/`, where one server alone leads. Raises InfrastructureError when it can't."""
    until, said = time.monotonic() + ONE_PRIMARY_S, "no server leads"
    while time.monotonic() < until:
        try:
            roles = {node.name: ask(node.endpoint(PORT), "ROLE")[0] for node in cluster.nodes}
            leading = [node for node in cluster.nodes if roles[node.name] == "master"]
            if len(leading) == 1:
                for key in our_keys(leading[0], ask):
                    ask(leading[0].endpoint(PORT), "DEL", key, timeouts=PATIENCE)
                return
            said = f"{len(leading)} servers lead"
        except NO_ANSWER as error:
            said = _why(error)
        time.sleep(POLL_S)
    raise InfrastructureError(f"the test's keys (below {OURS}) could not be removed from Redis: {said}")


def our_keys(node: Node, ask: Ask) -> list[str]:
    """Every key of ours that the node's server holds. Raises OSError, hiredis' errors."""
    found: set[str] = set()
    cursor = "0"
    while True:
        command = ("SCAN", cursor, "MATCH", f"{OURS}*", "COUNT", SCAN_STEP)
        cursor, keys = ask(node.endpoint(PORT), *command, timeouts=PATIENCE)
        found.update(keys)
        if cursor == "0":
            return sorted(found)


def fields_of(flat: list[str]) -> dict[str, str]:
    """Names and values by turns, as Redis gives them."""
    return dict(zip(flat[::2], flat[1::2], strict=False))


def fields_in(text: str) -> dict[str, str]:
    """`name:value` lines, as INFO gives them."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _why(error: Exception) -> str:
    if "NOAUTH" in str(error) or "WRONGPASS" in str(error):
        return f"Redis wants a password: give it in the environment, REDISCLI_AUTH ({error})"
    return f"the Redis that is there does not answer: {type(error).__name__}: {error}"
