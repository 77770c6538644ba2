"""An order of the versions that a model allows, looked for first where a sound database would have put it.

Problem: a model without realtime leaves far more orders open than one with it, and a search that knows less is led
astray more: the weaker question is the harder one.

Idea: demand more than the model does, in steps from all of realtime down to nothing; whatever order fits the stronger
demand fits the model too. What fails there says nothing, and costs a bounded part of the time.

Cost: that of the questions (checkers.transactions.polygraph), of which the first nearly always has an answer.
"""

from __future__ import annotations

import numpy as np

from checkers.transactions.dependency_graph import PASS, PROCESS, REALTIME, Graph
from checkers.transactions.polygraph import Answer, Must, OpenKeys, decide
from harness.compiled import working_time

GUESS_PART = 0.25
"""Of the time that is left, for one guess."""


def order_that_fits(
    graph: Graph, keys: OpenKeys, must: Must, strength: int, *, deadline: float, hint: np.ndarray
) -> Answer:
    """Whether some order of the versions leaves none of the cycles that `must` forbids (see polygraph.decide).

    graph: all that is known, with session and realtime edges. strength: 2 where the model demands realtime, 1 where it
    demands sessions, else 0. deadline: of working_time(). hint: a guess at the order of commits.
    """
    strengths = [s for s, kind in ((2, REALTIME), (1, PROCESS)) if s > strength and np.any(graph.kind == kind)]
    for stronger in strengths:
        now = working_time()
        until = now + (deadline - now) * GUESS_PART
        answer = decide(_demands(graph, stronger), keys, must, deadline=until, hint=hint)
        if answer.possible:
            return answer
    return decide(_demands(graph, strength), keys, must, deadline=deadline, hint=hint)


def _demands(graph: Graph, strength: int) -> Graph:
    return graph.subset(
        (graph.kind <= PASS)
        | ((graph.kind == PROCESS) & (strength >= 1))
        | ((graph.kind == REALTIME) & (strength == 2))
    )
