"""What is wrong with single values and single reads of a list-append history: all that needs no dependency graph.

Found here, with Elle's names where it has them:
- G1a: a committed transaction read what an aborted one wrote. One a read.
- G1b: a read ends in the middle of what another transaction appended to that key. One a read.
- dirty-update: a committed append stands on top of an aborted one. One a pair.
- incompatible-order: two reads of a key, neither of which is the beginning of the other. One a read that does not fit.
- duplicate-elements: a value twice in a list, or committed twice. One a list or value.
- garbage-read: a value that nobody wrote. One a read.
- future-read: a transaction read its own later append. One a read.
- internal: a transaction that contradicts itself. One a read.
- lost-update: several transactions read the same version and each appended to it. One a version.
- cyclic-versions: a transaction's own appends took effect in another order than it made them. One a pair.

Cost: O(elements read).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from checkers import models
from checkers.transactions.list_append_versions import NOBODY, Versions
from checkers.transactions.list_append_wording import Names, shown, shown_list
from checkers.transactions.txn_columns import APPEND, READ, TxnColumns
from checkers.transactions.value_findings import Found, ValueFindings
from harness.compiled import kernel
from harness.history import FAIL, OK
from harness.verdict import Anomaly

MISSED, UNREPEATABLE, CONTRADICTION = 1, 2, 3
"""What `_internal` finds: an own write is missing; two reads differ; a read is not what was seen and added."""


class ValueAnomalies(ValueFindings):
    """All anomalies that need no graph. `limit`: how many of each type are worked out."""

    def __init__(self, columns: TxnColumns, txn: np.ndarray, versions: Versions, limit: int) -> None:
        super().__init__(columns, txn, limit)
        self._versions = versions

    def found(self) -> list[Found]:
        """Those types that occur."""
        parts = [
            self._aborted_reads(),
            self._intermediate_reads(),
            self._dirty_updates(),
            self._incompatible_orders(),
            self._duplicates(),
            self._garbage(),
            self._future_reads(),
            self._internal(),
            self._lost_updates(),
            self._own_order(),
        ]
        return [part for part in parts if part.count]

    # --- reads of what should not be there

    @cached_property
    def _good_reads(self) -> np.ndarray:
        """Micro-ops of reads that fit their key's order."""
        reads = (self._columns.function == READ) & (self._columns.status[self._txn] == OK)
        return np.flatnonzero(reads & self._versions.fits)

    @cached_property
    def _version_key(self) -> np.ndarray:
        return np.repeat(np.arange(len(self._columns.keys)), np.diff(self._versions.start))

    def _reads_of_versions(self, bad: np.ndarray) -> list[tuple[int, int]]:
        """(read, writer) for each read that saw a version marked as bad; the first bad one it saw."""
        versions = self._versions
        places = np.flatnonzero(bad)
        if len(places):
            first = np.full(len(self._columns.keys), np.iinfo(np.int64).max)
            keys, where = np.unique(self._version_key[places], return_index=True)
            first[keys] = places[where] - versions.start[keys]
            reads = self._good_reads
            lengths = np.diff(self._columns.list_start)[reads]
            seen = reads[lengths > first[self._columns.key[reads]]]
            result = [
                (mop, int(first[self._columns.key[mop]] + versions.start[self._columns.key[mop]]))
                for mop in seen.tolist()
            ]
        else:
            result = []
        return result

    def _aborted_reads(self) -> Found:
        columns, versions = self._columns, self._versions
        failed = (versions.writer != NOBODY) & (columns.status[self._txn[versions.writer]] == FAIL)
        cases = [(mop, int(versions.writer[place])) for mop, place in self._reads_of_versions(failed)]
        for mop in versions.odd_reads:
            writers = [w for w in versions.odd_writers[mop] if w != NOBODY and columns.status[self._txn[w]] == FAIL]
            cases += [(mop, writers[0])] if writers else []

        def describe(case: tuple[int, int]) -> Anomaly:
            read, write = case
            reader, writer = int(self._txn[read]), int(self._txn[write])
            names = Names(columns, [reader, writer])
            return self._anomaly(
                "G1a",
                [reader, writer],
                read,
                f"{names.full(reader)} read {names.read(read)}, but {names.value(write)} was appended by "
                f"{names.full(writer)}, which was rolled back: a dirty read of something that never happened.",
            )

        return self._collect("G1a", cases, describe)

    def _intermediate_reads(self) -> Found:
        columns, versions = self._columns, self._versions
        reads = np.flatnonzero(versions.last_writer != NOBODY)
        writers = versions.last_writer[reads]
        middle = (
            (versions.next_append[writers] >= 0)
            & (self._txn[writers] != self._txn[reads])
            & versions.usable[columns.key[reads]]
        )

        def describe(read: int) -> Anomaly:
            write = int(versions.last_writer[read])
            later = int(versions.next_append[write])
            reader, writer = int(self._txn[read]), int(self._txn[write])
            names = Names(columns, [reader, writer])
            return self._anomaly(
                "G1b",
                [reader, writer],
                read,
                f"{names.full(reader)} read {names.read(read)}, in the middle of {names.full(writer)}, which appended "
                f"{names.value(write)} and then {names.value(later)} to {names.key(read)}: "
                f"a state that only existed while {names.short(writer)} was still at work.",
            )

        return self._collect("G1b", reads[middle].tolist(), describe)

    def _dirty_updates(self) -> Found:
        columns, versions = self._columns, self._versions
        writer = versions.writer
        failed = (writer != NOBODY) & (columns.status[self._txn[writer]] == FAIL)
        cases = []
        for place in np.flatnonzero(failed).tolist():
            key = self._version_key[place]
            if not versions.usable[key]:
                continue
            for later in range(place + 1, int(versions.start[key] + versions.length[key])):
                if writer[later] != NOBODY and versions.committed[self._txn[writer[later]]]:
                    cases.append((int(writer[place]), int(writer[later])))
                if writer[later] != NOBODY and not failed[later]:
                    break

        def describe(case: tuple[int, int]) -> Anomaly:
            aborted, committed = case
            first, second = int(self._txn[aborted]), int(self._txn[committed])
            reader = int(versions.longest[columns.key[aborted]])
            names = Names(columns, [first, second])
            return self._anomaly(
                "dirty-update",
                [first, second, int(self._txn[reader])],
                aborted,
                f"{names.full(second)} appended {names.value(committed)} to {names.key(committed)} on top of "
                f"{names.value(aborted)}, which {names.full(first)} had appended before it was rolled back "
                f"({names.full(self._txn[reader])} read {names.read(reader)}): "
                "committed data is built on data that never was.",
            )

        return self._collect("dirty-update", cases, describe)

    def _garbage(self) -> Found:
        columns, versions = self._columns, self._versions
        cases = [(mop, int(versions.value[place])) for mop, place in self._reads_of_versions(versions.writer == NOBODY)]
        for mop in versions.odd_reads:
            elements = columns.element[columns.list_start[mop] : columns.list_start[mop + 1]].tolist()
            nobody = [v for v, w in zip(elements, versions.odd_writers[mop]) if w == NOBODY]
            cases += [(mop, nobody[0])] if nobody else []

        def describe(case: tuple[int, int]) -> Anomaly:
            read, value = case
            reader = int(self._txn[read])
            names = Names(columns, [reader])
            return self._anomaly(
                "garbage-read",
                [reader],
                read,
                f"{names.full(reader)} read {names.read(read)}, but nobody ever appended "
                f"{shown(columns.shown_value(value))} to {names.key(read)}.",
            )

        return self._collect("garbage-read", cases, describe)

    # --- orders that contradict each other

    def _incompatible_orders(self) -> Found:
        columns, versions = self._columns, self._versions

        def describe(read: int) -> Anomaly:
            other = int(versions.longest[columns.key[read]])
            first, second = int(self._txn[read]), int(self._txn[other])
            names = Names(columns, [first, second])
            other_text = shown_list(columns.read_list(other))
            return self._anomaly(
                "incompatible-order",
                [first, second],
                read,
                f"{names.full(first)} read {names.read(read)}, and {names.full(second)} read "
                f"{names.key(read)} = {other_text}: lists that only grow can't show both, "
                "because neither is the beginning of the other.",
            )

        return self._collect("incompatible-order", versions.odd_reads, describe)

    def _own_order(self) -> Found:
        columns, versions = self._columns, self._versions
        before = versions.previous_append
        appends = np.flatnonzero((columns.function == APPEND) & (before >= 0) & versions.committed[self._txn])
        here, there = versions.position[appends], versions.position[before[appends]]
        wrong = appends[(here >= 0) & ((there < 0) | (there > here)) & versions.usable[columns.key[appends]]]
        wrong = wrong[versions.agreed[columns.key[wrong]]]
        cases = [(int(versions.longest[columns.key[mop]]), int(before[mop]), mop) for mop in wrong.tolist()]
        contradicted = np.flatnonzero(versions.usable & ~versions.agreed)
        for read in [*versions.odd_reads, *versions.longest[contradicted].tolist()]:
            key = int(columns.key[read])
            if not versions.usable[key]:
                continue
            writers = versions.odd_writers.get(read)
            if writers is None:
                writers = versions.writer[versions.start[key] : versions.start[key + 1]].tolist()
            place = {w: i for i, w in enumerate(writers) if w != NOBODY}
            for write, at in place.items():
                earlier = int(before[write])
                if earlier >= 0 and versions.committed[self._txn[write]] and place.get(earlier, len(writers)) > at:
                    cases.append((read, earlier, write))

        def describe(case: tuple[int, int, int]) -> Anomaly:
            read, earlier, later = case
            reader, writer = int(self._txn[read]), int(self._txn[later])
            names = Names(columns, [writer, reader])
            return self._anomaly(
                "cyclic-versions",
                [writer, reader],
                read,
                f"{names.full(writer)} appended {names.value(earlier)} and then {names.value(later)} to "
                f"{names.key(later)}, but {names.full(reader)} read {names.read(read)}, "
                f"where {names.value(later)} came first: the database swapped or dropped one transaction's own writes.",
            )

        return self._collect("cyclic-versions", cases, describe)

    def _duplicates(self) -> Found:
        columns, versions = self._columns, self._versions
        candidates = set(versions.odd_reads) | {int(mop) for mop in versions.longest[~versions.usable] if mop >= 0}
        cases: list[tuple[int, list[int]]] = []
        for read in sorted(candidates):
            elements = columns.element[columns.list_start[read] : columns.list_start[read + 1]]
            distinct, count = np.unique(elements, return_counts=True)
            if len(distinct) < len(elements):
                cases.append((read, [int(distinct[np.argmax(count)])]))
        cases += [(mops[0], mops) for mops in versions.repeated]

        def describe(case: tuple[int, list[int]]) -> Anomaly:
            mop, evidence = case
            first = int(self._txn[mop])
            names = Names(columns, [first])
            if columns.function[mop] == READ:
                value = shown(columns.shown_value(evidence[0]))
                return self._anomaly(
                    "duplicate-elements",
                    [first],
                    mop,
                    f"{names.full(first)} read {names.read(mop)}, where {value} stands more than once: "
                    "one append took effect twice.",
                )
            txns = list(dict.fromkeys(int(self._txn[m]) for m in evidence))
            who = " and ".join(names.full(t) for t in txns)
            return self._anomaly(
                "duplicate-elements",
                txns,
                mop,
                f"{who} committed the append of {names.value(mop)} to {names.key(mop)} more than once, "
                "so reads of it can't be told apart.",
            )

        return self._collect("duplicate-elements", cases, describe)

    # --- transactions that contradict themselves

    def _future_reads(self) -> Found:
        columns, versions = self._columns, self._versions
        cases: list[tuple[int, int]] = []
        if len(columns.function):
            pairs = _future_reads(
                columns.function, columns.key, columns.list_start, versions.previous, versions.position, versions.fits
            )
            cases = [(int(r), int(w)) for r, w in pairs if columns.status[self._txn[r]] == OK]
        for read in versions.odd_reads:
            later = [w for w in versions.odd_writers[read] if w > read and self._txn[w] == self._txn[read]]
            cases += [(read, later[0])] if later else []
        cases = [case for case in cases if not self._perhaps_by_others(case[1])]

        def describe(case: tuple[int, int]) -> Anomaly:
            read, write = case
            reader = int(self._txn[read])
            names = Names(columns, [reader])
            return self._anomaly(
                "future-read",
                [reader],
                read,
                f"{names.full(reader)} read {names.read(read)} before it appended {names.value(write)} itself: "
                "it saw its own future.",
            )

        return self._collect("future-read", sorted(dict(reversed(cases)).items()), describe)

    def _perhaps_by_others(self, append: int) -> bool:
        """Whether another transaction may have appended the same value, so that nobody knows whose a read shows."""
        columns = self._columns
        if columns.key[append] not in self._versions.ambiguous:
            return False
        same = (columns.function == APPEND) & (columns.key == columns.key[append])
        same &= columns.value == columns.value[append]
        others = self._txn[same]
        return bool(np.any((others != self._txn[append]) & (columns.status[others] != FAIL)))

    def _internal(self) -> Found:
        columns, versions = self._columns, self._versions
        kinds = _internal(
            columns.function,
            columns.status[self._txn] == OK,
            columns.value,
            columns.list_start,
            columns.element,
            versions.previous,
        )

        def describe(read: int) -> Anomaly:
            reader = int(self._txn[read])
            names = Names(columns, [reader])
            own, base = self._own_before(read)
            appended = " and ".join(names.value(w) for w in own)
            if kinds[read] == MISSED:
                every, _ = self._own_before(read, stop_at_read=False)
                seen = set(columns.element[columns.list_start[read] : columns.list_start[read + 1]].tolist())
                missing = " and ".join(names.value(w) for w in every if columns.value[w] not in seen)
                text = (
                    f"{names.full(reader)} appended {missing} to {names.key(read)} and then read {names.read(read)}: "
                    "it does not see its own write."
                )
            elif kinds[read] == UNREPEATABLE:
                text = (
                    f"{names.full(reader)} read {names.read(base)} and later {names.read(read)}, "
                    "without a write of its own in between: the data changed under a running transaction."
                )
            else:
                was = f"read {names.read(base)}, appended {appended}" if base >= 0 else f"appended {appended}"
                text = (
                    f"{names.full(reader)} {was}, and then read {names.read(read)}: that is not what it had seen "
                    "plus what it had added."
                )
            return self._anomaly("internal", [reader], read, text)

        found = self._collect("internal", np.flatnonzero(kinds).tolist(), describe)
        if np.any(kinds == MISSED):
            found.evidence.add(models.MISSED_OWN_WRITE)
        if np.any(kinds == UNREPEATABLE):
            found.evidence.add(models.NON_REPEATABLE_READ)
        return found

    def _own_before(self, read: int, stop_at_read: bool = True) -> tuple[list[int], int]:
        """The transaction's own appends to the key before a read, back to its read before; and that read, or -1."""
        own: list[int] = []
        mop = int(self._versions.previous[read])
        while mop >= 0:
            if self._columns.function[mop] == APPEND:
                own.append(mop)
            elif stop_at_read:
                break
            mop = int(self._versions.previous[mop])
        return own[::-1], mop

    # --- several transactions on one version

    def _lost_updates(self) -> Found:
        columns, versions = self._columns, self._versions
        first_read = (columns.function == READ) & (versions.previous < 0) & (columns.status[self._txn] == OK)
        reads = np.flatnonzero(first_read)
        reads = reads[appends_later(columns.function, versions.previous, len(columns.function))[reads]]
        lengths = np.diff(columns.list_start)[reads]
        key = columns.key[reads].astype(np.int64)
        fits = versions.fits[reads]
        order = np.lexsort((reads, lengths, key))
        order = order[fits[order]]
        groups: list[list[int]] = []
        if len(order) > 1:
            same = (key[order][1:] == key[order][:-1]) & (lengths[order][1:] == lengths[order][:-1])
            edges = np.flatnonzero(np.diff(np.concatenate(([0], same.astype(np.int8), [0]))))
            groups = [reads[order[a : b + 1]].tolist() for a, b in zip(edges[::2].tolist(), edges[1::2].tolist())]
        odd: dict[tuple[int, bytes], list[int]] = {}
        for mop in reads[~fits].tolist():
            content = columns.element[columns.list_start[mop] : columns.list_start[mop + 1]].tobytes()
            odd.setdefault((int(columns.key[mop]), content), []).append(mop)
        groups += [group for group in odd.values() if len(group) > 1]

        def describe(group: Sequence[int]) -> Anomaly:
            txns = [int(self._txn[mop]) for mop in group]
            names = Names(columns, txns)
            who = ", ".join(names.full(t) for t in txns[:-1]) + f" and {names.full(txns[-1])}"
            both = "both" if len(txns) == 2 else "all"
            own = [self._first_append(mop) for mop in group]
            added = ", ".join(f"{names.short(t)} appended {names.value(w)}" for t, w in zip(txns, own))
            return self._anomaly(
                "lost-update",
                txns,
                group[0],
                f"{who} {both} read {names.read(group[0])}, and each then appended without seeing the others' append "
                f"({added}): had one computed its write from what it read, the other's update would be lost.".replace(
                    "the others' append", "the other's append" if len(txns) == 2 else "the others' appends"
                ),
            )

        return self._collect("lost-update", groups, describe)

    def _first_append(self, read: int) -> int:
        """The transaction's first append to the key after a read of it."""
        columns = self._columns
        for mop in range(read + 1, int(columns.mop_start[self._txn[read] + 1])):
            if columns.key[mop] == columns.key[read] and columns.function[mop] == APPEND:
                return mop
        raise AssertionError("a lost update without an append")


