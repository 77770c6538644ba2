"""Cycles of two transactions: most of what real databases show, found and counted at once.

Two transactions that depend on each other in both directions are a cycle; so are two of which the later one, by its
session or by realtime, must come before the earlier one. Each pair counts once, under its weakest name.

Cost: O(edges).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.transactions.cycle_kernels import find_mutual
from checkers.transactions.cycle_kinds import G0, G1C, G2, SINGLE, Timing
from checkers.transactions.dependency_graph import RW, WW
from checkers.transactions.knots import Knots
from harness.history import OK

BY_SESSION, BY_TIME = -1, -2
"""Stand for the edge back where that is no edge of the graph."""


@dataclass(frozen=True)
class Pairs:
    """p cycles. kind, strength: int8[p]. there: int64[p], an edge (an rw edge, if the cycle has one). back: int64[p],
    the edge back, BY_SESSION or BY_TIME.
    """

    kind: np.ndarray
    strength: np.ndarray
    there: np.ndarray
    back: np.ndarray

    def of(self, kind: int, strength: int) -> np.ndarray:
        """The places of one type."""
        return np.flatnonzero((self.kind == kind) & (self.strength == strength))


def find_pairs(knots: Knots, timing: Timing) -> Pairs:
    """All of them."""
    one, other = find_mutual(
        knots.first,
        knots.source,
        knots.target,
        knots.kind,
        knots.txns,
        knots.names,
        timing.status == OK,
        timing.process,
        timing.began,
        timing.completed,
        timing.timed,
    )
    mutual = other >= 0
    swap = mutual & (knots.kind[other] == RW) & (knots.kind[one] != RW)
    one, other = np.where(swap, other, one), np.where(swap, one, other)
    there, back = knots.kind[one], np.where(mutual, knots.kind[other], WW)
    against = (there == RW).astype(np.int8) + (back == RW)
    only_writes = (there == WW) & (back == WW)
    kind = np.where(against == 2, G2, np.where(against == 1, SINGLE, np.where(only_writes, G0, G1C)))
    strength = np.where(mutual, 0, np.where(other == BY_SESSION, 1, 2))
    return Pairs(kind.astype(np.int8), strength.astype(np.int8), one, other)
