"""What one transaction saw of another's work, in list-append histories: anomalies that need no search for cycles.

- OTV (observed transaction vanishes; Bailis et al., Highly Available Transactions, VLDB 2014, appendix A): a
  transaction read what another had written, and read something older than that other's work afterwards. Monotonic
  atomic view forbids it.
- fractured-read (Bailis et al., Scalable Atomic Visibility with RAMP Transactions, SIGMOD 2014): the same in any order.
  Read atomic forbids it: in the terms of Cerone, Bernardi and Gotsman (2015), the other transaction was visible to the
  reader, and one of its writes was not.
- G-cursor (Adya 1999, section 4.2.1): a transaction read a version and wrote the key, and somebody else's write came in
  between. Cursor stability forbids it. Unlike a lost update it needs no second reader of the same version.

A read counts as one of the transaction whose append it shows last; reads after an own append of the same key say
nothing here.

- stale-read: a transaction misses what another had committed before it began. It only matters for read atomic with
  realtime order; elsewhere the cycle says as much.

Cost: O(micro-ops × those of the transactions that they read from).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.transactions.list_append_edge_kernels import certain_neighbours
from checkers.transactions.list_append_versions import Versions
from checkers.transactions.list_append_wording import Names
from checkers.transactions.txn_columns import APPEND, READ, TxnColumns
from checkers.transactions.value_findings import Found
from harness.compiled import kernel
from harness.history import OK
from harness.verdict import Anomaly

FRACTURED, VANISHED = range(2)
TYPES = ("fractured-read", "OTV")
CURSOR, STALE = "G-cursor", "stale-read"


@dataclass(frozen=True)
class Torn:
    """Micro-ops of one reader: the read that saw the writer, the read that missed it, and the append that it missed."""

    kind: int
    saw: int
    missed: int
    append: int


@dataclass(frozen=True)
class Overtaken:
    """Micro-ops: a read, the transaction's own append to that key, and the append of another that came in between."""

    read: int
    append: int
    between: int


def torn_reads(columns: TxnColumns, txn: np.ndarray, versions: Versions, limit: int) -> list[Found]:
    """OTV and fractured-read: at most one for each reader; `limit` of each worked out."""
    found = []
    rows = _torn_rows(columns, txn, versions)
    for kind in (FRACTURED, VANISHED):
        of_kind = rows[rows[:, 0] == kind]
        if len(of_kind):
            shown = [_torn_anomaly(columns, txn, Torn(*case)) for case in of_kind[:limit].tolist()]
            found.append(Found(TYPES[kind], len(of_kind), shown, {TYPES[kind]}))
    return found


