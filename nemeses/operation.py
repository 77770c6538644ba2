"""Operations: what an operator does to a database at work (flush, compact, defragment), and that it must survive.

An operation is done when its `inject` returns; there is nothing to heal. Which ones there are is the target's to say:
each derives from `Operation` and stands in the target's `nemeses`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from harness.errors import FaultlineError
from harness.fault import Fault
from harness.nodes.base import Node
from harness.options import Option
from nemeses.base import Setting
from nemeses.choose import on_each


class Operation:
    """One node at a time, drawn from all of them; a target's operation names its kind and says how it is done."""

    kind: str
    options: Mapping[str, Option] = {}

    def perform(self, setting: Setting, node: Node) -> dict[str, Any]:
        """Do it on one node and return what was observed. Raises InfrastructureError, CommandFailed."""
        raise NotImplementedError

    def prove(self, setting: Setting) -> str | None:
        """Do it once on the first node: nothing has to be undone."""
        try:
            self.perform(setting, setting.cluster.nodes[0])
        except FaultlineError as error:
            return str(error)
        return None

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        return [rng.choice([node.name for node in setting.cluster.nodes])], {}

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        done = on_each(setting.cluster, fault.nodes, lambda node: self.perform(setting, node))
        return {"done": done, "took_effect": True}

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        return {}
