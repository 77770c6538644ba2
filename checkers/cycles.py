"""Dependency cycles: which kinds there are, in which components, and the shortest of each.

Problem: a history may hold millions of cycles; a reader wants one short example of each kind for each knot, and to
know that no kind was missed.

Idea: components first, cycles only inside them. Which edges a kind allows decides its graph:
- G0: ww only. G1c: ww and wr, at least one wr.
- G-single (one rw) and G-nonadjacent (several rw, no two in a row): a transaction is split into its start and its
  commit. A dependency A → B says that A committed before B started, an rw edge A → B that A started before B
  committed (Cerone & Gotsman, Analysing Snapshot Isolation, 2018). The cycles of that graph are exactly the cycles
  without two rw in a row; it is acyclic if and only if snapshot isolation can explain the history.
- G2: all edges; what is left has two rw in a row.
Each kind is sought with dependencies alone, then with session edges (`-process`), then with realtime (`-realtime`).

What is counted: for each type the pairs of transactions that form such a cycle, and one for each component in which
that type only shows in longer cycles. A longer cycle of a stronger type is not sought in a component where its weaker
type was found.

Cost: O(edges log edges) for components and pairs; path searches only inside components, with a budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from checkers.cycle_kinds import (
    G0,
    G1C,
    G2,
    NAMES,
    NONADJACENT,
    SINGLE,
    Cycle,
    CycleKind,
    Step,
    Timing,
    classify,
    name_of,
    simple_part,
)
from checkers.cycle_pairs import BY_SESSION, find_pairs
from checkers.dependency_graph import PASS, PROCESS, REALTIME, RW, WR, WW, Graph
from checkers.graph_kernels import components, rows, shortest_returns

EDGES_LOOKED_AT_MAX = 20_000_000
"""For one kind in one component: about a quarter of a second."""
EDGES_LOOKED_AT_IN_PASSING_MAX = 50_000
"""For one try at a further kind in a component whose worst kind is known."""
TRIED_PER_COMPONENT_MAX = 64
TRIED_MAX = 4096
"""How many pairs of rw edges are tried for a G2 of its own where a worse kind is at home; likewise G-nonadjacent."""


@dataclass
class CycleSearch:
    """What was found, by type. undecided: what the budget left open, as sentences."""

    kinds: dict[str, CycleKind] = field(default_factory=dict)
    undecided: list[str] = field(default_factory=list)
    components: int = 0
    largest_component: int = 0


@dataclass(frozen=True)
class _Rows:
    """A part of the edges, ready for a path search: CSR, ends, lengths, components, and the edge's number."""

    first: np.ndarray
    order: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    label: np.ndarray
    edge: np.ndarray


def find_cycles(graph: Graph, timing: Timing, limit: int) -> CycleSearch:
    """All kinds of cycles of a graph. limit: how many cycles of each type are worked out."""
    search = CycleSearch()
    first, order = rows(graph.source, graph.nodes)
    label = components(first, order, graph.target, graph.nodes)
    inside = np.flatnonzero(label[graph.source] == label[graph.target])
    if len(inside):
        cyclic = np.zeros(graph.nodes, bool)
        cyclic[graph.source[inside]] = True
        sizes = np.bincount(label[: graph.txns][cyclic[: graph.txns]])
        search.components = int(np.count_nonzero(sizes))
        search.largest_component = int(sizes.max())
        _Finder(graph.subset(inside), timing, limit, search).run()
        for kind in search.kinds.values():
            kind.cycles = sorted(kind.cycles, key=len)[:limit]
    return search


def _weakest(graph: Graph) -> Graph:
    """Of several ww, wr and rw edges between the same two nodes only the weakest."""
    pair = graph.source.astype(np.int64) * graph.nodes + graph.target
    order = np.lexsort((graph.kind, pair))
    again = np.concatenate(([False], pair[order][1:] == pair[order][:-1]))
    return graph.subset(np.sort(order[~again | (graph.kind[order] > PASS)]))


