"""Dependency cycles of registers as anomalies that people can read: each edge justified from the values."""

from __future__ import annotations

import numpy as np

from checkers.transactions.cycle_kinds import G0, G1C, G2, NONADJACENT, SINGLE, Cycle, Step, classify, name_of
from checkers.transactions.dependency_graph import KIND_NAMES, NO_MOP, PROCESS, RW, WR, WW
from checkers.transactions.polygraph_question import Conflict, Link
from checkers.transactions.rw_register_versions import INITIAL, NOBODY, Versions
from checkers.transactions.rw_register_wording import Names, shown
from checkers.transactions.txn_columns import TxnColumns
from harness.history import OK
from harness.verdict import Anomaly, Edge

_HEADLINES = {
    G0: "{who} overwrote each other: each one's write came before the other's on one key and after it on another",
    G1C: "{who} saw or overwrote each other in a circle: each must have happened before the other",
    SINGLE: "{first} saw a state of the database that never existed: part of it from before, part from after",
    NONADJACENT: "{who} disagree about what happened first, each in a state that the others' states exclude",
    G2: "{who} each read what another was about to change, and none of them saw the other's change (write skew)",
}
_PAIR_HEADLINES = {
    SINGLE: "{first} saw one change of {second} and missed another, although they were made together (read skew)",
    G2: "{first} and {second} each read what the other was about to change, and neither saw the other's change "
    "(write skew): run one after the other, at least one of them would have",
}
_BY_STRENGTH = {
    1: "; all of this could be put in some order, but not in the order in which the clients did it",
    2: "; all of this could be put in some order, but not in the order in which it really happened",
}
_LOST = "{first} read a value and wrote to it, and {second} wrote in between, unseen (lost update)"
_LATE = {
    SINGLE: "{first} did not see what {second} had written, although {second} was done before {first} began",
    G1C: "{second} saw what {first} wrote, although {second} was done before {first} began",
    G0: "{second} wrote on top of {first}, although {second} was done before {first} began",
}
STEPS_SHOWN_MAX = 8


class Explainer:
    """Turns cycles into anomalies."""

    def __init__(self, columns: TxnColumns, txn: np.ndarray, versions: Versions) -> None:
        self._columns = columns
        self._txn = txn
        self._versions = versions

    def anomaly(self, cycle: Cycle) -> Anomaly:
        """One cycle: a headline for its kind, then what each step shows."""
        columns = self._columns
        cycle = self._turned(cycle)
        kind, strength = classify(cycle)
        txns = [step.source for step in cycle]
        names = Names(columns, txns)
        edges = [
            Edge(
                source=int(columns.op[step.source]),
                target=int(columns.op[step.target]),
                kind=KIND_NAMES[step.kind],
                why=self._why(step, names),
                key=self._key(step),
            )
            for step in cycle
        ]
        keys = list({repr(edge.key): edge.key for edge in edges if edge.key is not None}.values())
        return Anomaly(
            type=name_of(kind, strength),
            ops=sorted(int(columns.op[txn]) for txn in txns),
            sentence=self._sentence(cycle, kind, strength, names, edges),
            key=keys[0] if len(keys) == 1 else None,
            cycle=edges,
            sub_history=self._sub_history(cycle),
        )

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

    @staticmethod
    def _turned(cycle: Cycle) -> Cycle:
        """The same cycle, from the transaction that has the most to tell: the reader of its first rw edge."""
        begin = next((i for i, step in enumerate(cycle) if step.kind == RW), 0)
        return cycle[begin:] + cycle[:begin]

    def _sentence(self, cycle: Cycle, kind: int, strength: int, names: Names, edges: list[Edge]) -> str:
        full = [names.full(step.source) for step in cycle]
        who = ", ".join(full[:-1]) + f" and {full[-1]}"
        first, second = full[0], full[1]
        pair = len(cycle) == 2
        if pair and kind == SINGLE and cycle[1].kind == WW:
            headline = _LOST
        elif pair and strength and kind in _LATE:
            headline = _LATE[kind]
            if kind != SINGLE and cycle[0].source_mop == NO_MOP:
                first, second = second, first
        elif pair and kind in _PAIR_HEADLINES:
            headline = _PAIR_HEADLINES[kind] + _BY_STRENGTH.get(strength, "")
        else:
            headline = _HEADLINES[kind] + _BY_STRENGTH.get(strength, "")
        return f"{headline.format(first=first, second=second, who=who)}: " + "; ".join(e.why for e in edges) + "."

    def _why(self, step: Step, names: Names) -> str:
        columns = self._columns
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
        if step.kind == PROCESS:
            return f"process {columns.process[step.source]} did {first} before it did {second}"
        done, begun = columns.op[step.source], columns.history.index[columns.invoked[step.target]]
        return f"{first} was done (op {done}) before {second} began (op {begun})"

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
    def _written(names: Names, mop: int) -> str:
        return f"{names.key(mop)} = {names.value(mop)}"

    def _key(self, step: Step) -> object:
        mop = step.source_mop if step.source_mop != NO_MOP else step.target_mop
        return None if mop == NO_MOP else self._columns.keys[self._columns.key[mop]]

    def _sub_history(self, cycle: Cycle) -> list[int]:
        """The cycle's transactions, those that wrote what they read, and those that show that a write happened."""
        return self._records({step.source for step in cycle}, cycle)

    def _records(self, txns: set[int], cycle: Cycle) -> list[int]:
        columns, versions = self._columns, self._versions
        for step in cycle:
            if step.kind == RW and versions.source[step.source_mop] != NOBODY:
                txns.add(int(self._txn[versions.source[step.source_mop]]))
        for txn in list(txns):
            for mop in range(int(columns.mop_start[txn]), int(columns.mop_start[txn + 1])):
                if versions.source[mop] != NOBODY:
                    txns.add(int(self._txn[versions.source[mop]]))
        for txn in list(txns):
            if columns.status[txn] != OK:
                txns.add(self._observer(txn))
        return sorted({index for txn in txns for index in columns.records(txn)})

    def _observer(self, txn: int) -> int:
        """A transaction that read a write of one whose outcome is unknown."""
        columns = self._columns
        for mop in range(int(columns.mop_start[txn]), int(columns.mop_start[txn + 1])):
            readers = np.flatnonzero(self._versions.source == mop)
            if len(readers):
                return int(self._txn[readers[0]])
        return txn
