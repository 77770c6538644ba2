"""A dependency graph that is built edge by edge, each with the reason for it; and its cycles as anomalies.

For the checkers whose histories name their dependencies one by one (long fork, predicates): transactions are nodes, and
each edge says in a sentence why its source came first. The search for cycles and their names are those of the
transactional checkers (`checkers.transactions.cycles`). Cost: O(edges log edges), some 200 bytes an edge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from checkers.client_calls import NEVER, ClientCall
from checkers.transactions.cycle_kinds import Cycle, Timing, classify, name_of
from checkers.transactions.cycles import CycleSearch, find_cycles
from checkers.transactions.dependency_graph import KIND_NAMES, NO_MOP, PROCESS, REALTIME, RW, Graph, graph_of
from checkers.transactions.order_edges import order_graph
from harness.verdict import Anomaly, Edge

Why = Callable[[], str]


@dataclass
class ExplainedGraph:
    """calls: the transactions. committed: which of them certainly happened. timed: whether realtime is known."""

    calls: Sequence[ClientCall]
    committed: list[bool]
    timed: bool
    edges: dict[tuple[int, int, int], tuple[Why, Any, bool]] = field(default_factory=dict)
    """(source, target, kind) → (why, key, whether it comes from a predicate)."""

    def add(self, source: int, target: int, kind: int, why: Why, key: Any = None, *, predicate: bool = False) -> None:
        """An edge between two nodes; of the same edge an item read's is kept rather than a predicate's."""
        if source == target:
            return
        known = self.edges.get((source, target, kind))
        if known is None or (known[2] and not predicate):
            self.edges[source, target, kind] = (why, key, predicate)

    def cycles(self, limit: int) -> tuple[list[tuple[str, int, list[Cycle]]], list[str]]:
        """([(type, how many, some of them)], what was left undecided). Types without predicates end in `-item`.

        limit: how many of each type are given, but always one. Edges of predicates are left out first, so that none of
        them hides a circle of items alone.
        """
        if not self.calls:
            return [], []
        limit = max(limit, 1)
        if not any(predicate for _, _, predicate in self.edges.values()):
            searches = [self._search(limit, predicates=True)]
        else:
            one_a_knot = len(self.calls)
            searches = [self._search(one_a_knot, predicates=with_them) for with_them in (False, True)]
        found: dict[str, tuple[int, list[Cycle]]] = {}
        for search in searches:
            for kind in search.kinds.values():
                by_name: dict[str, list[Cycle]] = {}
                for cycle in kind.cycles:
                    by_name.setdefault(self.name(cycle), []).append(cycle)
                unnamed = kind.count - len(kind.cycles)
                for name, cycles in by_name.items():
                    if name not in found:
                        found[name] = (len(cycles) + unnamed, cycles)
                    unnamed = 0
        undecided = list(dict.fromkeys(reason for search in searches for reason in search.undecided))
        return [(name, count, cycles[:limit]) for name, (count, cycles) in found.items()], undecided

    def _search(self, limit: int, *, predicates: bool) -> CycleSearch:
        nodes = len(self.calls)
        place = np.array([call.place for call in self.calls], np.int64)
        status = np.array([call.outcome for call in self.calls], np.int8)
        process = np.array([call.process for call in self.calls], np.int64)
        completed = np.array([-1 if call.end == NEVER else call.end for call in self.calls], np.int64)
        committed = np.array(self.committed, bool)
        orders = order_graph(status, process, place, completed, committed, timed=self.timed)
        graph = graph_of(nodes, [self._dependencies(nodes, predicates), orders])
        return find_cycles(graph, Timing(status, process, place, completed, self.timed), limit)

    def name(self, cycle: Cycle) -> str:
        """Elle's name: without `-item` where an rw edge comes from a predicate."""
        name = name_of(*classify(cycle))
        by_predicate = any(
            step.kind == RW and self.edges[step.source, step.target, RW][2] for step in cycle if self._known(step)
        )
        return name.replace("-item", "") if by_predicate else name

    def anomaly(self, name: str, cycle: Cycle, sentence: Callable[[str, Cycle, list[Edge]], str]) -> Anomaly:
        """One cycle with its edges and reasons."""
        edges = [self.edge(step) for step in cycle]
        calls = [self.calls[step.source] for step in cycle]
        return Anomaly(
            type=name,
            ops=sorted({call.record for call in calls}),
            sentence=sentence(name, cycle, edges),
            key=next((edge.key for edge in edges if edge.key is not None), None),
            cycle=edges,
            sub_history=sorted({record for call in calls for record in call.records}),
        )

    def edge(self, step: Any) -> Edge:
        """The edge as verdicts show it."""
        source, target = self.calls[step.source], self.calls[step.target]
        if step.kind == PROCESS:
            why, key = f"client {source.process} did op {source.record} before op {target.record}", None
        elif step.kind == REALTIME:
            why, key = f"op {source.record} had ended before op {target.record} began", None
        else:
            reason, key, _ = self.edges[step.source, step.target, step.kind]
            why = reason()
        return Edge(source.record, target.record, KIND_NAMES[step.kind], why, key)

    def _known(self, step: Any) -> bool:
        return (step.source, step.target, step.kind) in self.edges

    def _dependencies(self, nodes: int, predicates: bool) -> Graph:
        kept = [ends for ends, (_, _, predicate) in self.edges.items() if predicates or ends[2] != RW or not predicate]
        ends = np.array(kept, np.int32).reshape(-1, 3)
        none = np.full(len(ends), NO_MOP, np.int32)
        return Graph(nodes, nodes, ends[:, 0].copy(), ends[:, 1].copy(), ends[:, 2].astype(np.int8), none, none)