def _torn_rows(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> np.ndarray:
    last_certain, _, _ = certain_neighbours(versions.start, versions.length, versions.writer, txn, versions.committed)
    return _torn(
        versions.start,
        versions.length,
        versions.usable & versions.agreed,
        versions.fits,
        versions.position,
        versions.previous_append,
        last_certain,
        columns.mop_start,
        columns.function,
        columns.key,
        columns.list_start,
        txn,
        columns.status == OK,
    )


def overtaken_updates(columns: TxnColumns, txn: np.ndarray, versions: Versions, limit: int) -> Found:
    """G-cursor: once for each read; `limit` of them worked out."""
    _, following, _ = certain_neighbours(versions.start, versions.length, versions.writer, txn, versions.committed)
    rows = _overtaken(
        versions.start,
        versions.length,
        versions.usable & versions.agreed,
        versions.fits,
        versions.position,
        versions.previous,
        versions.previous_append,
        following,
        columns.function,
        columns.key,
        columns.list_start,
        txn,
        columns.status == OK,
    )
    shown = [_overtaken_anomaly(columns, txn, versions, Overtaken(*map(int, row))) for row in rows[:limit]]
    return Found(CURSOR, len(rows), shown, {CURSOR} if rows else set())


def stale_reads(columns: TxnColumns, txn: np.ndarray, versions: Versions, limit: int) -> Found:
    """stale-read: once for each read; `limit` of them worked out."""
    if not columns.timed:
        return Found(STALE)
    rows = _stale(
        versions.start,
        versions.writer,
        versions.usable & versions.agreed,
        versions.fits,
        versions.position,
        versions.previous_append,
        columns.function,
        columns.key,
        columns.list_start,
        txn,
        columns.status == OK,
        columns.began,
        columns.completed,
    )
    shown = [_stale_anomaly(columns, txn, int(read), int(append)) for read, append in rows[:limit]]
    return Found(STALE, len(rows), shown, {STALE} if rows else set())


@kernel
def _stale(
    start,
    writer,
    settled,
    fits,
    position,
    previous_append,
    function,
    key,
    list_start,
    txn,
    status_ok,
    began,
    completed,
):
    """(read, the append that it misses, of those in the order and behind it the one that was committed first)."""
    first_unread = np.full(len(settled), -1, np.int64)
    for mop in range(len(function)):
        k = key[mop]
        if function[mop] == APPEND and position[mop] < 0 and settled[k] and status_ok[txn[mop]]:
            best = first_unread[k]
            if best < 0 or completed[txn[mop]] < completed[txn[best]]:
                first_unread[k] = mop
    earliest = np.full(len(writer), -1, np.int64)
    for k in range(len(settled)):
        best = first_unread[k]
        for place in range(start[k + 1] - 1, start[k] - 1, -1):
            mop = writer[place]
            if mop >= 0 and status_ok[txn[mop]] and (best < 0 or completed[txn[mop]] < completed[txn[best]]):
                best = mop
            earliest[place] = best
    found = [(np.int64(0), np.int64(0)) for _ in range(0)]
    for mop in range(len(function)):
        k = key[mop]
        if function[mop] != READ or not settled[k] or not fits[mop] or previous_append[mop] >= 0:
            continue
        size = list_start[mop + 1] - list_start[mop]
        missed = earliest[start[k] + size] if start[k] + size < start[k + 1] else first_unread[k]
        if missed >= 0 and completed[txn[missed]] < began[txn[mop]]:
            found.append((np.int64(mop), np.int64(missed)))
    return found


def _stale_anomaly(columns: TxnColumns, txn: np.ndarray, read: int, append: int) -> Anomaly:
    reader, writer = int(txn[read]), int(txn[append])
    names = Names(columns, [reader, writer])
    return Anomaly(
        type=STALE,
        ops=sorted({int(columns.op[reader]), int(columns.op[writer])}),
        sentence=(
            f"{names.full(reader)} read {names.read(read)}, without the {names.value(append)} of {names.full(writer)}, "
            f"which was done before {names.short(reader)} began."
        ),
        key=columns.keys[columns.key[read]],
        sub_history=columns.records((reader, writer)),
    )


@kernel
def _torn(
    start,
    length,
    settled,
    fits,
    position,
    previous_append,
    last_certain,
    mop_start,
    function,
    key,
    list_start,
    txn,
    status_ok,
):
    """(kind, read that saw, read that missed, append) for each reader that has one."""
    keys = len(length)
    # of each key the shortest read of the reader at hand: of all its reads, and of those after the one looked at
    all_by = np.full(keys, -1, np.int32)
    shortest = np.zeros(keys, np.int64)
    shortest_mop = np.zeros(keys, np.int64)
    later_by = np.full(keys, -1, np.int32)
    least = np.zeros(keys, np.int64)
    least_mop = np.zeros(keys, np.int64)
    found = [(np.int64(0), np.int64(0), np.int64(0), np.int64(0)) for _ in range(0)]
    widest = 0
    for reader in range(len(mop_start) - 1):
        widest = max(widest, mop_start[reader + 1] - mop_start[reader])
    reads = np.empty(widest, np.int64)
    for reader in range(len(mop_start) - 1):
        if not status_ok[reader] or mop_start[reader + 1] - mop_start[reader] < 2:
            continue
        count = 0
        best = -1
        saw = missed = append = np.int64(-1)
        for mop in range(mop_start[reader + 1] - 1, mop_start[reader] - 1, -1):
            k = key[mop]
            if function[mop] != READ or not settled[k] or not fits[mop] or previous_append[mop] >= 0:
                continue
            size = list_start[mop + 1] - list_start[mop]
            if all_by[k] != reader or size < shortest[k]:
                all_by[k] = reader
                shortest[k] = size
                shortest_mop[k] = mop
            reads[count] = mop
            count += 1
        for mop in reads[:count]:
            k = key[mop]
            size = list_start[mop + 1] - list_start[mop]
            write = last_certain[start[k] + size - 1] if 0 < size <= length[k] else -1
            if write >= 0 and txn[write] != reader:
                other = txn[write]
                for own in range(mop_start[other], mop_start[other + 1]):
                    y = key[own]
                    if function[own] != APPEND or all_by[y] != reader:
                        continue
                    if later_by[y] == reader and (position[own] < 0 or position[own] >= least[y]):
                        best = VANISHED
                        saw, missed, append = np.int64(mop), least_mop[y], np.int64(own)
                        break
                    if best < 0 and (position[own] < 0 or position[own] >= shortest[y]):
                        best = FRACTURED
                        saw, missed, append = np.int64(mop), shortest_mop[y], np.int64(own)
            if best == VANISHED:
                break
            if later_by[k] != reader or size < least[k]:
                later_by[k] = reader
                least[k] = size
                least_mop[k] = mop
        if best >= 0:
            found.append((np.int64(best), saw, missed, append))
    rows = np.empty((len(found), 4), np.int64)
    for i in range(len(found)):
        rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3] = found[i]
    return rows


