"""What clients do: one file a workload, registered here by its name."""

from __future__ import annotations

from harness.workload import Workload
from workloads.append import APPEND
from workloads.register import REGISTER
from workloads.write_skew import WRITE_SKEW

REGISTRY: dict[str, Workload] = {workload.name: workload for workload in (APPEND, REGISTER, WRITE_SKEW)}
