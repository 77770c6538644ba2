"""Cursor stability where nobody read the appends: is there an order of them that it allows?

A transaction that read the whole of a list and then appended to it must, at cursor stability, be the next to append:
otherwise the row changed while it was at work on it (G-cursor). So of appends that nobody read its own comes first,
and every other writer of that key comes after it. Together with the dependencies that are known (ww, wr) these orders
are all that cursor stability demands (its stronger variants: with the order of sessions, or of realtime): an order of
the rest that follows a topological one closes no circle. A circle
among them breaks cursor stability in every order, and where there is none, it is kept.

Source: Adya, Weak Consistency (1999), section 4.5.2 (PL-CS, G-cursor). Cost: O(reads + appends + edges).
"""

from __future__ import annotations

import msgspec
import numpy as np

from checkers.transactions.cycle_kinds import SUFFIXES, Timing
from checkers.transactions.cycles import find_cycles
from checkers.transactions.dependency_graph import PROCESS, REALTIME, WR, WW, Graph, graph_of
from checkers.transactions.list_append_edges import OpenAppends
from checkers.transactions.list_append_explain import Explainer
from checkers.transactions.txn_columns import TxnColumns
from checkers.transactions.value_findings import Found
from harness.history import FAIL
from harness.verdict import Anomaly

TYPE = "G-cursor"


def cursor_circles(
    columns: TxnColumns, txn: np.ndarray, graph: Graph, opened: OpenAppends, strength: int, explainer: Explainer
) -> Found:
    """G-cursor that holds in every order of the open appends, one for each knot.

    strength: 1 if the order must respect sessions, 2 if it must respect realtime too.
    """
    type_ = TYPE + SUFFIXES[strength]
    forced = _forced(txn, len(columns), opened)
    if not len(forced):
        return Found(type_)
    known = graph.subset(np.isin(graph.kind, (WW, WR, PROCESS, REALTIME)[: strength + 2]))
    nobody = np.zeros(len(columns), np.int64)
    timing = Timing(np.full(len(columns), FAIL, np.int8), nobody, nobody, nobody - 1, timed=False)
    search = find_cycles(graph_of(len(columns), [known, forced]), timing, 1)
    cycles = [cycle for kind in search.kinds.values() for cycle in kind.cycles]
    shown = [_anomaly(explainer.anomaly(cycle), type_) for cycle in cycles[:1]]
    return Found(type_, len(cycles), shown, {type_} if cycles else set())


def _forced(txn: np.ndarray, txns: int, opened: OpenAppends) -> Graph:
    """ww edges from who read the last version of a key and then appended to it to all others that appended unread."""
    keys = len(opened.key)
    append_key = np.repeat(np.arange(keys), np.diff(opened.append_start))
    read_key = np.repeat(np.arange(keys), np.diff(opened.read_start))
    writers = append_key.astype(np.int64) * txns + txn[opened.append]
    readers = read_key.astype(np.int64) * txns + txn[opened.read]
    order = np.argsort(writers, kind="stable")
    place = (
        order[np.minimum(np.searchsorted(writers[order], readers), max(len(writers) - 1, 0))] if len(writers) else order
    )
    if not len(place):
        none = np.empty(0, np.int32)
        return Graph(txns, txns, none, none, none.astype(np.int8), none, none)
    own = (writers[place] == readers) & (opened.read < opened.append[place])
    first = np.unique(place[own])
    key = append_key[first]
    count = np.diff(opened.append_start)[key]
    source = np.repeat(first, count)
    target = np.concatenate(
        [np.arange(opened.append_start[k], opened.append_start[k + 1]) for k in key.tolist()] or [first]
    )
    other = source != target
    one, two = opened.append[source[other]], opened.append[target[other]]
    return Graph(
        txns,
        txns,
        txn[one].astype(np.int32),
        txn[two].astype(np.int32),
        np.full(len(one), WW, np.int8),
        one.astype(np.int32),
        two.astype(np.int32),
    )


def _anomaly(cycle: Anomaly, type_: str) -> Anomaly:
    """A circle of what is known and what cursor stability demands, told as what it is."""
    told = "; ".join(edge.why for edge in cycle.cycle)
    who = ", ".join(f"T{place} (op {edge.source})" for place, edge in enumerate(cycle.cycle, start=1))
    return msgspec.structs.replace(
        cycle,
        type=type_,
        cycle=[],
        sentence=(
            f"{who}: whoever reads a list and then appends to it must be the next to append, if rows don't change "
            "under a transaction that works on them. With that, these would each have come before the next, in a "
            f"circle: {told}."
        ),
    )
