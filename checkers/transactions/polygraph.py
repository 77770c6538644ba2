"""Is there an order of the versions that a consistency model allows? And if not, why not?

Problem: blind writes leave the order of a key's versions open; whether some order fits is NP-complete, for
serializability (Papadimitriou, 1979) as for snapshot isolation (Biswas & Enea, OOPSLA 2019).

Idea, in three steps:
1. Replay. Transactions happen one after the other as soon as what is known lets them; where several may write a key
   next, a hint (who completed first) decides. Histories of databases that kept their promise nearly always pass.
2. Learn. A replay that is stuck waits in cycles; each rests on some of the orders that it chose, and these are
   forbidden to hold all together. A SAT solver (python-sat) names orders that satisfy all that was learnt; they are
   enforced, the replay chooses the others anew. Only pairs that ever mattered become variables. It ends with an order
   that fits, or with cycles of which every order has one: a proof, of which a minimal part is shown.
3. Saturate (polygraph_saturation), where the first few replays did not help: an order whose reverse would
   close a cycle is known.

For consistent view the replay's place is taken by an order from what is known, and what is learnt are cycles with
one rw edge (see checkers.transactions.polygraph_nodes).

Each answer is checked: an order that is found leaves no forbidden cycle, the cycles of a conflict can't all be avoided.

Sources: Cobra (Tan et al., OSDI 2020), Viper (Zhang et al., EuroSys 2023), PolySI (Huang et al., VLDB 2023); learning
from cycles as in lazy SMT. Cost: replay O(e log n) for e edges; the search is exponential at worst and ends at the
deadline with `possible` None.
"""

from __future__ import annotations

from itertools import count
from typing import cast

import numpy as np

from checkers.transactions.cycle_kinds import simple_part
from checkers.transactions.dependency_graph import RW, WW, Graph
from checkers.transactions.graph_kernels import components, rows, shortest_returns
from checkers.transactions.polygraph_clauses import OUT_OF_TIME, Clause, Clauses, Undecided, contradictory_part
from checkers.transactions.polygraph_kernels import reach
from checkers.transactions.polygraph_nodes import Edges, Nodes, joined
from checkers.transactions.polygraph_question import Answer, Conflict, Link, Must, OpenKeys
from checkers.transactions.polygraph_replay import Replay
from checkers.transactions.polygraph_saturation import Saturation
from harness.compiled import working_time

__all__ = ["Answer", "Conflict", "Link", "Must", "OpenKeys", "decide"]

TRIED_AT_ONCE_MAX = 256
LEARNT_AT_ONCE_MAX = 32
"""Cycles from one replay: how many are found, and how many of these, the ones with the fewest open orders, are kept."""
TRIED_FOR_ONE_MAX = 8
EDGES_LOOKED_AT_MAX = 2_000_000
"""For one cycle."""
EVERYTHING = 2**62
SATURATED_AFTER = 4
"""Replays before saturation: most violations are a matter of a few transactions, and show at once."""

GUESSED_MAX = 40
"""Replays that hold on to guessed orders where nothing denies them."""
GUESSED_WITH = 3
"""Of how many versions before it a version is guessed to be later."""

Found = tuple[list[Link], Clause]
"""A cycle, and the orders of versions that it rests on."""


def decide(
    graph: Graph,
    keys: OpenKeys,
    must: Must,
    *,
    deadline: float,
    memory_budget_mb: int = 2048,
    hint: np.ndarray | None = None,
) -> Answer:
    """Whether some order of the versions leaves none of the cycles that `must` forbids.

    graph: what is known, with the session and realtime edges of the model. Where versions are known to be in order, ww
    edges (or any path) say so; the rw edges that follow are derived here. deadline: of working_time(). hint:
    int64[txns], a guess at the order of commits, such as the places of completions; or int64[2, txns], these and the
    places of invocations: then versions whose writers were not concurrent are first tried in the order of these. Only
    the speed depends on it.
    """
    nodes = Nodes(graph, keys, must)
    search = _Search(nodes, deadline, memory_budget_mb, hint)
    try:
        answer = search.run()
    except Undecided as error:
        return Answer(None, reason=str(error))
    finally:
        search.clauses.close()
    if answer.order is not None and not search.fits(answer.order):
        raise AssertionError("an order of versions was taken to fit and does not: a defect of the polygraph")
    return answer


_NO_PAIRS: frozenset[tuple[int, int]] = frozenset()


