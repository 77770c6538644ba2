"""Version orders of list-append: which append came after which, key by key, read off the lists themselves.

Problem: to know what depends on what, one must know the order in which the versions of each key were installed.
Idea (Kingsbury & Alvaro, Elle, VLDB 2020, section 3): every value is appended once, so a list that was read names all
appends before it, in order. The longest read of a key gives its order, and every other read must be a prefix of it.
Where one is not, only the prefix that all reads share is certain. A value that occurs twice makes a key useless.

What is committed is decided here too: an `ok` transaction is, and one of unknown outcome is as soon as a committed
transaction read one of its writes.

Cost: O(elements read), no memory beside the columns but O(appends).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.transactions.txn_columns import APPEND, READ, TxnColumns
from harness.compiled import kernel, kernel_part
from harness.history import FAIL, OK

NOBODY = -1


@dataclass(frozen=True)
class Versions:
    """Version orders of k keys; a version is one append.

    start: int64[k + 1], into the versions. value, writer: int64[v], what was appended and the micro-op that did it
    (NOBODY: garbage). length: int64[k]: how many versions of the key are certain in their order.
    usable: bool[k], the key's values occur once. agreed: bool[k], all reads are prefixes of the longest.
    position: int64[m]: place of each append in its key's order, -1 where nobody read it (or it can't be said).
    longest: int64[k], the micro-op that read most, -1 if none did. fits: bool[m], the read is a prefix of it.
    last_writer: int64[m]: for each read the append that it saw last (NOBODY: none, or garbage).
    committed: bool[n]. previous, previous_append, next_append: int64[m], the micro-op of the same transaction on the
    same key before or after, -1 where there is none.
    repeated: lists of micro-ops of committed transactions that append the same value to the same key.
    ambiguous: keys whose values may have been appended twice, so that nothing can be said of them.
    odd_reads: micro-ops of the reads that do not fit, and odd_writers the appends behind their elements.
    """

    start: np.ndarray
    value: np.ndarray
    writer: np.ndarray
    length: np.ndarray
    usable: np.ndarray
    agreed: np.ndarray
    position: np.ndarray
    longest: np.ndarray
    fits: np.ndarray
    last_writer: np.ndarray
    committed: np.ndarray
    previous: np.ndarray
    previous_append: np.ndarray
    next_append: np.ndarray
    repeated: list[list[int]]
    ambiguous: list[int]
    odd_reads: list[int]
    odd_writers: dict[int, list[int]]


def version_orders(columns: TxnColumns, txn: np.ndarray) -> Versions:
    """The version orders of a history. `txn`: the transaction of each micro-op."""
    key_count = len(columns.keys)
    function, key = columns.function, columns.key
    status = columns.status[txn]
    list_length = np.diff(columns.list_start)
    reads = (function == READ) & (status == OK)

    previous, previous_append, next_append = _neighbours(function, key, txn, key_count)
    slots, same_value = _index_appends(function, key, columns.value)
    usable = np.ones(key_count, bool)
    repeated, ambiguous = _settle_repeated_values(columns, txn, slots, same_value, usable)

    longest, shared, fits = _compare_reads(reads, key, columns.list_start, columns.element, key_count)
    agreed = np.ones(key_count, bool)
    odd_reads = np.flatnonzero(reads & ~fits)
    agreed[key[odd_reads]] = False
    order_length = np.where(longest >= 0, list_length[np.maximum(longest, 0)], 0) if len(list_length) else longest * 0
    start = np.concatenate(([0], np.cumsum(order_length)))
    position = np.full(len(function), -1, np.int64)
    value, writer, doubled = _order_versions(
        start, longest, columns.list_start, columns.element, key, columns.value, slots, position
    )
    usable[doubled] = False
    usable[_repeated_garbage(start, value, writer)] = False
    odd_writers: dict[int, list[int]] = {}
    for mop in odd_reads.tolist():
        elements = columns.element[columns.list_start[mop] : columns.list_start[mop + 1]]
        odd_writers[mop] = _writers_of(int(key[mop]), elements, key, columns.value, slots).tolist()
        if len(np.unique(elements)) < len(elements):
            usable[key[mop]] = False

    length = np.where(agreed, order_length, np.minimum(shared, order_length))
    length[~usable] = 0
    seen = writer[writer != NOBODY]
    committed = columns.status == OK
    for writers in (seen, np.array([w for ws in odd_writers.values() for w in ws if w != NOBODY], np.int64)):
        observed = txn[writers]
        committed[observed[columns.status[observed] != FAIL]] = True

    last_writer = np.full(len(function), NOBODY, np.int64)
    filled = reads & fits & (list_length > 0)
    last_writer[filled] = writer[start[key[filled]] + list_length[filled] - 1]
    for mop, writers_of_read in odd_writers.items():
        if writers_of_read:
            last_writer[mop] = writers_of_read[-1]
    return Versions(
        start=start,
        value=value,
        writer=writer,
        length=length,
        usable=usable,
        agreed=agreed,
        position=position,
        longest=longest,
        fits=fits,
        last_writer=last_writer,
        committed=committed,
        previous=previous,
        previous_append=previous_append,
        next_append=next_append,
        repeated=repeated,
        ambiguous=ambiguous,
        odd_reads=odd_reads.tolist(),
        odd_writers=odd_writers,
    )


def _settle_repeated_values(
    columns: TxnColumns, txn: np.ndarray, slots: np.ndarray, same_value: np.ndarray, usable: np.ndarray
) -> tuple[list[list[int]], list[int]]:
    """Decide whose write a value is that was appended more than once: the one that may have happened.

    Two that certainly happened are an anomaly; one that did and one that may have leave the key unusable.
    """
    repeated: list[list[int]] = []
    ambiguous: set[int] = set()
    slot_of = {int(mop): i for i, mop in enumerate(slots) if mop >= 0} if np.any(same_value >= 0) else {}
    for first in np.flatnonzero(same_value >= 0).tolist():
        if first not in slot_of:
            continue
        chain = [first]
        while same_value[chain[-1]] >= 0:
            chain.append(int(same_value[chain[-1]]))
        key = int(columns.key[first])
        possible = [mop for mop in chain if columns.status[txn[mop]] != FAIL]
        certain = [mop for mop in possible if columns.status[txn[mop]] == OK]
        if len(certain) > 1:
            repeated.append(sorted(certain))
            usable[key] = False
        elif len(possible) > 1:
            ambiguous.add(key)
            usable[key] = False
        slots[slot_of[first]] = (certain or possible or chain)[0]
    return repeated, sorted(ambiguous)


@kernel
def _neighbours(function, key, txn, key_count):
    count = len(function)
    previous = np.full(count, -1, np.int64)
    previous_append = np.full(count, -1, np.int64)
    next_append = np.full(count, -1, np.int64)
    last = np.full(key_count, -1, np.int64)
    last_append = np.full(key_count, -1, np.int64)
    for mop in range(count):
        k = key[mop]
        before = last[k]
        if before >= 0 and txn[before] == txn[mop]:
            previous[mop] = before
        before = last_append[k]
        if before >= 0 and txn[before] == txn[mop]:
            previous_append[mop] = before
            if function[mop] == APPEND:
                next_append[before] = mop
        last[k] = mop
        if function[mop] == APPEND:
            last_append[k] = mop
    return previous, previous_append, next_append


@kernel_part
def _slot(key, value, mask):
    mixed = np.uint64(value) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return np.int64(mixed & np.uint64(mask))


@kernel
def _index_appends(function, key, value):
    """A hash table (key, value) → first micro-op that appended it, and for each the next one with the same pair."""
    appends = 0
    for mop in range(len(function)):
        if function[mop] == APPEND:
            appends += 1
    size = 16
    while size < 2 * appends:
        size *= 2
    slots = np.full(size, -1, np.int64)
    same_value = np.full(len(function), -1, np.int64)
    for mop in range(len(function)):
        if function[mop] != APPEND:
            continue
        at = _slot(key[mop], value[mop], size - 1)
        while True:
            other = slots[at]
            if other < 0:
                slots[at] = mop
                break
            if key[other] == key[mop] and value[other] == value[mop]:
                while same_value[other] >= 0:
                    other = same_value[other]
                same_value[other] = mop
                break
            at = (at + 1) & (size - 1)
    return slots, same_value


@kernel_part
def _find(wanted_key, wanted_value, key, value, slots):
    mask = len(slots) - 1
    at = _slot(wanted_key, wanted_value, mask)
    while True:
        mop = slots[at]
        if mop < 0 or (key[mop] == wanted_key and value[mop] == wanted_value):
            return mop
        at = (at + 1) & mask


@kernel
def _writers_of(wanted_key, elements, key, value, slots):
    writers = np.empty(len(elements), np.int64)
    for i in range(len(elements)):
        writers[i] = _find(wanted_key, elements[i], key, value, slots)
    return writers


@kernel
def _compare_reads(reads, key, list_start, element, key_count):
    """The longest read of each key, how much of it all reads share (as far as they go), and which reads fit it."""
    longest = np.full(key_count, -1, np.int64)
    for mop in range(len(reads)):
        if reads[mop]:
            k = key[mop]
            best = longest[k]
            if best < 0 or list_start[mop + 1] - list_start[mop] > list_start[best + 1] - list_start[best]:
                longest[k] = mop
    shared = np.full(key_count, np.iinfo(np.int64).max, np.int64)
    fits = np.zeros(len(reads), np.bool_)
    for mop in range(len(reads)):
        if not reads[mop]:
            continue
        k = key[mop]
        begin = list_start[mop]
        length = list_start[mop + 1] - begin
        other = list_start[longest[k]]
        same = 0
        while same < length and element[begin + same] == element[other + same]:
            same += 1
        fits[mop] = same == length
        if same < length and same < shared[k]:
            shared[k] = same
    return longest, shared, fits


def _repeated_garbage(start: np.ndarray, value: np.ndarray, writer: np.ndarray) -> np.ndarray:
    """The keys in whose longest read a value that nobody appended occurs twice."""
    places = np.flatnonzero(writer < 0)
    key = np.searchsorted(start, places, "right") - 1
    order = np.lexsort((value[places], key))
    key, seen = key[order], value[places[order]]
    return key[1:][(key[1:] == key[:-1]) & (seen[1:] == seen[:-1])]


@kernel
def _order_versions(start, longest, list_start, element, key, value, slots, position):
    """Each version's value and append; fills `position`; and the keys in whose longest read an append occurs twice."""
    total = start[-1]
    order_value = np.empty(total, np.int64)
    writer = np.empty(total, np.int64)
    doubled = np.zeros(len(longest), np.bool_)
    for k in range(len(longest)):
        if longest[k] < 0:
            continue
        source = list_start[longest[k]]
        for i in range(start[k + 1] - start[k]):
            wanted = element[source + i]
            mop = _find(k, wanted, key, value, slots)
            order_value[start[k] + i] = wanted
            writer[start[k] + i] = mop
            if mop < 0:
                continue
            if position[mop] >= 0:
                doubled[k] = True
            else:
                position[mop] = i
    return order_value, writer, doubled
