"""The dependencies between the transactions of a list-append history, from its version orders.

- ww: from each append to the next one in the key's order.
- wr: from the append that a read saw last to the reader.
- rw: from a reader to the append right after what it read.
- Appends of committed transactions that nobody read come after all that were read. Where several are open, a reader of
  the last version comes before each of them (rw, then perhaps ww; if it appended itself, perhaps by ww alone: the edge
  is at least as weak as the truth), and
  the last append that was read comes before each (ww). What their order among themselves allows is
  `checkers.transactions.open_orders`' matter.
- process and realtime edges as in `checkers.transactions.dependency_graph`.

Each edge holds in every completion and every version order that the reads allow. Garbage and aborted appends are
skipped over; keys with repeated values give no edges.

Cost: O(micro-ops + versions); the loops themselves are in `checkers.transactions.list_append_edge_kernels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.transactions.dependency_graph import WR, Graph, before_all, edges_between, graph_of
from checkers.transactions.list_append_edge_kernels import certain_neighbours, open_appends, open_edges, value_edges
from checkers.transactions.list_append_versions import NOBODY, Versions
from checkers.transactions.order_edges import barriers, order_edges, places, small_numbers
from checkers.transactions.polygraph_question import OpenKeys
from checkers.transactions.txn_columns import TxnColumns
from harness.history import OK


@dataclass(frozen=True)
class OpenAppends:
    """The committed appends that nobody read, the first of each transaction and key, and the reads of the last version.

    key: int32[k], the keys that have any. append: int32[a], micro-ops; those of key[i] are
    append[append_start[i] : append_start[i + 1]]. read: int32[r], likewise, for keys with such appends only.
    last: int32[k], the last append of the key that was read, -1 for none.
    """

    key: np.ndarray
    append_start: np.ndarray
    append: np.ndarray
    read_start: np.ndarray
    read: np.ndarray
    last: np.ndarray

    def keys(self, txn: np.ndarray) -> OpenKeys:
        """The keys with several of them. txn: the transaction of each micro-op."""
        count = np.diff(self.append_start)
        several = np.flatnonzero(count > 1)
        mops = self.append[np.repeat(count > 1, count)]
        none = np.empty(0, np.int32)
        return OpenKeys(
            self.key[several].astype(np.int32),
            np.concatenate(([0], np.cumsum(count[several]))).astype(np.int64),
            txn[mops].astype(np.int32),
            mops.astype(np.int32),
            np.zeros(len(mops) + 1, np.int64),
            none,
            none,
        )


@dataclass(frozen=True)
class Dependencies:
    """graph: all edges. open: the appends whose place at the end of their key is open."""

    graph: Graph
    open: OpenAppends


def dependencies(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Dependencies:
    """All edges of a history."""
    n = len(columns)
    status_ok = columns.status == OK
    last_certain, next_certain, last_of_key = certain_neighbours(
        versions.start, versions.length, versions.writer, txn, versions.committed
    )
    at_end = np.zeros(len(columns.function), bool)
    opened, pairs_count, large = _open_appends(columns, txn, versions, last_of_key, next_certain, status_ok, at_end)
    barrier_of, barrier_count = barriers(
        columns.invoked,
        columns.completed,
        versions.committed,
        places(columns.invoked, columns.completed) if columns.timed else 0,
    )
    versions_count, reads_count = len(versions.writer), len(columns.function)
    most = versions_count + 2 * reads_count + len(opened.append) + pairs_count + 3 * n + barrier_count
    source, target = np.empty(most, np.int32), np.empty(most, np.int32)
    kind = np.empty(most, np.int8)
    source_mop, target_mop = np.empty(most, np.int32), np.empty(most, np.int32)
    arrays = (source, target, kind, source_mop, target_mop)
    count = value_edges(
        versions.start,
        versions.length,
        versions.writer,
        versions.usable,
        versions.fits,
        versions.last_writer,
        last_certain,
        next_certain,
        columns.function,
        columns.key,
        columns.list_start,
        txn,
        status_ok,
        *arrays,
    )
    count = open_edges(
        opened.append_start, opened.append, opened.read_start, opened.read, opened.last, large, txn, count, *arrays
    )
    count = order_edges(
        small_numbers(columns.process),
        status_ok,
        versions.committed,
        columns.invoked,
        columns.completed,
        barrier_of,
        barrier_count,
        count,
        *arrays,
    )
    whole = Graph(
        n,
        n + barrier_count,
        source[:count],
        target[:count],
        kind[:count],
        source_mop[:count],
        target_mop[:count],
    )
    parts = _odd_read_edges(columns, txn, versions, status_ok, n)
    for i in np.flatnonzero(large).tolist():
        reads = opened.read[opened.read_start[i] : opened.read_start[i + 1]]
        appends = opened.append[opened.append_start[i] : opened.append_start[i + 1]]
        parts.append(before_all(n, reads, appends, txn))
    return Dependencies(graph_of(n, [whole, *parts]) if parts else whole, opened)


def _odd_read_edges(
    columns: TxnColumns, txn: np.ndarray, versions: Versions, status_ok: np.ndarray, n: int
) -> list[Graph]:
    """Reads that fit no order, or go beyond what is certain of it: what they saw was still written before."""
    writes: list[int] = []
    readers: list[int] = []

    def add(read: int, writers: list[int]) -> None:
        known = [w for w in writers if w != NOBODY and versions.committed[txn[w]]]
        if known and txn[known[-1]] != txn[read]:
            writes.append(known[-1])
            readers.append(read)

    for read, writers in versions.odd_writers.items():
        if versions.usable[columns.key[read]]:
            add(read, writers)
    uncertain = np.flatnonzero(versions.usable & (versions.length < np.diff(versions.start)))
    if len(uncertain):
        reads = np.flatnonzero(np.isin(columns.key, uncertain) & versions.fits & status_ok[txn])
        lengths = columns.list_start[reads + 1] - columns.list_start[reads]
        for read in reads[lengths > versions.length[columns.key[reads]]].tolist():
            seen = int(versions.last_writer[read])
            if seen != NOBODY and txn[seen] == txn[read]:
                continue
            start = int(versions.start[columns.key[read]])
            length = int(columns.list_start[read + 1] - columns.list_start[read])
            add(read, versions.writer[start : start + length].tolist())
    return [edges_between(n, WR, np.array(writes, np.int64), np.array(readers, np.int64), txn)] if writes else []


def _open_appends(
    columns: TxnColumns,
    txn: np.ndarray,
    versions: Versions,
    last_of_key: np.ndarray,
    next_certain: np.ndarray,
    status_ok: np.ndarray,
    at_end: np.ndarray,
) -> tuple[OpenAppends, int, np.ndarray]:
    """(them, how many edges of readers to spell out, bool[k]: keys with so many that a chain stands for them)."""
    key, append_start, append, read_start, read = open_appends(
        versions.start,
        versions.length,
        versions.usable & versions.agreed,
        versions.position,
        versions.fits,
        versions.last_writer,
        versions.committed,
        next_certain,
        columns.function,
        columns.key,
        columns.list_start,
        txn,
        status_ok,
        at_end,
    )
    appends, reads = np.diff(append_start), np.diff(read_start)
    large = appends * reads > 4 * (appends + reads)
    pairs = int((appends * reads)[~large].sum())
    return OpenAppends(key, append_start, append, read_start, read, last_of_key[key]), pairs, large
