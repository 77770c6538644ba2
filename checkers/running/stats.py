"""What a run did: how many ops of each kind ended how, with which errors, and how long the successful ones took.

Always `valid`: it informs. Latency is from an invocation's record to its completion's, of `ok` ops. An error's class
is its text up to the first colon. Cost: O(n log n), columns only but for the errors.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from harness.checker import CheckOptions
from harness.history import FAIL, INFO, INVOKE, OK, History
from harness.verdict import Verdict

ERRORS_MAX = 20
"""How many classes of errors are told, the most frequent first."""
CLASS_CHARACTERS_MAX = 80


class Stats:
    """See the module's docstring. stats: `{invoked, ok, fail, info, by_f: {f: {..., latency_ms_p50, ...}}, errors}`."""

    name = "stats"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Count. Never raises."""
        stats: dict[str, Any] = dict(_counts(history, history.client))
        stats["by_f"] = {
            name: _of_f(history, history.client & (history.f == code))
            for code, name in enumerate(history.f_names)
            if bool(np.any(history.client & (history.f == code)))
        }
        stats["errors"] = _errors(history)
        return Verdict("valid", self.name, stats=stats)


def _counts(history: History, chosen: np.ndarray) -> dict[str, int]:
    """Counts by outcome. An op that never completed counts as info."""
    numbers = np.bincount(history.type[chosen], minlength=4)
    open_ops = int(np.count_nonzero(chosen & (history.type == INVOKE) & (history.pair < 0)))
    return {
        "invoked": int(numbers[INVOKE]),
        "ok": int(numbers[OK]),
        "fail": int(numbers[FAIL]),
        "info": int(numbers[INFO]) + open_ops,
    }


def _of_f(history: History, chosen: np.ndarray) -> dict[str, Any]:
    figures: dict[str, Any] = dict(_counts(history, chosen))
    done = np.flatnonzero(chosen & (history.type == OK) & (history.pair >= 0))
    if len(done):
        latency_ms = (history.time_ns[done] - history.time_ns[history.pair[done]]) / 1e6
        for name, share in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)):
            figures[f"latency_ms_{name}"] = round(float(np.percentile(latency_ms, share)), 3)
    return figures


def _errors(history: History) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for place in np.flatnonzero(history.client & (history.type >= FAIL)).tolist():
        error = history.error[place]
        if error is not None:
            counts[error.split(":", 1)[0][:CLASS_CHARACTERS_MAX]] += 1
    return dict(counts.most_common(ERRORS_MAX))
