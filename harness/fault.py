"""Faults as data: what was asked, what was observed, and the windows in which each was in force.

A fault's life is four records of process `nemesis` in the journal:
    invoke inject {id, kind, lane, nodes, params}      written before anything is done
    info   inject {..., observed: {...}}               or with `error` when it could not be injected
    invoke heal   {id, kind, lane, nodes, params}
    info   heal   {..., observed: {...}}
Its window runs from the first record to the last: from before the request goes out until its heal is confirmed.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One fault.

    id: unique in the run. kind: `partition`, `kill`, `pause`, `clock`, `stall`.
    lane: the sequence of faults that it belongs to; one lane holds at most one open fault.
    nodes: names of the nodes that it acts on ([] for faults on the client's side).
    params: what was asked, e.g. {"shape": "halves"}, {"mode": "jump", "offset_s": 60.0}.
    observed: what was measured; always with `took_effect: bool` after a successful inject.
    """

    id: int
    kind: str
    lane: str
    nodes: list[str] = []
    params: dict[str, Any] = {}
    observed: dict[str, Any] = {}


class Window(msgspec.Struct, frozen=True):
    """One fault with the stretch of the history in which it may have been in force (both ends included).

    end_index and end_ns are the history's last when the heal was never confirmed (`healed` is False then).
    """

    fault: Fault
    begin_index: int
    begin_ns: int
    end_index: int
    end_ns: int
    healed: bool
    error: str | None = None

    @property
    def took_effect(self) -> bool:
        """Whether the fault was seen to act."""
        return self.error is None and bool(self.fault.observed.get("took_effect"))
