"""Faults of the simulated cluster: partitions, kills and pauses of nodes, each kind in a lane of its own."""

from __future__ import annotations

import random
from typing import Any

from harness.lane import Lane
from harness.op import Op
from harness.schedule import FaultSchedule, times_for
from targets.simulated.cluster import SimulatedCluster

KINDS = ("partition", "kill", "pause")


def lanes_of(cluster: SimulatedCluster, time_s: float) -> list[Lane]:
    """One lane for each kind of fault that makes sense with so many nodes."""
    kinds = KINDS if len(cluster.nodes) > 2 else ("kill", "pause")
    return [_lane(cluster, kind, time_s) for kind in kinds]


def _lane(cluster: SimulatedCluster, kind: str, time_s: float) -> Lane:
    names = list(cluster.nodes)

    def plan(rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        count = rng.randint(1, (len(names) - 1) // 2) if kind == "partition" else 1
        return sorted(rng.sample(names, count)), {}

    def execute(op: Op) -> Op:
        inject, nodes = op.f == "inject", op.value["nodes"]
        if kind == "partition":
            cluster.cut(nodes if inject else ())
        for name in nodes:
            if kind == "kill":
                (cluster.kill if inject else cluster.start)(name)
            elif kind == "pause":
                cluster.pause(name, inject)
        return op.replace(type="info", value={**op.value, "observed": {"took_effect": True} if inject else {}})

    return Lane(kind, FaultSchedule(kind, plan, times_for(kind, time_s)), execute)