class _Finder:
    """The search in what is left when everything outside of the components is gone."""

    def __init__(self, graph: Graph, timing: Timing, limit: int, search: CycleSearch) -> None:
        used = np.zeros(graph.nodes, bool)
        used[graph.source] = used[graph.target] = True
        self._names = np.flatnonzero(used)
        self._txns = int(np.count_nonzero(used[: graph.txns]))
        number = (np.cumsum(used) - 1).astype(np.int32)
        self._graph = _weakest(
            Graph(
                self._txns,
                len(self._names),
                number[graph.source],
                number[graph.target],
                graph.kind,
                graph.source_mop,
                graph.target_mop,
            )
        )
        self._timing = timing
        self._limit = limit
        self._search = search
        self._pairs = find_pairs(self._graph, self._names, timing)
        self._out = rows(self._graph.source, self._graph.nodes)
        nodes = self._graph.nodes
        self._done = {kind: np.zeros(nodes + self._txns, bool) for kind in range(len(NAMES))}

    def run(self) -> None:
        """Search with dependencies alone, then with sessions, then with realtime."""
        kind = self._graph.kind
        for strength in range(3):
            if strength and not np.any(kind == (PROCESS, REALTIME)[strength - 1]):
                continue
            ordered = ((kind == PROCESS) & (strength >= 1)) | ((kind == REALTIME) & (strength == 2))
            self._dependencies(G0, strength, (kind == WW) | ordered, WW)
            self._dependencies(G1C, strength, (kind == WW) | (kind == WR) | ordered, WR)
            lenient = self._start_commit(strength, (kind <= PASS) | ordered)
            self._all_edges(strength, (kind <= PASS) | ordered, lenient)

    # --- one kind after the other

    def _dependencies(self, kind: int, strength: int, mask: np.ndarray, needed: int) -> None:
        """G0 and G1c: cycles without rw, with at least one edge of the kind `needed`."""
        part = self._rows(mask)
        graph, label = self._graph, part.label
        edges = part.edge[label[graph.source[part.edge]] == label[graph.target[part.edge]]]
        edges = edges[graph.kind[edges] == needed]
        done = self._done[kind][: graph.nodes]
        skip = self._report_pairs(kind, strength, label) | _holding(label, done)
        for cycle, _, _ in self._shortest(part, *_grouped(edges, label[graph.source[edges]], skip)):
            if cycle is not None and classify(cycle) == (kind, strength):
                self._report(cycle)
        done |= _holding(label, graph.source[edges])[label]

    def _start_commit(self, strength: int, mask: np.ndarray) -> np.ndarray:
        """G-single and G-nonadjacent. Returns a mask of the nodes on cycles without two rw in a row."""
        graph, t = self._graph, self._txns
        split = self._split(mask)
        label, starts = split.label, self._split_source(split)
        cyclic = np.flatnonzero(label[starts] == label[split.target])
        lenient = np.zeros(graph.nodes, bool)
        on_cycle = starts[cyclic]
        lenient[np.where(on_cycle < t, on_cycle, on_cycle - t)] = True
        against = cyclic[split.edge[cyclic] >= 0]
        against = against[graph.kind[split.edge[against]] == RW]

        shown = self._report_pairs(SINGLE, strength, label)
        with_single = shown | _holding(label, self._done[SINGLE])
        flat = self._rows(mask & (graph.kind != RW), self._rows(mask).label)
        groups, bounds = _grouped(against, label[starts[against]], with_single)
        for (cycle, _, whole), component in zip(
            self._shortest(flat, split.edge[groups], bounds), label[starts[groups[bounds[:-1]]]].tolist()
        ):
            if cycle is not None:
                self._report(cycle)
                with_single[component] = True
            elif not whole:
                self._search.undecided.append(
                    f"a knot of dependencies was too large to look for every {name_of(SINGLE, strength)}: "
                    f"it is named {name_of(NONADJACENT, strength)}"
                )
        self._done[SINGLE] |= with_single[label]

        found = _holding(label, self._done[NONADJACENT])
        groups, bounds = _grouped(against, label[starts[against]], found)
        tried = _some_of_each(groups, bounds)
        own = ~with_single[label[starts[tried]]]
        for candidates, budget in ((tried[own], EDGES_LOOKED_AT_MAX), (tried[~own], EDGES_LOOKED_AT_IN_PASSING_MAX)):
            for component, cycle in self._lenient_walks(split, starts, candidates, budget):
                fits = classify(cycle) == (NONADJACENT, strength)
                missed = not with_single[component] and classify(cycle) == (SINGLE, strength)
                if not found[component] and (fits or missed):
                    self._report(cycle)
                    found[component] = True
        self._done[NONADJACENT] |= found[label]
        return lenient

    def _lenient_walks(
        self, split: _Rows, starts: np.ndarray, tried: np.ndarray, budget: int
    ) -> Iterator[tuple[int, Cycle]]:
        """(component, cycle without two rw in a row) through some rw edges of the split graph."""
        best, path_start, path, _ = shortest_returns(
            split.first,
            split.order,
            split.target,
            split.weight,
            split.label,
            split.target[tried],
            starts[tried],
            np.full(len(tried), -1),
            np.arange(len(tried) + 1),
            budget,
        )
        for i, position in enumerate(tried.tolist()):
            if best[i] < 0:
                continue
            way = split.edge[path[path_start[i] : path_start[i + 1]]]
            cycle = simple_part(self._steps([int(split.edge[position]), *way[way >= 0].tolist()]))
            yield int(split.label[starts[position]]), self._presume_less(cycle)

    def _all_edges(self, strength: int, mask: np.ndarray, lenient: np.ndarray) -> None:
        """G2: two rw in a row."""
        part = self._rows(mask)
        graph, label = self._graph, part.label
        edges = part.edge[label[graph.source[part.edge]] == label[graph.target[part.edge]]]
        against = edges[graph.kind[edges] == RW]
        done = self._done[G2][: graph.nodes]
        skip = self._report_pairs(G2, strength, label) | _holding(label, done)
        mixed = _holding(label, lenient)
        for cycle, _, _ in self._shortest(part, *_grouped(against, label[graph.source[against]], skip | mixed)):
            if cycle is not None:
                self._report(cycle)
        there, onward = self._rw_in_a_row(against[(mixed & ~skip)[label[graph.source[against]]]], label)
        best, path_start, path, _ = shortest_returns(
            part.first,
            part.order,
            part.target,
            part.weight,
            label,
            graph.target[onward],
            graph.source[there],
            graph.target[there].astype(np.int64),
            np.arange(len(there) + 1),
            EDGES_LOOKED_AT_IN_PASSING_MAX,
        )
        found: set[int] = set()
        for i in np.flatnonzero(best >= 0).tolist():
            component = int(label[graph.source[there[i]]])
            if component in found:
                continue
            way = part.edge[path[path_start[i] : path_start[i + 1]]].tolist()
            cycle = self._presume_less(simple_part(self._steps([int(there[i]), int(onward[i]), *way])))
            if classify(cycle) == (G2, strength):
                self._report(cycle)
                found.add(component)
        done |= _holding(label, graph.source[against])[label]

    def _rw_in_a_row(self, against: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Some pairs of rw edges of which one leads to where the other begins; those between transactions."""
        graph = self._graph
        against = against[(graph.source[against] < self._txns) & (graph.target[against] < self._txns)]
        by_source: dict[int, list[int]] = {}
        for edge in against[: 64 * TRIED_MAX].tolist():
            by_source.setdefault(int(graph.source[edge]), []).append(edge)
        there: list[int] = []
        onward: list[int] = []
        tried: dict[int, int] = {}
        for edge in against.tolist():
            component = int(label[graph.source[edge]])
            for other in by_source.get(int(graph.target[edge]), ()):
                if tried.get(component, 0) < TRIED_PER_COMPONENT_MAX and len(there) < TRIED_MAX:
                    tried[component] = tried.get(component, 0) + 1
                    there.append(edge)
                    onward.append(other)
        return np.array(there, np.int64), np.array(onward, np.int64)

    # --- graphs for the searches

    def _rows(self, mask: np.ndarray, label: np.ndarray | None = None) -> _Rows:
        graph = self._graph
        edge = np.flatnonzero(mask)
        target = graph.target[edge]
        first, order = rows(graph.source[edge], graph.nodes)
        if label is None:
            label = components(first, order, target, graph.nodes)
        return _Rows(first, order, target, (target < self._txns).astype(np.int8), label, edge)

    def _split(self, mask: np.ndarray) -> _Rows:
        """The graph of starts (0..t-1), commits (t..2t-1) and virtual nodes (from 2t on)."""
        graph, t = self._graph, self._txns
        edge = np.flatnonzero(mask)
        target, kind = graph.target[edge], graph.kind[edge]
        to_commit = (target >= t) | (kind == RW) | (kind == PASS)
        ends = np.concatenate((np.where(to_commit, target + t, target), np.arange(t, 2 * t))).astype(np.int32)
        edge = np.concatenate((edge, np.full(t, -1)))
        split = _Rows(edge, edge, ends, ((ends < 2 * t) & (edge >= 0)).astype(np.int8), edge, edge)
        first, order = rows(self._split_source(split), graph.nodes + t)
        return _Rows(first, order, ends, split.weight, components(first, order, ends, graph.nodes + t), edge)

    def _split_source(self, split: _Rows) -> np.ndarray:
        graph, t = self._graph, self._txns
        edge = split.edge[split.edge >= 0]
        source = graph.source[edge]
        from_start = (source < t) & (graph.kind[edge] == RW)
        return np.concatenate((np.where(from_start, source, source + t), np.arange(t))).astype(np.int32)

    # --- cycles

    def _shortest(
        self, part: _Rows, candidates: np.ndarray, bounds: np.ndarray
    ) -> Iterator[tuple[Cycle | None, int, bool]]:
        """For each group of candidate edges the shortest cycle of one of them and a way back; if all were tried."""
        graph = self._graph
        best, path_start, path, whole = shortest_returns(
            part.first,
            part.order,
            part.target,
            part.weight,
            part.label,
            graph.target[candidates],
            graph.source[candidates],
            np.full(len(candidates), -1),
            bounds,
            EDGES_LOOKED_AT_MAX,
        )
        for group in range(len(bounds) - 1):
            if best[group] < 0:
                yield None, group, bool(whole[group])
                continue
            way = part.edge[path[path_start[group] : path_start[group + 1]]].tolist()
            steps = simple_part(self._steps([int(candidates[best[group]]), *way]))
            yield self._presume_less(steps), group, bool(whole[group])

    def _step(self, edge: int) -> Step:
        graph = self._graph
        return Step(
            int(self._names[graph.source[edge]]),
            int(self._names[graph.target[edge]]),
            int(graph.kind[edge]),
            int(graph.source_mop[edge]),
            int(graph.target_mop[edge]),
        )

    def _steps(self, edges: list[int]) -> Cycle:
        """A closed walk of edges as steps between transactions: what leads through virtual nodes becomes one."""
        graph = self._graph
        begin = next(i for i, edge in enumerate(edges) if graph.source[edge] < self._txns)
        steps: Cycle = []
        opened: Step | None = None
        for edge in edges[begin:] + edges[:begin]:
            step = self._step(edge)
            opened = step if opened is None else _joined(opened, step)
            if graph.target[edge] < self._txns:
                steps.append(opened)
                opened = None
        return steps

    def _presume_less(self, cycle: Cycle) -> Cycle:
        """The same cycle, with ww, wr and session edges in the place of realtime ones where there are such."""
        return [self._presumes_least(step) if step.kind in (PROCESS, REALTIME) else step for step in cycle]

    def _presumes_least(self, step: Step) -> Step:
        graph = self._graph
        source, target = np.searchsorted(self._names, [step.source, step.target])
        first, order = self._out
        edges = order[first[source] : first[source + 1]]
        edges = edges[(graph.target[edges] == target) & (graph.kind[edges] < RW)]
        if len(edges):
            return self._step(int(edges[0]))
        by_session, _ = self._timing.ended_before(np.array([step.source]), np.array([step.target]))
        return Step(step.source, step.target, PROCESS if by_session[0] else step.kind)

    def _report_pairs(self, kind: int, strength: int, label: np.ndarray) -> np.ndarray:
        """Report the two-transaction cycles of one type, first one for each component; the components that hold one."""
        places = self._pairs.of(kind, strength)
        own = label[self._graph.source[self._pairs.there[places]]]
        holding = np.zeros(int(label.max(initial=-1)) + 1, bool)
        holding[own] = True
        if not len(places):
            return holding
        entry = self._entry(kind, strength)
        entry.count += len(places)
        first = np.full(len(holding), -1)
        first[own[::-1]] = places[::-1]
        for place in np.sort(first[first >= 0])[: self._limit].tolist():
            there, back = int(self._pairs.there[place]), int(self._pairs.back[place])
            step = self._step(there)
            if back >= 0:
                entry.cycles.append([step, self._step(back)])
            else:
                order = PROCESS if back == BY_SESSION else REALTIME
                entry.cycles.append([step, Step(step.target, step.source, order)])
        return holding

    def _entry(self, kind: int, strength: int) -> CycleKind:
        name = name_of(kind, strength)
        return self._search.kinds.setdefault(name, CycleKind(name))

    def _report(self, cycle: Cycle) -> None:
        entry = self._entry(*classify(cycle))
        entry.count += 1
        if len(entry.cycles) < 4 * self._limit:
            entry.cycles.append(cycle)


def _joined(first: Step, second: Step) -> Step:
    return Step(first.source, second.target, first.kind, first.source_mop, second.target_mop)


def _holding(label: np.ndarray, items: np.ndarray) -> np.ndarray:
    """bool[components]: those that hold any of the items (a mask or numbers of labelled nodes)."""
    holding = np.zeros(int(label.max(initial=-1)) + 1, bool)
    holding[label[items]] = True
    return holding


def _grouped(items: np.ndarray, label: np.ndarray, skip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(items, bounds): the items component by component, without those of components to skip."""
    keep = ~skip[label]
    items, label = items[keep], label[keep]
    order = np.argsort(label, kind="stable")
    changes = np.flatnonzero(np.diff(label[order])) + 1
    bounds = np.concatenate(([0], changes, [len(items)])) if len(items) else np.zeros(1, np.int64)
    return items[order], bounds.astype(np.int64)


def _some_of_each(items: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The first item of each group, then the second of each and so on, not too many in all."""
    rank = np.arange(len(items)) - np.repeat(bounds[:-1], np.diff(bounds))
    order = np.argsort(rank, kind="stable")
    order = order[rank[order] < TRIED_PER_COMPONENT_MAX]
    return items[order[: max(TRIED_MAX, len(bounds) - 1)]]
