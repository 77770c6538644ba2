"""Cursor stability and prefix of registers, as questions about orders that every cycle breaks.

Problem: whether a history keeps cursor stability or prefix depends on the order of the versions, and no axiom gives
that order at once (deciding prefix is NP-complete: Biswas & Enea, OOPSLA 2019; so is cursor stability with blind
writes: "no write between a version and the one that was made of it" is what a polygraph says). `polygraph` searches
orders that leave no cycle at all. Idea: hand it the transactions so that cycles are exactly what the model forbids.
- Cursor stability (Adya, Weak Consistency, 1999, PL-CS): who reads a version and then writes the key makes the next
  one. So only these readers count as readers; others may have been overtaken.
- Prefix (Cerone, Gotsman & Yang, CONCUR 2017: ((SO ∪ WR); RW?) ∪ WW is acyclic): each transaction is cut in two. It
  reads at its start and writes at its commit, and starts and commits stand in one order.

Cost: that of the polygraph's questions.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from checkers.transactions.dependency_graph import PASS, PROCESS, REALTIME, RW, WR, WW, Graph, edges_between, graph_of
from checkers.transactions.polygraph import Answer, Conflict, Link, Must, OpenKeys
from checkers.transactions.rw_register_edges import ranges
from checkers.transactions.rw_register_forced import version_by
from checkers.transactions.rw_register_guess import order_that_fits
from checkers.transactions.rw_register_versions import NOBODY, Versions
from checkers.transactions.txn_columns import TxnColumns

_ORDERED = (WR, PROCESS, REALTIME)


def cursor_answer(
    columns: TxnColumns,
    txn: np.ndarray,
    versions: Versions,
    known: Graph,
    keys: OpenKeys,
    strength: int,
    *,
    deadline: float,
    hint: np.ndarray,
) -> Answer:
    """Whether some order keeps cursor stability. known, keys: all dependencies and the keys whose order is open."""
    ordered = known.subset(np.isin(known.kind, _ORDERED))
    graph = graph_of(len(columns), [ordered, _first_writes(columns, txn, versions)])
    return order_that_fits(graph, _by_cursor(versions, keys), Must.SERIALIZABLE, strength, deadline=deadline, hint=hint)


def _first_writes(columns: TxnColumns, txn: np.ndarray, versions: Versions) -> Graph:
    """From who read the state before any write, and then wrote, to all others who wrote the key."""
    row = np.repeat(np.arange(len(versions.read_start) - 1), np.diff(versions.read_start))
    key = columns.key[versions.read].astype(np.int64)
    initial = np.flatnonzero(row == versions.start[key] + key)
    mine = version_by(versions, txn[versions.read[initial]], key[initial])
    mine, key = mine[mine != NOBODY], key[initial][mine != NOBODY]
    mine, once = np.unique(mine, return_index=True)
    key = key[once]
    other, which = ranges(versions.start[key], np.diff(versions.start)[key])
    return edges_between(len(columns), WW, versions.mop[mine[which]], versions.mop[other], txn)


def _by_cursor(versions: Versions, keys: OpenKeys) -> OpenKeys:
    """Only the readers that wrote the key, too."""
    version = np.repeat(np.arange(len(keys.writer)), np.diff(keys.reader_start))
    key = keys.key[keys.key_of_version()[version]].astype(np.int64)
    wrote = version_by(versions, keys.reader.astype(np.int64), key) != NOBODY
    count = np.bincount(version[wrote], minlength=len(keys.writer))
    return replace(
        keys,
        reader_start=np.concatenate(([0], np.cumsum(count))).astype(np.int64),
        reader=keys.reader[wrote],
        reader_mop=keys.reader_mop[wrote],
    )


def prefix_answer(known: Graph, keys: OpenKeys, strength: int, *, deadline: float, hint: np.ndarray) -> Answer:
    """Whether some order keeps prefix. hint: int64[2, n], places of completions and invocations."""
    n = known.txns
    answer = order_that_fits(
        _in_two(known),
        replace(keys, writer=(keys.writer + n).astype(np.int32)),
        Must.SERIALIZABLE,
        strength,
        deadline=deadline,
        hint=np.stack((np.concatenate((hint[1], hint[0])), np.concatenate((hint[1], hint[1])))),
    )
    if answer.conflict is None:
        return answer
    return replace(answer, conflict=Conflict([_in_one(cycle, n) for cycle in answer.conflict.cycles]))


def _in_two(known: Graph) -> Graph:
    """Starts are 0 ... n - 1, commits n ... 2n - 1, virtual nodes come after them."""
    n = known.txns
    source, target = known.source.astype(np.int64), known.target.astype(np.int64)
    against = (known.kind == RW) | (known.kind == PASS)
    source = np.where((source >= n) | (known.kind != RW), source + n, source)
    target = np.where((target >= n) | against, target + n, target)
    whole = np.arange(n)
    none = np.full(n, -1, np.int32)
    return Graph(
        2 * n,
        known.nodes + n,
        np.concatenate((source, whole)).astype(np.int32),
        np.concatenate((target, whole + n)).astype(np.int32),
        np.concatenate((known.kind, np.full(n, WR))).astype(np.int8),
        np.concatenate((known.source_mop, none)).astype(np.int32),
        np.concatenate((known.target_mop, none)).astype(np.int32),
    )


def _in_one(cycle: list[Link], txns: int) -> list[Link]:
    """The same between transactions."""
    links = [
        msgspec.structs.replace(
            link,
            source=link.source % txns,
            target=link.target % txns,
            first=link.first % txns if link.key >= 0 else -1,
            second=link.second % txns if link.key >= 0 else -1,
        )
        for link in cycle
    ]
    return [link for link in links if link.source != link.target]