@kernel
def _overtaken(
    start,
    length,
    settled,
    fits,
    position,
    previous,
    previous_append,
    following,
    function,
    key,
    list_start,
    txn,
    status_ok,
):
    found = [(np.int64(0), np.int64(0), np.int64(0)) for _ in range(0)]
    for mop in range(len(function)):
        k = key[mop]
        if function[mop] != APPEND or previous_append[mop] >= 0 or not settled[k] or not status_ok[txn[mop]]:
            continue
        read = previous[mop]
        while read >= 0:
            if function[read] == READ and fits[read]:
                size = list_start[read + 1] - list_start[read]
                between = following[start[k] + size] if size < length[k] else -1
                came_first = between >= 0 and (position[mop] < 0 or position[between] < position[mop])
                if came_first and txn[between] != txn[mop]:
                    found.append((np.int64(read), np.int64(mop), np.int64(between)))
                    break
            read = previous[read]
    return found


def _torn_anomaly(columns: TxnColumns, txn: np.ndarray, case: Torn) -> Anomaly:
    reader, writer = int(txn[case.saw]), int(txn[case.append])
    names = Names(columns, [reader, writer])
    if case.kind == VANISHED:
        end = f"and then {names.read(case.missed)}: what it had seen of {names.short(writer)} was gone again."
    else:
        end = f"and {names.read(case.missed)}: it saw one part of {names.short(writer)} and not the other."
    return Anomaly(
        type=TYPES[case.kind],
        ops=sorted({int(columns.op[reader]), int(columns.op[writer])}),
        sentence=(
            f"{names.full(reader)} read {names.read(case.saw)}, where the last element is by {names.full(writer)}, "
            f"which also appended {names.value(case.append)} to {names.key(case.append)}, {end}"
        ),
        key=columns.keys[columns.key[case.append]],
        sub_history=columns.records((reader, writer)),
    )


def _overtaken_anomaly(columns: TxnColumns, txn: np.ndarray, versions: Versions, case: Overtaken) -> Anomaly:
    first, second = int(txn[case.read]), int(txn[case.between])
    longest = int(txn[versions.longest[columns.key[case.read]]])
    names = Names(columns, [first, second])
    return Anomaly(
        type=CURSOR,
        ops=sorted({int(columns.op[first]), int(columns.op[second])}),
        sentence=(
            f"{names.full(first)} read {names.read(case.read)} and then appended {names.value(case.append)}, but "
            f"{names.value(case.between)} of {names.full(second)} came in between: the row changed while it was at "
            "work on it."
        ),
        key=columns.keys[columns.key[case.read]],
        sub_history=columns.records((first, second, longest)),
    )
