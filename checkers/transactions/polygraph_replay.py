"""One replay of the transactions, as far as it gets, and what it waits for then (see polygraph_kernels.replay)."""

from __future__ import annotations

import numpy as np

from checkers.transactions.graph_kernels import rows
from checkers.transactions.polygraph_clauses import Clause
from checkers.transactions.polygraph_kernels import replay, waits
from checkers.transactions.polygraph_nodes import Edges, Nodes, joined
from checkers.transactions.polygraph_question import OpenKeys


class Replay:
    """rank: the place of each version in its key, once all have come."""

    def __init__(self, nodes: Nodes, keys: OpenKeys, edges: Edges, priority: np.ndarray) -> None:
        self._nodes, self._keys, self._edges = nodes, keys, edges
        self._priority = priority
        self._first, self._order = rows(edges.source, nodes.count)
        self._writes = rows(keys.writer, nodes.txns)
        read_first, order = rows(keys.reader, nodes.txns)
        self._reads = read_first, np.repeat(np.arange(len(keys.writer)), np.diff(keys.reader_start))[order]
        self._done = np.full(nodes.count, -1, np.int64)
        self._current = np.full(len(keys), -1, np.int64)
        self._holder = np.full(len(keys), -1, np.int64)
        self._missing = np.bincount(edges.target, minlength=nodes.count).astype(np.int64)
        self._pending = np.zeros(len(keys), np.int64)
        self._installed = np.zeros(len(keys), np.int64)
        self.rank = np.full(len(keys.writer), -1, np.int64)

    def go_on(self) -> bool:
        """Replay as far as it gets; whether everything has happened."""
        nodes, keys = self._nodes, self._keys
        replay(
            self._first,
            self._order,
            self._edges.target,
            nodes.txns,
            nodes.split,
            self._priority,
            keys.start,
            keys.writer,
            nodes.key_of_version,
            keys.reader_start,
            keys.reader,
            *self._writes,
            *self._reads,
            self._done,
            self._current,
            self._holder,
            self.rank,
            self._missing,
            self._pending,
            self._installed,
        )
        return bool(np.all(self._done >= 0))

    def stuck(self) -> Edges:
        """What is left waits for what is left: these edges, known ones and such as the order so far brings."""
        nodes, keys, edges, done = self._nodes, self._keys, self._edges, self._done
        left = edges.subset((done[edges.source] < 0) & (done[edges.target] < 0))
        place, before, after = waits(
            done,
            self._current,
            self._holder,
            nodes.txns,
            nodes.split,
            keys.start,
            keys.writer,
            keys.reader_start,
            keys.reader,
        )
        writes = place < 0
        return joined(
            [
                left,
                nodes.writes_in_order(before[writes], after[writes]),
                nodes.reads_before(place[~writes], before[~writes], after[~writes]),
            ]
        )

    def forgive(self, orders: Clause) -> bool:
        """No longer wait for one of some orders, to see what else is in the way; whether that changes anything.

        What comes of it is no order that fits, but every cycle that is found later is one all the same.
        """
        for first, _ in sorted(orders):
            key = self._nodes.key_of_version[first]
            if self._current[key] == first and self._pending[key] > 0:
                self._pending[key] = 0
                return True
            if self._holder[key] == self._keys.writer[first]:
                self._holder[key] = -1
                return True
        return False
