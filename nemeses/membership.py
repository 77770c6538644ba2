"""Membership: a node leaves the database's cluster while it works, and comes back as a new, empty member."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from harness.errors import InfrastructureError
from harness.fault import Fault
from harness.nodes.base import node_named
from harness.options import Option
from harness.target import HasMembership
from nemeses.base import Setting

LEAST_NODES = 3


class Membership:
    """One node leaves the cluster for good; healing adds it again, empty."""

    kind = "membership"
    options: Mapping[str, Option] = {}

    def prove(self, setting: Setting) -> str | None:
        """Whether there are nodes enough that one can leave; trying it would move data for minutes."""
        if not isinstance(setting.target, HasMembership):
            return f"target {setting.target.name!r} has no members that leave and join"
        count, least = len(setting.cluster.nodes), getattr(setting.target, "membership_nodes", LEAST_NODES)
        return None if count >= least else f"{count} node(s) are too few for one to leave (NODES={least})"

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        return [rng.choice([node.name for node in setting.cluster.nodes])], {}

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        return self._timed(setting, fault, "leave")

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        return self._timed(setting, fault, "join")

    def _timed(self, setting: Setting, fault: Fault, step: str) -> dict[str, Any]:
        if not isinstance(setting.target, HasMembership):
            raise InfrastructureError(f"target {setting.target.name!r} has no members that leave and join")
        began = time.monotonic()
        for name in fault.nodes:
            getattr(setting.target, step)(setting.cluster, node_named(setting.cluster, name))
        took_s = round(time.monotonic() - began, 3)
        return {"took_s": took_s, "took_effect": True} if step == "leave" else {"served_after_s": took_s}
