"""The sequential workload's reads and writes in the simulated store."""

from __future__ import annotations

from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.programs.register import read, write

SEQUENTIAL = Programs(
    by_f={"read": read, "write": write},
    writes_nothing=only_reads("read"),
    named_as={
        "non-monotonic-read": "nonsequential",
        "diverged-replicas": "nonsequential",
    },
    claim="sequential",
)
