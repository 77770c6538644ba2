"""The op: one record of the history, and the unit that generators, sessions, journal and checkers exchange.

An operation of a client is two records: an `invoke`, then one completion (`ok`, `fail` or `info`) with the same
process. A record has Jepsen's fields; `time` is `time_ns` here.

Shapes of `value` are fixed by the workload (see each workload's docstring). Fault records have process `nemesis`,
`f` `inject` or `heal`, and a fault's fields as value (see `harness.fault`); that process also has `NO_FAULTS`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

NEMESIS: Final = "nemesis"
"""The process of every fault record."""

PHASE: Final = "phase"
"""The f of the record that begins a phase of a run."""
PRIMARIES: Final = "primaries"
LAG: Final = "replication-lag"
"""The fs of what is observed from outside while a run is on (see `harness.observing`)."""
NO_FAULTS: Final = (PHASE, PRIMARIES, LAG)
"""What process `nemesis` records beside its faults."""

OpType = Literal["invoke", "ok", "fail", "info"]


class Op(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record.

    type: `invoke`; `ok` it happened; `fail` it certainly had no effect; `info` nobody knows.
    process: a logical single-threaded client (int, exactly one session), or `nemesis`.
    time_ns: the controller's monotonic clock since the start of the run.
    index: its place in the history, given by the dispatcher; -1 until then.
    error: why it failed or is unknown, None otherwise.
    node: the node that the session talks to, None where that has no meaning.
    """

    type: OpType
    f: str
    value: Any = None
    process: int | str = -1
    time_ns: int = 0
    index: int = -1
    error: str | None = None
    node: str | None = None

    def replace(self, **changes: Any) -> Op:
        """A copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)


def invoke(f: str, value: Any = None) -> Op:
    """An invocation as generators emit it: the dispatcher fills in process, index, time and node."""
    return Op("invoke", f, value)
