"""Where an order of the versions fails, and what of a history has to be searched for a better one.

Problem: of a million transactions an order may leave ten unexplained; the searches need not see the others. Idea: an
order makes a graph without open ends; what fails lies in its strongly connected components, the knots. The knots'
transactions, with those whose writes they read, are a history of their own:
- what contradicts itself there contradicts itself in the whole: leave out of any execution the transactions that none
  of the others read from, and every read still returns the same;
- an order that fits there, put into the whole, is tried on the whole.

Cost: O(n log n) for a graph and its knots.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from checkers.transactions.dependency_graph import RW, WR, WW, Graph, edges_between, graph_of
from checkers.transactions.graph_kernels import components, rows
from checkers.transactions.order_edges import order_graph
from checkers.transactions.polygraph import Must, OpenKeys, decide
from checkers.transactions.rw_register_edges import known_dependencies, open_keys
from checkers.transactions.rw_register_versions import MISSED, NOBODY, VERSION, Versions, versions_of
from checkers.transactions.rw_register_witness import NEVER, Witness, find_witness
from checkers.transactions.txn_columns import TxnColumns
from harness.compiled import working_time

ROUNDS_MAX = 4
ODD_MAX = 100
WITNESS_PART = 0.5
"""Of the time that is left, for a search for an order."""
NEAR = 48
"""How many transactions before and after one that is not explained are searched with it."""


def order_of(serial: np.ndarray, txns: int, versions: Versions) -> np.ndarray:
    """int64[v]: the versions, key by key in the order of their writers."""
    place = np.full(txns, len(serial), np.int64)
    place[serial] = np.arange(len(serial))
    return np.lexsort((place[versions.writer], versions.key_of_version))


def graph_of_order(columns: TxnColumns, txn: np.ndarray, versions: Versions, order: np.ndarray) -> Graph:
    """All dependencies if the versions of each key stand in this order."""
    n = len(columns)
    key = versions.key_of_version
    same = key[order][1:] == key[order][:-1]
    following = np.full(len(versions.read_start) - 1, NOBODY, np.int64)
    following[(order[:-1] + key[order[:-1]] + 1)[same]] = order[1:][same]
    written = np.flatnonzero(np.diff(versions.start) > 0)
    following[versions.start[written] + written] = order[versions.start[written]]
    row = np.repeat(np.arange(len(following)), np.diff(versions.read_start))
    known = following[row] != NOBODY
    reads = np.flatnonzero((versions.saw == VERSION) & (versions.inner != MISSED) & versions.usable[columns.key])
    parts = [
        edges_between(n, WW, versions.mop[order[:-1][same]], versions.mop[order[1:][same]], txn),
        edges_between(n, RW, versions.read[known], versions.mop[following[row[known]]], txn),
        edges_between(n, WR, versions.source[reads], reads, txn),
        order_graph(
            columns.status, columns.process, columns.began, columns.completed, versions.committed, timed=columns.timed
        ),
    ]
    return graph_of(n, parts)


def knotted(graph: Graph) -> np.ndarray:
    """bool[txns]: the transactions on cycles."""
    first, order = rows(graph.source, graph.nodes)
    label = components(first, order, graph.target, graph.nodes)
    inside = label[graph.source] == label[graph.target]
    cyclic = np.zeros(graph.nodes, bool)
    cyclic[graph.source[inside]] = True
    return cyclic[: graph.txns]


def with_sources(columns: TxnColumns, txn: np.ndarray, versions: Versions, some: np.ndarray) -> np.ndarray:
    """bool[n]: some transactions, those whose writes they read, and who shows that one of unknown outcome happened."""
    wanted = some.copy()
    reads = np.flatnonzero(some[txn] & (versions.source != NOBODY))
    wanted[txn[versions.source[reads]]] = True
    seen = np.flatnonzero(versions.source != NOBODY)
    unknown = wanted[txn[versions.source[seen]]] & (columns.completed[txn[versions.source[seen]]] < 0)
    wanted[txn[seen[unknown]]] = True
    reads = np.flatnonzero(wanted[txn] & (versions.source != NOBODY))
    wanted[txn[versions.source[reads]]] = True
    return wanted


def part_of(columns: TxnColumns, txn: np.ndarray, wanted: np.ndarray, usable: np.ndarray) -> TxnColumns:
    """The history of some transactions, and some keys. wanted: bool[n]. usable: bool[k]."""
    mops = wanted[txn] & usable[columns.key]
    elements = np.repeat(mops, np.diff(columns.list_start))
    changes = {
        field.name: getattr(columns, field.name)[wanted]
        for field in fields(columns)
        if field.name in ("status", "process", "op", "invoked", "completed", "began")
    }
    return replace(
        columns,
        **changes,
        mop_start=np.concatenate(([0], np.cumsum(np.bincount(txn[mops], minlength=len(columns))[wanted]))),
        function=columns.function[mops],
        key=columns.key[mops],
        value=columns.value[mops],
        list_start=np.concatenate(([0], np.cumsum(np.diff(columns.list_start)[mops]))),
        element=columns.element[elements],
    )


def explained(columns: TxnColumns, txn: np.ndarray, versions: Versions, deadline: float) -> Witness:
    """A serial order, with the parts that the simple search gets wrong searched well.

    deadline: of working_time(), for these parts.
    """
    first = second = np.empty(0, np.int64)
    witness = find_witness(columns, txn, versions, first, second, _part_of_the_time(deadline))
    wanted = np.zeros(len(columns), bool)
    for _ in range(ROUNDS_MAX):
        if witness.explains or len(witness.odd) > ODD_MAX + len(columns) // 1000:
            break
        wanted = with_sources(columns, txn, versions, wanted | _around(witness, len(columns)))
        part = part_of(columns, txn, wanted, versions.usable)
        part_txn = part.txn_of_mop()
        part_versions = versions_of(part, part_txn)
        keys = open_keys(part, part_txn, part_versions)
        known = known_dependencies(part, part_txn, part_versions)
        hint = np.where(part.completed >= 0, part.completed, NEVER)
        answer = decide(known, keys, Must.SERIALIZABLE, deadline=deadline, hint=hint)
        if not answer.possible or answer.order is None:
            break
        writer = np.flatnonzero(wanted)[keys.writer[np.lexsort((answer.order, keys.key_of_version()))]]
        same = keys.key_of_version()[1:] == keys.key_of_version()[:-1]
        witness = find_witness(columns, txn, versions, writer[:-1][same], writer[1:][same], _part_of_the_time(deadline))
    return witness


def _part_of_the_time(deadline: float) -> float:
    now = working_time()
    return now + (deadline - now) * WITNESS_PART


def _around(witness: Witness, txns: int) -> np.ndarray:
    """bool[n]: transactions near those that an order does not explain."""
    place = np.full(txns, -1, np.int64)
    place[witness.serial] = np.arange(len(witness.serial))
    near = place[witness.odd][:, None] + np.arange(-NEAR, NEAR + 1)
    near = np.unique(near[(near >= 0) & (near < len(witness.serial))])
    some = np.zeros(txns, bool)
    some[witness.serial[near]] = True
    return some


def put_into(
    order: np.ndarray, versions: Versions, wanted: np.ndarray, keys: OpenKeys, place: np.ndarray
) -> np.ndarray:
    """An order of all versions in which those of a part stand as an answer says: in the same places, in its order.

    wanted: bool[n], the part's transactions. keys, place: the part's open keys (of the part's transactions) and the
    place of each of their versions within its key.
    """
    numbers = np.flatnonzero(wanted)
    best = np.full(len(versions.mop), -1, np.int64)
    version_at = {
        (int(k), int(w)): v
        for v, (k, w) in enumerate(zip(versions.key_of_version.tolist(), versions.writer.tolist()))
        if wanted[w]
    }
    for i, k in enumerate(keys.key.tolist()):
        for v in range(int(keys.start[i]), int(keys.start[i + 1])):
            best[version_at[k, int(numbers[keys.writer[v]])]] = place[v]
    result = order.copy()
    slots = np.flatnonzero(best[order] >= 0)
    inside = order[slots]
    result[slots] = inside[np.lexsort((best[inside], versions.key_of_version[inside]))]
    return result
