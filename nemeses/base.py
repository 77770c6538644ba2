"""What a nemesis is: it injects and heals one family of faults, and says when it can't."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from harness.fault import Fault
from harness.nodes.base import Cluster
from harness.options import Option
from harness.stall import StallGate
from harness.target import Target


class Setting(msgspec.Struct, frozen=True):
    """What a nemesis acts on: the cluster, the database, the run's stall gate and options."""

    cluster: Cluster
    target: Target
    stall_gate: StallGate
    options: Mapping[str, Any]


class Nemesis(Protocol):
    """One family of faults. `inject` and `heal` run in the fault lane's own thread and may take seconds."""

    kind: str
    options: Mapping[str, Option]
    """What OPTS= may set."""

    def prove(self, setting: Setting) -> str | None:
        """Try the smallest such fault for real and undo it. None: it works; else the reason why it can't be had."""
        ...

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        """(nodes, params) of the next fault of this family."""
        ...

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        """Do it; return what was observed, with `took_effect`. Raises InfrastructureError."""
        ...

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        """Undo exactly this fault; idempotent. Return what was observed (e.g. `served_after_s`)."""
        ...
