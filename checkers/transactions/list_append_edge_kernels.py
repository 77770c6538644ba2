"""The loops behind `list_append_edges`, compiled. Edges go into columns that the caller made long enough.

Cost: one pass each, O(micro-ops + versions + transactions).
"""

from __future__ import annotations

import numpy as np

from checkers.transactions.dependency_graph import RW, WR, WW
from checkers.transactions.list_append_versions import NOBODY
from checkers.transactions.txn_columns import APPEND, READ
from harness.compiled import kernel


@kernel
def certain_neighbours(start, length, writer, txn, committed):
    """For each version the last committed append up to it, and the next from it on; and each key's last. -1: none."""
    keys = len(length)
    last = np.full(len(writer), -1, np.int32)
    following = np.full(len(writer), -1, np.int32)
    last_of_key = np.full(keys, -1, np.int32)
    for key in range(keys):
        begin, end = start[key], start[key] + length[key]
        known = np.int32(-1)
        for place in range(begin, end):
            mop = writer[place]
            if mop != NOBODY and committed[txn[mop]]:
                known = np.int32(mop)
            last[place] = known
        last_of_key[key] = known
        known = np.int32(-1)
        for place in range(end - 1, begin - 1, -1):
            mop = writer[place]
            if mop != NOBODY and committed[txn[mop]]:
                known = np.int32(mop)
            following[place] = known
    return last, following, last_of_key


@kernel
def value_edges(
    start,
    length,
    writer,
    usable,
    fits,
    last_writer,
    last_certain,
    next_certain,
    function,
    key,
    list_start,
    txn,
    status_ok,
    source,
    target,
    kind,
    source_mop,
    target_mop,
):
    """ww along each key's order, then wr into each read, then rw out of each. Returns how many edges there are."""
    count = 0
    # rw edges: the read and the write
    against = np.empty((len(function), 2), np.int32)
    missed = 0
    for k in range(len(length)):
        before = np.int32(-1)
        for place in range(start[k], start[k] + length[k]):
            mop = last_certain[place]
            if mop < 0 or mop != writer[place]:
                continue
            if before >= 0 and txn[before] != txn[mop]:
                source[count], target[count], kind[count] = txn[before], txn[mop], WW
                source_mop[count], target_mop[count] = before, mop
                count += 1
            before = mop
    for mop in range(len(function)):
        if function[mop] != READ or not fits[mop]:
            continue
        reader, k = txn[mop], key[mop]
        size = list_start[mop + 1] - list_start[mop]
        if not usable[k] or not status_ok[reader] or size > length[k]:
            continue
        seen = last_writer[mop]
        if seen != NOBODY and txn[seen] == reader:
            continue
        if size > 0:
            write = last_certain[start[k] + size - 1]
            if write >= 0 and txn[write] != reader:
                source[count], target[count], kind[count] = txn[write], reader, WR
                source_mop[count], target_mop[count] = write, mop
                count += 1
        if size < length[k]:
            write = next_certain[start[k] + size]
            if write >= 0 and txn[write] != reader:
                against[missed, 0], against[missed, 1] = mop, write
                missed += 1
    for i in range(missed):
        mop, write = against[i, 0], against[i, 1]
        source[count], target[count], kind[count] = txn[mop], txn[write], RW
        source_mop[count], target_mop[count] = mop, write
        count += 1
    return count


@kernel
def open_appends(
    start,
    length,
    settled,
    position,
    fits,
    last_writer,
    committed,
    next_certain,
    function,
    key,
    list_start,
    txn,
    status_ok,
    at_end,
):
    """The open appends key by key, and the reads of the last version of those keys. Marks such reads in `at_end`."""
    keys = len(length)
    appends = np.zeros(keys, np.int64)
    reads = np.zeros(keys, np.int64)
    # of each key the transaction that was last to open it: only its first such append counts
    opened_by = np.full(keys, -1, np.int64)
    for mop in range(len(function)):
        k = key[mop]
        if function[mop] == APPEND and position[mop] < 0 and settled[k] and committed[txn[mop]]:
            appends[k] += opened_by[k] != txn[mop]
            opened_by[k] = txn[mop]
    for mop in range(len(function)):
        k = key[mop]
        if function[mop] != READ or appends[k] == 0 or not fits[mop] or not status_ok[txn[mop]]:
            continue
        seen = last_writer[mop]
        if seen != NOBODY and txn[seen] == txn[mop]:
            continue
        size = list_start[mop + 1] - list_start[mop]
        if size >= length[k] or next_certain[start[k] + size] < 0:
            at_end[mop] = True
            reads[k] += 1
    place = np.full(keys, -1, np.int64)
    chosen = np.flatnonzero(appends)
    append_start = np.zeros(len(chosen) + 1, np.int64)
    read_start = np.zeros(len(chosen) + 1, np.int64)
    for i in range(len(chosen)):
        place[chosen[i]] = i
        append_start[i + 1] = append_start[i] + appends[chosen[i]]
        read_start[i + 1] = read_start[i] + reads[chosen[i]]
    append = np.empty(append_start[-1], np.int32)
    read = np.empty(read_start[-1], np.int32)
    next_append = append_start[:-1].copy()
    next_read = read_start[:-1].copy()
    opened_by[:] = -1
    for mop in range(len(function)):
        i = place[key[mop]]
        if i < 0:
            continue
        if function[mop] == APPEND:
            if position[mop] < 0 and committed[txn[mop]] and opened_by[key[mop]] != txn[mop]:
                append[next_append[i]] = mop
                next_append[i] += 1
                opened_by[key[mop]] = txn[mop]
        elif at_end[mop]:
            read[next_read[i]] = mop
            next_read[i] += 1
    return chosen.astype(np.int32), append_start, append, read_start, read


@kernel
def open_edges(
    append_start, append, read_start, read, last, large, txn, count, source, target, kind, source_mop, target_mop
):
    """From the last append that was read, and from its readers, to each open append (readers: not for large keys)."""
    for i in range(len(append_start) - 1):
        for j in range(append_start[i], append_start[i + 1]):
            mop = append[j]
            if last[i] >= 0 and txn[last[i]] != txn[mop]:
                source[count], target[count], kind[count] = txn[last[i]], txn[mop], WW
                source_mop[count], target_mop[count] = last[i], mop
                count += 1
            if large[i]:
                continue
            for r in range(read_start[i], read_start[i + 1]):
                if txn[read[r]] != txn[mop]:
                    source[count], target[count], kind[count] = txn[read[r]], txn[mop], RW
                    source_mop[count], target_mop[count] = read[r], mop
                    count += 1
    return count
