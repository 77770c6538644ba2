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
These graphs are parts of each other, so the components of the smaller are sought inside those of the larger: where
there is no cycle of ww, wr and realtime edges, nothing is left to look at for seven of the twelve.

What is counted: for each type the pairs of transactions that form such a cycle, and one for each component in which
that type only shows in longer cycles. A longer cycle of a stronger type is not sought in a component where its weaker
type was found.

Cost: O(edges) for components and pairs; path searches only inside components, with a budget that grows with them. What
it leaves open is said, and for which type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from checkers.transactions.cycle_kernels import (
    SELF,
    candidates,
    cycles_of,
    edges_around,
    edges_of_kinds,
    refine,
    refine_around,
    room_to_refine,
    rw_in_a_row,
    shortest_cycles,
    split_graph,
    with_edge,
)
from checkers.transactions.cycle_kinds import (
    G0,
    G1C,
    G2,
    NONADJACENT,
    SINGLE,
    Cycle,
    CycleKind,
    Step,
    Timing,
    name_of,
)
from checkers.transactions.cycle_pairs import BY_SESSION, find_pairs
from checkers.transactions.dependency_graph import PASS, PROCESS, REALTIME, RW, WR, WW, Graph
from checkers.transactions.knots import Knots, knots_of, step_of

EDGES_LOOKED_AT_MIN = 2_000_000
"""For one kind, in all components together, beside a few times their edges: about 20 ms."""
EDGES_LOOKED_AT_IN_PASSING_MAX = 20_000
"""For one try at a further kind in a component whose worst kind is known."""
TRIED_PER_COMPONENT_MAX = 16
TRIED_MAX = 1024
"""How many tries at a further kind there are, in a component and in all."""

_NO_RW = 1 << WW | 1 << WR | 1 << PASS
_ALL = _NO_RW | 1 << RW
_ORDERS = (0, 1 << PROCESS, 1 << PROCESS | 1 << REALTIME)


@dataclass
class CycleSearch:
    """What was found, by type. undecided: what the budget left open, as sentences; by type in `open_types`.

    knots: what lies on cycles; None if nothing does.
    """

    kinds: dict[str, CycleKind] = field(default_factory=dict)
    open_types: dict[str, str] = field(default_factory=dict)
    knots: Knots | None = None
    components: int = 0
    largest_component: int = 0

    @property
    def undecided(self) -> list[str]:
        """All sentences about what the budget left open."""
        return list(self.open_types.values())


@dataclass(frozen=True)
class _Rows:
    """Edges as rows for the kernels; `edge`: their places in the knots, -1 for a way from start to commit.

    of: the edges of each of the kinds ww, wr and rw; in a graph of starts and commits only those of rw.
    """

    first: np.ndarray
    source: np.ndarray
    target: np.ndarray
    kind: np.ndarray
    edge: np.ndarray
    solid: int
    of: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class _Part:
    """The components along some kinds of edges. label: -1 for a node on no cycle."""

    allowed: int
    label: np.ndarray
    count: int

    def holding(self, nodes: np.ndarray) -> np.ndarray:
        """bool[count]: which hold any of the nodes (a mask, or numbers)."""
        result = np.zeros(self.count + 1, bool)
        result[self.label[nodes]] = True
        return result[:-1]

    def spread(self, components: np.ndarray) -> np.ndarray:
        """bool[nodes]: which lie in one of the components (a mask)."""
        return np.append(components, False)[self.label]


@dataclass(frozen=True)
class _Cycles:
    """c cycles. component: int64[c]. type: int8[c], kind + 5 * strength. Cycle i has the steps start[i] : start[i + 1]:
    the knots' edges that each opens and closes with, and its kind.

    tried: the components where there is a walk, be it a cycle of another type. given_up: the budget ended a search
    without a result.
    """

    component: np.ndarray
    type: np.ndarray
    start: np.ndarray
    opens: np.ndarray
    closes: np.ndarray
    how: np.ndarray
    tried: np.ndarray
    given_up: bool


def find_cycles(graph: Graph, timing: Timing, limit: int, *, effort: int = 1) -> CycleSearch:
    """All kinds of cycles of a graph. limit: how many cycles of each type are worked out. effort: times the budget."""
    search = CycleSearch()
    knots = knots_of(graph)
    if knots is not None:
        search.knots = knots
        search.components, search.largest_component = knots.components, knots.largest
        _Finder(knots, timing, limit, search, effort).run()
        for kind in search.kinds.values():
            kind.cycles = sorted(kind.cycles, key=len)[:limit]
    return search


