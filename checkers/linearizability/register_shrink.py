"""Which reads of a register are not needed to show that it has no order?

Leaving out a read never makes a violation, so what is left proves it. Reads are left out in halves, then quarters, down
to one by one, as in delta debugging (Zeller and Hildebrandt, 2002). With fewer reads a search can take much longer:
what can't be decided soon is kept. Cost: some needed × log(reads) searches, and at most a budget.
"""

from __future__ import annotations

import numpy as np

from checkers.linearizability.linearizable_model import NEVER, Budget
from checkers.linearizability.register_columns import READ, RegisterColumns
from checkers.linearizability.register_search import INVALID, RegisterSearch
from harness.history import FAIL, INFO

SHRINK_MAX = 1024
"""With more reads than that all are kept."""
SHRINK_S, SHRINK_MB = 0.5, 64


def needed(columns: RegisterColumns, part: slice, stuck: int) -> list[int]:
    """The calls of one register (places in `part`, which are its calls) that show that call `stuck` has no place."""
    shrinking = _Shrinking(columns, part, stuck)
    reads = shrinking.reads
    size = len(reads) if len(reads) <= SHRINK_MAX else 0
    while size:
        place = 0
        while place < len(reads):
            fewer = np.concatenate((reads[:place], reads[place + size :]))
            if shrinking.is_broken(fewer):
                reads = fewer
            else:
                place += size
        size //= 2
    return shrinking.calls(reads).tolist()


class _Shrinking:
    """One register up to a completion. reads: those that may be left out."""

    def __init__(self, columns: RegisterColumns, part: slice, stuck: int) -> None:
        kind, invoked, returned = columns.kind[part], columns.invoked[part], columns.returned[part]
        end = returned[stuck]
        finished = returned <= end
        kept = (columns.outcome[part] != FAIL) & (invoked < end) & (finished | (kind != READ))
        self.reads = np.flatnonzero(kept & (kind == READ) & (np.arange(len(kind)) != stuck))
        self._others = np.flatnonzero(kept & ((kind != READ) | (np.arange(len(kind)) == stuck)))
        places = np.append(invoked, returned[finished])
        order = np.empty(len(places), np.int64)
        order[np.argsort(places)] = np.arange(len(places))
        self._invoked = order[: len(invoked)]
        self._returned = np.full(len(kind), NEVER, np.int64)
        self._returned[finished] = order[len(invoked) :]
        self._kind, self._old, self._new = kind, columns.old[part], columns.new[part]
        self._outcome = np.where(finished, columns.outcome[part], INFO).astype(np.int8)
        self._values = columns.values[:1] * 0 + np.int32(max(self._old.max(), self._new.max(), 0) + 1)
        self._records = len(places)
        self._budget = Budget.of(SHRINK_S, SHRINK_MB)

    def calls(self, reads: np.ndarray) -> np.ndarray:
        """The calls with only these reads, in order."""
        return np.sort(np.concatenate((self._others, reads)))

    def is_broken(self, reads: np.ndarray) -> bool:
        """Whether the register is invalid with only these reads."""
        calls = self.calls(reads)
        search = RegisterSearch(
            RegisterColumns(
                start=np.array([0, len(calls)], np.int64),
                kind=self._kind[calls],
                outcome=self._outcome[calls],
                old=self._old[calls],
                new=self._new[calls],
                invoked=self._invoked[calls],
                returned=self._returned[calls],
                values=self._values,
                records=self._records,
                key=(None,),
                keyed=False,
            )
        )
        search.judge(np.ones(1, bool), self._budget)
        return bool(search.judged[0] == INVALID)
