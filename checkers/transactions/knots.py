"""The part of a graph of dependencies that lies on cycles: its strongly connected components, and nothing else.

Problem: a graph of millions of edges has few that are on any cycle, and the search for cycles looks at them many times.
Idea: find the components once, number what is in them afresh, and keep its edges by node and kind.
Source: R. Tarjan, Depth-first search and linear graph algorithms (1972). Cost: O(nodes + edges).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from checkers.transactions.cycle_kernels import adjacency, inner_edges, refine, room_to_refine
from checkers.transactions.cycle_kinds import Cycle, Step
from checkers.transactions.dependency_graph import WR, Graph


@dataclass(frozen=True)
class Knots:
    """The nodes on cycles, transactions first, and the edges between those of one component.

    txns, nodes: how many. names: int64[nodes], their numbers in the graph. label: int32[nodes], components from 0 on.
    components: how many. largest: the most transactions in one.
    first: int64[nodes + 1], source, target: int32[e], kind: int8[e]: edges by source and kind; of several of the kinds
    ww, wr and rw between the same two nodes only the weakest. source_mop, target_mop: int32[e]. read: int32[e], the
    graph's wr edge that a ww edge stands for too, -1 for none.
    """

    txns: int
    nodes: int
    names: np.ndarray
    label: np.ndarray
    components: int
    largest: int
    first: np.ndarray
    source: np.ndarray
    target: np.ndarray
    kind: np.ndarray
    source_mop: np.ndarray
    target_mop: np.ndarray
    read: np.ndarray

    def with_reads(self, graph: Graph) -> Knots:
        """The same, where a wr edge stands in place of the ww edge between the same two nodes. graph: the whole one."""
        both = np.flatnonzero(self.read >= 0)
        kind, source_mop, target_mop = self.kind.copy(), self.source_mop.copy(), self.target_mop.copy()
        kind[both] = WR
        source_mop[both] = graph.source_mop[self.read[both]]
        target_mop[both] = graph.target_mop[self.read[both]]
        return replace(self, kind=kind, source_mop=source_mop, target_mop=target_mop)


def knots_of(graph: Graph) -> Knots | None:
    """Everything on cycles; None where there is no cycle."""
    source, target = np.ascontiguousarray(graph.source, np.int32), np.ascontiguousarray(graph.target, np.int32)
    first, targets, edges = adjacency(source, target, graph.nodes)
    everything, alike = np.zeros(graph.nodes, np.int32), np.zeros(len(targets), np.int8)
    label, components, _ = refine(first, targets, alike, 1, everything, False, room_to_refine(graph.nodes))
    if not components:
        return None
    names = np.flatnonzero(label >= 0)
    number = np.full(graph.nodes, -1, np.int32)
    number[names] = np.arange(len(names), dtype=np.int32)
    txns = int(np.searchsorted(names, graph.txns))
    kinds = np.ascontiguousarray(graph.kind, np.int8)
    row, from_, to, kind, edge, read = inner_edges(first, targets, edges, kinds, label, number, len(names))
    own = label[names]
    return Knots(
        txns=txns,
        nodes=len(names),
        names=names,
        label=own,
        components=components,
        largest=int(np.bincount(own[:txns], minlength=1).max()),
        first=row,
        source=from_,
        target=to,
        kind=kind,
        source_mop=graph.source_mop[edge],
        target_mop=graph.target_mop[edge],
        read=read,
    )


def step_of(knots: Knots, edge: int) -> Step:
    """One edge, with the graph's own numbers."""
    return Step(
        int(knots.names[knots.source[edge]]),
        int(knots.names[knots.target[edge]]),
        int(knots.kind[edge]),
        int(knots.source_mop[edge]),
        int(knots.target_mop[edge]),
    )


def steps_of(knots: Knots, edges: np.ndarray) -> Cycle:
    """A closed walk of edges as steps between transactions: what leads through virtual nodes becomes one."""
    source, target = knots.source[edges], knots.target[edges]
    begin = int((source < knots.txns).argmax())
    columns = (knots.names[source], knots.names[target], knots.kind[edges], knots.source_mop[edges])
    parts = [column.tolist() for column in (*columns, knots.target_mop[edges], target < knots.txns)]
    walk = list(zip(*parts, strict=True))
    steps: Cycle = []
    opened: tuple[int, int, int] | None = None
    for from_, to, kind, source_mop, target_mop, ends in walk[begin:] + walk[:begin]:
        opened = opened or (from_, kind, source_mop)
        if ends:
            steps.append(Step(opened[0], to, opened[1], opened[2], target_mop))
            opened = None
    return steps
