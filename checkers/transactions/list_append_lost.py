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

from checkers.transactions.list_append_versions import NOBODY, Versions
from checkers.transactions.list_append_wording import Names
from checkers.transactions.txn_columns import APPEND, READ, TxnColumns
from checkers.transactions.value_findings import Found
from harness.compiled import kernel
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
    shown = [_anomaly(columns, txn, versions, case) for case in cases[:limit]]
    return Found(TYPE, len(cases), shown, {EVIDENCE} if cases else set())


def find(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Iterator[LostAppend]:
    """Every lost append, once, with a read that shows it."""
    if not columns.timed:
        return
    status_ok = columns.status == OK
    newest, best = _newest_shown(
        versions.start,
        versions.writer,
        versions.usable,
        versions.fits,
        columns.function,
        columns.key,
        columns.list_start,
        txn,
        columns.status,
        columns.began,
    )
    for read in versions.odd_reads:
        newest[read] = _newest_of_odd(columns, txn, versions, read)
        if newest[read] != NOBODY and versions.usable[columns.key[read]]:
            seen = min(columns.began[txn[read]], columns.began[txn[newest[read]]])
            best[columns.key[read]] = max(best[columns.key[read]], seen)
    missed = _maybe_lost(
        versions.position,
        versions.agreed,
        versions.usable,
        columns.function,
        columns.key,
        txn,
        status_ok,
        columns.completed,
        best,
    )
    if not len(missed):
        return
    wanted = np.zeros(len(columns.keys), bool)
    wanted[columns.key[missed]] = True
    reads = np.flatnonzero((columns.function == READ) & wanted[columns.key] & status_ok[txn])
    reads = reads[np.lexsort((columns.began[txn[reads]], columns.key[reads]))]
    missed = missed[np.argsort(columns.key[missed], kind="stable")]
    last_seen = _LastSeen(columns, txn, versions)
    for key in np.unique(columns.key[missed]).tolist():
        low, high = np.searchsorted(columns.key[reads], [key, key + 1])
        of_key, began = reads[low:high], columns.began[txn[reads[low:high]]]
        tops = np.where(newest[of_key] == NOBODY, -1, columns.began[txn[newest[of_key]]])
        in_order = last_seen.in_order(key, of_key)
        best_from = np.maximum.accumulate(tops[::-1])[::-1]
        for append in missed[slice(*np.searchsorted(columns.key[missed], [key, key + 1]))].tolist():
            known = int(columns.completed[txn[append]])
            first = int(np.searchsorted(began, max(known, last_seen.of(append, in_order)), "right"))
            if first == len(of_key) or best_from[first] <= known:
                continue
            place = first + int(np.argmax(tops[first:] > known))
            yield LostAppend(append, int(newest[of_key[place]]), int(of_key[place]))


def _newest_of_odd(columns: TxnColumns, txn: np.ndarray, versions: Versions, read: int) -> int:
    """Of the appends of others that a read beside the order shows, the one whose transaction began last."""

    def began(append: int) -> int:
        rolled_back = append == NOBODY or columns.status[txn[append]] == FAIL
        return -1 if rolled_back else int(columns.began[txn[append]])

    others = [each for each in versions.odd_writers[read] if began(each) >= 0 and txn[each] != txn[read]]
    return max(others, key=began, default=NOBODY)


@kernel
def _newest_shown(start, writer, usable, fits, function, key, list_start, txn, status, began):
    """(newest, best). newest: for each read that fits its key's order, the append of another's, not rolled back, that
    it shows and whose transaction began last. best: for each key the latest place at which both a read and what it
    shows may have begun.
    """
    top = np.full(len(writer), -1, np.int64)
    for k in range(len(usable)):
        known = np.int64(-1)
        for place in range(start[k], start[k + 1]):
            mop = writer[place]
            if mop != NOBODY and status[txn[mop]] != FAIL and (known < 0 or began[txn[mop]] > began[txn[known]]):
                known = mop
            top[place] = known
    newest = np.full(len(function), NOBODY, np.int64)
    best = np.full(len(usable), -1, np.int64)
    for mop in range(len(function)):
        k = key[mop]
        if function[mop] != READ or not fits[mop] or not usable[k]:
            continue
        length = list_start[mop + 1] - list_start[mop]
        if length > 0 and top[start[k] + length - 1] >= 0:
            newest[mop] = top[start[k] + length - 1]
            if txn[newest[mop]] == txn[mop]:
                newest[mop] = NOBODY
                for place in range(start[k], start[k] + length):
                    other = writer[place]
                    if other == NOBODY or txn[other] == txn[mop] or status[txn[other]] == FAIL:
                        continue
                    if newest[mop] == NOBODY or began[txn[other]] > began[txn[newest[mop]]]:
                        newest[mop] = other
                if newest[mop] == NOBODY:
                    continue
            best[k] = max(best[k], min(began[txn[mop]], began[txn[newest[mop]]]))
    return newest, best


@kernel
def _maybe_lost(position, agreed, usable, function, key, txn, status_ok, completed, best):
    """The appends that the longest list does not show, acknowledged before all that some read shows of its key."""
    found = np.empty(len(function), np.int64)
    count = 0
    for mop in range(len(function)):
        k = key[mop]
        unseen = function[mop] == APPEND and usable[k] and (position[mop] < 0 or not agreed[k])
        if unseen and status_ok[txn[mop]] and completed[txn[mop]] < best[k]:
            found[count] = mop
            count += 1
    return found[:count].copy()


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


def _anomaly(columns: TxnColumns, txn: np.ndarray, versions: Versions, case: LostAppend) -> Anomaly:
    writer, later, reader = (int(txn[mop]) for mop in (case.append, case.later, case.read))
    names = Names(columns, [writer, later, reader])
    txns = list(dict.fromkeys((writer, later, reader)))
    key = columns.key[case.append]
    contradiction = [] if versions.agreed[key] else [r for r in versions.odd_reads if columns.key[r] == key][:1]
    needed = {*txns, *(int(txn[r]) for r in contradiction), *(int(txn[versions.longest[key]]) for _ in contradiction)}
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
        sub_history=columns.records(needed),
    )
