"""The finished record, as columns.

A `History` is what every checker takes. Base columns are numpy arrays, one entry a record, in the order of `index`;
values stay Python objects until a workload's own columns are made of them (`checkers.txn_columns` and the like).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.fault import Window
from harness.op import Op

INVOKE, OK, FAIL, INFO = range(4)
TYPES = ("invoke", "ok", "fail", "info")
NEMESIS_PROCESS = -1
"""What the process column holds for `nemesis` (and any other process that is no number)."""


class HistoryError(UsageError):
    """A record that is no history: names the line or index, what is wrong, and what was expected."""


@dataclass(frozen=True)
class History:
    """n records.

    type: int8[n], one of INVOKE, OK, FAIL, INFO. process: int64[n], NEMESIS_PROCESS for faults. time_ns: int64[n].
    f: int32[n], index into f_names. value: n Python objects. error: n of str or None. node: n of str or None.
    index: int64[n], the record's own index (equals its place in our own runs).
    pair: int64[n], place of the other half of the operation (completion of an invocation and back), -1 where there
    is none. client: bool[n], not a fault record.
    """

    type: np.ndarray
    process: np.ndarray
    time_ns: np.ndarray
    f: np.ndarray
    f_names: tuple[str, ...]
    value: Sequence[Any]
    error: Sequence[str | None]
    node: Sequence[str | None]
    index: np.ndarray
    pair: np.ndarray

    def __len__(self) -> int:
        return len(self.type)

    @classmethod
    def from_ops(cls, ops: Iterable[Op | Mapping[str, Any]]) -> History:
        """Columns of a list of ops, or of op maps in Jepsen's form. Raises HistoryError."""
        raise NotImplementedError

    def op(self, place: int) -> Op:
        """One record as an Op."""
        raise NotImplementedError

    def windows(self) -> list[Window]:
        """The fault windows, in order of their beginning."""
        raise NotImplementedError
