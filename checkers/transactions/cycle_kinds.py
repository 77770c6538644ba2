"""Cycles of dependencies between transactions, and their names.

A cycle is named by its edges: G0 (only ww), G1c (ww and wr), G-single (one rw), G-nonadjacent (several rw, never two in
a row) and G2 (two rw in a row); `-item` because no rw edge here comes from a predicate. Edges of sessions or realtime
make it `-process` or `-realtime`; between two rw edges they separate these.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np

from checkers.transactions.dependency_graph import NO_MOP, PROCESS, REALTIME, RW, WR
from harness.history import OK

G0, G1C, SINGLE, NONADJACENT, G2 = range(5)
NAMES = ("G0", "G1c", "G-single-item", "G-nonadjacent-item", "G2-item")
SUFFIXES = ("", "-process", "-realtime")


class Step(msgspec.Struct, frozen=True):
    """One edge of a cycle between transactions. The micro-ops prove it, NO_MOP for session and realtime."""

    source: int
    target: int
    kind: int
    source_mop: int = NO_MOP
    target_mop: int = NO_MOP


Cycle = list[Step]


@dataclass
class CycleKind:
    """All cycles of one kind: how many (see checkers.transactions.cycles), and some of them, shortest first."""

    type: str
    count: int = 0
    cycles: list[Cycle] = field(default_factory=list)


@dataclass(frozen=True)
class Timing:
    """Columns that say which transaction certainly ended before which began (see TxnColumns)."""

    status: np.ndarray
    process: np.ndarray
    began: np.ndarray
    completed: np.ndarray
    timed: bool

    def in_session(self, first: int, second: int) -> bool:
        """Whether the client of two transactions had ended the first before it began the second."""
        ended = self.status[first] == OK and self.completed[first] < self.began[second]
        return bool(ended and self.process[first] == self.process[second])


def classify(cycle: Cycle) -> tuple[int, int]:
    """(kind, strength): which of NAMES and SUFFIXES a cycle is."""
    kinds = [step.kind for step in cycle]
    strength = 2 if REALTIME in kinds else 1 if PROCESS in kinds else 0
    against = kinds.count(RW)
    if against == 0:
        return (G1C if WR in kinds else G0), strength
    if against == 1:
        return SINGLE, strength
    adjacent = any(kind == RW and kinds[i - 1] == RW for i, kind in enumerate(kinds))
    return (G2 if adjacent else NONADJACENT), strength


def name_of(kind: int, strength: int) -> str:
    """Elle's name."""
    return NAMES[kind] + SUFFIXES[strength]


def simple_part(walk: Cycle) -> Cycle:
    """A part of a closed walk that visits no transaction twice; without two rw in a row if the walk has none."""
    while True:
        at: dict[int, int] = {}
        for i, step in enumerate(walk):
            j = at.setdefault(step.source, i)
            if j == i:
                continue
            inner, outer = walk[j:i], walk[:j] + walk[i:]
            walk = outer if inner[-1].kind == RW and inner[0].kind == RW else inner
            break
        else:
            return walk
