"""Cycles of two transactions: most of what real databases show, found and counted at once by a join.

Two transactions that depend on each other in both directions are a cycle; so are two of which the later one, by its
session or by realtime, must come before the earlier one. Each pair counts once, under its weakest name.

Cost: O(edges log edges).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.cycle_kinds import G0, G1C, G2, SINGLE, Timing
from checkers.dependency_graph import RW, WW, Graph

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


def find_pairs(graph: Graph, names: np.ndarray, timing: Timing) -> Pairs:
    """All of them. names: the transaction of each node. No two edges of a graph have the same ends and one of
    ww, wr and rw.
    """
    edges = np.flatnonzero((graph.kind <= RW) & (graph.source < graph.txns) & (graph.target < graph.txns))
    forth = graph.source[edges].astype(np.int64) * graph.txns + graph.target[edges]
    order = np.argsort(forth)
    edges, forth = edges[order], forth[order]
    if not len(edges):
        none = np.empty(0, np.int64)
        return Pairs(none, none, none, none)
    back = graph.target[edges].astype(np.int64) * graph.txns + graph.source[edges]
    at = np.minimum(np.searchsorted(forth, back), len(forth) - 1)
    mutual = forth[at] == back

    here = np.flatnonzero(mutual & (forth < back))
    one, other = edges[here], edges[at[here]]
    swap = (graph.kind[other] == RW) & (graph.kind[one] != RW)
    one, other = np.where(swap, other, one), np.where(swap, one, other)
    against = (graph.kind[one] == RW).astype(np.int8) + (graph.kind[other] == RW)
    only_writes = (graph.kind[one] == WW) & (graph.kind[other] == WW)
    kind = np.where(against == 2, G2, np.where(against == 1, SINGLE, np.where(only_writes, G0, G1C)))

    alone = edges[~mutual]
    by_session, by_time = timing.ended_before(names[graph.target[alone]], names[graph.source[alone]])
    late = by_session | by_time
    alone, by_session = alone[late], by_session[late]
    alone_kind = np.array([G0, G1C, SINGLE])[graph.kind[alone]]
    return Pairs(
        np.concatenate((kind, alone_kind)),
        np.concatenate((np.zeros(len(kind), np.int64), np.where(by_session, 1, 2))),
        np.concatenate((one, alone)),
        np.concatenate((other, np.where(by_session, BY_SESSION, BY_TIME))),
    )
