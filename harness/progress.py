"""Live counters of a run, and what one phase of it came to. Written by the dispatcher, read by anyone."""

from __future__ import annotations

from collections import Counter
from typing import Any

from harness.op import Op


class Progress:
    """ok, fail, info: completions since the start of the run. in_flight: ops at work, at the last look.

    active_faults: id → fields of the faults in force. unmapped: exceptions that no target's table has, by class.
    """

    def __init__(self) -> None:
        self.ok = self.fail = self.info = 0
        self.in_flight = 0
        self.active_faults: dict[int, dict[str, Any]] = {}
        self.unmapped: Counter[str] = Counter()

    def count(self, event: Op) -> None:
        """A client's completion."""
        if event.type == "ok":
            self.ok += 1
        elif event.type == "fail":
            self.fail += 1
        else:
            self.info += 1

    def fault(self, event: Op) -> None:
        """A record of the nemesis; only those of faults matter here."""
        if event.f not in ("inject", "heal"):
            return
        faults = dict(self.active_faults)
        if event.f == "inject":
            faults[event.value["id"]] = event.value
        elif event.type == "info" and event.error is None:
            faults.pop(event.value["id"], None)
        self.active_faults = faults


class Phase:
    """What one call of `Interpreter.run` came to.

    ok_nodes: ok ops by node. last_errors: node → the last error that an op there had. stopped: ended by `stop`.
    unhealed: fields of the faults whose heal failed to the last.
    """

    def __init__(self) -> None:
        self.invoked = self.ok = self.fail = self.info = 0
        self.ok_nodes: Counter[str] = Counter()
        self.last_errors: dict[str, str] = {}
        self.stopped = False
        self.unhealed: list[dict[str, Any]] = []

    def count(self, event: Op) -> None:
        """A client's completion."""
        node = event.node or ""
        if event.type == "ok":
            self.ok += 1
            self.ok_nodes[node] += 1
            return
        if event.type == "fail":
            self.fail += 1
        else:
            self.info += 1
        if event.error is not None:
            self.last_errors[node] = event.error
