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
PATIENCE_S: Final = 150.0
"""Longer than a member usually takes to leave and join; less, with a last try, than a run waits for its faults."""
AGAIN_S: Final = 5.0


class Nodetool(Operation):
    """One nodetool command on one node, to its end.

    again: what it says, among other things, where a change of the ring was in its way; then it is done again later.
    """

    def __init__(self, kind: str, *command: str, timeout_s: float = TIMEOUT_S, again: str | None = None) -> None:
        self.kind, self._command, self._timeout_s, self._again = kind, command, timeout_s, again

    def perform(self, setting: Setting, node: Node) -> dict[str, Any]:
        """Raises InfrastructureError, also where the node is down."""
        began = time.monotonic()
        tries = 1
        while True:
            try:
                run(node, *self._command, timeout_s=self._timeout_s)
                return {"took_s": round(time.monotonic() - began, 3), "tries": tries}
            except InfrastructureError as error:
                if not self._in_the_way(error) or time.monotonic() - began > PATIENCE_S:
                    raise
            tries += 1
            time.sleep(AGAIN_S)

    def _in_the_way(self, error: InfrastructureError) -> bool:
        """Never a command that ran out of time: the next one may hang as well."""
        ended = isinstance(error.__cause__, CommandFailed) and error.__cause__.rc is not None
        return ended and self._again is not None and self._again in str(error)


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
REPAIR: Final = Nodetool("repair", "repair", "-full", timeout_s=REPAIR_TIMEOUT_S, again="Starting repair command")
"""The node and its fellow replicas compare what they hold, and stream what differs. It ends early when one goes."""
CLEANUP: Final = Nodetool("cleanup", "cleanup", again="involved in cluster membership changes")
"""What lies outside the node's part of the ring is dropped from its files. Refused while that is changing."""

OPERATIONS: Final = (FLUSH, COMPACT, REPAIR, CLEANUP)
