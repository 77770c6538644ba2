"""Dependency cycles of registers as anomalies that people can read: each edge justified from the values."""

from __future__ import annotations

import numpy as np

from checkers.transactions import list_append_wording
from checkers.transactions.cycle_explainer import CycleExplainer
from checkers.transactions.cycle_kinds import Cycle, Step
from checkers.transactions.dependency_graph import RW, WR, WW
from checkers.transactions.polygraph_question import Conflict, Link
from checkers.transactions.rw_register_versions import INITIAL, NOBODY, Versions
from checkers.transactions.rw_register_wording import Names, shown
from checkers.transactions.txn_columns import WRITE, TxnColumns
from harness.history import OK
from harness.verdict import Anomaly

STEPS_SHOWN_MAX = 8
_PROMISES = {
    "read-your-writes": "A client that reads after its own write sees that, or a later one",
    "monotonic-reads": "A client that reads again sees what it saw before, or a later write",
    "writes-follow-reads": "What a client writes comes after what it had read",
    "PRAM-violation": "A client sees all writes in some order that keeps each client's own",
    "session-causality": "A client sees all writes in some order in which none comes before what led to it",
}


class Explainer(CycleExplainer):
    """Turns cycles into anomalies."""

    _names = Names
    _overwrote = (
        "{who} overwrote each other: each one's write came before the other's on one key and after it on another"
    )

    def __init__(self, columns: TxnColumns, txn: np.ndarray, versions: Versions) -> None:
        super().__init__(columns)
        self._txn = txn
        self._versions = versions

    def open_order(self, type_: str, conflict: Conflict) -> Anomaly:
        """Writes whose order no read shows, and no order of which fits."""
        columns = self._columns
        txns = sorted(set(conflict.txns))
        names = Names(columns, txns)
        steps = [step for step in conflict.steps if step.target < len(columns) and step.source < len(columns)]
        known = [self._why(step, names) for step in steps[:STEPS_SHOWN_MAX]]
        keys = sorted({key for _, _, key in conflict.choices})
        pairs = " and ".join(
            f"whether {names.short(a)} or {names.short(b)} wrote {shown(columns.keys[key])} first"
            for a, b, key in conflict.choices[:4]
        )
        who = ", ".join(names.full(txn) for txn in txns)
        return Anomaly(
            type=type_,
            ops=sorted(int(columns.op[txn]) for txn in txns),
            sentence=f"{who}: no read tells {pairs}, but in every possible order some of them contradict each other "
            f"({'; '.join(known)}).",
            key=columns.keys[keys[0]] if len(keys) == 1 else None,
            sub_history=self._records(set(txns), []),
        )

    def of_a_session(self, type_: str, reads: list[int], others: list[int]) -> Anomaly:
        """What a client's reads show of a promise to it. reads, others: micro-ops; the first read is told first."""
        columns = self._columns
        txns = list(dict.fromkeys(int(self._txn[mop]) for mop in [*reads, *others]))
        names = Names(columns, txns)
        told = dict.fromkeys(
            f"{names.full(int(self._txn[mop]))} of process {columns.process[self._txn[mop]]} {self._did(mop, names)}"
            for mop in [*reads, *others]
        )
        return Anomaly(
            type=type_,
            ops=sorted(int(columns.op[txn]) for txn in txns),
            sentence=f"{_PROMISES[type_]}; no order of the writes of {names.key(reads[0])} keeps that: "
            f"{'; '.join(told)}.",
            key=columns.keys[columns.key[reads[0]]],
            sub_history=self._records(set(txns), []),
        )

    def of_micro_ops(self, type_: str, steps: list[Step]) -> Anomaly:
        """Steps that lead between micro-ops: in every order of the writes some of them contradict each other."""
        columns = self._columns
        mops = sorted({step.source for step in steps} | {step.target for step in steps})
        mops = [mop for mop in mops if columns.function[mop] == WRITE or columns.status[self._txn[mop]] == OK]
        txns = list(dict.fromkeys(int(self._txn[mop]) for mop in mops))
        names = Names(columns, txns)
        told = [
            f"{names.full(txn)} of process {columns.process[txn]} "
            + ", then ".join(self._did(mop, names) for mop in mops if self._txn[mop] == txn)
            for txn in txns
        ]
        return Anomaly(
            type=type_,
            ops=sorted(int(columns.op[txn]) for txn in txns),
            sentence=f"{_PROMISES[type_]}; no order of the writes explains what was read: {'; '.join(told)}.",
            sub_history=self._records(set(txns), []),
        )

    def _did(self, mop: int, names: list_append_wording.Names) -> str:
        if self._columns.function[mop] == WRITE:
            return f"wrote {self._written(names, mop)}"
        return f"read {names.read(mop)}"

    def _why(self, step: Step, names: list_append_wording.Names) -> str:
        first, second = names.short(step.source), names.short(step.target)
        so = f"so {first} came before {second}"
        if step.kind == WW:
            return (
                f"{first} wrote {self._written(names, step.source_mop)}, and {second} wrote "
                f"{names.value(step.target_mop)} {self._order(step)}, {so}"
            )
        if step.kind == WR:
            return f"{first} wrote {self._written(names, step.source_mop)}, and {second} read it, {so}"
        if step.kind == RW:
            return (
                f"{first} read {names.read(step.source_mop)} and not the {names.value(step.target_mop)} that {second} "
                f"wrote {self._order(step)}, {so}"
            )
        return self._ordered(step, names)

    def _order(self, step: Step) -> str:
        """Why the target's write is later than the version that the source wrote or read."""
        versions, columns = self._versions, self._columns
        if step.kind == RW and versions.saw[step.source_mop] == INITIAL:
            return "over it"
        if isinstance(step, Link) and step.key >= 0:
            return "after it"
        write = step.source_mop if step.kind == WW else int(versions.source[step.source_mop])
        reads = self._reads_of(write)
        if step.target in {int(self._txn[read]) for read in reads}:
            return "after it had read it"
        return "after it" if columns.timed else "later"

    def _reads_of(self, write: int) -> list[int]:
        versions = self._versions
        version = int(versions.version_of[write])
        if version == NOBODY:
            return []
        row = version + int(self._columns.key[write]) + 1
        return versions.read[versions.read_start[row] : versions.read_start[row + 1]].tolist()

    @staticmethod
    def _written(names: list_append_wording.Names, mop: int) -> str:
        return f"{names.key(mop)} = {names.value(mop)}"

    def _sub_history(self, cycle: Cycle) -> list[int]:
        """The cycle's transactions, those that wrote what they read, and those that show that a write happened."""
        return self._records({step.source for step in cycle}, cycle)

    def _records(self, txns: set[int], cycle: Cycle) -> list[int]:
        columns = self._columns
        start, source, status = columns.mop_start.item, self._versions.source.item, columns.status.item
        sources = {source(step.source_mop) for step in cycle if step.kind == RW}
        needed = txns | {self._txn.item(write) for write in sources if write != NOBODY}
        sources = {source(mop) for txn in needed for mop in range(start(txn), start(txn + 1))}
        needed |= {self._txn.item(write) for write in sources if write != NOBODY}
        needed |= {self._observer(txn) for txn in needed if status(txn) != OK}
        return columns.records(needed)

    def _observer(self, txn: int) -> int:
        """A transaction that read a write of one whose outcome is unknown."""
        columns = self._columns
        for mop in range(int(columns.mop_start[txn]), int(columns.mop_start[txn + 1])):
            readers = np.flatnonzero(self._versions.source == mop)
            if len(readers):
                return int(self._txn[readers[0]])
        return txn
