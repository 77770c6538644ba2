"""Which versions of a register must come before which, by the axioms of a consistency model.

Problem: black-box registers don't show the order of their versions, and a model below snapshot isolation is kept if
*some* order fits. Must every order be tried?

Idea (Biswas & Enea, On the Complexity of Checking Transactional Consistency, OOPSLA 2019, section 3): these models
demand of an order one thing only: if T read a version of x, and another writer W of x was visible to T, then W's
version came before the one that T read. They differ in what is visible:
- monotonic atomic view: whom T has read from, before that read (Bailis et al., Highly Available Transactions, 2014:
  a transaction that was observed does not vanish);
- read atomic: whom T read from, before or after; and what T's session, or realtime, puts before it;
- causal: all that leads to T by reads, sessions and realtime, as far as the model's strength counts them.
None of these depends on the order that is sought. So what is demanded is known at once, and an order fits exactly if
what is known and what is demanded has no circle: any topological order is one. No search is needed.

Cost: O(reads × writers of a key), and for causal also O(edges × reads / 64).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from checkers.transactions.dependency_graph import PROCESS, REALTIME, WR, Graph
from checkers.transactions.graph_kernels import rows
from checkers.transactions.polygraph_clauses import OUT_OF_TIME, Undecided
from checkers.transactions.polygraph_kernels import reach, topological
from checkers.transactions.rw_register_edges import ranges
from checkers.transactions.rw_register_versions import MISSED, NOBODY, VERSION, Versions
from checkers.transactions.txn_columns import TxnColumns
from harness.compiled import working_time
from harness.history import OK

PAIRS_AT_ONCE_MAX = 4_000_000
WORDS_MAX, WORDS_OF_ALL_MAX = 64, 2**25
"""Words, of 64 readers each, whose pasts are worked out at once: for a node, and for all nodes."""


class Visible(enum.Enum):
    """What a transaction's reads must take into account."""

    OBSERVED_BEFORE = 0
    OBSERVED = 1
    CAUSAL = 2


@dataclass(frozen=True)
class Demands:
    """d demands, each once. write: int64[d], micro-op of the version that must come first. over: int64[d], that of the
    version that must come later, NOBODY where it is the state before any write, so that nothing helps. read: int64[d],
    a read that demands it.
    """

    write: np.ndarray
    over: np.ndarray
    read: np.ndarray

    def __len__(self) -> int:
        return len(self.write)

    def possible(self) -> Demands:
        """Those that can be met one by one."""
        return self._some(self.over != NOBODY)

    def impossible(self) -> Demands:
        """The others."""
        return self._some(self.over == NOBODY)

    def _some(self, keep: np.ndarray) -> Demands:
        return Demands(self.write[keep], self.over[keep], self.read[keep])


class _Reads:
    """The reads of other transactions' versions, and of the state before any: r of them, with their versions (-1)."""

    def __init__(self, columns: TxnColumns, txn: np.ndarray, versions: Versions) -> None:
        row = np.repeat(np.arange(len(versions.read_start) - 1), np.diff(versions.read_start))
        self.mop = versions.read.astype(np.int64)
        self.key = columns.key[self.mop].astype(np.int64)
        version = row - self.key - 1
        self.version = np.where(version < versions.start[self.key], NOBODY, version)
        self.txn = txn[self.mop].astype(np.int64)

    def __len__(self) -> int:
        return len(self.mop)


def demands(
    columns: TxnColumns,
    txn: np.ndarray,
    versions: Versions,
    known: Graph,
    visible: Visible,
    strength: int,
    deadline: float,
) -> Demands:
    """All that a model demands.

    known: the dependencies that hold in every order. strength: 1 to count sessions, 2 to count realtime too; of
    monotonic atomic view they demand nothing more of the versions. Raises Undecided at the deadline (of
    working_time()).
    """
    reads = _Reads(columns, txn, versions)
    if visible is Visible.CAUSAL:
        kinds = (WR, PROCESS, REALTIME)[: strength + 1]
        parts = _of_the_past(versions, reads, known.subset(np.isin(known.kind, kinds)), deadline)
    else:
        parts = [_observed(columns, txn, versions, reads, before=visible is Visible.OBSERVED_BEFORE)]
        if visible is Visible.OBSERVED and strength:
            parts.append(_of_the_session(columns, versions, reads))
        if visible is Visible.OBSERVED and strength == 2:
            parts += _ended_before(columns, versions, reads, deadline)
    version = np.concatenate([part[0] for part in parts])
    at = np.concatenate([part[1] for part in parts])
    keep = (version != reads.version[at]) & (versions.writer[version] != reads.txn[at])
    version, at = version[keep], at[keep]
    _, once = np.unique(version * (len(versions.mop) + 1) + reads.version[at] + 1, return_index=True)
    version, at = version[once], at[once]
    over = np.where(reads.version[at] == NOBODY, NOBODY, _mop_of(versions, reads.version[at]))
    return Demands(versions.mop[version].astype(np.int64), over, reads.mop[at])


