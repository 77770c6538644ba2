"""The dependencies between the transactions of a list-append history, from its version orders.

- ww: from each append to the next one in the key's order.
- wr: from the append that a read saw last to the reader.
- rw: from a reader to the append right after what it read.
- Appends of committed transactions that nobody read come after all that were read. Where several are open, a reader of
  the last version comes before each of them (rw, then perhaps ww; if it appended itself, perhaps by ww alone: the edge
  is at least as weak as the truth), and
  the last append that was read comes before each (ww). What their order among themselves allows is
  `checkers.open_orders`' matter.
- process and realtime edges as in `checkers.dependency_graph`.

Each edge holds in every completion and every version order that the reads allow. Garbage and aborted appends are
skipped over; keys with repeated values give no edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.dependency_graph import (
    RW,
    WR,
    WW,
    Graph,
    before_all,
    edges_between,
    graph_of,
    realtime_edges,
    session_edges,
)
from checkers.list_append_versions import NOBODY, Versions
from checkers.txn_columns import APPEND, READ, TxnColumns
from harness.history import OK


@dataclass(frozen=True)
class Dependencies:
    """graph: all edges. open_writes: for each key with several open appends, one micro-op for each transaction."""

    graph: Graph
    open_writes: dict[int, np.ndarray]


def dependencies(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Dependencies:
    """All edges of a history."""
    n = len(columns)
    key_count = len(columns.keys)
    key_of_version = np.repeat(np.arange(key_count), np.diff(versions.start))
    place = np.arange(len(versions.writer)) - versions.start[key_of_version]
    certain = (versions.writer != NOBODY) & (place < versions.length[key_of_version])
    certain[certain] = versions.committed[txn[versions.writer[certain]]]
    chain = versions.writer[certain]
    chain_key = key_of_version[certain]
    next_in_key = chain_key[1:] == chain_key[:-1]
    parts = [edges_between(n, WW, chain[:-1][next_in_key], chain[1:][next_in_key], txn)]

    # how many of the certain appends come before each version: where a read of that length stands in the chain
    before = np.concatenate(([0], np.cumsum(certain)))
    reads = np.flatnonzero(
        (columns.function == READ) & (columns.status[txn] == OK) & versions.usable[columns.key]
        if n
        else np.empty(0, bool)
    )
    saw_own = np.zeros(len(reads), bool)
    seen = versions.last_writer[reads]
    saw_own[seen != NOBODY] = txn[seen[seen != NOBODY]] == txn[reads[seen != NOBODY]]
    reads = reads[~saw_own]
    lengths = np.diff(columns.list_start)[reads]
    key = columns.key[reads]
    fits = versions.fits[reads]
    end = versions.start[key] + np.minimum(lengths, versions.length[key])
    first, stop, last = before[versions.start[key]], before[end], before[versions.start[key] + versions.length[key]]

    from_write = fits & (stop > first) & (lengths <= versions.length[key])
    parts.append(edges_between(n, WR, chain[stop[from_write] - 1], reads[from_write], txn))
    parts += _odd_read_edges(columns, txn, versions, reads[fits & (lengths > versions.length[key])], n)
    to_write = fits & (stop < last) & (lengths <= versions.length[key])
    parts.append(edges_between(n, RW, reads[to_write], chain[stop[to_write]], txn))

    at_end = fits & (stop == last) & versions.agreed[key]
    open_parts, open_writes = _open_appends(columns, txn, versions, reads[at_end], chain, chain_key)
    parts += open_parts
    parts.append(session_edges(columns.status, columns.process, columns.began, versions.committed))
    if columns.timed:
        parts.append(realtime_edges(columns.invoked, columns.completed, versions.committed))
    return Dependencies(graph_of(n, parts), open_writes)


def _odd_read_edges(
    columns: TxnColumns, txn: np.ndarray, versions: Versions, beyond: np.ndarray, n: int
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
    for read in beyond.tolist():
        start = int(versions.start[columns.key[read]])
        length = int(columns.list_start[read + 1] - columns.list_start[read])
        add(read, versions.writer[start : start + length].tolist())
    return [edges_between(n, WR, np.array(writes, np.int64), np.array(readers, np.int64), txn)] if writes else []


def _open_appends(
    columns: TxnColumns,
    txn: np.ndarray,
    versions: Versions,
    last_readers: np.ndarray,
    chain: np.ndarray,
    chain_key: np.ndarray,
) -> tuple[list[Graph], dict[int, np.ndarray]]:
    """Edges to the committed appends that nobody read. last_readers: reads of the last version of their key."""
    n = len(columns)
    unread = (columns.function == APPEND) & (versions.position < 0)
    if not np.any(unread):
        return [], {}
    unread &= versions.committed[txn] & versions.usable[columns.key] & versions.agreed[columns.key]
    mops = np.flatnonzero(unread)
    if not len(mops):
        return [], {}
    # one append for each transaction and key: its first
    fresh = np.ones(len(mops), bool)
    earlier = versions.previous_append[mops]
    fresh[earlier >= 0] = versions.position[earlier[earlier >= 0]] >= 0
    mops = mops[fresh]
    key = columns.key[mops]
    order = np.argsort(key, kind="stable")
    mops, key = mops[order], key[order]

    last_of_key = np.full(len(columns.keys), -1, np.int64)
    last_of_key[chain_key] = chain
    has_last = last_of_key[key] >= 0
    parts = [edges_between(n, WW, last_of_key[key[has_last]], mops[has_last], txn)]

    begins = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    ends = np.concatenate((begins[1:], [len(key)]))
    count = np.zeros(len(columns.keys), np.int64)
    count[key[begins]] = ends - begins
    only = np.full(len(columns.keys), -1, np.int64)
    only[key[begins]] = mops[begins]
    reader_key = columns.key[last_readers]
    single = last_readers[count[reader_key] == 1]
    parts.append(edges_between(n, RW, single, only[columns.key[single]], txn))
    open_writes: dict[int, np.ndarray] = {}
    several = np.flatnonzero(ends - begins > 1)
    if len(several):
        readers = last_readers[count[reader_key] > 1]
        readers = readers[np.argsort(columns.key[readers], kind="stable")]
        sorted_keys = columns.key[readers]
        for i in several.tolist():
            k = int(key[begins[i]])
            writes = mops[begins[i] : ends[i]]
            open_writes[k] = writes
            low, high = np.searchsorted(sorted_keys, [k, k + 1])
            if high > low:
                parts.append(before_all(n, readers[low:high], writes, txn))
    return parts, open_writes
