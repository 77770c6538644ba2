"""Operations that must come before each other, together with realtime: is there an order, and if not, which circle
forbids it?

Idea: a graph with a node for each operation. That one returned before another was invoked is not an edge for each
such pair, but a chain of nodes, one for each return: O(n) edges. Circles are found as strongly connected components,
a short one by breadth-first search. Cost: O(n log n + edges).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from checkers.linearizability.linearizable_model import NEVER, Operation
from checkers.transactions.graph_kernels import components, rows


class Order:
    """operations: nodes 0 ... n - 1. Others are made by `node`; they stand for no operation."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations
        self.nodes = len(operations)
        self.sources: list[int] = []
        self.targets: list[int] = []
        self._realtime()

    def node(self) -> int:
        """One more node."""
        self.nodes += 1
        return self.nodes - 1

    def precede(self, first: int, then: int) -> None:
        """`first` must come before `then`."""
        self.sources.append(first)
        self.targets.append(then)

    def _realtime(self) -> None:
        records: list[tuple[int, int, bool]] = []
        for number, operation in enumerate(self.operations):
            records.append((operation.invoked, number, False))
            if operation.returned != NEVER:
                records.append((operation.returned, number, True))
        records.sort()
        last, returned = -1, False
        for _, number, returns in records:
            if returns:
                node = last if returned else self.node()
                if not returned and last >= 0:
                    self.precede(last, node)
                self.precede(number, node)
                last, returned = node, True
            else:
                if last >= 0:
                    self.precede(last, number)
                returned = False

    def circle(self) -> list[int] | None:
        """The operations of a short circle, in its order; None where there is none."""
        first, order = rows(np.array(self.sources, np.int32), self.nodes)
        component = components(first, order, np.array(self.targets, np.int32), self.nodes)
        sizes = np.bincount(component)
        if not len(sizes) or sizes.max() == 1:
            return None
        inside = component == int(np.flatnonzero(sizes > 1)[0])
        edges: dict[int, list[int]] = {}
        for source, target in zip(self.sources, self.targets):
            if inside[source] and inside[target]:
                edges.setdefault(source, []).append(target)
        start = next(node for node in np.flatnonzero(inside).tolist() if node < len(self.operations))
        return [node for node in _shortest(edges, start) if node < len(self.operations)]


def _shortest(edges: dict[int, list[int]], start: int) -> list[int]:
    """The shortest circle through a node."""
    came_from: dict[int, int] = {}
    todo = deque([start])
    while todo:
        node = todo.popleft()
        for target in edges.get(node, ()):
            if target == start:
                path = [node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if target not in came_from:
                came_from[target] = node
                todo.append(target)
    raise AssertionError("a component without a circle")