class _Finder:
    """The search in what is left when everything outside of the components is gone."""

    def __init__(self, knots: Knots, timing: Timing, limit: int, search: CycleSearch, effort: int) -> None:
        self._knots = knots
        self._timing = timing
        self._limit = limit
        self._search = search
        self._effort = effort
        every = np.arange(len(knots.source), dtype=np.int32)
        of = edges_of_kinds(knots.kind)
        self._flat = _Rows(knots.first, knots.source, knots.target, knots.kind, every, knots.txns, of)
        first, source, target, kind, edge, rw = split_graph(knots.first, knots.target, knots.kind, knots.txns, 0)
        self._split = _Rows(first, source, target, kind, edge, 2 * knots.txns, (rw[:0], rw[:0], rw))
        self._pairs = find_pairs(knots, timing)
        self._done: dict[int, np.ndarray] = {}
        """By kind, what is not looked at any more, as a mask: a weaker type of it was found there."""
        self._strongest = 0
        self._no_rank = np.zeros(knots.nodes + knots.txns, np.int32)
        self._rank = self._no_rank
        """Of the knots' nodes: no edge but rw leads to a higher one."""

    def run(self) -> None:
        """Search with dependencies alone, then with sessions, then with realtime."""
        knots = self._knots
        strengths = [0, *(s for s in (1, 2) if np.any(knots.kind == (PROCESS, REALTIME)[s - 1]))]
        self._strongest = strengths[-1]
        parts = self._parts(strengths)
        for strength in strengths:
            whole, lenient, dependent, written = parts[strength]
            self._dependencies(G0, strength, written, WW)
            self._dependencies(G1C, strength, dependent, WR)
            starts = self._start_commit(strength, whole, lenient)
            self._all_edges(strength, whole, starts)

    def _parts(self, strengths: list[int]) -> dict[int, tuple[_Part, _Part, _Part, _Part]]:
        """For each strength the components along all edges, without two rw in a row, without rw, and of ww alone.

        From the strongest down, as those of fewer kinds of edges lie inside of those of more; but where the weakest are
        most of it already, from them up: they are parts of the others.
        """
        knots, t = self._knots, self._knots.txns
        room = room_to_refine(knots.nodes + t)
        whole = {strengths[-1]: _Part(_ALL | _ORDERS[strengths[-1]], knots.label, knots.components)}
        lenient: dict[int, _Part] = {}
        dependent: dict[int, _Part] = {}
        written: dict[int, _Part] = {}

        def halves(part: _Part) -> np.ndarray:
            return np.concatenate((part.label[:t], part.label))

        lenient[0] = self._part(self._split, _ALL | 1 << SELF, halves(whole[strengths[-1]]), room)
        if np.count_nonzero(lenient[0].label >= 0) > len(lenient[0].label) // 2:
            starts, commits = lenient[0].label[:t], lenient[0].label[t:]
            inner = commits.copy()
            inner[:t] = np.where(commits[:t] >= 0, commits[:t], starts)
            everywhere = dict.fromkeys(strengths[:-1], knots.label)
            whole |= self._around(self._flat, 0, everywhere, _Part(0, inner, lenient[0].count), room)
            halved_by = {strength: halves(whole[strength]) for strength in strengths[1:]}
            lenient |= self._around(self._split, 1 << SELF, halved_by, lenient[0], room)
        else:
            within = whole[strengths[-1]]
            for strength in reversed(strengths[:-1]):
                within = whole[strength] = self._part(self._flat, _ALL | _ORDERS[strength], within.label, room)
            halved = halves(whole[strengths[-1]])
            for strength in reversed(strengths[1:]):
                allowed = _ALL | _ORDERS[strength] | 1 << SELF
                lenient[strength] = self._part(self._split, allowed, halved, room)
                halved = lenient[strength].label
        label, count, self._rank = refine(
            knots.first, knots.target, knots.kind, _NO_RW | _ORDERS[strengths[-1]], knots.label, True, room
        )
        above = dependent[strengths[-1]] = _Part(_NO_RW | _ORDERS[strengths[-1]], label, count)
        for strength in reversed(strengths[:-1]):
            above = dependent[strength] = self._part(self._flat, _NO_RW | _ORDERS[strength], above.label, room)
        above = dependent[strengths[-1]]
        if not len(self._flat.of[WW]):
            above = _Part(0, np.full(knots.nodes, -1, np.int32), 0)
        for strength in reversed(strengths):
            above = written[strength] = self._part(self._flat, 1 << WW | _ORDERS[strength], above.label, room)
        return {s: (whole[s], lenient[s], dependent[s], written[s]) for s in strengths}

    @staticmethod
    def _part(rows: _Rows, allowed: int, within: np.ndarray, room: np.ndarray) -> _Part:
        if int(within.max(initial=-1)) < 0:
            return _Part(allowed, within, 0)
        label, count, _ = refine(rows.first, rows.target, rows.kind, allowed, within, False, room)
        return _Part(allowed, label, count)

    @staticmethod
    def _around(
        rows: _Rows, further: int, within: dict[int, np.ndarray], known: _Part, room: np.ndarray
    ) -> dict[int, _Part]:
        """Components around known ones, by strength, from the weakest in `within` up. further: more kinds of edges."""
        parts: dict[int, _Part] = {}
        if not within:
            return parts
        allowed = {strength: _ALL | _ORDERS[strength] | further for strength in within}
        strongest = max(within)
        ends = edges_around(rows.first, rows.target, rows.kind, allowed[strongest], within[strongest], known.label)
        for strength, inside in within.items():
            label, count = refine_around(*ends, allowed[strength], inside, known.label, known.count, room)
            known = parts[strength] = _Part(allowed[strength], label, count)
        return parts

    # --- one kind after the other

    def _dependencies(self, kind: int, strength: int, part: _Part, needed: int) -> None:
        """G0 and G1c: cycles without rw, with at least one edge of the kind `needed`."""
        if not part.count:
            return
        skip = self._report_pairs(kind, strength, part) | self._settled(kind, part)
        edges, bounds, component = self._candidates(self._flat, part, needed, skip)
        cycles = self._shortest(
            self._flat, part, part.allowed, edges, bounds, component, self._no_rank, writes_alone=kind == G0
        )
        self._take(cycles, kind, strength)
        self._settle(kind, strength, part, self._holding(part, needed))

    def _start_commit(self, strength: int, whole: _Part, lenient: _Part) -> _Part:
        """G-single and G-nonadjacent: cycles without two rw in a row. Returns their components, by starts."""
        t = self._knots.txns
        starts = _Part(lenient.allowed, np.concatenate((lenient.label[:t], lenient.label[2 * t :])), lenient.count)
        if not lenient.count:
            return starts
        single = self._report_pairs(SINGLE, strength, starts) | self._settled(SINGLE, starts)
        places, bounds, component = self._candidates(self._split, lenient, RW, single)
        cycles = self._shortest(
            self._flat, whole, whole.allowed & ~(1 << RW), self._split.edge[places], bounds, component, self._rank
        )
        self._take(cycles, SINGLE, strength)
        single[cycles.tried] = True
        if cycles.given_up:
            self._search.open_types[name_of(SINGLE, strength)] = (
                f"a knot of dependencies was too large to look for every {name_of(SINGLE, strength)}: "
                f"it is named {name_of(NONADJACENT, strength)}"
            )
        self._settle(SINGLE, strength, starts, single)
        self._nonadjacent(strength, lenient, starts, single)
        return starts

    def _nonadjacent(self, strength: int, lenient: _Part, starts: _Part, single: np.ndarray) -> None:
        """G-nonadjacent: for each component without G-single, in others in passing."""
        found = self._settled(NONADJACENT, starts)
        places, bounds, component = self._candidates(self._split, lenient, RW, found)
        several = np.diff(bounds) > 1
        own = several & ~single[component]
        few, few_bounds = _first_of_each(places, bounds, own, TRIED_PER_COMPONENT_MAX)
        cycles = self._shortest(self._split, lenient, lenient.allowed, few, few_bounds, component[own], self._no_rank)
        found[self._take(cycles, NONADJACENT, strength, also=SINGLE)] = True
        left = np.zeros(len(component), bool)
        left[several] = ~found[component[several]]
        order = np.flatnonzero(left)
        order = order[np.argsort(~own[order], kind="stable")]
        tried = np.cumsum(np.minimum(np.diff(bounds)[order], TRIED_PER_COMPONENT_MAX))
        left[order[tried > TRIED_MAX]] = False
        tries, tries_bounds = _first_of_each(places, bounds, left, TRIED_PER_COMPONENT_MAX)
        self._try(self._split, lenient, NONADJACENT, strength, tries, tries_bounds, component[left], found)
        self._settle(NONADJACENT, strength, starts, found)

    def _try(
        self,
        rows: _Rows,
        part: _Part,
        kind: int,
        strength: int,
        edges: np.ndarray,
        bounds: np.ndarray,
        component: np.ndarray,
        found: np.ndarray,
        before: np.ndarray | None = None,
    ) -> None:
        """Look in passing for a type that may not be there, once for each component; marks those where it is.

        The shortest walk of a component may be a cycle of another type: then each of its edges is tried alone.
        """
        cycles = self._shortest(
            rows, part, part.allowed, edges, bounds, component, self._no_rank, kind=kind, before=before
        )
        found[self._take(cycles, kind, strength, once=True)] = True
        alone = np.zeros(part.count, bool)
        alone[cycles.tried] = True
        whose = np.repeat(component, np.diff(bounds))
        left = np.flatnonzero((alone & ~found)[whose])
        cycles = self._shortest(
            rows,
            part,
            part.allowed,
            edges[left],
            np.arange(len(left) + 1),
            whose[left],
            self._no_rank,
            kind=kind,
            before=None if before is None else before[left],
        )
        found[self._take(cycles, kind, strength, once=True)] = True

    def _all_edges(self, strength: int, whole: _Part, starts: _Part) -> None:
        """G2: two rw in a row."""
        if not whole.count:
            return
        skip = self._report_pairs(G2, strength, whole) | self._settled(G2, whole)
        mixed = whole.holding(starts.label >= 0)
        edges, bounds, component = self._candidates(self._flat, whole, RW, skip | mixed)
        cycles = self._shortest(self._flat, whole, whole.allowed, edges, bounds, component, self._no_rank)
        self._take(cycles, G2, strength)
        flat = self._flat
        if np.any(mixed & ~skip):
            there, onward = rw_in_a_row(
                flat.first,
                flat.source,
                flat.target,
                flat.kind,
                flat.of[RW],
                flat.solid,
                whole.label,
                whole.count,
                skip | ~mixed,
                TRIED_PER_COMPONENT_MAX,
            )
            there, onward = there[:TRIED_MAX], onward[:TRIED_MAX]
            order = np.argsort(whole.label[flat.source[there]], kind="stable")
            there, onward = there[order], onward[order]
            component, first = np.unique(whole.label[flat.source[there]], return_index=True)
            self._try(
                flat, whole, G2, strength, onward, np.append(first, len(there)), component, skip.copy(), before=there
            )
        self._settle(G2, strength, whole, self._holding(whole, RW))

    # --- cycles

    def _candidates(
        self, rows: _Rows, part: _Part, wanted: int, skip: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(edges, bounds, component of each group): the edges of a kind in the components that are not skipped."""
        if np.all(skip):
            none = np.empty(0, np.int64)
            return none, np.zeros(1, np.int64), none
        return candidates(rows.of[wanted], rows.source, rows.target, part.label, part.count, skip)

    def _shortest(
        self,
        rows: _Rows,
        part: _Part,
        allowed: int,
        edges: np.ndarray,
        bounds: np.ndarray,
        component: np.ndarray,
        rank: np.ndarray,
        *,
        kind: int | None = None,
        before: np.ndarray | None = None,
        writes_alone: bool = False,
    ) -> _Cycles:
        """For each group of edges the shortest closed walk through one of them; with `before`, through both.

        kind: what is sought, in passing: less of the budget, and only walks that may be one.
        """
        knots, timing = self._knots, self._timing
        if not len(edges):
            none = np.empty(0, np.int64)
            return _Cycles(none, none, none, none, none, none, none, given_up=False)
        budget = self._effort * (EDGES_LOOKED_AT_MIN + 2 * len(rows.target))
        begins = rows.source[edges if before is None else before].astype(np.int64)
        in_passing, against = kind is not None, int(kind == NONADJACENT)
        best, path_start, path, _, whole = shortest_cycles(
            rows.first,
            rows.target,
            rows.kind,
            allowed,
            rows.solid,
            part.label,
            rank,
            rows.target[edges].astype(np.int64),
            begins,
            bounds,
            against,
            2 * against + 1,
            EDGES_LOOKED_AT_IN_PASSING_MAX if in_passing else budget // 4,
            budget,
            EDGES_LOOKED_AT_IN_PASSING_MAX // 8 if in_passing else EDGES_LOOKED_AT_IN_PASSING_MAX,
        )
        whose, type_, start, opens, closes, how = cycles_of(
            best,
            path_start,
            path,
            edges[:0] if before is None else before,
            edges,
            rows.edge,
            writes_alone,
            knots.first,
            knots.source,
            knots.target,
            knots.kind,
            knots.txns,
            knots.names,
            timing.status,
            timing.process,
            timing.began,
            timing.completed,
        )
        given_up = bool(np.any((best < 0) & ~whole))
        return _Cycles(component[whose], type_, start, opens, closes, how, component[best >= 0], given_up)

    def _take(
        self, cycles: _Cycles, kind: int, strength: int, *, also: int | None = None, once: bool = False
    ) -> np.ndarray:
        """Report the cycles of a type; their components.

        also: another kind that is reported too. once: one cycle for each component.
        """
        if not len(cycles.type):
            return cycles.component
        wanted = [own + 5 * strength for own in (kind, also) if own is not None]
        chosen = np.flatnonzero((cycles.type == wanted[0]) | (cycles.type == wanted[-1]))
        chosen = chosen[np.argsort(np.diff(cycles.start)[chosen], kind="stable")]
        if once:
            chosen = chosen[np.sort(np.unique(cycles.component[chosen], return_index=True)[1])]
        for type_ in wanted:
            own = chosen[cycles.type[chosen] == type_]
            if len(own):
                entry = self._entry(type_ % 5, strength)
                entry.count += len(own)
                if sum(len(cycle) == 2 for cycle in entry.cycles) < self._limit:
                    entry.cycles += self._worked_out(cycles, own[: self._limit])
        return cycles.component[chosen]

    def _worked_out(self, cycles: _Cycles, which: np.ndarray) -> list[Cycle]:
        """Some cycles with the graph's own numbers."""
        if not len(which):
            return []
        knots = self._knots
        begins, ends = cycles.start[which].tolist(), cycles.start[which + 1].tolist()
        place = np.concatenate([np.arange(begin, end) for begin, end in zip(begins, ends, strict=True)])
        opens, closes = cycles.opens[place], cycles.closes[place]
        columns = (
            knots.names[knots.source[opens]],
            knots.names[knots.target[closes]],
            cycles.how[place],
            knots.source_mop[opens],
            knots.target_mop[closes],
        )
        steps = [Step(*step) for step in zip(*(column.tolist() for column in columns), strict=True)]
        left = iter(steps)
        return [list(islice(left, end - begin)) for begin, end in zip(begins, ends, strict=True)]

    def _holding(self, part: _Part, kind: int) -> np.ndarray:
        """bool[components]: those with an edge of a kind inside."""
        rows = self._flat
        return with_edge(rows.of[kind], rows.source, rows.target, part.label, part.count)

    def _settle(self, kind: int, strength: int, part: _Part, components: np.ndarray) -> None:
        """What lies in some components (a mask) is not looked at for stronger types of a kind."""
        if strength != self._strongest:
            done = part.spread(components)
            self._done[kind] = self._done[kind] | done if kind in self._done else done

    def _settled(self, kind: int, part: _Part) -> np.ndarray:
        """bool[components]: those where a weaker type of a kind was found."""
        return part.holding(self._done[kind]) if kind in self._done else np.zeros(part.count, bool)

    def _report_pairs(self, kind: int, strength: int, part: _Part) -> np.ndarray:
        """Report the two-transaction cycles of one type, first one for each component; the components that hold one."""
        places = self._pairs.of(kind, strength)
        if not len(places):
            return np.zeros(part.count, bool)
        own = part.label[self._knots.source[self._pairs.there[places]]]
        places, own = places[own >= 0], own[own >= 0]
        entry = self._entry(kind, strength)
        entry.count += len(places)
        first = np.full(part.count, -1)
        first[own[::-1]] = places[::-1]
        for place in np.sort(first[first >= 0])[: self._limit].tolist():
            there, back = int(self._pairs.there[place]), int(self._pairs.back[place])
            step = step_of(self._knots, there)
            if back >= 0:
                entry.cycles.append([step, step_of(self._knots, back)])
            else:
                order = PROCESS if back == BY_SESSION else REALTIME
                entry.cycles.append([step, Step(step.target, step.source, order)])
        return first >= 0

    def _entry(self, kind: int, strength: int) -> CycleKind:
        name = name_of(kind, strength)
        return self._search.kinds.setdefault(name, CycleKind(name))


def _first_of_each(
    items: np.ndarray, bounds: np.ndarray, chosen: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """(items, bounds): of each chosen group the first few."""
    sizes = np.minimum(np.diff(bounds), most)[chosen]
    start = np.concatenate(([0], np.cumsum(sizes)))
    offset = np.repeat(bounds[:-1][chosen] - start[:-1], sizes)
    return items[offset + np.arange(start[-1])], start