def _one_after_the_other(nodes: Nodes, completed: np.ndarray, began: np.ndarray) -> frozenset[tuple[int, int]]:
    """Pairs of versions of a key of which the writer of one was done before that of the other began."""
    key, writer = nodes.key_of_version, nodes.keys.writer
    order = np.lexsort((completed[writer], key))
    pairs: set[tuple[int, int]] = set()
    for distance in range(1, GUESSED_WITH + 1):
        first, second = order[:-distance], order[distance:]
        apart = (key[first] == key[second]) & (completed[writer[first]] < began[writer[second]])
        pairs.update(zip(first[apart].tolist(), second[apart].tolist()))
    return frozenset(pairs)


class _Search:
    def __init__(self, nodes: Nodes, deadline: float, memory_budget_mb: int, hint: np.ndarray | None) -> None:
        txns = nodes.txns
        self.nodes = nodes
        self.clauses = Clauses()
        self._deadline = deadline
        self._bytes = memory_budget_mb * 2**20 // 2
        self._priority = np.empty(txns, np.int64)
        ends = np.arange(txns) if hint is None else np.atleast_2d(hint)[0]
        self._priority[np.argsort(ends, kind="stable")] = np.arange(txns)
        self._guessed = _one_after_the_other(nodes, *hint) if hint is not None and hint.ndim == 2 else _NO_PAIRS
        self._saturation = Saturation(nodes, memory_budget_mb)
        self._cycles: list[Found] = []

    def run(self) -> Answer:
        """Replay, saturate, learn."""
        if self.nodes.topological(self.nodes.edges) is None:
            cycle = self._cycles_in(self.nodes.edges, 1)[0]
            return Answer(False, Conflict([cycle[0]]))
        saturation = self._saturation
        enforced: list[tuple[int, int]] = []
        for attempt in count():
            if attempt == SATURATED_AFTER and not saturation.run(self._deadline):
                return Answer(False, self._conflict(self._contradiction()))
            if attempt and working_time() > self._deadline:
                raise Undecided(OUT_OF_TIME)
            pairs = self._with_guessed(enforced) if attempt < GUESSED_MAX else enforced
            first = np.array([a for a, _ in pairs], np.int64)
            second = np.array([b for _, b in pairs], np.int64)
            writes, reads = self.nodes.edges_of_order(first, second)
            added = writes if self.nodes.must is Must.VIEW else joined([writes, reads])
            order, cycles = self._tried(added)
            if order is not None:
                return Answer(True, order=order)
            learnt = len(self._cycles)
            for cycle in cycles:
                if not self._learn(cycle):
                    return Answer(False, self._conflict([cycle]))
            if len(self._cycles) == learnt:
                raise Undecided("the search for an order of versions learnt nothing new: a defect of the checker")
            found = self.clauses.solve(self._deadline)
            if found is None:
                return Answer(False, self._conflict(self._cycles))
            enforced = found
        raise AssertionError("unreachable")

    def _with_guessed(self, enforced: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """These, and what was guessed and is not denied by them."""
        return [*enforced, *(self._guessed - set(enforced) - {(b, a) for a, b in enforced})]

    def _learn(self, cycle: Found) -> bool:
        """Add what a cycle forbids; False if it rests on nothing but what is known."""
        _, literals = cycle
        open_ = frozenset(pair for pair in literals if not self._saturation.round_of(*pair))
        if not open_:
            return False
        if self.clauses.add(open_):
            self._cycles.append(cycle)
            self.clauses.prefer(open_)
        return True

    # --- one try

    def _tried(self, added: Edges) -> tuple[np.ndarray | None, list[Found]]:
        """(an order that fits, or None; cycles that stand against the one that was tried). added: enforced edges."""
        edges = joined([self._saturation.edges, added])
        nodes, keys = self.nodes, self.nodes.keys
        view = nodes.must is Must.VIEW
        readers = keys.without_readers() if view else keys
        replayed = Replay(nodes, readers, edges, self._priority)
        cycles: list[Found] = []
        while not replayed.go_on():
            stuck = replayed.stuck()
            found = self._cycles_in(stuck, TRIED_AT_ONCE_MAX, stuck=True)
            if not found:
                raise AssertionError("a replay that is stuck must wait in a cycle: a defect of the polygraph")
            found.sort(key=lambda cycle: len(cycle[1]))
            found = [cycle for cycle in found if len(cycle[1]) <= len(found[0][1]) + 1]
            cycles += found
            if len(cycles) >= LEARNT_AT_ONCE_MAX or not all(replayed.forgive(cycle[1]) for cycle in found):
                break
        if cycles:
            return None, cycles
        if view:
            cycles = self._cycles_of_view(replayed.rank)
            return (None, cycles) if cycles else (replayed.rank, [])
        return replayed.rank, []

    def fits(self, rank: np.ndarray) -> bool:
        """Whether an order of the versions leaves no forbidden cycle."""
        writes, reads = self._in_order(rank)
        nodes = self.nodes
        if nodes.must is Must.VIEW:
            return nodes.topological(joined([nodes.edges, writes])) is not None and not self._cycles_of_view(rank)
        return nodes.topological(joined([nodes.edges, writes, reads])) is not None

    def _in_order(self, rank: np.ndarray) -> tuple[Edges, Edges]:
        """The edges between neighbours in an order."""
        by_rank = np.lexsort((rank, self.nodes.key_of_version))
        same = self.nodes.key_of_version[by_rank][1:] == self.nodes.key_of_version[by_rank][:-1]
        return self.nodes.edges_of_order(by_rank[:-1][same], by_rank[1:][same])

    def _cycles_of_view(self, rank: np.ndarray) -> list[Found]:
        """Cycles with one rw edge that an order leaves."""
        nodes = self.nodes
        writes, reads = self._in_order(rank)
        edges = joined([self._saturation.edges, writes])
        tested = joined([nodes.tested, reads])
        order = nodes.topological(edges)
        assert order is not None
        first, by_source = rows(edges.source, nodes.count)
        ends = np.unique(tested.source)
        words = max(16, min((len(ends) + 63) // 64, self._bytes // (8 * max(1, nodes.count))))
        closed = np.zeros(len(tested), bool)
        for low in range(0, len(ends), 64 * words):
            block = ends[low : low + 64 * words]
            column = np.full(nodes.count, -1, np.int64)
            column[block] = np.arange(len(block))
            bits = reach(first, by_source, edges.target, order, column, (len(block) + 63) // 64)
            at = column[tested.source]
            here = np.flatnonzero(at >= 0)
            word, bit = at[here] >> 6, (at[here] & 63).astype(np.uint64)
            closed[here] |= (bits[tested.target[here], word] >> bit & np.uint64(1)) != 0
        places = np.flatnonzero(closed)
        if not len(places):
            return []
        places = places[np.unique(np.linspace(0, len(places) - 1, TRIED_AT_ONCE_MAX).astype(np.int64))]
        both = joined([edges, tested.subset(places)])
        candidates = len(edges) + np.arange(len(places))
        bounds = np.arange(len(places) + 1)
        return self._shortest(both, candidates, bounds, None, len(edges), whole_order=True)

    # --- cycles

    def _cycles_in(self, edges: Edges, limit: int, stuck: bool = False) -> list[Found]:
        """Cycles of edges, with as few open orders as can be had cheaply.

        stuck: every node waits; then only from components that wait for no other: the rest may be their consequence.
        """
        first, order = rows(edges.source, self.nodes.count)
        label = components(first, order, edges.target, self.nodes.count)
        inside = label[edges.source] == label[edges.target]
        if stuck:
            follows = np.zeros(int(label.max(initial=0)) + 1, bool)
            follows[label[edges.target[~inside]]] = True
            inside &= ~follows[label[edges.source]]
        inside = np.flatnonzero(inside)
        chosen = inside[self._is_open(edges, inside)]
        component = label[edges.source]
        # cycles without any open order are a proof of their own
        settled = np.ones(len(edges), bool)
        settled[chosen] = False
        rest = edges.subset(settled)
        rest_first, rest_order = rows(rest.source, self.nodes.count)
        rest_label = components(rest_first, rest_order, rest.target, self.nodes.count)
        known = np.flatnonzero(settled)[rest_label[rest.source] == rest_label[rest.target]]
        if len(known):
            tried = known[: 4 * TRIED_FOR_ONE_MAX]
            mask = settled.copy()
            return self._shortest(edges, tried, np.array([0, len(tried)]), label, len(edges), mask)
        # groups: of each component, the orders of each key
        key = self.nodes.key_of_version[edges.first[chosen]].astype(np.int64)
        group = component[chosen].astype(np.int64) * max(1, len(self.nodes.keys)) + key
        by_group = np.argsort(group, kind="stable")
        chosen, group = chosen[by_group], group[by_group]
        starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
        if len(starts) > limit:
            starts_kept = starts[np.unique(np.linspace(0, len(starts) - 1, limit).astype(np.int64))]
        else:
            starts_kept = starts
        stops = np.append(starts[1:], len(chosen))[np.searchsorted(starts, starts_kept)]
        candidates = [chosen[a : min(b, a + TRIED_FOR_ONE_MAX)] for a, b in zip(starts_kept, stops)]
        bounds = np.concatenate(([0], np.cumsum([len(c) for c in candidates]))).astype(np.int64)
        return self._shortest(edges, np.concatenate(candidates), bounds, label, len(edges))

    def _is_open(self, edges: Edges, places: np.ndarray) -> np.ndarray:
        """Which edges hold because of an order that was chosen, not found by saturation."""
        open_ = edges.first[places] >= 0
        chosen = places[open_]
        open_[open_] = self._saturation.rounds_of(edges.first[chosen], edges.second[chosen]) == 0
        return open_

    def _shortest(
        self,
        edges: Edges,
        candidates: np.ndarray,
        bounds: np.ndarray,
        label: np.ndarray | None,
        walked: int,
        mask: np.ndarray | None = None,
        whole_order: bool = False,
    ) -> list[Found]:
        """For each group of candidate edges the cycle with the fewest open orders that one of them closes.

        walked: only edges before this place lead back. mask: only these do.
        """
        nodes = self.nodes
        usable = np.flatnonzero(mask) if mask is not None else np.arange(walked)
        way = edges.subset(usable)
        first, order = rows(way.source, nodes.count)
        weight = np.zeros(len(way), np.int8)
        weight[self._is_open(way, np.arange(len(way)))] = 1
        best, path_start, path, _ = shortest_returns(
            first,
            order,
            way.target,
            weight,
            np.zeros(nodes.count, np.int32) if label is None else label,
            edges.target[candidates],
            edges.source[candidates],
            np.full(len(candidates), -1),
            bounds,
            EDGES_LOOKED_AT_MAX if len(bounds) > 2 else EVERYTHING,
        )
        cycles = []
        for i in np.flatnonzero(best >= 0).tolist():
            back = usable[path[path_start[i] : path_start[i + 1]]].tolist()
            cycles.append(self._as_links(edges, [int(candidates[best[i]]), *back], whole_order))
        return cycles

    def _as_links(self, edges: Edges, way: list[int], whole_order: bool) -> Found:
        """whole_order: the cycle is one of an order of all versions, so that what follows from its orders holds too."""
        links = cast(list[Link], simple_part(list(self.nodes.cycle(edges, way))))
        if whole_order:
            links = _contracted(links)
        number = self.nodes.version_of
        literals = {(number[link.key, link.first], number[link.key, link.second]) for link in links if link.key >= 0}
        return links, frozenset(literals)

    # --- why not

    def _contradiction(self) -> list[Found]:
        """Cycles that saturation ended with."""
        saturation = self._saturation
        if saturation.contradiction is None:
            return self._cycles_in(saturation.edges, 1)[:1]
        first, second, number = saturation.contradiction
        return [self._reason(first, second, number), self._reason(second, first, number)]

    def _reason(self, first: int, second: int, number: int) -> Found:
        """The cycle that version `first` before `second` closes with what was known before a round."""
        known = self._saturation.before_round(number)
        writes, reads = self.nodes.edges_of_order(np.array([first]), np.array([second]))
        edges = joined([known, writes, reads])
        candidates = np.arange(len(known), len(edges))
        mask = np.zeros(len(edges), bool)
        mask[: len(known)] = True
        cycles = self._shortest(edges, candidates, np.array([0, len(candidates)]), None, len(known), mask)
        return cycles[0]

    def _conflict(self, cycles: list[Found]) -> Conflict:
        """Of these cycles, and the reasons of the orders that they take as known, what contradicts itself."""
        cycles = list(cycles)
        explained: set[tuple[int, int]] = set()
        at = 0
        while at < len(cycles):
            for first, second in sorted(cycles[at][1]):
                number = self._saturation.round_of(first, second)
                if number and (first, second) not in explained:
                    explained.add((first, second))
                    cycles.append(self._reason(second, first, number))
            at += 1
        needed = contradictory_part([clause for _, clause in cycles], max(self._deadline, working_time() + 1))
        return Conflict([cycles[i][0] for i in needed])


def _contracted(links: list[Link]) -> list[Link]:
    """The same cycle with one step in the place of two that follow each other in a key's order."""
    links = list(links)
    i = 0
    while len(links) > 2 and i < len(links):
        one, other = links[i], links[(i + 1) % len(links)]
        if (
            one.key >= 0
            and one.key == other.key
            and other.kind == WW
            and one.kind in (WW, RW)
            and one.second == other.first
        ):
            both = Link(
                one.source, other.target, one.kind, one.source_mop, other.target_mop, one.key, one.first, other.second
            )
            if i + 1 < len(links):
                links[i : i + 2] = [both]
            else:
                links = [both, *links[1:-1]]
                i = len(links)
        else:
            i += 1
    return links