@kernel
def _future_reads(function, key, list_start, previous, position, fits):
    found = [(np.int64(0), np.int64(0)) for _ in range(0)]
    for mop in range(len(function)):
        if function[mop] != APPEND or position[mop] < 0:
            continue
        earlier = previous[mop]
        while earlier >= 0:
            seen = list_start[earlier + 1] - list_start[earlier]
            if function[earlier] == READ and fits[earlier] and seen > position[mop]:
                found.append((np.int64(earlier), np.int64(mop)))
            earlier = previous[earlier]
    return found


@kernel
def _internal(function, known, value, list_start, element, previous):
    kinds = np.zeros(len(function), np.int8)
    for mop in range(len(function)):
        if function[mop] != READ or not known[mop] or previous[mop] < 0:
            continue
        begin, end = list_start[mop], list_start[mop + 1]
        at = end - 1
        good = True
        appends = 0
        before = previous[mop]
        while before >= 0 and function[before] == APPEND:
            if at < begin or element[at] != value[before]:
                good = False
            at -= 1
            appends += 1
            before = previous[before]
        if good and before >= 0:
            other, other_end = list_start[before], list_start[before + 1]
            good = other_end - other == at - begin + 1
            if good:
                for i in range(other_end - other):
                    if element[begin + i] != element[other + i]:
                        good = False
                        break
        if good:
            continue
        kinds[mop] = UNREPEATABLE if appends == 0 else CONTRADICTION
        before = previous[mop]
        while before >= 0:
            if function[before] == APPEND:
                seen = False
                for i in range(begin, end):
                    if element[i] == value[before]:
                        seen = True
                        break
                if not seen:
                    kinds[mop] = MISSED
                    break
            before = previous[before]
    return kinds


@kernel
def appends_later(function, previous, count):
    """For each micro-op: whether the same transaction appends to the same key after it."""
    later = np.zeros(count, np.bool_)
    for mop in range(count - 1, -1, -1):
        before = previous[mop]
        if before >= 0 and (function[mop] == APPEND or later[mop]):
            later[before] = True
    return later
