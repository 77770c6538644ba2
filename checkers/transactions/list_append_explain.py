"""Dependency cycles of list-append as anomalies that people can read: each edge justified from the values."""

from __future__ import annotations

from checkers.transactions.cycle_kinds import G0, G1C, G2, NONADJACENT, SINGLE, Cycle, Step, classify, name_of
from checkers.transactions.dependency_graph import KIND_NAMES, NO_MOP, PROCESS, RW, WR, WW
from checkers.transactions.list_append_versions import NOBODY, Versions
from checkers.transactions.list_append_wording import Names, shown
from checkers.transactions.open_orders import Conflict
from checkers.transactions.txn_columns import TxnColumns
from harness.history import OK
from harness.verdict import Anomaly, Edge

_HEADLINES = {
    G0: "{who} overwrote each other: each one's append ended up before the other's on one key and after it on another",
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


class Explainer:
    """Turns cycles into anomalies."""

    def __init__(self, columns: TxnColumns, versions: Versions) -> None:
        self._columns = columns
        self._versions = versions

    def anomaly(self, cycle: Cycle, type_: str | None = None) -> Anomaly:
        """One cycle: a headline for its kind, then what each step shows. type_: its name, where it has a better one."""
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
            type=type_ or name_of(kind, strength),
            ops=sorted(int(columns.op[txn]) for txn in txns),
            sentence=self._sentence(cycle, kind, strength, names, edges),
            key=keys[0] if len(keys) == 1 else None,
            cycle=edges,
            sub_history=self._sub_history(cycle),
        )

    def by_micro_op(self, cycle: Cycle, type_: str) -> Anomaly:
        """A cycle whose steps lead between micro-ops: each happened before the next, and one read misses the last."""
        columns = self._columns
        begin = next((i for i, step in enumerate(cycle) if step.kind == RW), 0)
        steps = cycle[begin:] + cycle[:begin]
        txns = list(dict.fromkeys(self._txn_of(step.source) for step in steps))
        names = Names(columns, txns)
        reasons = []
        for step in steps:
            source, target = self._txn_of(step.source), self._txn_of(step.target)
            if step.kind == RW:
                reasons.append(self._why(Step(source, target, RW, step.source, step.target), names))
            elif source != target and columns.process[source] != columns.process[target]:
                reasons.append(self._why(Step(source, target, WR, step.source, step.target), names))
            elif source != target:
                reasons.append(self._why(Step(source, target, PROCESS), names))
        who = ", ".join(names.full(txn) for txn in txns)
        return Anomaly(
            type=type_,
            ops=sorted(int(columns.op[txn]) for txn in txns),
            sentence=f"{who}: an effect was seen, and what it came from was not: {'; '.join(reasons)}.",
            sub_history=self._records_with_observers(set(txns)),
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
            sub_history=sorted({index for txn in conflict.txns for index in columns.records(txn)}),
        )

    @staticmethod
    def _turned(cycle: Cycle) -> Cycle:
        """The same cycle, from the transaction that has the most to tell: the reader of its first rw edge."""
        begin = next((i for i, step in enumerate(cycle) if step.kind == RW), 0)
        return cycle[begin:] + cycle[:begin]

    def _sentence(self, cycle: Cycle, kind: int, strength: int, names: Names, edges: list[Edge]) -> str:
        full = [names.full(step.source) for step in cycle]
        who = ", ".join(full[:-1]) + f" and {full[-1]}"
        if len(cycle) == 2 and kind == SINGLE and cycle[1].kind == WW:
            headline = "{first} read a value and wrote to it, and {second} wrote in between, unseen (lost update)"
        elif len(cycle) == 2 and strength and kind == SINGLE:
            headline = "{first} did not see what {second} had written, although {second} was done before {first} began"
        elif len(cycle) == 2 and strength and kind == G1C:
            headline = "{second} saw what {first} wrote, although {second} was done before {first} began"
        elif len(cycle) == 2 and strength and kind == G0:
            headline = "{second} wrote on top of {first}, although {second} was done before {first} began"
        elif len(cycle) == 2 and kind in _PAIR_HEADLINES:
            headline = _PAIR_HEADLINES[kind] + _BY_STRENGTH.get(strength, "")
        else:
            headline = _HEADLINES[kind] + _BY_STRENGTH.get(strength, "")
        if kind == G1C and len(cycle) == 2 and strength:
            second, first = (
                (full[0], full[1]) if cycle[0].kind == PROCESS or cycle[0].source_mop == NO_MOP else full[::-1]
            )
        elif kind == G0 and len(cycle) == 2 and strength:
            second, first = (full[0], full[1]) if cycle[0].source_mop == NO_MOP else (full[1], full[0])
        else:
            first, second = full[0], full[1]
        text = headline.format(first=first, second=second, who=who)
        return f"{text}: " + "; ".join(edge.why for edge in edges) + "."

    def _why(self, step: Step, names: Names) -> str:
        columns = self._columns
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
        if step.kind == PROCESS:
            return f"process {columns.process[step.source]} did {first} before it did {second}"
        done, begun = columns.op[step.source], columns.history.index[columns.invoked[step.target]]
        return f"{first} was done (op {done}) before {second} began (op {begun})"

    def _after(self, step: Step, names: Names) -> str:
        versions = self._versions
        if versions.position[step.target_mop] < 0:
            return "after everything that anyone read there"
        reader = int(versions.longest[self._columns.key[step.target_mop]])
        return f"after it ({names.full(int(self._txn_of(reader)))} read {names.read(reader)})"

    def _key(self, step: Step) -> object:
        mop = step.source_mop if step.source_mop != NO_MOP else step.target_mop
        return None if mop == NO_MOP else self._columns.keys[self._columns.key[mop]]

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
        return sorted({index for txn in txns | observers for index in self._columns.records(txn)})

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
