"""Appends that nobody read leave their order open; this decides whether any order of them fits snapshot isolation.

Problem: two committed appends to one key that no list shows may have come in either order. Serializability does not
care: whichever serial order explains the rest orders them too. Snapshot isolation does: of two transactions that wrote
the same key, one must have committed before the other took its snapshot.

Idea: a transaction is a start and a commit (see checkers.cycles). Of an open pair A, B either A's commit comes before
B's start or B's before A's. If A's start must already precede B's commit, only the first is possible; such forced
choices are made until none is left (saturation, as in PolySI: Huang et al., VLDB 2023), the others are tried. The
question only arises inside a component that has cycles, but none that snapshot isolation forbids already: components
are laid one after the other, and what is acyclic is serializable. So the graphs are small, and reachability is kept as
one bit set for each node.

Cost: O(nodes²) bits for a component, nearly always of a few transactions; the search is exponential at worst, and ends
at the deadline with "undecided".
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from checkers import models
from checkers.cycle_kinds import G2, NAMES, NONADJACENT, SUFFIXES, Step, name_of
from checkers.dependency_graph import PASS, PROCESS, REALTIME, RW, Graph
from checkers.graph_kernels import components, rows

NODES_MAX = 6000
"""In one component: 4.5 MB of bit sets for each open choice."""
MINIMIZED_MAX = 40
SNAPSHOT_MODELS = ("snapshot-isolation", "strong-session-snapshot-isolation", "strong-snapshot-isolation")

Choice = tuple[int, int]
"""Two transactions that appended to the same key in an order that nobody saw."""


@dataclass(frozen=True)
class Conflict:
    """Transactions that no order of the open appends reconciles with snapshot isolation.

    choices: the open pairs among them, with their key. steps: what is known to come before what.
    """

    txns: list[int]
    choices: list[tuple[int, int, int]]
    steps: list[Step]


@dataclass
class OpenOrders:
    """type: the anomaly's name ("" if there is none). undecided: per snapshot model, why it is not known."""

    type: str = ""
    conflicts: list[Conflict] = field(default_factory=list)
    undecided: dict[str, str] = field(default_factory=dict)

    def reasons(self, model: str) -> list[str]:
        """What stays undecided for a model."""
        return [why for name, why in self.undecided.items() if name in models.weaker(model)]


def judge_open_orders(
    graph: Graph, open_writers: dict[int, list[int]], evidence: set[str], deadline: float
) -> OpenOrders:
    """Decide all components in which the question arises.

    open_writers: for each key the transactions whose appends nobody read, two or more. evidence: what was found
    already (types of anomalies). deadline: of time.monotonic().
    """
    result = OpenOrders()
    if not open_writers:
        return result
    for strength in range(3):
        if any(models.counts_against(anomaly, SNAPSHOT_MODELS[strength]) for anomaly in evidence):
            return result
        if not any(name_of(G2, s) in evidence for s in range(strength + 1)):
            continue
        ordered = ((graph.kind == PROCESS) & (strength >= 1)) | ((graph.kind == REALTIME) & (strength == 2))
        part = graph.subset((graph.kind <= PASS) | ordered)
        for txns, choices, edges in _questions(part, open_writers):
            try:
                problem = _Problem(edges, txns, choices, deadline)
                if problem.solvable(set(txns)):
                    continue
                result.conflicts.append(problem.conflict())
            except TimeoutError as error:
                result.undecided[SNAPSHOT_MODELS[strength]] = str(error)
            except RecursionError:
                why = f"{len(choices)} pairs of unread appends in one knot: too many to try against snapshot isolation"
                result.undecided[SNAPSHOT_MODELS[strength]] = why
        if result.conflicts:
            result.type = NAMES[NONADJACENT] + SUFFIXES[strength]
            return result
    return result


def _questions(
    graph: Graph, open_writers: dict[int, list[int]]
) -> list[tuple[list[int], list[tuple[int, int, int]], Graph]]:
    """(transactions, open pairs with their key, edges) of each component that has an open pair."""
    first, order = rows(graph.source, graph.nodes)
    label = components(first, order, graph.target, graph.nodes)
    choices: dict[int, list[tuple[int, int, int]]] = {}
    for key, writers in open_writers.items():
        for one, other in combinations(writers, 2):
            if label[one] == label[other]:
                choices.setdefault(int(label[one]), []).append((one, other, key))
    if not choices:
        return []
    inside = graph.subset((label[graph.source] == label[graph.target]) & np.isin(label[graph.source], list(choices)))
    questions = []
    for component, pairs in choices.items():
        edges = inside.subset(label[inside.source] == component)
        nodes = np.unique(np.concatenate((edges.source, edges.target)))
        questions.append((nodes[nodes < graph.txns].tolist(), pairs, edges))
    return questions


