"""What is wrong with single reads and writes of registers: all that needs no dependency graph.

Found here, with Elle's names where it has them:
- G1a: a committed transaction read what an aborted one wrote. One a read.
- G1b: a read shows what another transaction wrote and then overwrote itself. One a read.
- garbage-read: a value that nobody wrote. One a read.
- future-read: a transaction read its own later write. One a read.
- internal: a transaction that contradicts itself: it misses its own earlier write, or two reads without an own write
  between differ. One a read.
- lost-update: several transactions read the same version and each wrote the key after it. One a version.

Cost: O(micro-ops).
"""

from __future__ import annotations

import numpy as np

from checkers import models
from checkers.transactions.rw_register_versions import (
    ABORTED,
    FUTURE,
    GARBAGE,
    INITIAL,
    MISSED,
    UNREPEATABLE,
    VERSION,
    Versions,
)
from checkers.transactions.rw_register_wording import Names
from checkers.transactions.txn_columns import WRITE, TxnColumns
from checkers.transactions.value_findings import Found, ValueFindings
from harness.verdict import Anomaly


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
            self._garbage(),
            self._future_reads(),
            self._internal(),
            self._lost_updates(),
        ]
        return [part for part in parts if part.count]

    def _aborted_reads(self) -> Found:
        def describe(read: int) -> Anomaly:
            write = int(self._versions.source[read])
            reader, writer = self._txns(read, write)
            names = Names(self._columns, [reader, writer])
            return self._anomaly(
                "G1a",
                [reader, writer],
                read,
                f"{names.full(reader)} read {names.read(read)}, but that was written by {names.full(writer)}, which "
                "was rolled back: a dirty read of something that never happened.",
            )

        return self._collect("G1a", np.flatnonzero(self._versions.saw == ABORTED), describe)

    def _intermediate_reads(self) -> Found:
        columns, versions = self._columns, self._versions
        reads = np.flatnonzero((versions.saw == VERSION) | (versions.saw == ABORTED))
        reads = reads[versions.overwritten[versions.source[reads]] & versions.usable[columns.key[reads]]]

        def describe(read: int) -> Anomaly:
            write = int(versions.source[read])
            reader, writer = self._txns(read, write)
            later = self._next_write(write)
            names = Names(columns, [reader, writer])
            return self._anomaly(
                "G1b",
                [reader, writer],
                read,
                f"{names.full(reader)} read {names.read(read)}, in the middle of {names.full(writer)}, which wrote "
                f"{names.value(write)} and then {names.value(later)} to {names.key(read)}: "
                f"a state that only existed while {names.short(writer)} was still at work.",
            )

        return self._collect("G1b", reads, describe)

    def _garbage(self) -> Found:
        def describe(read: int) -> Anomaly:
            [reader] = self._txns(read)
            names = Names(self._columns, [reader])
            return self._anomaly(
                "garbage-read",
                [reader],
                read,
                f"{names.full(reader)} read {names.read(read)}, but nobody ever wrote that.",
            )

        return self._collect("garbage-read", np.flatnonzero(self._versions.saw == GARBAGE), describe)

    def _future_reads(self) -> Found:
        def describe(read: int) -> Anomaly:
            [reader] = self._txns(read)
            names = Names(self._columns, [reader])
            return self._anomaly(
                "future-read",
                [reader],
                read,
                f"{names.full(reader)} read {names.read(read)} before it wrote that itself: it saw its own future.",
            )

        return self._collect("future-read", np.flatnonzero(self._versions.saw == FUTURE), describe)

    def _internal(self) -> Found:
        columns, versions = self._columns, self._versions

        def describe(read: int) -> Anomaly:
            [reader] = self._txns(read)
            names = Names(columns, [reader])
            if versions.inner[read] == MISSED:
                own = int(versions.previous[read])
                while columns.function[own] != WRITE:
                    own = int(versions.previous[own])
                text = (
                    f"{names.full(reader)} wrote {names.key(read)} = {names.value(own)} and then read "
                    f"{names.read(read)}: it does not see its own write."
                )
            else:
                text = (
                    f"{names.full(reader)} read {names.read(int(versions.previous[read]))} and later "
                    f"{names.read(read)}, without a write of its own in between: the data changed under a running "
                    "transaction."
                )
            return self._anomaly("internal", [reader], read, text)

        found = self._collect("internal", np.flatnonzero(versions.inner), describe)
        if np.any(versions.inner == MISSED):
            found.evidence.add(models.MISSED_OWN_WRITE)
        if np.any(versions.inner == UNREPEATABLE):
            found.evidence.add(models.NON_REPEATABLE_READ)
        return found

    # --- several transactions on one version

    def _lost_updates(self) -> Found:
        columns, versions = self._columns, self._versions
        writes = np.flatnonzero((columns.function == WRITE) & (versions.previous >= 0))
        reads = versions.previous[writes].astype(np.int64)
        saw = versions.saw[reads]
        good = (saw == INITIAL) | (saw == VERSION)
        good &= (versions.inner[reads] == 0) & versions.usable[columns.key[reads]]
        reads, writes = reads[good], writes[good]
        seen = versions.source[reads].astype(np.int64)
        seen[versions.saw[reads] == INITIAL] = -1 - columns.key[reads[versions.saw[reads] == INITIAL]].astype(np.int64)
        order = np.argsort(seen, kind="stable")
        same = seen[order][1:] == seen[order][:-1]
        edges = np.flatnonzero(np.diff(np.concatenate(([0], same.astype(np.int8), [0]))))
        groups = [order[a : b + 1] for a, b in zip(edges[::2].tolist(), edges[1::2].tolist())]
        groups.sort(key=lambda group: int(reads[group[0]]))

        def describe(group: np.ndarray) -> Anomaly:
            group_reads, group_writes = reads[group].tolist(), writes[group].tolist()
            txns = self._txns(*group_reads)
            names = Names(columns, txns)
            who = ", ".join(names.full(t) for t in txns[:-1]) + f" and {names.full(txns[-1])}"
            both, other = ("both", "other's write") if len(txns) == 2 else ("all", "others' writes")
            wrote = ", ".join(f"{names.short(t)} wrote {names.value(w)}" for t, w in zip(txns, group_writes))
            return self._anomaly(
                "lost-update",
                txns,
                group_reads[0],
                f"{who} {both} read {names.read(group_reads[0])}, and each then wrote without seeing the {other} "
                f"({wrote}): had one computed its write from what it read, the other's update would be lost.",
            )

        return self._collect("lost-update", groups, describe)

    # --- common

    def _txns(self, *mops: int) -> list[int]:
        return [int(self._txn[mop]) for mop in mops]

    def _next_write(self, write: int) -> int:
        """The same transaction's next write to the same key."""
        columns = self._columns
        for mop in range(write + 1, int(columns.mop_start[self._txn[write] + 1])):
            if columns.key[mop] == columns.key[write] and columns.function[mop] == WRITE:
                return mop
        raise AssertionError("an overwritten write without a later one")
