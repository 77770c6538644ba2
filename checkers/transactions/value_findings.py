"""What is found in a history of transactions, by type; and what single values show, for lists and registers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from checkers.transactions.txn_columns import TxnColumns
from harness.verdict import Anomaly


@dataclass
class Found:
    """Anomalies of one type: how many there are, some of them worked out, and the evidence for the models."""

    type: str
    count: int = 0
    shown: list[Anomaly] = field(default_factory=list)
    evidence: set[str] = field(default_factory=set)


class ValueFindings:
    """What the searches for anomalies of values share. `limit`: how many of each type are worked out."""

    def __init__(self, columns: TxnColumns, txn: np.ndarray, limit: int) -> None:
        self._columns = columns
        self._txn = txn
        self._limit = limit

    def _collect(self, type_: str, cases: Sequence[Any] | np.ndarray, describe: Callable[..., Anomaly]) -> Found:
        shown = [case.item() if isinstance(case, np.integer) else case for case in cases[: self._limit]]
        return Found(type_, len(cases), [describe(case) for case in shown], {type_} if len(cases) else set())

    def _anomaly(self, type_: str, txns: Iterable[int], mop: int, sentence: str) -> Anomaly:
        columns = self._columns
        txns = list(dict.fromkeys(txns))
        return Anomaly(
            type=type_,
            ops=sorted(int(columns.op[t]) for t in txns),
            sentence=sentence,
            key=columns.keys[columns.key[mop]],
            sub_history=columns.records(txns),
        )
