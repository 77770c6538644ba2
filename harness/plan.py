"""The test plan: one frozen value that says what a run does."""

from __future__ import annotations

from typing import Any

import msgspec


class TestPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, with every default filled in.

    on: the substrate. image: "" on `local` and ssh. nodes: how many. hosts: which machines (ssh). model: the model
    judged against, None: what the target claims, or else the workload's own. faults: kinds, in lanes of their own;
    faults_named: whether the user named them (one that can't be had is then an error). options: the target's, the
    workload's, the faults' and the substrate's, parsed, by name. rate_hz: ops per second in all, 0: as fast as the
    sessions go. concurrency: workers. time_s: of the main phase.
    """

    __test__ = False

    target: str
    workload: str
    on: str
    image: str = ""
    nodes: int = 1
    hosts: tuple[str, ...] = ()
    model: str | None = None
    faults: tuple[str, ...] = ()
    faults_named: bool = False
    options: dict[str, Any] = {}
    rate_hz: float = 0.0
    concurrency: int = 10
    time_s: float = 30.0
    op_deadline_s: float = 5.0
    seed: int = 0

    def with_seed(self, seed: int) -> TestPlan:
        """The same plan with another seed."""
        return msgspec.structs.replace(self, seed=seed % 2**32)

    def with_faults(self, faults: tuple[str, ...]) -> TestPlan:
        """The same plan with other kinds of faults, not insisted on."""
        return msgspec.structs.replace(self, faults=faults, faults_named=False)
