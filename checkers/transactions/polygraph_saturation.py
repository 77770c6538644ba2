"""What order of versions follows from what is known, to the fixed point.

Idea: if a's version before b's would close a cycle with what is known, then b's comes first; its edges are then known
too, and may close the next one (Cobra, Tan et al., OSDI 2020; PolySI, Huang et al., VLDB 2023). Reachability is a
matrix of bits, worked out anew in each round, in blocks of columns that fit the memory. Of the edges that follow, those
that say nothing new beside earlier ones are left out.

Every order found has its round, so that the reason for it can be told in the end: a cycle of its reverse with edges of
earlier rounds.

Cost: rounds × (edges × columns / 64 + pairs of versions of a key).
"""

from __future__ import annotations

import numpy as np

from checkers.transactions.graph_kernels import rows
from checkers.transactions.polygraph_kernels import impossible_orders, newly_forced, reach
from checkers.transactions.polygraph_nodes import Edges, Nodes, joined
from checkers.transactions.polygraph_question import Must
from harness.compiled import working_time

ROUNDS_MAX = 60_000
BLOCK_WORDS_MIN = 16


class Saturation:
    """The orders that follow, and their edges.

    edges: all edges that are known now; stamp: uint16[edges], the round of each, 0 for what was known before.
    contradiction: (first, second, round): neither order of these two versions is possible; or None.
    """

    def __init__(self, nodes: Nodes, memory_budget_mb: int) -> None:
        keys = nodes.keys
        self.nodes = nodes
        self.edges: Edges = nodes.edges
        self.stamp = np.zeros(len(nodes.edges), np.uint16)
        width = np.diff(keys.start)
        self._square = np.concatenate(([0], np.cumsum(width * width))).astype(np.int64)
        self._bytes = memory_budget_mb * 2**20 // 4
        self.fits = int(self._square[-1]) * 3 <= self._bytes and len(keys) > 0
        size = int(self._square[-1]) if self.fits else 0
        self._round_of = np.zeros(size, np.uint16)
        self._no = np.zeros(size, np.uint8)
        self._width = width
        self.contradiction: tuple[int, int, int] | None = None
        self.rounds = 0

    def run(self, deadline: float) -> bool:
        """Saturate. False if a cycle or a contradiction came up; also ends, with True, at the deadline."""
        nodes, keys = self.nodes, self.nodes.keys
        if not self.fits:
            return nodes.topological(self.edges) is not None
        while True:
            order = nodes.topological(self.edges)
            if order is None:
                return False
            if self.rounds >= ROUNDS_MAX or working_time() > deadline:
                return True
            self.rounds += 1
            self._mark_impossible(order)
            turn = np.empty(nodes.count, np.int64)
            turn[order] = np.arange(nodes.count)
            first, second, one, other, fresh = newly_forced(
                self._no,
                self._round_of,
                self.rounds,
                keys.start,
                self._square,
                np.lexsort((turn[nodes.commit_of(keys.writer)], nodes.key_of_version)),
            )
            if one >= 0:
                self.contradiction = (int(one), int(other), self.rounds)
                return False
            if not fresh:
                return True
            writes, reads = nodes.edges_of_order(first, second)
            added = writes if nodes.must is Must.VIEW else joined([writes, reads])
            self.edges = joined([self.edges, added])
            self.stamp = np.concatenate((self.stamp, np.full(len(added), self.rounds, np.uint16)))

    def _mark_impossible(self, order: np.ndarray) -> None:
        nodes, keys = self.nodes, self.nodes.keys
        first, by_source = rows(self.edges.source, nodes.count)
        used = np.unique(np.concatenate((nodes.commit_of(keys.writer), nodes.start_of(keys.reader))))
        words = max(BLOCK_WORDS_MIN, min((len(used) + 63) // 64, self._bytes // (8 * max(1, nodes.count))))
        for low in range(0, len(used), words * 64):
            column = np.full(nodes.count, -1, np.int64)
            block = used[low : low + words * 64]
            column[block] = np.arange(len(block))
            bits = reach(first, by_source, self.edges.target, order, column, (len(block) + 63) // 64)
            impossible_orders(
                bits,
                column,
                nodes.txns,
                nodes.split,
                keys.start,
                self._square,
                keys.writer,
                keys.reader_start,
                keys.reader,
                len(keys.reader) > 0,
                self._no,
                self._round_of,
                nodes.must is Must.VIEW,
            )

    def round_of(self, first: int, second: int) -> int:
        """The round in which version `first` was found to be before `second` (of the same key), 0 for none."""
        if not self.fits:
            return 0
        key = self.nodes.key_of_version[first]
        low = self.nodes.keys.start[key]
        return int(self._round_of[self._square[key] + (first - low) * self._width[key] + second - low])

    def rounds_of(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The same for columns of versions."""
        if not self.fits or not self.rounds:
            return np.zeros(len(first), np.uint16)
        key = self.nodes.key_of_version[first]
        low = self.nodes.keys.start[key]
        return self._round_of[self._square[key] + (first - low) * self._width[key] + second - low]

    def before_round(self, number: int) -> Edges:
        """The edges that were known before a round."""
        return self.edges.subset(self.stamp < number)
