"""How far replicas were behind while a run was on, as the harness observed it. Informs, and never finds an anomaly.

    info  replication-lag  [{"replica": "n2", "bytes": 1320}, ...]      of process `nemesis`, see `harness.observing`

Cost: one pass over these records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.checker import CheckOptions
from harness.history import History
from harness.op import LAG
from harness.verdict import Verdict


@dataclass(frozen=True)
class Sample:
    """One replica at one moment."""

    time_ns: int
    replica: str
    lag_bytes: float


class ReplicationLag:
    """See the module's docstring. stats: `{samples, lag_bytes_max, replicas: {name: {lag_bytes_max, _p50, _last}}}`."""

    name = "replication-lag"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Measure. Never raises."""
        samples = samples_of(history)
        replicas: dict[str, dict[str, Any]] = {}
        for name in sorted({sample.replica for sample in samples}):
            own = [sample.lag_bytes for sample in samples if sample.replica == name]
            replicas[name] = {
                "lag_bytes_max": max(own),
                "lag_bytes_p50": float(np.median(own)),
                "lag_bytes_last": own[-1],
            }
        stats: dict[str, Any] = {"samples": len(samples)}
        if samples:
            stats |= {"lag_bytes_max": max(sample.lag_bytes for sample in samples), "replicas": replicas}
        return Verdict("valid", self.name, stats=stats)


def samples_of(history: History) -> list[Sample]:
    """What was observed, in order; records of another shape are another's."""
    if LAG not in history.f_names:
        return []
    places = np.flatnonzero(~history.client & (history.f == history.f_names.index(LAG)))
    return [
        Sample(int(history.time_ns[place]), str(one["replica"]), float(one["bytes"]))
        for place in places.tolist()
        if isinstance(history.value[place], list)
        for one in history.value[place]
        if isinstance(one, dict) and isinstance(one.get("bytes"), int | float) and "replica" in one
    ]
