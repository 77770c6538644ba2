"""The causal workload's reads and writes in the simulated store."""

from __future__ import annotations

from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.programs.register import read, write

CAUSAL = Programs(
    by_f={"read": read, "write": write},
    writes_nothing=only_reads("read"),
    named_as={
        "stale-read": "WriteCORead",
        "non-monotonic-read": "WriteCORead",
    },
    claim="strong-session-causal-cerone",
)
