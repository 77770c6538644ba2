"""Faults of Cassandra's own: what its operators do to a node at work, by `nodetool`."""

from __future__ import annotations

import os
import time
from typing import Any, Final

from harness.errors import InfrastructureError
from harness.nodes.base import CommandFailed, Node, program_on
from nemeses.base import Setting
from nemeses.operation import Operation

PLACES: Final = "/opt/cassandra/bin /opt/apache-cassandra-*/bin /usr/share/cassandra/bin /usr/sbin"
"""Where Cassandra's programs are on a host, if not on the PATH."""
TIMEOUT_S: Final = 180.0
"""nodetool is a JVM of its own: on two very busy cores the least of its commands took 50 s."""
REPAIR_TIMEOUT_S: Final = 90.0
"""A repair whose node leaves the ring meanwhile never ends."""
RING_CHANGES: Final = "involved in cluster membership changes"
PATIENCE_S: Final = 200.0
"""Longer than a member usually takes to leave and join, less than a run waits for its faults to end."""
AGAIN_S: Final = 5.0


class Nodetool(Operation):
    """One nodetool command on one node, to its end."""

    def __init__(self, kind: str, *command: str, timeout_s: float = TIMEOUT_S) -> None:
        self.kind, self._command, self._timeout_s = kind, command, timeout_s

    def perform(self, setting: Setting, node: Node) -> dict[str, Any]:
        """Raises InfrastructureError, also where the node is down."""
        began = time.monotonic()
        run(node, *self._command, timeout_s=self._timeout_s)
        return {"took_s": round(time.monotonic() - began, 3)}


class Cleanup(Nodetool):
    """Cassandra refuses it while its node has a part in a change of the ring. Then it is asked again later."""

    def perform(self, setting: Setting, node: Node) -> dict[str, Any]:
        """Raises InfrastructureError, also where the ring goes on changing."""
        until_s = time.monotonic() + PATIENCE_S
        refused = 0
        while True:
            try:
                return super().perform(setting, node) | {"refused": refused}
            except InfrastructureError as error:
                if RING_CHANGES not in str(error) or time.monotonic() > until_s:
                    raise
            refused += 1
            time.sleep(AGAIN_S)


def program(node: Node) -> list[str]:
    """nodetool, where the database runs. Raises InfrastructureError.

    On a host of the user's it is beside the program that runs there, or on the PATH; its notes go to the node's home.
    """
    if node.database is not None and node.database.image:
        return ["nodetool"]
    places = os.path.dirname(node.database.argv[0]) if node.database is not None and node.database.argv else PLACES
    return ["env", f"HOME={node.home}", program_on(node, "nodetool", places, way_out="it belongs to Cassandra")]


def run(node: Node, *command: str, timeout_s: float) -> None:
    """One nodetool command. Raises InfrastructureError with the first of what it said; the rest is a stack trace."""
    try:
        node.db_run(*program(node), *command, timeout_s=timeout_s)
    except CommandFailed as error:
        said = [line.strip() for line in error.output.splitlines() if line.strip()]
        what = "timed out" if error.rc is None else f"ended with {error.rc}"
        raise InfrastructureError(f"{node.name}: nodetool {' '.join(command)} {what}: {' '.join(said[:2])}") from error


FLUSH: Final = Nodetool("flush", "flush")
"""Memtables go to disk."""
COMPACT: Final = Nodetool("compact", "compact")
"""All files of each table become one."""
REPAIR: Final = Nodetool("repair", "repair", "-full", timeout_s=REPAIR_TIMEOUT_S)
"""The node and its fellow replicas compare what they hold, and stream what differs."""
CLEANUP: Final = Cleanup("cleanup", "cleanup")
"""What lies outside the node's part of the ring is dropped from its files."""

OPERATIONS: Final = (FLUSH, COMPACT, REPAIR, CLEANUP)
