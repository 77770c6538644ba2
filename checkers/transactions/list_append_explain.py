"""Dependency cycles of list-append as anomalies that people can read: each edge justified from the values."""

from __future__ import annotations

import numpy as np

from checkers.transactions.cycle_explainer import CycleExplainer
from checkers.transactions.cycle_kinds import Cycle, Step
from checkers.transactions.dependency_graph import PROCESS, RW, WR, WW
from checkers.transactions.list_append_versions import NOBODY, Versions
from checkers.transactions.list_append_wording import Names, shown
from checkers.transactions.open_orders import Conflict
from checkers.transactions.txn_columns import READ, TxnColumns
from harness.history import OK
from harness.verdict import Anomaly


class Explainer(CycleExplainer):
    """Turns cycles into anomalies."""

    _overwrote = (
        "{who} overwrote each other: each one's append ended up before the other's on one key and after it on another"
    )

    def __init__(self, columns: TxnColumns, versions: Versions) -> None:
        super().__init__(columns)
        self._versions = versions

    def by_micro_op(self, cycle: Cycle, type_: str, process: int) -> Anomaly:
        """A cycle whose steps lead between micro-ops: each happened before the next, as one client saw it.

        process: the client, whose reads show the order of appends.
        """
        columns = self._columns
        begin = next((i for i, step in enumerate(cycle) if step.kind == RW), 0)
        steps = cycle[begin:] + cycle[:begin]
        txns = list(dict.fromkeys(self._txn_of(step.source) for step in steps))
        names = Names(columns, txns)
        reasons = []
        readers = []
        for step in steps:
            source, target = self._txn_of(step.source), self._txn_of(step.target)
            if step.kind == WW:
                read = self._read_that_shows(step, process)
                readers.append(self._txn_of(read))
                reasons.append(self._overtook(step, read, names))
            elif source != target:
                kind = step.kind if step.kind in (RW, PROCESS) else WR
                reasons.append(self._why(Step(source, target, kind, step.source, step.target), names))
        who = ", ".join(names.full(txn) for txn in txns)
        return Anomaly(
            type=type_,
            ops=sorted(int(columns.op[txn]) for txn in {*txns, *readers}),
            sentence=f"{who}: an effect was seen, and what it came from was not: {'; '.join(reasons)}.",
            sub_history=self._records_with_observers({*txns, *readers}),
        )

    def _read_that_shows(self, step: Step, process: int) -> int:
        """A read of the client that shows the appends of a step, in their order."""
        columns, versions = self._columns, self._versions
        reads = np.flatnonzero((columns.key == columns.key[step.target]) & (columns.function == READ))
        for read in reads.tolist():
            txn = self._txn_of(read)
            if columns.status[txn] == OK and columns.process[txn] == process:
                start = int(versions.start[columns.key[read]])
                length = int(columns.list_start[read + 1] - columns.list_start[read])
                seen = versions.odd_writers.get(read) or versions.writer[start : start + length].tolist()
                if step.target in seen and step.source in seen[: seen.index(step.target)]:
                    return int(read)
        raise AssertionError("an order of appends that the client did not read")

    def _overtook(self, step: Step, read: int, names: Names) -> str:
        first, second = self._txn_of(step.source), self._txn_of(step.target)
        then = f"{names.short(second)} appended" if second != first else "then"
        return (
            f"{names.short(first)} appended {names.value(step.source)} to {names.key(step.source)}, and {then} "
            f"{names.value(step.target)} after it ({names.full(self._txn_of(read))} read {names.read(read)})"
        )

    def open_order(self, type_: str, conflict: Conflict) -> Anomaly:
        """Appends that nobody read, and no order of which fits snapshot isolation."""
        columns = self._columns
        names = Names(columns, conflict.txns)
        known = [self._why(step, names) for step in conflict.steps[:8] if step.target < len(columns)]
        keys = sorted({key for _, _, key in conflict.choices})
        pairs = " and ".join(
            f"whether {names.short(a)} or {names.short(b)} appended to {shown(columns.keys[key])} first"
            for a, b, key in conflict.choices[:4]
        )
        who = ", ".join(names.full(txn) for txn in conflict.txns)
        return Anomaly(
            type=type_,
            ops=sorted(int(columns.op[txn]) for txn in conflict.txns),
            sentence=f"{who}: no read tells {pairs}, but in every possible order at least one of them worked on a "
            f"state of the database that never existed ({'; '.join(known)}).",
            key=columns.keys[keys[0]] if len(keys) == 1 else None,
            sub_history=columns.records(conflict.txns),
        )

    def _why(self, step: Step, names: Names) -> str:
        first, second = names.short(step.source), names.short(step.target)
        if step.kind == WW:
            later = f"{second} appended {names.value(step.target_mop)}"
            return (
                f"{first} appended {names.value(step.source_mop)} to {names.key(step.source_mop)}, and {later} "
                f"{self._after(step, names)}, so {first} came before {second}"
            )
        if step.kind == WR:
            return (
                f"{first} appended {names.value(step.source_mop)} to {names.key(step.source_mop)}, and {second} read "
                f"{names.read(step.target_mop)}, so {first} came before {second}"
            )
        if step.kind == RW:
            return (
                f"{first} read {names.read(step.source_mop)} without the {names.value(step.target_mop)} that {second} "
                f"appended, so {first} came before {second}"
            )
        return self._ordered(step, names)

    def _after(self, step: Step, names: Names) -> str:
        versions = self._versions
        if versions.position[step.target_mop] < 0:
            return "after everything that anyone read there"
        reader = int(versions.longest[self._columns.key[step.target_mop]])
        return f"after it ({names.full(int(self._txn_of(reader)))} read {names.read(reader)})"

    def _txn_of(self, mop: int) -> int:
        return int(self._columns.mop_start.searchsorted(mop, "right")) - 1

    def _sub_history(self, cycle: Cycle) -> list[int]:
        """The cycle's transactions, and those whose reads show an order of writes or that a write happened at all."""
        columns, versions = self._columns, self._versions
        txns = {step.source for step in cycle}
        for step in cycle:
            reader = int(versions.longest[columns.key[step.target_mop]]) if step.kind == WW else NOBODY
            if reader != NOBODY:
                txns.add(self._txn_of(reader))
        return self._records_with_observers(txns)

    def _records_with_observers(self, txns: set[int]) -> list[int]:
        """Records of transactions, and of those that show that one of unknown outcome happened."""
        observers = {self._observer(txn) for txn in txns if self._columns.status[txn] != OK}
        return self._columns.records(txns | observers)

    def _observer(self, txn: int) -> int:
        """A transaction that read a write of one whose outcome is unknown."""
        columns, versions = self._columns, self._versions
        for mop in range(int(columns.mop_start[txn]), int(columns.mop_start[txn + 1])):
            if versions.position[mop] >= 0:
                return self._txn_of(int(versions.longest[columns.key[mop]]))
            for read, writers in versions.odd_writers.items():
                if mop in writers and mop != NOBODY:
                    return self._txn_of(read)
        return txn
