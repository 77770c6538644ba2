"""Whether any order of the versions fits what is known, for each kind of cycle that models forbid.

Problem: blind writes leave the order of versions open. A model is broken if every order leaves a cycle that it
forbids. Idea: what the known edges do not show already is asked of the search (checkers.polygraph), the weakest model
first: what it breaks breaks all stronger ones. An order without any cycle answers all questions at once, so that is
asked before.

Cost: that of the searches.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from checkers import models
from checkers.cycle_kinds import G1C, G2, NONADJACENT, SINGLE, name_of
from checkers.dependency_graph import PASS, PROCESS, REALTIME, Graph
from checkers.polygraph import Conflict, Must, OpenKeys, decide

LEVELS = {G1C: Must.DEPENDENCIES, SINGLE: Must.VIEW, NONADJACENT: Must.SNAPSHOT, G2: Must.SERIALIZABLE}
"""What a model that forbids cycles of this kind demands of an order."""


@dataclass
class Orders:
    """found: (type of anomaly, what contradicts itself). undecided: type of anomaly → why it is not known."""

    found: list[tuple[str, list[Conflict]]] = field(default_factory=list)
    undecided: dict[str, str] = field(default_factory=dict)

    def reasons(self, model: str) -> list[str]:
        """What stays undecided for a model."""
        return list(dict.fromkeys(why for name, why in self.undecided.items() if models.counts_against(name, model)))


def judge_orders(graph: Graph, keys: OpenKeys, evidence: set[str], hint: np.ndarray, deadline: float) -> Orders:
    """Decide for every kind and strength. evidence: what was found already (types of anomalies)."""
    result = Orders()
    if not len(keys):
        return result
    possible: set[tuple[int, int]] = set()
    for strength in (2, 1, 0):
        if not _shown(evidence, G2, strength):
            answer = decide(_part(graph, strength), keys, Must.SERIALIZABLE, deadline=deadline, hint=hint)
            if answer.possible:
                possible |= {(kind, weaker) for kind in LEVELS for weaker in range(strength + 1)}
                break
    known = set(evidence)
    for strength in range(3):
        if strength and not np.any(graph.kind == (PROCESS, REALTIME)[strength - 1]):
            continue
        for kind, must in LEVELS.items():
            if (kind, strength) in possible or _shown(known, kind, strength):
                continue
            answer = decide(_part(graph, strength), keys, must, deadline=deadline, hint=hint)
            name = name_of(kind, strength)
            if answer.possible is None:
                result.undecided[name] = answer.reason
            elif answer.possible:
                possible |= {(k, s) for k in LEVELS for s in range(strength + 1) if k <= kind}
            elif answer.conflict is not None:
                known.add(name)
                result.found.append((name, [answer.conflict]))
    return result


def _part(graph: Graph, strength: int) -> Graph:
    return graph.subset(
        (graph.kind <= PASS)
        | ((graph.kind == PROCESS) & (strength >= 1))
        | ((graph.kind == REALTIME) & (strength == 2))
    )


_MODEL_OF = {G1C: "read-committed", SINGLE: "consistent-view", NONADJACENT: "snapshot-isolation", G2: "serializable"}
_PREFIX = ("", "strong-session-", "strong-")


def _shown(evidence: set[str], kind: int, strength: int) -> bool:
    """Whether what was found breaks the models that forbid such cycles anyway."""
    level = _MODEL_OF[kind]
    model = models.STRICT if kind == G2 and strength == 2 else _PREFIX[strength] + level
    return any(models.counts_against(name, model) for name in evidence)
