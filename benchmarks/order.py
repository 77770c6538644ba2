"""How long the checkers of order take, on records of the simulated target without a flaw and with one.

`python -m benchmarks.order [seconds]`: CPU time of one check, the best of three, warm, for a run of so many simulated
seconds.
"""

from __future__ import annotations

import sys
import time

from harness.checker import CheckOptions
from harness.history import History
from harness.options import with_defaults
from harness.plan import TestPlan
from harness.registry import find_workload
from targets.simulated.programs import REGISTRY
from targets.simulated.run import simulate_workload

NAMES = ("predicate", "long-fork", "monotonic", "sequential", "causal", "lock", "watch")


def measure(name: str, flaw: str, time_s: float) -> tuple[int, float, str]:
    """(records, CPU seconds of a check, verdict)."""
    workload = find_workload(name)
    options = {**with_defaults(workload.options, {}), "flaw": flaw, "trouble": "none"}
    plan = TestPlan(target="simulated", workload=name, on="simulated", nodes=5, options=options, seed=1, time_s=time_s)
    ops = simulate_workload(workload, plan)
    history = History.from_ops(ops)
    asked = CheckOptions(model=REGISTRY[name].claim)
    best, verdict = float("inf"), ""
    for _ in range(3):
        for checker in workload.checkers.values():
            began = time.process_time()
            verdict = checker.check(history, asked).verdict
            best = min(best, time.process_time() - began)
    return len(ops), best, verdict


def main() -> None:
    """Print one line for each workload and flaw."""
    time_s = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    for name in NAMES:
        for flaw in ("none", *REGISTRY[name].named_as):
            records, cpu_s, verdict = measure(name, flaw, time_s)
            print(f"{name:12} {flaw:20} {records:8,} records  {cpu_s:7.3f} s  {verdict}", flush=True)


if __name__ == "__main__":
    main()
