"""A history as operations: each invocation with its completion, as columns of m entries.

The report draws operations (a stretch of time and an outcome), not records. An operation that never completed is
`info` and reaches to the end of the history. O(n), about 45 bytes an operation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from harness.history import INFO, INVOKE, NEMESIS_PROCESS, OK, TYPES, History


@dataclass(frozen=True)
class Operation:
    """One operation, for showing. index: the completion's, or the invocation's where there is none."""

    index: int
    process: int
    node: str | None
    f: str
    value: Any
    outcome: str
    error: str | None
    begin_ns: int
    end_ns: int
    completed: bool


@dataclass(frozen=True)
class Operations:
    """begin, end: places in the history (end is -1 where it never completed). begin_ns, end_ns: int64[m].
    outcome: int8[m] of OK, FAIL, INFO. process: int64[m]. f: int32[m], index into history.f_names. timed: whether the
    record has times; else each record counts as a millisecond after the one before."""

    history: History
    begin: np.ndarray
    end: np.ndarray
    begin_ns: np.ndarray
    end_ns: np.ndarray
    outcome: np.ndarray
    process: np.ndarray
    f: np.ndarray
    timed: bool

    def __len__(self) -> int:
        return len(self.begin)

    @classmethod
    def of(cls, history: History) -> Operations:
        """The clients' operations, in order of invocation (a completion without one stands for itself)."""
        client = history.process != NEMESIS_PROCESS
        alone = (history.type != INVOKE) & (history.pair < 0)
        begin = np.flatnonzero(client & ((history.type == INVOKE) | alone))
        end = np.where(history.type[begin] == INVOKE, history.pair[begin], begin)
        timed = bool(len(history)) and int(history.time_ns.max()) > int(history.time_ns.min())
        time_ns = history.time_ns if timed else np.arange(len(history), dtype=np.int64) * 1_000_000
        last_ns = int(time_ns[-1]) if len(history) else 0
        return cls(
            history=history,
            begin=begin,
            end=end,
            begin_ns=time_ns[begin],
            end_ns=np.where(end >= 0, time_ns[end], last_ns) if len(begin) else begin,
            outcome=np.where(end >= 0, history.type[end], INFO).astype(np.int8)
            if len(begin)
            else begin.astype(np.int8),
            process=history.process[begin],
            f=history.f[begin],
            timed=timed,
        )

    @cached_property
    def _by_place(self) -> np.ndarray:
        rows = np.full(len(self.history), -1, dtype=np.int64)
        rows[self.begin] = np.arange(len(self))
        has_end = self.end >= 0
        rows[self.end[has_end]] = np.flatnonzero(has_end)
        return rows

    def row_of(self, index: int) -> int | None:
        """The operation that a record of this history index belongs to; None where there is none."""
        indexes = self.history.index
        place = int(np.searchsorted(indexes, index))
        if place >= len(indexes) or indexes[place] != index:
            return None
        row = int(self._by_place[place])
        return row if row >= 0 else None

    def rows_of(self, indexes: list[int]) -> list[int]:
        """The operations that records belong to: each once, in order of invocation."""
        return sorted({row for index in indexes if (row := self.row_of(index)) is not None})

    def one(self, row: int) -> Operation:
        """One operation. Its value is what the completion says if it is ok, else what was asked."""
        begin, end, history = int(self.begin[row]), int(self.end[row]), self.history
        ok = self.outcome[row] == OK
        return Operation(
            index=int(history.index[end if end >= 0 else begin]),
            process=int(self.process[row]),
            node=history.node[begin] or (history.node[end] if end >= 0 else None),
            f=history.f_names[int(self.f[row])],
            value=history.value[end] if ok else history.value[begin],
            outcome=TYPES[int(self.outcome[row])],
            error=history.error[end] if end >= 0 else "never completed",
            begin_ns=int(self.begin_ns[row]),
            end_ns=int(self.end_ns[row]),
            completed=end >= 0,
        )
