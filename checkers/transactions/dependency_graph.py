"""The graph of which committed transaction must come before which, as columns of edges.

Nodes 0..n-1 are the transactions. Nodes from n on are virtual: they stand for many edges at once, are never shown, and
never count for the length or kind of a cycle:
- realtime order is a chain of barriers. A completion leads into the next barrier, a barrier into all invocations up
  to the one after: O(n) edges instead of O(n²).
- "read what was there before all of these writes" is a pair of chains over the writes where there are many of both.

Edges (after Adya 1999): `ww`: wrote the next version; `wr`: read what was written; `rw`: read the version before the
one that was written; `process`: the same client did it before; `realtime`: it had ended before the other began.

Cost: O(edges), 21 bytes each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WW, WR, RW, PASS, PROCESS, REALTIME = range(6)
"""Kinds of edges. PASS leaves a virtual node of an rw edge."""
KIND_NAMES = ("ww", "wr", "rw", "rw", "process", "realtime")
NO_MOP = -1


@dataclass(frozen=True)
class Graph:
    """e edges between `nodes` nodes, of which the first `txns` are transactions.

    source, target: int32[e]. kind: int8[e]. source_mop, target_mop: int32[e], the micro-ops that prove the edge:
    ww the two writes, wr the write and the read, rw the read and the write; NO_MOP for session and realtime edges,
    and at a virtual end.
    """

    txns: int
    nodes: int
    source: np.ndarray
    target: np.ndarray
    kind: np.ndarray
    source_mop: np.ndarray
    target_mop: np.ndarray

    def __len__(self) -> int:
        return len(self.source)

    def subset(self, keep: np.ndarray) -> Graph:
        """The same nodes with some of the edges."""
        return Graph(
            self.txns,
            self.nodes,
            self.source[keep],
            self.target[keep],
            self.kind[keep],
            self.source_mop[keep],
            self.target_mop[keep],
        )


def graph_of(txns: int, parts: Sequence[Graph]) -> Graph:
    """One graph of several over the same transactions; each part's virtual nodes are its own."""
    offsets = np.cumsum([0] + [part.nodes - part.txns for part in parts])

    def moved(nodes: np.ndarray, offset: int) -> np.ndarray:
        return np.where(nodes >= txns, nodes + offset, nodes).astype(np.int32) if offset else nodes.astype(np.int32)

    return Graph(
        txns,
        txns + int(offsets[-1]),
        np.concatenate([moved(p.source, o) for p, o in zip(parts, offsets.tolist())]),
        np.concatenate([moved(p.target, o) for p, o in zip(parts, offsets.tolist())]),
        np.concatenate([p.kind for p in parts]).astype(np.int8),
        np.concatenate([p.source_mop for p in parts]).astype(np.int32),
        np.concatenate([p.target_mop for p in parts]).astype(np.int32),
    )


def edges_between(
    txns: int, kind: int, source_mop: np.ndarray, target_mop: np.ndarray, txn_of_mop: np.ndarray
) -> Graph:
    """Edges of one kind from the micro-ops that prove them; those of a transaction to itself are left out."""
    source, target = txn_of_mop[source_mop], txn_of_mop[target_mop]
    keep = source != target
    return Graph(
        txns,
        txns,
        source[keep],
        target[keep],
        np.full(int(keep.sum()), kind, np.int8),
        source_mop[keep],
        target_mop[keep],
    )


def before_all(txns: int, reads: np.ndarray, writes: np.ndarray, txn_of_mop: np.ndarray) -> Graph:
    """rw edges from every read to every write (of other transactions), O(reads + writes) of them.

    `writes`: one for each transaction.
    """
    if len(reads) * len(writes) <= 4 * (len(reads) + len(writes)):
        return edges_between(txns, RW, np.repeat(reads, len(writes)), np.tile(writes, len(reads)), txn_of_mop)
    return before_all_of_each(
        txns, reads, np.zeros(len(reads), np.int64), writes, np.array([0, len(writes)]), txn_of_mop
    )


def before_all_of_each(
    txns: int, reads: np.ndarray, row: np.ndarray, writes: np.ndarray, start: np.ndarray, txn_of_mop: np.ndarray
) -> Graph:
    """The same for several rows of writes at once: r = row[i], read i comes before writes[start[r] : start[r + 1]].

    The writes of a row stand as w1 ... wu. A chain of virtual nodes leads from each place to all later writes, another
    to all earlier ones; a read of a transaction that is itself in the row goes around its own place. No row is empty.
    """
    count = len(writes)
    place = np.arange(count)
    later = txns + place
    earlier = later + count
    writer, reader = txn_of_mop[writes], txn_of_mop[reads]
    name = np.repeat(np.arange(len(start) - 1), np.diff(start)) * txns + writer
    by_name = np.argsort(name)
    wanted = row.astype(np.int64) * txns + reader
    own = by_name[np.minimum(np.searchsorted(name[by_name], wanted), count - 1)]
    among = name[own] == wanted
    begin, end = start[row], start[row + 1]
    onward = np.where(among, own + 1, begin)
    up, down = onward < end, among & (own > begin)
    chained = np.ones(count, bool)
    chained[start[1:] - 1] = False
    place = place[chained]
    reading = np.concatenate((reads[up], reads[down]))
    none = np.full(2 * len(place), NO_MOP)
    source = (txn_of_mop[reading], later, earlier, later[place], earlier[place + 1])
    target = (later[onward[up]], earlier[own[down] - 1], writer, writer, later[place + 1], earlier[place])
    return Graph(
        txns,
        txns + 2 * count,
        np.concatenate(source).astype(np.int32),
        np.concatenate(target).astype(np.int32),
        np.concatenate((np.full(len(reading), RW), np.full(2 * count + len(none), PASS))).astype(np.int8),
        np.concatenate((reading, np.full(2 * count, NO_MOP), none)).astype(np.int32),
        np.concatenate((np.full(len(reading), NO_MOP), writes, writes, none)).astype(np.int32),
    )
