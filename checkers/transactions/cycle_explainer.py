"""Dependency cycles as anomalies that people can read, whatever the transactions read and wrote.

What a step shows, and which records prove a cycle, is for lists and for registers to say: `list_append_explain`,
`rw_register_explain`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from checkers.transactions.cycle_kinds import G0, G1C, G2, NONADJACENT, SINGLE, Cycle, Step, classify, name_of
from checkers.transactions.dependency_graph import KIND_NAMES, NO_MOP, PROCESS, RW, WW
from checkers.transactions.list_append_wording import Names
from checkers.transactions.txn_columns import TxnColumns
from harness.verdict import Anomaly, Edge

_HEADLINES = {
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


class CycleExplainer(ABC):
    """Turns cycles into anomalies. _names: how transactions and reads are called. _overwrote: the headline of a G0."""

    _names: ClassVar[type[Names]] = Names
    _overwrote: ClassVar[str]

    def __init__(self, columns: TxnColumns) -> None:
        self._columns = columns

    def anomaly(self, cycle: Cycle, type_: str | None = None) -> Anomaly:
        """One cycle: a headline for its kind, then what each step shows. type_: its name, where it has a better one."""
        columns = self._columns
        cycle = self._turned(cycle)
        kind, strength = classify(cycle)
        txns = [step.source for step in cycle]
        names = self._names(columns, txns)
        op = columns.op.item
        about = [_about(step) for step in cycle]
        keys = [None if mop == NO_MOP else columns.keys[columns.key.item(mop)] for mop in about]
        edges = [
            Edge(
                source=op(step.source),
                target=op(step.target),
                kind=KIND_NAMES[step.kind],
                why=self._why(step, names),
                key=key,
            )
            for step, key in zip(cycle, keys, strict=True)
        ]
        numbers = {columns.key.item(mop) for mop in about if mop != NO_MOP}
        return Anomaly(
            type=type_ or name_of(kind, strength),
            ops=sorted(map(op, txns)),
            sentence=self._sentence(cycle, kind, strength, names, edges),
            key=columns.keys[numbers.pop()] if len(numbers) == 1 else None,
            cycle=edges,
            sub_history=self._sub_history(cycle),
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
            headline = (self._overwrote if kind == G0 else _HEADLINES[kind]) + _BY_STRENGTH.get(strength, "")
        told = headline.format(first=first, second=second, who=who)
        others = [name for name in full if name not in told]
        if others:
            told += f" (the {'others are' if len(others) > 1 else 'other is'} {' and '.join(others)})"
        return f"{told}: " + "; ".join(edge.why for edge in edges) + "."

    @abstractmethod
    def _why(self, step: Step, names: Names) -> str:
        """What one step shows, from the values."""

    @abstractmethod
    def _sub_history(self, cycle: Cycle) -> list[int]:
        """The records that prove a cycle."""

    def _ordered(self, step: Step, names: Names) -> str:
        """What a session or realtime step shows."""
        columns = self._columns
        first, second = names.short(step.source), names.short(step.target)
        if step.kind == PROCESS:
            return f"process {columns.process[step.source]} did {first} before it did {second}"
        done, begun = columns.op[step.source], columns.history.index[columns.invoked[step.target]]
        return f"{first} was done (op {done}) before {second} began (op {begun})"


def _about(step: Step) -> int:
    """A micro-op of the key that a step is about; NO_MOP for session and realtime."""
    return step.source_mop if step.source_mop != NO_MOP else step.target_mop
