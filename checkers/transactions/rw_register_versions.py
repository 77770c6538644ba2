"""Which write each read of a register saw, and which transactions are therefore committed.

Problem: a register shows its last value only. Idea (Kingsbury & Alvaro, Elle, VLDB 2020, section 4.2): every value is
written once to a key, so a value that was read names the one write that made it. What order the versions of a key came
in is not known from that, but for the first: nil, the state before any write.

A version is what a committed transaction wrote last to a key. `ok` is committed; of unknown outcome is committed as
soon as a committed transaction read one of its writes. A value that may have been written by two transactions names
nobody: its key gives no versions and no reads.

Cost: O(micro-ops), some 40 bytes each while it works.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.transactions.txn_columns import WRITE, TxnColumns
from harness.compiled import kernel
from harness.history import FAIL, OK

NOTHING, INITIAL, VERSION, OWN, ABORTED, GARBAGE, FUTURE = range(7)
"""What a read saw: no read of a committed transaction, or nobody knows whose write; the state before any write;
another transaction's write; its own earlier write; a write that was rolled back; what nobody wrote; its own later one.
"""
CONSISTENT, MISSED, UNREPEATABLE = range(3)
"""What a read says of its own transaction: nothing wrong; its own last write is missing; it differs from the read
before it, with no own write between."""
NOBODY = -1


@dataclass(frozen=True)
class Versions:
    """m micro-ops, v versions of k keys, grouped by key.

    saw: int8[m], NOTHING ... FUTURE. source: int32[m], the write behind what a read saw (NOBODY: none).
    inner: int8[m], CONSISTENT, MISSED or UNREPEATABLE. previous: int32[m], the micro-op of the same transaction on the
    same key before it. overwritten: bool[m], the same transaction writes the key again. committed: bool[n].
    usable: bool[k]. repeated: keys with a value that certainly was, ambiguous: that perhaps was written by two
    transactions.
    start: int64[k + 1], into the versions. mop: int32[v], the write. writer: int32[v], its transaction.
    version_of: int32[m], the version that a write is (NOBODY: it is none).
    read_start: int64[v + k + 1], read: int32[r]: the reads of version i of key q stand in row i + q + 1, those of the
    state before any write in row start[q] + q (of others than the writer itself, and once for each read).
    """

    saw: np.ndarray
    source: np.ndarray
    inner: np.ndarray
    previous: np.ndarray
    overwritten: np.ndarray
    committed: np.ndarray
    usable: np.ndarray
    repeated: list[int]
    ambiguous: list[int]
    start: np.ndarray
    mop: np.ndarray
    writer: np.ndarray
    version_of: np.ndarray
    read_start: np.ndarray
    read: np.ndarray

    @property
    def key_of_version(self) -> np.ndarray:
        """int64[v]."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))


def versions_of(columns: TxnColumns, txn: np.ndarray, unwritten_is_initial: bool = False) -> Versions:
    """Link reads to writes. txn: the transaction of each micro-op.

    unwritten_is_initial: the first value of a key that was read and that nobody wrote is its initial state.
    """
    keys = len(columns.keys)
    key = np.ascontiguousarray(columns.key, np.int32)
    function = np.ascontiguousarray(columns.function, np.int8)
    status = np.ascontiguousarray(columns.status[txn], np.int8)
    start = np.ascontiguousarray(columns.list_start, np.int64)
    element = np.ascontiguousarray(columns.element, np.int64)
    slot, seen_slot, slots = _slots(function, key, columns.value, start, element, keys)
    txn32 = np.ascontiguousarray(txn, np.int32)
    possible, shared, failed, clash = _write_of_slots(function, key, status, txn32, slot, slots, keys)
    saw, source, inner, previous, overwritten, committed = _link(
        function,
        key,
        np.ascontiguousarray(columns.value, np.int64),
        status,
        txn32,
        start,
        element,
        seen_slot,
        possible,
        shared,
        failed,
        clash,
        keys,
        np.ascontiguousarray(columns.status == OK),
    )
    if unwritten_is_initial:
        _take_unwritten_as_initial(key, start, element, saw)
    usable = clash == 0
    is_version = (function == WRITE) & ~overwritten & committed[txn] & usable[key] if len(txn) else np.empty(0, bool)
    mop = np.flatnonzero(is_version)
    mop = mop[np.argsort(key[mop], kind="stable")].astype(np.int32)
    version_start = np.concatenate(([0], np.cumsum(np.bincount(key[mop], minlength=keys)))).astype(np.int64)
    version_of = np.full(len(function), NOBODY, np.int32)
    version_of[mop] = np.arange(len(mop), dtype=np.int32)
    rows = int(np.count_nonzero(version_of >= 0)) + len(version_start) - 1
    read_start, read = _reads_by_version(key, saw, source, inner, overwritten, usable, version_start, version_of, rows)
    return Versions(
        saw=saw,
        source=source,
        inner=inner,
        previous=previous,
        overwritten=overwritten,
        committed=committed,
        usable=usable,
        repeated=np.flatnonzero(clash == 2).tolist(),
        ambiguous=np.flatnonzero(clash == 1).tolist(),
        start=version_start,
        mop=mop,
        writer=txn32[mop],
        version_of=version_of,
        read_start=read_start,
        read=read,
    )


