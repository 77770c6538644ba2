"""What a run creates in the engine carries labels, its run and the controller that made it, by which it is removed.

A controller is named by host, pid and the start time of that pid, so that a pid used again is not taken for it. A
cluster removes what carries its own name; `clean` removes what belongs to controllers that live no more.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import docker.errors

RUN, CLUSTER, CONTROLLER = "faultline.run", "faultline.cluster", "faultline.controller"
NODE, ROLE = "faultline.node", "faultline.role"
SANDBOX_ROLE, DATABASE_ROLE = "sandbox", "database"

BUSY = re.compile("already in progress|active endpoints|in use")
"""What the engine says of a thing that it will be able to remove in a moment."""

BUSY_S = 10.0


def labels(run_id: str, cluster: str, node: str = "", role: str = "") -> dict[str, str]:
    """The labels of one container, network or volume. cluster: unique, also among runs of the same id."""
    made = {RUN: run_id, CLUSTER: cluster, CONTROLLER: controller()}
    if node:
        made[NODE] = node
    if role:
        made[ROLE] = role
    return made


def controller() -> str:
    """This process: host, pid and when it started."""
    return f"{platform.node()}:{os.getpid()}:{_started(os.getpid())}"


def lives(name: str) -> bool:
    """Whether the controller of that name still runs on this host. One of another host counts as alive."""
    host, pid, started = ([*name.rsplit(":", 2), "", ""])[:3]
    if host != platform.node():
        return bool(host)
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        pass
    except (ProcessLookupError, ValueError):
        return False
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" where there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def remove(client: docker.DockerClient, wanted: str, *, also_living: bool) -> list[str]:
    """Remove what carries the label `wanted` (name, or name=value). Returns what was removed.

    also_living: what a living controller made, too. Containers are killed, not stopped: databases first, for their
    sandboxes hold the namespaces. Raises docker's errors.
    """

    def mine(found_labels: dict[str, str] | None) -> bool:
        return also_living or not lives((found_labels or {}).get(CONTROLLER, ""))

    containers = [one for one in client.api.containers(all=True, filters={"label": wanted}) if mine(one.get("Labels"))]
    networks = [one for one in client.api.networks(filters={"label": wanted}) if mine(one.get("Labels"))]
    volumes = [one for one in client.api.volumes(filters={"label": wanted})["Volumes"] or [] if mine(one.get("Labels"))]
    removed: list[str] = []
    for role in (DATABASE_ROLE, SANDBOX_ROLE):
        some = [one for one in containers if (one["Labels"].get(ROLE) == DATABASE_ROLE) == (role == DATABASE_ROLE)]
        removed += _each(some, lambda one: client.api.remove_container(one["Id"], force=True, v=True), "container")
    removed += _each(networks, lambda one: client.api.remove_network(one["Id"]), "network")
    removed += _each(volumes, lambda one: client.api.remove_volume(one["Name"], force=True), "volume")
    return removed


def _each(found: Iterable[dict[str, Any]], remove_one: Callable[[dict[str, Any]], None], kind: str) -> list[str]:
    """Remove all at once; one that is gone already, or that another is removing, is no error."""

    def attempt(one: dict[str, Any]) -> str:
        until = time.monotonic() + BUSY_S
        while True:
            try:
                remove_one(one)
            except docker.errors.NotFound:
                pass
            except docker.errors.APIError as error:
                if not BUSY.search(str(error)) or time.monotonic() > until:
                    raise
                time.sleep(0.1)
                continue
            name = one.get("Name") or (one.get("Names") or ["/?"])[0].lstrip("/")
            return f"{kind} {name}"

    found = list(found)
    if not found:
        return []
    with ThreadPoolExecutor(min(8, len(found))) as pool:
        return list(pool.map(attempt, found))
