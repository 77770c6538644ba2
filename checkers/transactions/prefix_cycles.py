"""Cycles that consistent prefix forbids: long forks, and a read that sees a later commit and misses an earlier one.

Problem: two readers that saw two writes in opposite orders (a long fork) are allowed by parallel snapshot isolation,
and by nothing that promises each reader a prefix of one order of commits. Which cycles prove that there is no such
order?

Idea: an abstract execution of prefix exists exactly if the relation ((SO ∪ WR) ; RW?) ∪ WW has no cycle (Cerone,
Gotsman and Yang, Algebraic Laws for Weak Consistency, CONCUR 2017): an rw edge counts only right behind a wr edge (or
one of the session, or of realtime, in the stronger variants). So each transaction is split into "reached by wr", from
where an rw edge may go on, and the rest. A cycle with several rw edges is a long fork; one with a single rw edge is
none, and is called prefix-violation. A component that has one of the latter is named so, whichever is shorter.

Cost: O(edges) inside the components; a few shortest paths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.transactions.cycle_kernels import SELF, candidates, refine, room_to_refine, shortest_cycles, split_graph
from checkers.transactions.cycle_kinds import SUFFIXES, Cycle, simple_part
from checkers.transactions.dependency_graph import PASS, PROCESS, REALTIME, RW, WR, WW
from checkers.transactions.knots import Knots, steps_of

LONG_FORK, PREFIX_VIOLATION = "long-fork", "prefix-violation"
_EDGES_LOOKED_AT_MAX = 2_000_000
_ORDERS = (0, 1 << PROCESS, 1 << PROCESS | 1 << REALTIME)


@dataclass(frozen=True)
class PrefixCycles:
    """type: with the ending of its strength. count: components that have one. cycles: some of them, shortest first."""

    type: str
    count: int
    cycles: list[Cycle]


def find_prefix_cycles(knots: Knots, strength: int, limit: int) -> list[PrefixCycles]:
    """The cycles of one strength (0: dependencies alone, 1: with sessions, 2: with realtime), by type.

    knots: with wr edges where there are ww edges too (`Knots.with_reads`): only who reads may go on by rw.
    """
    t = knots.txns
    first, source, target, kind, edge, rw = split_graph(knots.first, knots.target, knots.kind, t, 1 << WW)
    allowed = 1 << WW | 1 << WR | 1 << RW | 1 << PASS | 1 << SELF | _ORDERS[strength]
    within = np.concatenate((knots.label[:t], knots.label))
    label, count, _ = refine(first, target, kind, allowed, within, False, room_to_refine(len(within)))
    if not count:
        return []
    edges, bounds, component = candidates(rw, source, target, label, count, np.zeros(count, bool))
    found: dict[str, tuple[int, list[Cycle]]] = {}
    broken = np.zeros(count, bool)
    for several in (False, True):
        # with one rw edge where there is such a cycle, else with several: not the first that is met, nor the shortest
        left = ~broken[component]
        groups = np.flatnonzero(left)
        if not len(groups):
            break
        best, path_start, path, lengths, _ = shortest_cycles(
            first,
            target,
            kind,
            allowed if several else allowed & ~(1 << RW),
            2 * t,
            label,
            np.zeros(len(label), np.int32),
            target[edges].astype(np.int64),
            source[edges].astype(np.int64),
            bounds,
            0,
            1,
            _EDGES_LOOKED_AT_MAX // 4,
            _EDGES_LOOKED_AT_MAX,
            1000,
        )
        groups = np.flatnonzero((best >= 0) & left)
        for group in groups[np.argsort(lengths[groups], kind="stable")].tolist():
            walk = edge[np.concatenate(([edges[best[group]]], path[path_start[group] : path_start[group + 1]]))]
            cycle = simple_part(steps_of(knots, walk[walk >= 0]))
            against = sum(step.kind == RW for step in cycle)
            if not against or not is_forbidden(cycle):
                continue
            broken[component[group]] = True
            type_ = (PREFIX_VIOLATION if against == 1 else LONG_FORK) + SUFFIXES[strength]
            number, cycles = found.setdefault(type_, (0, []))
            if len(cycles) < limit:
                cycles.append(cycle)
            found[type_] = (number + 1, cycles)
    return [PrefixCycles(type_, number, cycles) for type_, (number, cycles) in found.items()]


def is_forbidden(cycle: Cycle) -> bool:
    """Whether every rw edge follows one that makes its source see."""
    return all(cycle[i - 1].kind in (WR, PROCESS, REALTIME) for i, step in enumerate(cycle) if step.kind == RW)