class _Problem:
    """One component: is there an order of the open pairs that leaves the starts and commits without a cycle?"""

    def __init__(self, graph: Graph, txns: list[int], choices: list[tuple[int, int, int]], deadline: float) -> None:
        self._graph = graph
        self._txns = txns
        self._choices = choices
        self._deadline = deadline
        if len(np.unique(np.concatenate((graph.source, graph.target)))) + len(txns) > NODES_MAX:
            raise TimeoutError(
                f"{len(choices)} pairs of unread appends in a knot of {len(txns)} transactions: too large to decide "
                "whether some order of them fits snapshot isolation"
            )

    def solvable(self, among: set[int]) -> bool:
        """Whether some order works, looking only at some of the transactions."""
        start = {txn: i for i, txn in enumerate(t for t in self._txns if t in among)}
        commit = {txn: len(start) + i for txn, i in start.items()}
        numbers: dict[int, int] = {}
        successors: list[set[int]] = [{commit[txn]} for txn in start] + [set() for _ in start]

        def node(number: int, as_start: bool) -> int:
            if number < self._graph.txns:
                return start[number] if as_start else commit[number]
            if number not in numbers:
                numbers[number] = len(successors)
                successors.append(set())
            return numbers[number]

        graph = self._graph
        for source, target, kind in zip(graph.source.tolist(), graph.target.tolist(), graph.kind.tolist()):
            real_ends = [end for end in (source, target) if end < graph.txns]
            if all(end in among for end in real_ends):
                successors[node(source, kind == RW)].add(node(target, kind not in (RW, PASS)))
        reach = _closure(successors)
        if reach is None:
            return False
        pairs = [(a, b) for a, b, _ in self._choices if a in among and b in among]
        return self._search(reach, pairs, start, commit)

    def _search(self, reach: list[int], pairs: list[Choice], start: dict[int, int], commit: dict[int, int]) -> bool:
        if time.monotonic() > self._deadline:
            raise TimeoutError("time ran out while the order of unread appends was tried against snapshot isolation")
        while True:
            open_pairs = []
            forced = False
            for a, b in pairs:
                a_first = reach[start[a]] >> commit[b] & 1
                b_first = reach[start[b]] >> commit[a] & 1
                if a_first and b_first:
                    return False
                if not a_first and not b_first:
                    open_pairs.append((a, b))
                    continue
                first, second = (a, b) if a_first else (b, a)
                if not reach[commit[first]] >> start[second] & 1:
                    _add_edge(reach, commit[first], start[second])
                    forced = True
            pairs = open_pairs
            if not forced:
                break
        if not pairs:
            return True
        (a, b), rest = pairs[0], pairs[1:]
        for first, second in ((a, b), (b, a)):
            tried = list(reach)
            _add_edge(tried, commit[first], start[second])
            if self._search(tried, rest, start, commit):
                return True
        return False

    def conflict(self) -> Conflict:
        """What contradicts itself, with as few transactions as can be had by leaving out one after the other."""
        needed = set(self._txns)
        if len(self._txns) <= MINIMIZED_MAX:
            for txn in self._txns:
                if not self.solvable(needed - {txn}):
                    needed.discard(txn)
        graph = self._graph
        steps = {
            (int(s), int(t)): Step(int(s), int(t), int(kind), int(one), int(other))
            for s, t, kind, one, other in zip(
                graph.source, graph.target, graph.kind, graph.source_mop, graph.target_mop, strict=True
            )
            if s in needed and t in needed
        }
        return Conflict(
            sorted(needed), [c for c in self._choices if c[0] in needed and c[1] in needed], list(steps.values())
        )


def _closure(successors: list[set[int]]) -> list[int] | None:
    """For each node the bit set of what it leads to; None if there is a cycle."""
    missing = [0] * len(successors)
    for followers in successors:
        for node in followers:
            missing[node] += 1
    ready = [node for node, count in enumerate(missing) if count == 0]
    order: list[int] = []
    while ready:
        node = ready.pop()
        order.append(node)
        for follower in successors[node]:
            missing[follower] -= 1
            if missing[follower] == 0:
                ready.append(follower)
    if len(order) < len(successors):
        return None
    reach = [0] * len(successors)
    for node in reversed(order):
        for follower in successors[node]:
            reach[node] |= reach[follower] | 1 << follower
    return reach


def _add_edge(reach: list[int], source: int, target: int) -> None:
    gained = reach[target] | 1 << target
    for node, known in enumerate(reach):
        if node == source or known >> source & 1:
            reach[node] = known | gained
