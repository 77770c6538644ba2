"""Writes whose order nobody saw: which models does every order of them break?

Problem: two committed writes of one key that no read tells apart may have come in either order. A model is broken if
every order leaves a cycle that it forbids, though no single cycle of what is known for certain shows it.

Idea: one question to `polygraph` for each kind of cycle and each strength (plain, with sessions, with
realtime), as few as can be. What the evidence breaks anyway is not asked. Of the rest the strongest is asked first:
where an order fits a model, it fits every weaker one, so that mostly one answer is all. Where none fits, the weakest
come next: what they break need not be asked of a stronger one.

Where nobody read any of the writes (list-append's unread appends), only writes that stand in one knot of what is known
can matter: knots are laid one after the other, and an order that follows them closes no cycle. So only the knots are
asked about.

Cost: O(edges) and that of the questions; each ends at the deadline with "undecided".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from checkers import models
from checkers.transactions.cycle_kinds import G1C, G2, NONADJACENT, SINGLE, name_of
from checkers.transactions.dependency_graph import PASS, PROCESS, REALTIME, Graph
from checkers.transactions.graph_kernels import components, rows
from checkers.transactions.polygraph import Answer, Conflict, Must, OpenKeys, decide
from harness.compiled import working_time

__all__ = ["Conflict", "OpenKeys", "OpenOrders", "judge_open_orders"]

LEVELS = {G1C: Must.DEPENDENCIES, SINGLE: Must.VIEW, NONADJACENT: Must.SNAPSHOT, G2: Must.SERIALIZABLE}
"""What a model that forbids cycles of this kind demands of an order."""
_MODELS = {G1C: "read-committed", SINGLE: "consistent-view", NONADJACENT: "snapshot-isolation", G2: "serializable"}
_PREFIXES = ("", "strong-session-", "strong-")
Level = tuple[int, int]
"""A kind of cycle and a strength."""


@dataclass
class OpenOrders:
    """found: (type of anomaly, what contradicts itself). undecided: type of anomaly → why it is not known."""

    found: list[tuple[str, list[Conflict]]] = field(default_factory=list)
    undecided: dict[str, str] = field(default_factory=dict)

    def reasons(self, model: str) -> list[str]:
        """What stays undecided for a model."""
        return list(dict.fromkeys(why for name, why in self.undecided.items() if models.counts_against(name, model)))


def judge_open_orders(
    graph: Graph,
    keys: Callable[[], OpenKeys],
    evidence: set[str],
    *,
    asked: str,
    deadline: float,
    memory_budget_mb: int = 2048,
    hint: np.ndarray | None = None,
) -> OpenOrders:
    """Decide for every kind of cycle and every strength.

    graph: all that is known, with session and realtime edges. keys: makes the writes whose order is open. evidence:
    what was found already (types of anomalies); what that rules out anyway is not asked. asked: the model that is
    judged against: its question comes first. deadline, memory_budget_mb, hint: see `polygraph.decide`.
    """
    return _Judge(graph, keys, evidence, asked, deadline, memory_budget_mb, hint).run()


class _Judge:
    def __init__(
        self,
        graph: Graph,
        keys: Callable[[], OpenKeys],
        evidence: set[str],
        asked: str,
        deadline: float,
        memory_budget_mb: int,
        hint: np.ndarray | None,
    ) -> None:
        self._graph = graph
        self._open_keys = keys
        self._known = set(evidence)
        self._asked = asked
        self._deadline = deadline
        self._memory_budget_mb = memory_budget_mb
        self._hint = hint
        self._possible: set[Level] = set()
        self._result = OpenOrders()

    def run(self) -> OpenOrders:
        strengths = [0] + [s for s, kind in ((1, PROCESS), (2, REALTIME)) if np.any(self._graph.kind == kind)]
        levels = [(kind, strength) for strength in strengths for kind in LEVELS]
        asked = [level for level in levels if models.counts_against(name_of(*level), self._asked)]
        open_ = [level for level in levels if not self._shown(*level)]
        if not open_ or not len(self._keys):
            return self._result
        first = [level for level in open_ if not any(level != other and _answers(other, level) for other in open_)]
        wanted = [level for level in asked if level in open_]
        if wanted:
            first.append(max(wanted, key=lambda level: (level[1], level[0])))
        for place, level in enumerate([*first, *levels]):
            if level in self._possible or self._shown(*level):
                continue
            now = working_time()
            in_passing = place < len(first) and level not in asked
            self._ask(level, now + (self._deadline - now) / 4 if in_passing else self._deadline)
        # a conflict of a weaker level that was found later says the same, and more
        self._result.found = [
            (name, conflicts)
            for name, conflicts in self._result.found
            if not any(other != name and name in models.implied_anomalies(other) for other, _ in self._result.found)
        ]
        return self._result

    @cached_property
    def _keys(self) -> OpenKeys:
        return self._open_keys()

    def _ask(self, level: Level, deadline: float) -> None:
        kind, strength = level
        name = name_of(kind, strength)
        self._result.undecided.pop(name, None)
        part = self._graph.subset(
            (self._graph.kind <= PASS)
            | ((self._graph.kind == PROCESS) & (strength >= 1))
            | ((self._graph.kind == REALTIME) & (strength == 2))
        )
        answer = self._answer(part, LEVELS[kind], deadline)
        if answer.possible is None:
            self._result.undecided[name] = answer.reason
        elif answer.possible:
            self._possible |= {(k, s) for k in LEVELS for s in range(strength + 1) if _answers(level, (k, s))}
        elif answer.conflict is not None:
            self._found(name, answer.conflict)

    def _found(self, name: str, conflict: Conflict) -> None:
        self._known.add(name)
        self._result.found.append((name, [conflict]))
        self._result.undecided = {
            open_: why for open_, why in self._result.undecided.items() if open_ not in models.implied_anomalies(name)
        }

    def _answer(self, graph: Graph, must: Must, deadline: float) -> Answer:
        keys = self._keys
        if not len(keys.reader):
            graph, keys = _knots(graph, keys)
            if not len(keys):
                return Answer(True)
        return decide(graph, keys, must, deadline=deadline, memory_budget_mb=self._memory_budget_mb, hint=self._hint)

    def _shown(self, kind: int, strength: int) -> bool:
        """Whether what was found breaks the models that forbid such cycles anyway."""
        strict = kind == G2 and strength == 2
        model = models.STRICT if strict else _PREFIXES[strength] + _MODELS[kind]
        return any(models.counts_against(name, model) for name in self._known)


def _answers(level: Level, weaker: Level) -> bool:
    """Whether an order that fits one level fits the other too."""
    return weaker[0] <= level[0] and weaker[1] <= level[1]


def _knots(graph: Graph, keys: OpenKeys) -> tuple[Graph, OpenKeys]:
    """The strongly connected components that hold several writers of a key: their edges, and these writes."""
    first, order = rows(graph.source, graph.nodes)
    label = components(first, order, graph.target, graph.nodes)
    key = keys.key_of_version().astype(np.int64)
    group = key * (int(label.max(initial=0)) + 1) + label[keys.writer]
    _, inverse, count = np.unique(group, return_inverse=True, return_counts=True)
    places = np.flatnonzero(count[inverse] > 1)
    places = places[np.argsort(group[places], kind="stable")]
    edges = (label[graph.source] == label[graph.target]) & np.isin(
        label[graph.source], np.unique(label[keys.writer[places]])
    )
    changes = np.flatnonzero(np.diff(group[places], prepend=-1))
    part = OpenKeys(
        keys.key[key[places[changes]]],
        np.append(changes, len(places)).astype(np.int64),
        keys.writer[places],
        keys.writer_mop[places],
        np.zeros(len(places) + 1, np.int64),
        keys.reader,
        keys.reader_mop,
    )
    return graph.subset(edges), part
