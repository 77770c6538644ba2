"""Appends that were acknowledged and are gone, in list-append histories.

Problem: a committed append that a read misses may just not have reached the node that answered. When is it lost?

Idea: a list only grows. A read that shows an element appended after the acknowledgement, and not the acknowledged one,
was answered by somebody who is not late: the element is not in the list any more. So an append of e by T is called
lost if T's commit was acknowledged, then T' began and appended f to the same key, and another transaction, that began
after the acknowledgement too, read f and not e, and nobody whose answer came after that one began ever saw e.

Sound: T' comes after T in real time, the reader saw T' (which is another's, and was not rolled back), and e is not in
what it saw: T' and the reader lie between T and its own effect. That is a cycle of kind G-single-item-realtime, which
is the evidence for the models.

Not looked for: appends that the longest read shows, where all reads agree on the order (to be lost they would have to
be ordered against real time too; the cycles say so).

Source: our own; Elle shows only the cycle. Cost: O(appends), and O(elements read) for the keys where a read misses an
acknowledged append.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from checkers.list_append_values import Found
from checkers.list_append_versions import NOBODY, Versions
from checkers.list_append_wording import Names
from checkers.txn_columns import APPEND, READ, TxnColumns
from harness.history import FAIL, OK
from harness.verdict import Anomaly

TYPE = "lost-write"
EVIDENCE = "G-single-item-realtime"


@dataclass(frozen=True)
class LostAppend:
    """Micro-ops: the append that is gone, a later append, and the read that shows the second but not the first."""

    append: int
    later: int
    read: int


def lost_appends(columns: TxnColumns, txn: np.ndarray, versions: Versions, limit: int) -> Found:
    """All lost appends; `limit` of them worked out."""
    cases = list(find(columns, txn, versions))
    shown = [_anomaly(columns, txn, case) for case in cases[:limit]]
    return Found(TYPE, len(cases), shown, {EVIDENCE} if cases else set())


def find(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Iterator[LostAppend]:
    """Every lost append, once, with a read that shows it."""
    if not columns.timed:
        return
    ok = columns.status[txn] == OK
    reads = np.flatnonzero((columns.function == READ) & ok & versions.usable[columns.key])
    last_began = np.full(len(columns.keys), -1, np.int64)
    np.maximum.at(last_began, columns.key[reads], columns.began[txn[reads]])
    missed = np.flatnonzero(
        (columns.function == APPEND)
        & ok
        & ((versions.position < 0) | ~versions.agreed[columns.key])
        & versions.usable[columns.key]
        & (columns.completed[txn] < last_began[columns.key])
    )
    if not len(missed):
        return
    reads = reads[np.isin(columns.key[reads], columns.key[missed])]
    reads = reads[np.lexsort((columns.began[txn[reads]], columns.key[reads]))]
    missed = missed[np.argsort(columns.key[missed], kind="stable")]
    newest_of = _Newest(columns, txn, versions).of
    newest = np.array([newest_of(read) for read in reads.tolist()], np.int64)
    last_seen = _LastSeen(columns, txn, versions)
    for key in np.unique(columns.key[missed]).tolist():
        low, high = np.searchsorted(columns.key[reads], [key, key + 1])
        of_key, began = reads[low:high], columns.began[txn[reads[low:high]]]
        tops = np.where(newest[low:high] == NOBODY, -1, columns.began[txn[newest[low:high]]])
        in_order = last_seen.in_order(key, of_key)
        best_from = np.maximum.accumulate(tops[::-1])[::-1]
        for append in missed[slice(*np.searchsorted(columns.key[missed], [key, key + 1]))].tolist():
            known = int(columns.completed[txn[append]])
            first = int(np.searchsorted(began, max(known, last_seen.of(append, in_order)), "right"))
            if first == len(of_key) or best_from[first] <= known:
                continue
            place = first + int(np.argmax(tops[first:] > known))
            yield LostAppend(append, int(newest[low + place]), int(of_key[place]))


class _Newest:
    """Of the appends of others that a read shows, the one whose transaction began last."""

    def __init__(self, columns: TxnColumns, txn: np.ndarray, versions: Versions) -> None:
        self._columns, self._txn, self._versions = columns, txn, versions
        self._best: dict[int, np.ndarray] = {}
        """For each key: place in its order → the append up to there whose transaction began last."""

    def of(self, read: int) -> int:
        """NOBODY where it shows none."""
        columns, versions = self._columns, self._versions
        odd = versions.odd_writers.get(read)
        if odd is not None:
            others = [each for each in odd if self._began(each) >= 0 and self._txn[each] != self._txn[read]]
            return max(others, key=self._began, default=NOBODY)
        length = int(columns.list_start[read + 1] - columns.list_start[read])
        own = int(versions.previous_append[read])
        while own >= 0:
            if versions.position[own] >= 0:
                length = min(length, int(versions.position[own]))
            own = int(versions.previous_append[own])
        return int(self._of_key(int(columns.key[read]))[length - 1]) if length else NOBODY

    def _began(self, append: int) -> int:
        """-1 for nobody's, and for one that was rolled back."""
        if append == NOBODY or self._columns.status[self._txn[append]] == FAIL:
            return -1
        return int(self._columns.began[self._txn[append]])

    def _of_key(self, key: int) -> np.ndarray:
        if key not in self._best:
            start = self._versions.start
            writers = self._versions.writer[start[key] : start[key + 1]]
            began = np.array([self._began(writer) for writer in writers.tolist()], np.int64)
            top = np.maximum.accumulate(began)
            where = np.maximum.accumulate(np.where(began == top, np.arange(len(began)), 0))
            self._best[key] = np.where(top >= 0, writers[where], NOBODY)
        return self._best[key]


