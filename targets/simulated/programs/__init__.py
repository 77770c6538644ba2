"""What the simulated store does for each workload, by the workload's name."""

from __future__ import annotations

from targets.simulated.programs.append import APPEND
from targets.simulated.programs.base import Programs
from targets.simulated.programs.register import REGISTER
from targets.simulated.programs.write_skew import WRITE_SKEW

REGISTRY: dict[str, Programs] = {"append": APPEND, "register": REGISTER, "write-skew": WRITE_SKEW}
