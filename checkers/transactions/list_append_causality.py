"""Effects that were seen without their causes, in list-append histories.

Problem: a transaction reads what depends on something that it misses: the cause was visible to the reader, through a
chain of transactions each of which read from the one before. Cerone, Bernardi and Gotsman (2015) call what forbids it
causal consistency; in the terms of Cerone, Gotsman and Yang (2017): (SO ∪ WR)⁺ ; RW leads from a transaction to itself,
where RW leads to every later version.

Idea: cycles with exactly one rw edge in a graph without ww edges, in which a chain of version nodes stands for "this
version and all later ones of the key". Only what lies on cycles of the graph of all dependencies is looked at.

Cost: as for `checkers.transactions.cycles`, over those transactions.
"""

from __future__ import annotations

import numpy as np

from checkers.transactions.cycle_kinds import SINGLE, Cycle, Timing, name_of
from checkers.transactions.cycles import find_cycles
from checkers.transactions.dependency_graph import NO_MOP, PASS, RW, WW, Graph, edges_between, graph_of
from checkers.transactions.list_append_values import appends_later
from checkers.transactions.list_append_versions import NOBODY, Versions
from checkers.transactions.txn_columns import TxnColumns

CAUSALITY = "causality-violation"
SPELLED_OUT_MAX = 256
"""How many versions between a read and the own append after it are looked at, where there are more."""


def causality_violations(
    columns: TxnColumns,
    txn: np.ndarray,
    versions: Versions,
    graph: Graph,
    cyclic: np.ndarray,
    timing: Timing,
    limit: int,
) -> tuple[dict[str, tuple[int, list[Cycle]]], dict[str, str]]:
    """({type: (how many, some)}, {type: why it is not known}). cyclic: bool[n], the transactions on cycles."""
    keep = graph.subset(_inside(graph, cyclic))
    part = keep.subset((keep.kind != WW) & ~((keep.kind == RW) & (keep.target_mop != NO_MOP)))
    also_writes = appends_later(columns.function, versions.previous, len(columns.function))
    spelled_out = _until_own(columns, txn, versions, keep, also_writes)
    closed = _with_later_versions(
        graph_of(len(columns), [part, spelled_out]), keep, versions, cyclic, txn, txn, skip=also_writes
    )
    search = find_cycles(closed, timing, limit)
    found, open_types = {}, {}
    for strength, suffix in enumerate(("", "-process", "-realtime")):
        kind = search.kinds.get(name_of(SINGLE, strength))
        if kind is not None:
            found[CAUSALITY + suffix] = (kind.count, kind.cycles)
        elif name_of(SINGLE, strength) in search.open_types:
            open_types[CAUSALITY + suffix] = (
                "a knot of dependencies was too large to look for every effect without cause"
            )
    return found, open_types


def _inside(graph: Graph, cyclic: np.ndarray) -> np.ndarray:
    """bool[e]: the edges between transactions on cycles, and those of virtual nodes."""
    wide = np.concatenate((cyclic, np.ones(graph.nodes - graph.txns, bool)))
    return wide[graph.source] & wide[graph.target]


def _until_own(
    columns: TxnColumns, txn: np.ndarray, versions: Versions, graph: Graph, also_writes: np.ndarray
) -> Graph:
    """rw edges of those who read a key and then append to it: to each version before their own."""
    edges = np.flatnonzero((graph.kind == RW) & (graph.target_mop != NO_MOP))
    edges = edges[also_writes[graph.source_mop[edges]]]
    reads: list[int] = []
    writes: list[int] = []
    for read, write in zip(graph.source_mop[edges].tolist(), graph.target_mop[edges].tolist(), strict=True):
        reads.append(read)
        writes.append(write)
        place = int(versions.position[write])
        if place < 0:
            continue
        start = int(versions.start[columns.key[read]])
        end = start + min(int(versions.length[columns.key[read]]), place + SPELLED_OUT_MAX)
        for mop in versions.writer[start + place + 1 : end].tolist():
            if mop != NOBODY and txn[mop] == txn[read]:
                break
            if mop != NOBODY and versions.committed[txn[mop]]:
                reads.append(read)
                writes.append(mop)
    return edges_between(len(columns), RW, np.array(reads, np.int64), np.array(writes, np.int64), txn)


def _with_later_versions(
    base: Graph,
    graph: Graph,
    versions: Versions,
    cyclic: np.ndarray,
    txn: np.ndarray,
    node_of: np.ndarray,
    skip: np.ndarray | None = None,
) -> Graph:
    """`base` and, from each reader, an rw edge to every version later than the one it read.

    graph: with the rw edges to the next version, and the ww edges that tell what follows it. node_of: the node of base
    that each micro-op belongs to. skip: bool[m], reads to leave out.
    """
    rw = np.flatnonzero((graph.kind == RW) & (graph.target_mop != NO_MOP))
    if skip is not None:
        rw = rw[~skip[graph.source_mop[rw]]]
    ww = np.flatnonzero((graph.kind == WW) & (graph.target_mop != NO_MOP))
    own = np.flatnonzero((versions.next_append >= 0) & cyclic[txn] & versions.committed[txn])
    earlier = np.concatenate((graph.source_mop[ww], own)).astype(np.int64)
    later = np.concatenate((graph.target_mop[ww], versions.next_append[own])).astype(np.int64)
    appends = np.unique(np.concatenate((graph.target_mop[rw].astype(np.int64), earlier, later)))
    version = base.nodes + np.arange(len(appends))

    def node(append: np.ndarray) -> np.ndarray:
        return version[np.searchsorted(appends, append)]

    def column(of_base: np.ndarray, of_rw: np.ndarray, of_appends: np.ndarray, of_chain: np.ndarray) -> np.ndarray:
        return np.concatenate((of_base, of_rw, of_appends, of_chain)).astype(of_base.dtype)

    reads = graph.source_mop[rw]
    nothing, no_rw = np.full(len(earlier), NO_MOP), np.full(len(rw), NO_MOP)
    return Graph(
        base.txns,
        base.nodes + len(appends),
        column(base.source, node_of[reads], version, node(earlier)),
        column(base.target, node(graph.target_mop[rw]), node_of[appends], node(later)),
        column(base.kind, np.full(len(rw), RW), np.full(len(appends), PASS), np.full(len(earlier), PASS)),
        column(base.source_mop, reads, np.full(len(appends), NO_MOP), nothing),
        column(base.target_mop, no_rw, appends, nothing),
    )
