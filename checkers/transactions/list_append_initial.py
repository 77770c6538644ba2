"""What lists held before any append, where nobody says it: what all reads of a key begin with, and nobody appended.

Problem: a history may begin in a database that was not empty. Its reads then show elements without an append, which
would be garbage. Idea: the initial state is a version that every later one begins with. So it is the longest beginning
that all reads of the key share, as far as nobody appended any of it. That is cut off; what is left is a history of
lists that were empty at first, and is judged as such. Beginnings that differ are no initial state: what goes beyond
what they share stays, and is garbage.

Cost: O(n log n) in elements read and appends; nothing where the option is not set.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numba import njit

from checkers.transactions.txn_columns import APPEND, READ, TxnColumns
from harness.history import OK


@dataclass(frozen=True)
class CutColumns(TxnColumns):
    """Columns without the initial elements of each key, which are shown all the same.

    initial_start: int64[k + 1], into initial: int64[i], the elements that each key had at first.
    """

    initial_start: np.ndarray
    initial: np.ndarray

    def read_list(self, mop: int) -> list[Any]:
        """What a read returned, as values, with the initial ones."""
        key = int(self.key[mop])
        before = self.initial[self.initial_start[key] : self.initial_start[key + 1]]
        return [*(self.shown_value(v) for v in before), *super().read_list(mop)]


def without_initial(columns: TxnColumns) -> TxnColumns:
    """The same history as if all lists had been empty at first."""
    txn = columns.txn_of_mop()
    reads = (columns.function == READ) & (columns.status[txn] == OK)
    key = columns.key.astype(np.int64)
    unwritten = _unwritten(columns, np.repeat(key, np.diff(columns.list_start)))
    start = np.ascontiguousarray(columns.list_start, np.int64)
    element = np.ascontiguousarray(columns.element, np.int64)
    first, length = _shared_beginnings(reads, key, start, element, unwritten, len(columns.keys))
    if not np.any(length):
        return columns
    cut = np.where(reads, length[key], 0)
    size = np.diff(start) - cut
    new_start = np.concatenate(([0], np.cumsum(size))).astype(columns.list_start.dtype)
    kept = np.repeat(start[:-1] + cut - new_start[:-1], size) + np.arange(int(new_start[-1]))
    begin = np.where(first >= 0, start[np.maximum(first, 0)], 0)
    initial_start = np.concatenate(([0], np.cumsum(length))).astype(np.int64)
    of_initial = np.repeat(begin - initial_start[:-1], length) + np.arange(int(initial_start[-1]))
    own = {field.name: getattr(columns, field.name) for field in fields(TxnColumns)}
    return CutColumns(
        **{**own, "list_start": new_start, "element": columns.element[kept]},
        initial_start=initial_start,
        initial=element[of_initial],
    )


def _unwritten(columns: TxnColumns, key_of_element: np.ndarray) -> np.ndarray:
    """bool[e]: elements that no transaction appended, whatever became of it."""
    appends = np.flatnonzero(columns.function == APPEND)
    values, number = np.unique(np.concatenate((columns.value[appends], columns.element)), return_inverse=True)
    pair = np.concatenate((columns.key[appends].astype(np.int64), key_of_element)) * len(values) + number
    return ~np.isin(pair[len(appends) :], pair[: len(appends)])


@njit(cache=True)
def _shared_beginnings(reads, key, start, element, unwritten, keys):
    """For each key its first read, and how many unwritten elements all its reads begin with."""
    first = np.full(keys, -1, np.int64)
    length = np.zeros(keys, np.int64)
    for mop in range(len(reads)):
        if not reads[mop]:
            continue
        k = key[mop]
        size = start[mop + 1] - start[mop]
        if first[k] < 0:
            first[k] = mop
            length[k] = size
        same = 0
        while (
            same < min(size, length[k])
            and unwritten[start[mop] + same]
            and element[start[mop] + same] == element[start[first[k]] + same]
        ):
            same += 1
        length[k] = same
    return first, length