class _LastSeen:
    """Where the last read returned that shows an append."""

    def __init__(self, columns: TxnColumns, txn: np.ndarray, versions: Versions) -> None:
        self._columns, self._txn, self._versions = columns, txn, versions
        self._odd: dict[int, int] = {}
        for read in versions.odd_reads:
            end = int(columns.completed[txn[read]])
            for writer in versions.odd_writers[read]:
                self._odd[writer] = max(end, self._odd.get(writer, -1))

    def in_order(self, key: int, reads: np.ndarray) -> np.ndarray:
        """For each place in a key's order, where the last read that fits the order returned and goes so far."""
        columns, versions = self._columns, self._versions
        last = np.full(int(versions.start[key + 1] - versions.start[key]) + 1, -1, np.int64)
        fits = reads[versions.fits[reads]]
        lengths = columns.list_start[fits + 1] - columns.list_start[fits]
        np.maximum.at(last, lengths, columns.completed[self._txn[fits]])
        return np.maximum.accumulate(last[::-1])[::-1][1:]

    def of(self, append: int, in_order: np.ndarray) -> int:
        """-1 where none does."""
        place = int(self._versions.position[append])
        return max(self._odd.get(append, -1), int(in_order[place]) if place >= 0 else -1)


def _anomaly(columns: TxnColumns, txn: np.ndarray, case: LostAppend) -> Anomaly:
    writer, later, reader = (int(txn[mop]) for mop in (case.append, case.later, case.read))
    names = Names(columns, [writer, later, reader])
    txns = list(dict.fromkeys((writer, later, reader)))
    return Anomaly(
        type=TYPE,
        ops=sorted(int(columns.op[t]) for t in txns),
        sentence=(
            f"{names.full(writer)} appended {names.value(case.append)} to {names.key(case.append)} and was told that "
            f"it is committed; {names.full(later)} began after that and appended {names.value(case.later)}. "
            f"{names.full(reader)} then read {names.read(case.read)}: the later element without the earlier one, and "
            f"from then on nobody ever saw {names.value(case.append)} again. The write is gone."
        ),
        key=columns.keys[columns.key[case.append]],
        sub_history=sorted({index for t in txns for index in columns.records(t)}),
    )
