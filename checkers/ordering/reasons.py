"""Why one op must come before another: from which other ops it follows, and so which records show it by themselves.

The order of ops begins with what is plain (each client's own order, who read whose write) and grows by what follows:
that `other` comes before the write that a read found, because it comes before the read. A circle in the grown order is
a proof, but only together with the ops that its edges follow from. Each edge that was added keeps the read and the pair
of ops whose order it follows from; their path is sought when somebody asks, among the edges that were there before.

Cost: nothing until asked; then O(edges) for each edge that the proof rests on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise

from checkers.ordering.session_ops import INITIAL, SessionOps

Edge = tuple[int, int]
SHOWN_MAX = 12
"""How many ops of a circle a sentence names."""


class Reasons:
    """The edges of an order in the order in which they were found, and what each follows from."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.edges: list[Edge] = list(edges)
        self._from: dict[Edge, tuple[int, Edge | None, int]] = {}
        """edge → (the read, the order that it follows from, how many edges there were)."""

    def add(self, followed: dict[Edge, tuple[int, Edge | None]]) -> None:
        """Edges that follow from those that are there: edge → (the read, the pair whose order it follows from)."""
        self.__dict__.pop("_before", None)
        there = len(self.edges)
        for edge in sorted(followed):
            if edge not in self._from:
                self._from[edge] = (*followed[edge], there)
                self.edges.append(edge)

    def told(self, found: SessionOps, circle: Sequence[int]) -> str:
        """The ops of a circle, with the reads that show which write came before which."""
        texts = []
        for edge in around(circle)[:SHOWN_MAX]:
            read, follows, _ = self._from.get(edge, (-1, None, 0))
            by_read = follows is not None and follows == (edge[0], read) and found.source.get(read) == edge[1]
            texts.append(found.ops[edge[0]].text + (f", and after that {found.ops[read].text}" if by_read else ""))
        return "; ".join(texts) + (" ..." if len(circle) > SHOWN_MAX else "")

    def behind(self, found: SessionOps, orders: Iterable[Edge]) -> list[int]:
        """The ops that show these orders by themselves: with those on the way, and what they read from."""
        needed: set[int] = set()
        known: set[Edge] = set()
        before = self._before
        todo: list[tuple[Edge, int]] = [(order, len(self.edges)) for order in orders]
        while todo:
            order, limit = todo.pop()
            path = self._path(order, limit, before)
            needed |= set(order) | self._turns(found, path)
            for edge in path:
                if edge in self._from and edge not in known:
                    known.add(edge)
                    read, follows, there = self._from[edge]
                    needed.add(read)
                    if follows is not None:
                        todo.append((follows, there))
        return closed(found, needed)

    def _turns(self, found: SessionOps, path: Sequence[Edge]) -> set[int]:
        """The ops on the way, but those in the midst of what one client did: its order is plain without them."""

        def own(edge: Edge) -> bool:
            source, target = (found.ops[op].call for op in edge)
            return edge not in self._from and source.process == target.process and source.ok

        return {into[1] for into, out in pairwise(path) if not (own(into) and own(out))}

    @cached_property
    def _before(self) -> dict[int, list[tuple[int, int]]]:
        before: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, (source, target) in enumerate(self.edges):
            before[target].append((source, number))
        return before

    def _path(self, order: Edge, limit: int, before: dict[int, list[tuple[int, int]]]) -> list[Edge]:
        """Edges from the one to the other, the fewest, of the first `limit`."""
        start, end = order
        following = {end: end}
        todo = [end]
        while todo and start not in following:
            earlier = []
            for op in todo:
                for source, number in before[op]:
                    if number < limit and source not in following:
                        following[source] = op
                        earlier.append(source)
            todo = earlier
        if start not in following:
            return []
        path = [start]
        while path[-1] != end:
            path.append(following[path[-1]])
        return list(pairwise(path))


def around(circle: Sequence[int]) -> list[Edge]:
    """The edges of a circle."""
    return list(zip(circle, [*circle[1:], *circle[:1]]))


def closed(found: SessionOps, ops: Iterable[int]) -> list[int]:
    """These ops with the writes that they read, and a read of each write whose outcome nobody was told."""
    needed = set(ops)
    init = next((place for place, op in enumerate(found.ops) if op.call.f == "read-init"), None)
    todo = [*needed, *([] if init is None else [init])]
    while todo:
        op = todo.pop()
        needed.add(op)
        more = [found.source[op]] if found.source.get(op, INITIAL) != INITIAL else []
        if not found.ops[op].call.ok and needed.isdisjoint(found.readers.get(op, ())):
            more += found.readers.get(op, ())[:1]
        todo += [each for each in more if each not in needed]
    return sorted(needed)
