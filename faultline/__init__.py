"""The public door: `faultline.check` judges a recorded history, `faultline.run` makes a run and judges it.

    >>> verdict = faultline.check("history.edn", workload="append", model="serializable")
    >>> verdict.verdict
    'valid'

Names are imported when they are first used, after the guard has looked: the command can then say in one line what is
wrong, and starts quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.history import History, HistoryError
    from harness.judging import check
    from harness.runner import Run, run
    from harness.verdict import Anomaly, Edge, Verdict

_PLACES = {
    "Anomaly": "harness.verdict",
    "Edge": "harness.verdict",
    "History": "harness.history",
    "HistoryError": "harness.history",
    "Run": "harness.runner",
    "Verdict": "harness.verdict",
    "check": "harness.judging",
    "run": "harness.runner",
}

__all__ = ["Anomaly", "Edge", "History", "HistoryError", "Run", "Verdict", "check", "run"]


def __getattr__(name: str) -> Any:
    """Import what is asked for. Raises ImportError when a room is shadowed."""
    if name not in _PLACES:
        raise AttributeError(f"module 'faultline' has no attribute {name!r}")
    from faultline._guard import require_own_rooms

    require_own_rooms()
    return getattr(importlib.import_module(_PLACES[name]), name)
