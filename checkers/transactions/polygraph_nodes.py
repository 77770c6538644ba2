"""What must be acyclic, as one directed graph of nodes that is the same for every model.

For serializability and below a transaction is one node. For snapshot isolation it is two, its start and its commit:
ww, wr, session and realtime edges lead from a commit to a start, rw edges from a start to a commit (see
cycles). Below consistent view rw edges say nothing; for consistent view they are not part of the graph but
are tested against it: no path may lead from an rw edge's end back to its begin.

Cost: O(edges).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.transactions.dependency_graph import PASS, RW, WR, WW, Graph
from checkers.transactions.graph_kernels import rows
from checkers.transactions.polygraph_kernels import topological
from checkers.transactions.polygraph_question import Link, Must, OpenKeys

INTERNAL = -1
"""Stands for the number of an edge: from a start to its own commit."""


@dataclass(frozen=True)
class Edges:
    """e edges between nodes. source, target: int32[e]. known: int64[e], the edge of the caller's graph, INTERNAL, or
    -2 for one that an order of versions brings: kind int8[e], mops int32[e] and the versions first, second int32[e]
    (-1 elsewhere) then say which.
    """

    source: np.ndarray
    target: np.ndarray
    known: np.ndarray
    kind: np.ndarray
    source_mop: np.ndarray
    target_mop: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def __len__(self) -> int:
        return len(self.source)

    def subset(self, keep: np.ndarray) -> Edges:
        """Some of the edges."""
        return Edges(*(column[keep] for column in self.columns()))

    def columns(self) -> tuple[np.ndarray, ...]:
        """All columns, in order."""
        return (
            self.source,
            self.target,
            self.known,
            self.kind,
            self.source_mop,
            self.target_mop,
            self.first,
            self.second,
        )


def joined(parts: list[Edges]) -> Edges:
    """One after the other."""
    return Edges(*(np.concatenate(columns) for columns in zip(*(part.columns() for part in parts), strict=True)))


class Nodes:
    """The nodes and known edges of one question, and the edges that an order brings."""

    def __init__(self, graph: Graph, keys: OpenKeys, must: Must) -> None:
        self.must = must
        self.txns = graph.txns
        self.split = must is Must.SNAPSHOT
        self.count = graph.nodes + (graph.txns if self.split else 0)
        keys = keys.with_distinct_readers()
        self.keys = keys if must in (Must.VIEW, Must.SNAPSHOT, Must.SERIALIZABLE) else keys.without_readers()
        self.key_of_version = keys.key_of_version()
        self.version_of: dict[tuple[int, int], int] = {}
        self._graph = graph
        against = (graph.kind == RW) | (graph.kind == PASS)
        every = self._known(np.arange(len(graph)), against)
        if must is Must.VIEW:
            virtual = graph.kind == PASS
            self.edges, self.tested = every.subset(~against | virtual), every.subset(graph.kind == RW)
        elif must is Must.DEPENDENCIES:
            self.edges, self.tested = every.subset(~against), every.subset(np.empty(0, np.int64))
        elif must is Must.WRITES:
            self.edges = every.subset(~against & (graph.kind != WR))
            self.tested = every.subset(np.empty(0, np.int64))
        else:
            self.edges, self.tested = every, every.subset(np.empty(0, np.int64))
        if self.split:
            self.edges = joined([self.edges, self._internal()])

    def start_of(self, txn: np.ndarray) -> np.ndarray:
        """The node at which transactions begin."""
        return txn

    def commit_of(self, txn: np.ndarray) -> np.ndarray:
        """The node at which transactions end."""
        return txn + self.txns if self.split else txn

    def _known(self, number: np.ndarray, against: np.ndarray) -> Edges:
        graph, t = self._graph, self.txns
        source, target = graph.source.astype(np.int32), graph.target.astype(np.int32)
        if self.split:
            source = np.where((source < t) & (graph.kind == RW), source, source + t)
            target = np.where((target >= t) | against, target + t, target)
        none = np.full(len(graph), -1, np.int32)
        return Edges(
            source.astype(np.int32),
            target.astype(np.int32),
            number.astype(np.int64),
            graph.kind,
            graph.source_mop,
            graph.target_mop,
            none,
            none,
        )

    def _internal(self) -> Edges:
        txns = np.arange(self.txns, dtype=np.int32)
        none = np.full(self.txns, -1, np.int32)
        return Edges(
            txns,
            (txns + self.txns).astype(np.int32),
            np.full(self.txns, INTERNAL, np.int64),
            np.zeros(self.txns, np.int8),
            none,
            none,
            none,
            none,
        )

    def edges_of_order(self, first: np.ndarray, second: np.ndarray) -> tuple[Edges, Edges]:
        """(ww edges, rw edges) if each of some versions comes before its fellow in `second`."""
        keys = self.keys
        first, second = first.astype(np.int64), second.astype(np.int64)
        count = (keys.reader_start[first + 1] - keys.reader_start[first]).astype(np.int64)
        pair = np.repeat(np.arange(len(first)), count)
        place = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count) + keys.reader_start[first][pair]
        other = keys.reader[place] != keys.writer[second[pair]]
        pair, place = pair[other], place[other]
        return self.writes_in_order(first, second), self.reads_before(place, first[pair], second[pair])

    def writes_in_order(self, first: np.ndarray, second: np.ndarray) -> Edges:
        """ww edges between the writers of versions."""
        keys = self.keys
        return Edges(
            self.commit_of(keys.writer[first]).astype(np.int32),
            self.start_of(keys.writer[second]).astype(np.int32),
            np.full(len(first), -2, np.int64),
            np.full(len(first), WW, np.int8),
            keys.writer_mop[first].astype(np.int32),
            keys.writer_mop[second].astype(np.int32),
            first.astype(np.int32),
            second.astype(np.int32),
        )

    def reads_before(self, place: np.ndarray, first: np.ndarray, second: np.ndarray) -> Edges:
        """rw edges from reads (places in keys.reader) of versions `first` to the writers of `second`."""
        keys = self.keys
        return Edges(
            self.start_of(keys.reader[place]).astype(np.int32),
            self.commit_of(keys.writer[second]).astype(np.int32),
            np.full(len(place), -2, np.int64),
            np.full(len(place), RW, np.int8),
            keys.reader_mop[place].astype(np.int32),
            keys.writer_mop[second].astype(np.int32),
            first.astype(np.int32),
            second.astype(np.int32),
        )

    def cycle(self, edges: Edges, way: list[int]) -> list[Link]:
        """A closed walk of edges as links between transactions; what leads through virtual nodes becomes one."""
        if self.split:
            way = [edge for edge in way if edges.known[edge] != INTERNAL]
        t = self.txns
        real = 2 * t if self.split else t

        def txn(node: int) -> int:
            return node - t if self.split and node >= t else node

        begin = next(i for i, edge in enumerate(way) if edges.source[edge] < real)
        links: list[Link] = []
        opened: Link | None = None
        for edge in way[begin:] + way[:begin]:
            first, second = int(edges.first[edge]), int(edges.second[edge])
            if first >= 0:
                for version in (first, second):
                    self.version_of[
                        int(self.keys.key[self.key_of_version[version]]), int(self.keys.writer[version])
                    ] = version
            link = Link(
                txn(int(edges.source[edge])),
                txn(int(edges.target[edge])),
                int(edges.kind[edge]),
                int(edges.source_mop[edge]),
                int(edges.target_mop[edge]),
                -1 if first < 0 else int(self.keys.key[self.key_of_version[first]]),
                -1 if first < 0 else int(self.keys.writer[first]),
                -1 if first < 0 else int(self.keys.writer[second]),
            )
            if opened is not None:
                link = Link(opened.source, link.target, opened.kind, opened.source_mop, link.target_mop)
            opened = link
            if edges.target[edge] < real:
                links.append(opened)
                opened = None
        return links

    def topological(self, edges: Edges) -> np.ndarray | None:
        """int32[nodes]: the nodes in an order that fits the edges; None if there is a cycle."""
        first, order = rows(edges.source, self.count)
        result = topological(first, order, edges.target, self.count)
        return result if len(result) == self.count else None
