"""The substrates by name: what nodes are made of, which faults each can inject, how a cluster of each is opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster
from harness.plan import TestPlan

PROCESS_FAULTS: Final = frozenset({"kill", "pause", "clock", "stall"})


class Substrate(msgspec.Struct, frozen=True):
    """faults: kinds that can be injected at all; whether this machine can is found out by trying.

    open(plan, run_id): the cluster, nodes up and agents running, nothing installed. Raises InfrastructureError.
    """

    faults: frozenset[str]
    open: Callable[[TestPlan, str], Cluster]


def _open_local(plan: TestPlan, run_id: str) -> Cluster:
    from harness.nodes.local import LocalCluster

    return LocalCluster(run_id=run_id, nodes=plan.nodes, clock=plan.options.get("clock", "vdso"))


def _open_docker(plan: TestPlan, run_id: str) -> Cluster:
    from harness.nodes.docker import DockerCluster

    return DockerCluster(run_id=run_id, nodes=plan.nodes, image=plan.image)


def _open_simulated(plan: TestPlan, run_id: str) -> Cluster:
    raise InfrastructureError("the simulated target has no nodes")


SUBSTRATES: Final[dict[str, Substrate]] = {
    "docker": Substrate(PROCESS_FAULTS | {"partition", "membership"}, _open_docker),
    "local": Substrate(PROCESS_FAULTS, _open_local),
    "simulated": Substrate(frozenset(), _open_simulated),
}
