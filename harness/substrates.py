"""The substrates by name: what nodes are made of, which faults each can inject, how a cluster of each is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster
from harness.nodes.ssh_options import OPTIONS as SSH_OPTIONS
from harness.options import Option
from harness.plan import TestPlan

PROCESS_FAULTS: Final = frozenset({"kill", "pause", "clock", "stall"})


class Substrate(msgspec.Struct, frozen=True):
    """faults: kinds that can be injected at all; whether this machine can is found out by trying.

    open(plan, run_id): the cluster, nodes up and agents running, nothing installed. Raises InfrastructureError.
    options: its own, by name. hosts: whether it has to be told which machines; `check` finds what is wrong with these.
    """

    faults: frozenset[str]
    open: Callable[[TestPlan, str], Cluster]
    options: Mapping[str, Option] = {}
    hosts: bool = False
    check: Callable[[Sequence[str], Mapping[str, Any], list[str]], None] = lambda hosts, options, problems: None


def _open_local(plan: TestPlan, run_id: str) -> Cluster:
    from harness.nodes.local import LocalCluster

    return LocalCluster(run_id=run_id, nodes=plan.nodes, clock=plan.options.get("clock", "vdso"))


def _open_docker(plan: TestPlan, run_id: str) -> Cluster:
    from harness.nodes.docker import DockerCluster

    return DockerCluster(run_id=run_id, nodes=plan.nodes, image=plan.image)


def _open_ssh(plan: TestPlan, run_id: str) -> Cluster:
    from harness.nodes.ssh import SshCluster

    return SshCluster(run_id=run_id, hosts=plan.hosts, options=plan.options, service=plan.target)


def _check_ssh(hosts: Sequence[str], options: Mapping[str, Any], problems: list[str]) -> None:
    from harness.nodes.ssh import check_options

    check_options(hosts, options, problems)


def _open_simulated(plan: TestPlan, run_id: str) -> Cluster:
    raise InfrastructureError("the simulated target has no nodes")


SUBSTRATES: Final[dict[str, Substrate]] = {
    "docker": Substrate(PROCESS_FAULTS | {"partition", "membership"}, _open_docker),
    "local": Substrate(PROCESS_FAULTS, _open_local),
    "ssh": Substrate(PROCESS_FAULTS | {"partition", "membership"}, _open_ssh, SSH_OPTIONS, True, _check_ssh),
    "simulated": Substrate(frozenset(), _open_simulated),
}