def _slots(
    function: np.ndarray, key: np.ndarray, value: np.ndarray, start: np.ndarray, element: np.ndarray, keys: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """A number for each (key, value) that was written: int64[m] of writes, int64[m] of reads (-1: not written)."""
    low, high = _bounds(function, key, np.ascontiguousarray(value, np.int64), keys)
    writes = int(np.count_nonzero(function == WRITE))
    used = high >= low
    if int(np.sum(high[used].astype(float) - low[used].astype(float) + 1)) > 8 * writes + 1024:
        low, high, value, element = _ranked(function, key, value, start, element, keys)
        used = high >= low
    width = np.where(used, high - low + 1, 0)
    base = np.concatenate(([0], np.cumsum(width)))
    slot, seen = _number_slots(
        function,
        key,
        np.ascontiguousarray(value, np.int64),
        start,
        np.ascontiguousarray(element, np.int64),
        low,
        high,
        base,
    )
    return slot, seen, int(base[-1])


def _ranked(
    function: np.ndarray, key: np.ndarray, value: np.ndarray, start: np.ndarray, element: np.ndarray, keys: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values as their ranks among all that were written, where they are too far apart to be numbers of slots."""
    writes = np.flatnonzero(function == WRITE)
    order = writes[np.lexsort((value[writes], key[writes]))]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (key[order][1:] != key[order][:-1]) | (value[order][1:] != value[order][:-1])
    rank_in_order = np.cumsum(fresh) - 1
    ranked = np.zeros(len(value), np.int64)
    ranked[order] = rank_in_order
    distinct_key, distinct_value = key[order][fresh].astype(np.int64), value[order][fresh]
    first = np.searchsorted(distinct_key, np.arange(keys + 1))
    read_key = np.repeat(key, np.diff(start))
    seen = _ranks(distinct_value, first, read_key, element)
    return first[:-1].copy(), first[1:] - 1, ranked, seen


@kernel
def _ranks(values, first, key, element):
    result = np.empty(len(element), np.int64)
    for i in range(len(element)):
        low, high = first[key[i]], first[key[i] + 1]
        stop = high
        while low < high:
            middle = (low + high) // 2
            if values[middle] < element[i]:
                low = middle + 1
            else:
                high = middle
        result[i] = low if low < stop and values[low] == element[i] else -1
    return result


@kernel
def _bounds(function, key, value, keys):
    low = np.zeros(keys, np.int64)
    high = np.full(keys, -1, np.int64)
    for mop in range(len(function)):
        if function[mop] == WRITE:
            k, v = key[mop], value[mop]
            if high[k] < low[k]:
                low[k] = high[k] = v
            elif v < low[k]:
                low[k] = v
            elif v > high[k]:
                high[k] = v
    return low, high


@kernel
def _number_slots(function, key, value, start, element, low, high, base):
    slot = np.full(len(function), -1, np.int64)
    seen = np.full(len(function), -1, np.int64)
    for mop in range(len(function)):
        k = key[mop]
        if function[mop] == WRITE:
            slot[mop] = base[k] + value[mop] - low[k]
        elif start[mop + 1] > start[mop]:
            v = element[start[mop]]
            if v >= low[k] and v <= high[k]:
                seen[mop] = base[k] + v - low[k]
    return slot, seen


@kernel
def _write_of_slots(function, key, status, txn, slot, slots, keys):
    """For each (key, value) its write, the last of its transaction; whether others may have written it too; a write
    that failed. And the keys where there are such values.
    """
    possible = np.full(slots, -1, np.int32)
    shared = np.zeros(slots, np.bool_)
    failed = np.full(slots, -1, np.int32)
    clash = np.zeros(keys, np.int8)
    for mop in range(len(function)):
        if function[mop] != WRITE:
            continue
        at = slot[mop]
        if status[mop] == FAIL:
            if failed[at] < 0:
                failed[at] = mop
            continue
        other = possible[at]
        if other >= 0 and txn[other] != txn[mop]:
            certain = status[other] == OK and status[mop] == OK
            clash[key[mop]] = max(clash[key[mop]], 2 if certain else 1)
            shared[at] = True
            if status[mop] != OK:
                continue
        possible[at] = mop
    return possible, shared, failed, clash


@kernel
def _link(
    function, key, value, status, txn, start, element, seen_slot, possible, shared, failed, clash, keys, committed
):
    count = len(function)
    saw = np.zeros(count, np.int8)
    source = np.full(count, -1, np.int32)
    inner = np.zeros(count, np.int8)
    previous = np.full(count, -1, np.int32)
    overwritten = np.zeros(count, np.bool_)
    last = np.full(keys, -1, np.int32)
    last_write = np.full(keys, -1, np.int32)
    for mop in range(count):
        k = key[mop]
        before = last[k]
        if before >= 0 and txn[before] == txn[mop]:
            previous[mop] = before
        last[k] = mop
        own = last_write[k]
        if own >= 0 and txn[own] != txn[mop]:
            own = -1
        if function[mop] == WRITE:
            if own >= 0:
                overwritten[own] = True
            last_write[k] = mop
            continue
        if status[mop] != OK:
            continue
        nil = start[mop + 1] == start[mop]
        if own >= 0:
            if not nil and element[start[mop]] == value[own]:
                saw[mop] = OWN
                source[mop] = own
                continue
            inner[mop] = MISSED
        elif previous[mop] >= 0:
            before = previous[mop]
            same = start[before + 1] - start[before] == start[mop + 1] - start[mop]
            if same and not nil:
                same = element[start[before]] == element[start[mop]]
            if not same:
                inner[mop] = UNREPEATABLE
        if nil:
            saw[mop] = INITIAL
            continue
        at = seen_slot[mop]
        write = possible[at] if at >= 0 else -1
        if write < 0:
            write = failed[at] if at >= 0 else -1
            saw[mop] = ABORTED if write >= 0 else GARBAGE
            source[mop] = write
            continue
        own_later = txn[write] == txn[mop] and write > mop
        if own_later and shared[at]:
            continue
        if own_later and failed[at] >= 0:
            saw[mop] = ABORTED
            source[mop] = failed[at]
            continue
        source[mop] = write
        if txn[write] == txn[mop]:
            saw[mop] = FUTURE if own_later else OWN
            continue
        saw[mop] = VERSION
        if clash[k] == 0:
            committed[txn[write]] = True
    return saw, source, inner, previous, overwritten, committed


@kernel
def _take_unwritten_as_initial(key, start, element, saw):
    known = np.zeros(int(key.max()) + 1 if len(key) else 0, np.int8)
    initial = np.zeros(len(known), np.int64)
    for mop in range(len(saw)):
        if saw[mop] == INITIAL:
            known[key[mop]] = 1
    for mop in range(len(saw)):
        if saw[mop] != GARBAGE:
            continue
        k = key[mop]
        if known[k] == 0:
            known[k] = 2
            initial[k] = element[start[mop]]
        if known[k] == 2 and initial[k] == element[start[mop]]:
            saw[mop] = INITIAL


@kernel
def _reads_by_version(key, saw, source, inner, overwritten, usable, version_start, version_of, rows):
    read_start = np.zeros(rows + 1, np.int64)
    row_of = np.full(len(saw), -1, np.int64)
    for mop in range(len(saw)):
        k = key[mop]
        if not usable[k] or inner[mop] == MISSED:
            continue
        if saw[mop] == INITIAL:
            row_of[mop] = version_start[k] + k
        elif saw[mop] == VERSION and not overwritten[source[mop]] and version_of[source[mop]] >= 0:
            row_of[mop] = version_of[source[mop]] + k + 1
        if row_of[mop] >= 0:
            read_start[row_of[mop] + 1] += 1
    for row in range(rows):
        read_start[row + 1] += read_start[row]
    fill = read_start[:-1].copy()
    read = np.empty(read_start[-1], np.int32)
    for mop in range(len(saw)):
        if row_of[mop] >= 0:
            read[fill[row_of[mop]]] = mop
            fill[row_of[mop]] += 1
    return read_start, read
