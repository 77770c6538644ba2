"""From what was found in a history of transactions to its verdict, for lists and registers."""

from __future__ import annotations

import msgspec
import numpy as np

from checkers import models
from checkers.transactions.cycles import CycleSearch
from checkers.transactions.txn_columns import TxnColumns
from checkers.transactions.value_findings import Found
from harness.history import FAIL, INFO, OK
from harness.verdict import Anomaly, Judgement, Verdict

_ORDER = {
    name: place for place, name in enumerate(("internal", "garbage-read", "future-read", "lost-update", "lost-write"))
}
"""What is told first of what counts alike."""


def without_realtime(columns: TxnColumns, model: str) -> list[str]:
    """Why a history without invocations leaves a model of realtime undecided; [] if it does not."""
    if columns.timed or not len(columns) or not models.needs_realtime(model):
        return []
    return [f"the history has no invocations, so nothing is known about realtime, which {model} needs"]


def txn_verdict(
    checker: str, columns: TxnColumns, model: str, found: list[Found], cycles: CycleSearch, reasons: list[str]
) -> Verdict:
    """The verdict against `model`. found: is sorted. reasons: what keeps it from being valid if nothing counts."""
    evidence = {name for part in found for name in part.evidence}
    against = {name for name in evidence if models.counts_against(name, model)}
    judgement: Judgement = "invalid" if against else "unknown" if reasons else "valid"
    not_, also_not = models.ruled_out(evidence)
    found.sort(key=lambda part: (not part.evidence & against, _ORDER.get(part.type, 9), part.type))
    anomalies: list[Anomaly] = [
        msgspec.structs.replace(anomaly, counts=bool(part.evidence & against))
        for part in found
        for anomaly in part.shown
    ]
    counts: dict[str, int] = {}
    for part in found:
        counts[part.type] = counts.get(part.type, 0) + part.count
    status = columns.status
    return Verdict(
        verdict=judgement,
        checker=checker,
        model=model,
        anomaly_types=sorted(counts),
        anomaly_counts=counts,
        not_=not_,
        also_not=also_not,
        anomalies=anomalies,
        reasons=reasons,
        stats={
            "transactions": len(columns),
            "ok": int(np.count_nonzero(status == OK)),
            "fail": int(np.count_nonzero(status == FAIL)),
            "info": int(np.count_nonzero(status == INFO)),
            "keys": len(columns.keys),
            "micro_ops": len(columns.function),
            "cyclic_components": cycles.components,
            "largest_cyclic_component": cycles.largest_component,
        },
    )
