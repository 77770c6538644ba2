"""The dependencies between the transactions of a register history that hold in every order of the versions.

- wr: from the write to each transaction that read it.
- rw: from each reader of the state before any write to every writer of the key; and where a transaction read one
  version and wrote the next, from the other readers of the first to it ("writes follow reads": a database that lets
  them stand the other way round has let a transaction read from one that came later, which is a G1c).
- process and realtime edges as in `checkers.transactions.dependency_graph`.

Keys where a value may have been written twice give no edges. Cost: O(reads + writes).
"""

from __future__ import annotations

import numpy as np

from checkers.transactions.dependency_graph import (
    RW,
    WR,
    Graph,
    before_all_of_each,
    edges_between,
    graph_of,
    realtime_edges,
    session_edges,
)
from checkers.transactions.polygraph_question import OpenKeys
from checkers.transactions.rw_register_versions import MISSED, NOBODY, VERSION, Versions
from checkers.transactions.txn_columns import WRITE, TxnColumns

PRODUCT_MAX = 4


def known_dependencies(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Graph:
    """All edges that hold in every order of the versions."""
    n = len(columns)
    parts = [
        _read_from(columns, txn, versions),
        *_before_the_first(columns, txn, versions),
        _writes_follow_reads(columns, txn, versions),
        session_edges(columns.status, columns.process, columns.began, versions.committed),
    ]
    if columns.timed:
        parts.append(realtime_edges(columns.invoked, columns.completed, versions.committed))
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
    none = np.zeros(len(keys), np.int64)
    first, row = products(versions.read_start[rows], reads, np.arange(len(keys)), none + 1)
    first = versions.read[first]
    _, once = np.unique(row * n + txn[first], return_index=True)
    first, row, writes = first[once], row[once], writes[keys]
    reads = np.bincount(row, minlength=len(keys))
    small = reads * writes <= PRODUCT_MAX * (reads + writes)
    at, to = products((np.cumsum(reads) - reads)[small], reads[small], versions.start[keys[small]], writes[small])
    parts = [edges_between(n, RW, first[at], versions.mop[to], txn)]
    large = np.flatnonzero(~small)
    if len(large):
        writing, _ = products(versions.start[keys[large]], writes[large], none[large], none[large] + 1)
        start = np.concatenate(([0], np.cumsum(writes[large])))
        chained = ~small[row]
        number = np.cumsum(~small) - 1
        parts.append(before_all_of_each(n, first[chained], number[row[chained]], versions.mop[writing], start, txn))
    return parts


def products(
    first: np.ndarray, count: np.ndarray, other_first: np.ndarray, other_count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each group all pairs of first[i] .. first[i] + count[i] with the others."""
    size = count * other_count
    group = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)
    return first[group] + place // other_count[group], other_first[group] + place % other_count[group]


def _writes_follow_reads(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Graph:
    """Where a transaction read one version and wrote another: the other readers of the first come before it."""
    later, row = follows(columns, txn, versions)
    count = versions.read_start[row + 1] - versions.read_start[row]
    at, which = products(versions.read_start[row], count, np.arange(len(row)), np.ones(len(row), np.int64))
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
    which, _ = products(versions.start[keys], count[keys], np.zeros(len(keys), np.int64), np.ones(len(keys), np.int64))
    rows = which + np.repeat(keys, count[keys]) + 1
    readers = versions.read_start[rows + 1] - versions.read_start[rows]
    at, _ = products(versions.read_start[rows], readers, np.zeros(len(rows), np.int64), np.ones(len(rows), np.int64))
    reads = versions.read[at]
    row = np.repeat(np.arange(len(rows)), readers)
    once = np.ones(len(reads), bool)
    once[1:] = (txn[reads[1:]] != txn[reads[:-1]]) | (row[1:] != row[:-1])
    reads, readers = reads[once], np.bincount(row[once], minlength=len(rows))
    return OpenKeys(
        key=keys.astype(np.int32),
        start=np.concatenate(([0], np.cumsum(count[keys]))).astype(np.int64),
        writer=versions.writer[which],
        writer_mop=versions.mop[which],
        reader_start=np.concatenate(([0], np.cumsum(readers))).astype(np.int64),
        reader=txn[reads].astype(np.int32),
        reader_mop=reads,
    )
