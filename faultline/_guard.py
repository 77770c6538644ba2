"""Refuses to start when a room that Python found is not Faultline's own.

The rooms are top-level packages; `targets` or `checkers` may also be names in a user's own project, which would
shadow ours silently.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOMS = ("harness", "workloads", "nemeses", "checkers", "targets")


def shadowed() -> str | None:
    """A line that names the first room that is not our own and the path that shadows it; None when all are."""
    home = Path(__file__).resolve().parent.parent
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        if spec is None:
            return f"faultline: its package {room!r} is missing; install Faultline again"
        places = [Path(place).resolve() for place in spec.submodule_search_locations or [spec.origin or "?"]]
        if home / room not in places:
            return (
                f"faultline: {places[0]} shadows Faultline's own package {room!r} (in {home});"
                " start from another directory, or rename it"
            )
    return None


def require_own_rooms() -> None:
    """Raises ImportError when a room is shadowed."""
    problem = shadowed()
    if problem is not None:
        raise ImportError(problem)
