"""The public door: `faultline.check` judges a recorded history, `faultline.run` makes a run and judges it.

    >>> verdict = faultline.check("history.edn", workload="append", model="serializable")
    >>> verdict.verdict
    'valid'
"""

from faultline._guard import require_own_rooms

require_own_rooms()

from harness.history import History, HistoryError  # noqa: E402
from harness.judging import check  # noqa: E402
from harness.runner import Run, run  # noqa: E402
from harness.verdict import Anomaly, Edge, Verdict  # noqa: E402

__all__ = ["Anomaly", "Edge", "History", "HistoryError", "Run", "Verdict", "check", "run"]
