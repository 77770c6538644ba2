"""Faults that only a replica set has.

stepdown   whoever leads gives up the lead (`replSetStepDown`, by force) and does not stand again for ten seconds; the
           others elect a new primary
freeze     some secondaries do not stand for election (`replSetFreeze`) until the heal: with a stepdown or a kill of the
           primary beside it, the set is without one for longer, or elects another
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any, Final

import pymongo.errors

from harness.errors import InfrastructureError
from harness.fault import Fault
from harness.nodes.base import Node, node_named
from harness.options import Option
from nemeses.base import Setting
from nemeses.choose import on_each, some_nodes
from nemeses.operation import Operation
from targets.mongodb.links import PORT
from targets.mongodb.replica_set import asked, hello

STEPPED_DOWN_S: Final = 10
"""For how long a primary that was deposed does not stand for election."""
CATCH_UP_S: Final = 5
"""How long it waits for a secondary that has everything, before it steps down all the same."""
FROZEN_S: Final = 600
"""Longer than a fault is kept up; the heal ends it."""
NEW_PRIMARY_S: Final = 40.0


class StepDown(Operation):
    """The primary gives up its lead."""

    kind = "stepdown"

    def prove(self, setting: Setting) -> str | None:
        """Depose the primary once and wait for the next."""
        if len(setting.cluster.nodes) < 2:
            return "there is one node only: nobody else could lead (NODES=3)"
        try:
            self.inject(setting, Fault(id=0, kind=self.kind, lane="proof"))
            until = time.monotonic() + NEW_PRIMARY_S
            while not setting.target.primaries(setting.cluster):  # type: ignore[attr-defined]
                if time.monotonic() > until:
                    return f"no other node led within {NEW_PRIMARY_S:g} s"
                time.sleep(0.2)
        except InfrastructureError as error:
            return str(error)
        return None

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        """Who leads is seen when the fault is injected."""
        return [node.name for node in setting.cluster.nodes], {}

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        leaders = setting.target.primaries(setting.cluster)  # type: ignore[attr-defined]
        if not leaders:
            raise InfrastructureError("no node leads: there is no primary to depose")
        return self.perform(setting, node_named(setting.cluster, leaders[0]))

    def perform(self, setting: Setting, node: Node) -> dict[str, Any]:
        try:
            with asked(node.endpoint(PORT)) as driver:
                driver.client.admin.command(
                    "replSetStepDown", STEPPED_DOWN_S, secondaryCatchUpPeriodSecs=CATCH_UP_S, force=True
                )
                still = bool(driver.hello().get("isWritablePrimary"))
        except pymongo.errors.PyMongoError as error:
            raise InfrastructureError(f"{node.name} did not step down: {error}") from error
        return {"deposed": node.name, "took_effect": not still}


class Freeze:
    """Some secondaries do not stand for election."""

    kind = "freeze"
    options: Mapping[str, Option] = {}

    def prove(self, setting: Setting) -> str | None:
        """Freeze whichever secondaries there are, and free them."""
        if len(setting.cluster.nodes) < 2:
            return "there is one node only: no secondary (NODES=3)"
        everyone = Fault(id=0, kind=self.kind, lane="proof", nodes=[node.name for node in setting.cluster.nodes])
        try:
            frozen = self.inject(setting, everyone)
            self.heal(setting, everyone)
        except InfrastructureError as error:
            return str(error)
        return None if frozen["took_effect"] else f"no node could be frozen: {frozen['answers']}"

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        return some_nodes(rng, [node.name for node in setting.cluster.nodes]), {}

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        answers = on_each(setting.cluster, fault.nodes, lambda node: _freeze(node, FROZEN_S))
        return {"answers": answers, "took_effect": "frozen" in answers.values()}

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        return {"answers": on_each(setting.cluster, fault.nodes, lambda node: _freeze(node, 0))}


def _freeze(node: Node, seconds: int) -> str:
    """What came of it: a primary can't be frozen, and one that does not answer has forgotten it when it is back."""
    try:
        if hello(node.endpoint(PORT)).get("isWritablePrimary"):
            return "primary"
        with asked(node.endpoint(PORT)) as driver:
            driver.client.admin.command("replSetFreeze", seconds)
    except pymongo.errors.PyMongoError as error:
        return f"no: {type(error).__name__}"
    return "frozen" if seconds else "freed"
