"""Long forks among the reads of lists: two transactions that each saw an append which the other missed.

Problem: is there a pair of readers and a pair of keys, so that the first reader saw an append to one key that the
second missed, and the second saw an append to the other key that the first missed? No order of the two writes fits
both readers (Sovran et al., Transactional Storage for Geo-Replicated Systems, SOSP 2011); parallel snapshot isolation
allows it, prefix does not. This is the definition of `checkers.transactions.long_fork`, for lists: the two appends were
committed by two different transactions, and neither by one of the readers.

Idea: a list that was read shows a beginning of its key's order. Of each read two numbers matter: how long it is, and
where the first append stands that it missed. Reader 1 saw something of x that reader 2 missed exactly if its list is
longer than where that first append of the other's stands. Key by key, readers enter in the order of what they
missed, and each notes at its other keys how far it saw; a reader that looks there for its own keys finds whoever saw
more than it. So a fork is found by its definition, whatever cycles are shown elsewhere.

Reads after an own append of the key say nothing, as do reads that contradict others. Where all that both saw comes of
one transaction it is no fork, but two torn reads: then the readers of that key are tried one by one, in a budget.

Cost: O(reads of a transaction, squared, for each), in the order of keys.
"""

from __future__ import annotations

import numpy as np

from checkers.transactions.cycle_kinds import Cycle, Step
from checkers.transactions.dependency_graph import RW, WR
from checkers.transactions.list_append_versions import NOBODY, Versions
from checkers.transactions.txn_columns import READ, TxnColumns
from harness.compiled import kernel, kernel_part
from harness.history import OK

LOOKED_AT_MAX = 200_000_000
"""Notes of readers at their other keys, and tries one by one: about a second."""


def long_forks(
    columns: TxnColumns, txn: np.ndarray, versions: Versions, among: np.ndarray, limit: int
) -> tuple[int, list[Cycle]]:
    """(how many pairs of readers disagree, cycles of four steps for the first `limit` of them).

    Of each reader that disagrees with others one such pair counts. among: bool[n], the transactions that are on cycles;
    others cannot be readers of a fork.
    """
    reads, of_txn = _reads_of_several(
        columns.mop_start,
        columns.function,
        columns.key,
        among & (columns.status == OK),
        versions.usable & versions.agreed,
        versions.fits,
        versions.previous_append,
        versions.writer,
        versions.start,
        columns.list_start,
        txn,
    )
    if len(reads) < 4:
        return 0, []
    key = columns.key[reads]
    seen = columns.list_start[reads + 1] - columns.list_start[reads]
    missed = _first_missed(reads, key, seen, txn, versions.start, versions.writer, versions.committed)
    row, places = versions.start[key] + key, len(versions.writer) + len(columns.keys)
    entering, looking = _by_place(row + missed, places), _by_place(row + seen, places)
    rows = _forks(
        reads,
        key,
        seen,
        missed,
        entering,
        looking,
        txn,
        of_txn,
        versions.start,
        versions.writer,
        versions.committed,
        LOOKED_AT_MAX,
    )
    pairs = rows[:, :2].min(axis=1) * len(columns) + rows[:, :2].max(axis=1)
    _, first = np.unique(pairs, return_index=True)
    return len(first), [_cycle(rows[i].tolist(), txn) for i in np.sort(first)[:limit].tolist()]


def _cycle(row: list[int], txn: np.ndarray) -> Cycle:
    """row: the readers, their reads of the first key, of the second, the append that only the one saw, the other's."""
    one, other, x_one, x_other, y_one, y_other, x_append, y_append = row
    first, second = int(txn[x_append]), int(txn[y_append])
    return [
        Step(first, one, WR, x_append, x_one),
        Step(one, second, RW, y_one, y_append),
        Step(second, other, WR, y_append, y_other),
        Step(other, first, RW, x_other, x_append),
    ]


@kernel
def _by_place(place, most):
    """The order of places from 0 to `most`; those that are alike as they come."""
    first = np.zeros(most + 2, np.int64)
    for i in range(len(place)):
        first[place[i] + 1] += 1
    for i in range(most + 1):
        first[i + 1] += first[i]
    order = np.empty(len(place), np.int64)
    for i in range(len(place)):
        order[first[place[i]]] = i
        first[place[i]] += 1
    return order


@kernel
def _reads_of_several(
    mop_start, function, key, readers, settled, fits, previous_append, writer, start, list_start, txn
):
    """(reads, first of each transaction): those that say something, of transactions that have several of them.

    A read that shows an append of its own transaction, which is made later, says nothing.
    """
    reads = np.empty(len(function), np.int64)
    of_txn = np.zeros(len(mop_start), np.int64)
    count = 0
    for t in range(len(mop_start) - 1):
        of_txn[t] = count
        if not readers[t] or mop_start[t + 1] - mop_start[t] < 2:
            continue
        writes = False
        for mop in range(mop_start[t], mop_start[t + 1]):
            writes |= function[mop] != READ
        for mop in range(mop_start[t], mop_start[t + 1]):
            k = key[mop]
            if function[mop] != READ or not settled[k] or not fits[mop] or previous_append[mop] >= 0:
                continue
            good = True
            if writes:
                for place in range(start[k], start[k] + list_start[mop + 1] - list_start[mop]):
                    own = writer[place]
                    if own != NOBODY and txn[own] == t:
                        good = False
                        break
            if good:
                reads[count] = mop
                count += 1
        if count < of_txn[t] + 2:
            count = of_txn[t]
    of_txn[len(mop_start) - 1] = count
    return reads[:count].copy(), of_txn


