"""What each client did, micro-op after micro-op: the order that session guarantees, PRAM and causal memory speak of.

A transaction is nothing here but its client's reads and writes, one after the other. What follows a transaction of
unknown outcome is not ordered after it: it may take effect at any time. A client whose transactions overlap has no
order beyond each transaction's own.

Cost: O(micro-ops).
"""

from __future__ import annotations

import numpy as np

from checkers.transactions.dependency_graph import PROCESS, Graph
from checkers.transactions.list_append_sessions import orderly
from checkers.transactions.order_edges import order_graph, small_numbers
from checkers.transactions.txn_columns import TxnColumns


def clients(columns: TxnColumns) -> tuple[np.ndarray, np.ndarray]:
    """(int64[n], each transaction's client as a small number; bool[clients], whose transactions do not overlap)."""
    number = small_numbers(columns.process)
    return number, orderly(number, columns.began, columns.completed)


def program_order(columns: TxnColumns, txn: np.ndarray, wanted: np.ndarray) -> Graph:
    """Edges from each micro-op to the next of the same client, between micro-ops.

    wanted: bool[n], committed transactions; edges lead past all others.
    """
    mops = len(columns.function)
    number, ordered = clients(columns)
    shown = wanted & (np.diff(columns.mop_start) > 0)
    same = np.flatnonzero(shown[txn[:-1]] & (txn[1:] == txn[:-1])) if mops else np.empty(0, np.int64)
    counted = shown & ordered[number]
    between = order_graph(columns.status, columns.process, columns.began, columns.completed, counted, timed=False)
    source = np.concatenate((same, columns.mop_start[between.source + 1] - 1)).astype(np.int32)
    target = np.concatenate((same + 1, columns.mop_start[between.target])).astype(np.int32)
    return Graph(mops, mops, source, target, np.full(len(source), PROCESS, np.int8), source, target)