def _mop_of(versions: Versions, version: np.ndarray) -> np.ndarray:
    return versions.mop[np.maximum(version, 0)].astype(np.int64) if len(versions.mop) else version


def version_by(versions: Versions, txn: np.ndarray, key: np.ndarray) -> np.ndarray:
    """int64[]: the version that a transaction wrote of a key, NOBODY if it wrote none."""
    keys = len(versions.start) - 1
    code = versions.writer.astype(np.int64) * keys + versions.key_of_version
    wanted = txn.astype(np.int64) * keys + key
    if not len(code):
        return np.full(len(wanted), NOBODY, np.int64)
    order = np.argsort(code, kind="stable")
    place = order[np.minimum(np.searchsorted(code[order], wanted), len(code) - 1)]
    return np.where(code[place] == wanted, place, NOBODY)


def _observed(
    columns: TxnColumns, txn: np.ndarray, versions: Versions, reads: _Reads, *, before: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(version, place in reads): written by whom the reader read from, too. before: only if before that read."""
    saw = np.flatnonzero((versions.saw == VERSION) & (versions.inner != MISSED) & versions.usable[columns.key])
    start = np.searchsorted(txn[saw], np.arange(len(columns) + 1))
    which, at = ranges(start[reads.txn], np.diff(start)[reads.txn])
    source = saw[which]
    if before:
        at, source = at[source < reads.mop[at]], source[source < reads.mop[at]]
    version = version_by(versions, txn[versions.source[source]], reads.key[at])
    return version[version != NOBODY], at[version != NOBODY]


def _of_the_session(columns: TxnColumns, versions: Versions, reads: _Reads) -> tuple[np.ndarray, np.ndarray]:
    """The last version of the key that the reader's session had written before: the ones before come before it."""
    written = np.flatnonzero(columns.status[versions.writer] == OK)
    process = np.unique(columns.process, return_inverse=True)[1].astype(np.int64)
    most = int(columns.began.max(initial=0)) + 2

    def code(key: np.ndarray, txn: np.ndarray) -> np.ndarray:
        return (key * (int(process.max(initial=0)) + 1) + process[txn]) * most + columns.began[txn] + 1

    mine = code(versions.key_of_version[written], versions.writer[written])
    order = np.argsort(mine, kind="stable")
    wanted = code(reads.key, reads.txn)
    place = np.searchsorted(mine[order], wanted) - 1
    good = np.flatnonzero(place >= 0)
    version = written[order[place[good]]]
    same = mine[order[place[good]]] // most == wanted[good] // most
    return version[same], good[same]


def _pairs(versions: Versions, reads: _Reads, deadline: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """(place in reads, version) of the same key, all of them, a part at a time."""
    writers = np.diff(versions.start)[reads.key]
    chunk = np.cumsum(writers) // PAIRS_AT_ONCE_MAX
    parts = []
    for number in np.unique(chunk).tolist():
        if working_time() > deadline:
            raise Undecided(OUT_OF_TIME)
        some = np.flatnonzero(chunk == number)
        version, which = ranges(versions.start[reads.key[some]], writers[some])
        parts.append((some[which], version))
    return parts


def _ended_before(
    columns: TxnColumns, versions: Versions, reads: _Reads, deadline: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """All versions of the key whose writers had ended before the reader began."""
    parts = []
    for at, version in _pairs(versions, reads, deadline):
        ended = columns.completed[versions.writer[version]]
        done = (ended >= 0) & (ended < columns.invoked[reads.txn[at]])
        parts.append((version[done], at[done]))
    return parts


def _of_the_past(
    versions: Versions, reads: _Reads, past: Graph, deadline: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """All versions of the key whose writers lead to the reader."""
    first, by_source = rows(past.source, past.nodes)
    order = topological(first, by_source, past.target, past.nodes)
    if len(order) < past.nodes:
        raise Undecided("dependencies that go in a circle have no past")
    parts = []
    readers = np.unique(reads.txn)
    at_once = 64 * max(1, min(WORDS_MAX, WORDS_OF_ALL_MAX // max(1, past.nodes)))
    for low in range(0, len(readers), at_once):
        if working_time() > deadline:
            raise Undecided(OUT_OF_TIME)
        block = readers[low : low + at_once]
        column = np.full(past.nodes, -1, np.int64)
        column[block] = np.arange(len(block))
        bits = reach(first, by_source, past.target, order, column, (len(block) + 63) // 64)
        inside = np.flatnonzero(column[reads.txn] >= 0)
        writers = np.diff(versions.start)[reads.key[inside]]
        version, which = ranges(versions.start[reads.key[inside]], writers)
        at = inside[which]
        reader = column[reads.txn[at]]
        seen = bits[versions.writer[version], reader >> 6] >> (reader & 63).astype(np.uint64) & np.uint64(1)
        parts.append((version[seen != 0], at[seen != 0]))
    return parts or [(np.empty(0, np.int64), np.empty(0, np.int64))]