@kernel
def _first_missed(reads, key, seen, txn, start, writer, committed):
    """For each read the place of the first committed append of another's that it misses (the order's end for none)."""
    missed = np.empty(len(reads), np.int64)
    for i in range(len(reads)):
        k, reader = key[i], txn[reads[i]]
        end = start[k + 1] - start[k]
        place = seen[i]
        while place < end:
            mop = writer[start[k] + place]
            if mop != NOBODY and committed[txn[mop]] and txn[mop] != reader:
                break
            place += 1
        missed[i] = place
    return missed


@kernel_part
def _others(start, writer, committed, txn, begin, end, reader, not_by):
    """The first committed append at places begin..end of a key that is neither the reader's nor another's; -1: none."""
    for place in range(begin, end):
        mop = writer[start + place]
        if mop != NOBODY and committed[txn[mop]] and txn[mop] != reader and txn[mop] != not_by:
            return np.int64(mop)
    return np.int64(-1)


@kernel_part
def _two_writers(key, seen, missed, txn, start, writer, committed, reads, x_one, x_other, y_one, y_other):
    """Appends of two transactions, of which each reader saw one and missed the other; (-1, -1) if there are none.

    x_one ...: the reads of the two readers, `one` saw more of key x, `other` more of key y.
    """
    one, other = txn[reads[x_one]], txn[reads[x_other]]
    x, y = start[key[x_one]], start[key[y_one]]
    nobody = np.int64(-1)
    a = _others(x, writer, committed, txn, missed[x_other], seen[x_one], other, nobody)
    b = _others(y, writer, committed, txn, missed[y_one], seen[y_other], one, nobody)
    if a < 0 or b < 0 or txn[a] != txn[b]:
        return (a, b) if a >= 0 and b >= 0 else (nobody, nobody)
    again = _others(x, writer, committed, txn, missed[x_other], seen[x_one], other, txn[b])
    if again >= 0:
        return again, b
    again = _others(y, writer, committed, txn, missed[y_one], seen[y_other], one, txn[a])
    return (a, again) if again >= 0 else (nobody, nobody)


@kernel
def _forks(reads, key, seen, missed, entering, looking, txn, of_txn, start, writer, committed, budget):
    """Rows as `_cycle` takes them, at most one for each reader that saw more of the first key.

    entering, looking: the reads by key, and by `missed` or `seen`. of_txn: the reads of each transaction.
    """
    keys = len(start) - 1
    noted_at = np.full(keys, -1, np.int32)
    # of each other key: who of those that entered saw most of it
    most = np.zeros(keys, np.int32)
    found = np.empty((len(reads), 8), np.int64)
    done = np.full(len(of_txn) - 1, False)
    count = 0
    looked = 0
    begin = 0
    while begin < len(reads) and looked <= budget:
        x = key[entering[begin]]
        end = begin
        while end < len(reads) and key[entering[end]] == x:
            end += 1
        entered = begin
        for i in range(begin, end):
            one = looking[i]
            reader = txn[reads[one]]
            while entered < end and missed[entering[entered]] < seen[one]:
                other = txn[reads[entering[entered]]]
                for j in range(of_txn[other], of_txn[other + 1]):
                    y = key[j]
                    looked += 1
                    if y != x and (noted_at[y] != x or seen[j] > seen[most[y]]):
                        noted_at[y] = x
                        most[y] = j
                entered += 1
            if done[reader]:
                continue
            for j in range(of_txn[reader], of_txn[reader + 1]):
                y = key[j]
                looked += 1
                if y == x or noted_at[y] != x or seen[most[y]] <= missed[j]:
                    continue
                x_other = np.int64(-1)
                y_other = np.int64(most[y])
                a = b = np.int64(-1)
                other = txn[reads[y_other]]
                for place in range(of_txn[other], of_txn[other + 1]):
                    if other != reader and key[place] == x and missed[place] < seen[one]:
                        x_other = np.int64(place)
                        a, b = _two_writers(
                            key, seen, missed, txn, start, writer, committed, reads, one, x_other, j, y_other
                        )
                        if a >= 0:
                            break
                if a < 0:
                    # the one that saw most will not do: each of the others
                    for k in range(begin, entered):
                        other = txn[reads[entering[k]]]
                        x_other = np.int64(entering[k])
                        for place in range(of_txn[other], of_txn[other + 1]):
                            looked += 1
                            if other != reader and key[place] == y and seen[place] > missed[j]:
                                y_other = np.int64(place)
                                a, b = _two_writers(
                                    key, seen, missed, txn, start, writer, committed, reads, one, x_other, j, y_other
                                )
                                if a >= 0:
                                    break
                        if a >= 0 or looked > budget:
                            break
                if a >= 0:
                    row = found[count]
                    row[0], row[1] = reader, other
                    row[2], row[3], row[4], row[5] = reads[one], reads[x_other], reads[j], reads[y_other]
                    row[6], row[7] = a, b
                    done[reader] = True
                    count += 1
                    break
        begin = end
    return found[:count]
