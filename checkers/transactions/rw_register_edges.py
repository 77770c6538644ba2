"""The dependencies between the transactions of a register history that hold in every order of the versions.

- wr: from the write to each transaction that read it.
- rw: from each reader of the state before any write to every writer of the key; and where a transaction read one
  version and wrote the next, from the other readers of the first to it ("writes follow reads": a database that lets
  them stand the other way round has let a transaction read from one that came later, which is a G1c).
- process and realtime edges as in `checkers.transactions.order_edges`.

Keys where a value may have been written twice give no edges. Cost: O(reads + writes).
"""

from __future__ import annotations

import numpy as np

from checkers.transactions.dependency_graph import RW, WR, Graph, before_all_of_each, edges_between, graph_of
from checkers.transactions.order_edges import order_graph
from checkers.transactions.polygraph_question import OpenKeys
from checkers.transactions.rw_register_versions import MISSED, NOBODY, VERSION, Versions
from checkers.transactions.txn_columns import WRITE, TxnColumns

PRODUCT_MAX = 4


def known_dependencies(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Graph:
    """All edges that hold in every order of the versions."""
    n = len(columns)
    parts = [
        _read_from(columns, txn, versions),
        _writes_follow_reads(columns, txn, versions),
        *_before_the_first(columns, txn, versions),
        order_graph(
            columns.status, columns.process, columns.began, columns.completed, versions.committed, timed=columns.timed
        ),
    ]
    return graph_of(n, parts)


def _read_from(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Graph:
    reads = np.flatnonzero((versions.saw == VERSION) & (versions.inner != MISSED) & versions.usable[columns.key])
    return edges_between(len(columns), WR, versions.source[reads], reads, txn)


def _before_the_first(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> list[Graph]:
    """Reads of the state before any write, to all versions of the key."""
    n = len(columns)
    writes = np.diff(versions.start)
    keys = np.flatnonzero(writes > 0)
    rows = versions.start[keys] + keys
    reads = versions.read_start[rows + 1] - versions.read_start[rows]
    first, row = ranges(versions.read_start[rows], reads)
    first, row = _once_each(versions.read[first], row, txn)
    writes = writes[keys]
    reads = np.bincount(row, minlength=len(keys))
    small = reads * writes <= PRODUCT_MAX * (reads + writes)
    at, to = products((np.cumsum(reads) - reads)[small], reads[small], versions.start[keys[small]], writes[small])
    parts = [edges_between(n, RW, first[at], versions.mop[to], txn)]
    large = np.flatnonzero(~small)
    if len(large):
        writing, _ = ranges(versions.start[keys[large]], writes[large])
        start = np.concatenate(([0], np.cumsum(writes[large])))
        chained = ~small[row]
        number = np.cumsum(~small) - 1
        parts.append(before_all_of_each(n, first[chained], number[row[chained]], versions.mop[writing], start, txn))
    return parts


def _once_each(read: np.ndarray, row: np.ndarray, txn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(read, row) without those of a transaction that has read the same row before. Ascending by row, then read."""
    once = np.ones(len(read), bool)
    once[1:] = (txn[read[1:]] != txn[read[:-1]]) | (row[1:] != row[:-1])
    return read[once], row[once]


def ranges(first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(place, group): for each group i all places first[i] .. first[i] + count[i]."""
    group = np.repeat(np.arange(len(count)), count)
    return np.arange(len(group)) + (first + count - np.cumsum(count))[group], group


def products(
    first: np.ndarray, count: np.ndarray, other_first: np.ndarray, other_count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each group all pairs of first[i] .. first[i] + count[i] with the others."""
    place, group = ranges(np.zeros(len(count), np.int64), count * other_count)
    return first[group] + place // other_count[group], other_first[group] + place % other_count[group]


def _writes_follow_reads(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Graph:
    """Where a transaction read one version and wrote another: the other readers of the first come before it."""
    later, row = follows(columns, txn, versions)
    count = versions.read_start[row + 1] - versions.read_start[row]
    at, which = ranges(versions.read_start[row], count)
    return edges_between(len(columns), RW, versions.read[at], versions.mop[later[which]], txn)


def follows(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> tuple[np.ndarray, np.ndarray]:
    """(version, row of reads): versions whose transaction read another version of the key before it wrote."""
    writes = np.flatnonzero((columns.function == WRITE) & (versions.previous >= 0))
    reads = versions.previous[writes].astype(np.int64)
    saw = (versions.saw[reads] == VERSION) & (versions.inner[reads] != MISSED) & versions.usable[columns.key[reads]]
    writes, reads = writes[saw], reads[saw]
    earlier = versions.version_of[versions.source[reads]].astype(np.int64)
    last = _last_write(columns, versions, writes)
    later = versions.version_of[last].astype(np.int64)
    good = (earlier != NOBODY) & (later != NOBODY)
    return later[good], earlier[good] + columns.key[reads[good]] + 1


def _last_write(columns: TxnColumns, versions: Versions, writes: np.ndarray) -> np.ndarray:
    """The last write of the same transaction to the same key."""
    following = np.full(len(columns.function), NOBODY, np.int64)
    own = np.flatnonzero(versions.previous >= 0)
    following[versions.previous[own]] = own
    result, at = writes.copy(), writes.copy()
    left = np.flatnonzero(versions.overwritten[writes])
    while len(left):
        at[left] = following[at[left]]
        left = left[at[left] != NOBODY]
        written = left[columns.function[at[left]] == WRITE]
        result[written] = at[written]
    return result


def open_keys(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> OpenKeys:
    """The keys with several versions."""
    count = np.diff(versions.start)
    keys = np.flatnonzero(count > 1)
    which, _ = ranges(versions.start[keys], count[keys])
    rows = which + np.repeat(keys, count[keys]) + 1
    readers = versions.read_start[rows + 1] - versions.read_start[rows]
    at, row = ranges(versions.read_start[rows], readers)
    reads, row = _once_each(versions.read[at], row, txn)
    readers = np.bincount(row, minlength=len(rows))
    return OpenKeys(
        key=keys.astype(np.int32),
        start=np.concatenate(([0], np.cumsum(count[keys]))).astype(np.int64),
        writer=versions.writer[which],
        writer_mop=versions.mop[which],
        reader_start=np.concatenate(([0], np.cumsum(readers))).astype(np.int64),
        reader=txn[reads].astype(np.int32),
        reader_mop=reads,
    )
