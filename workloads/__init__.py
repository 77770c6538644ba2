"""What clients do: one file a workload, registered here by its name."""

from __future__ import annotations

from harness.workload import Workload

REGISTRY: dict[str, Workload] = {}
