"""Which transaction was done before which other began: the edges of sessions and of realtime.

- process: from each `ok` transaction to the next committed one that its client began. Several of unknown outcome in a
  row all follow the last `ok` one, and lead nowhere: nothing says when they ended.
- realtime: a chain of barriers. A completion leads into the next barrier, a barrier into all invocations up to the one
  after: O(n) edges instead of O(n²).

Cost: O(transactions + records).
"""

from __future__ import annotations

import numpy as np

from checkers.transactions.dependency_graph import NO_MOP, PROCESS, REALTIME, Graph
from harness.compiled import kernel
from harness.history import OK


def order_graph(
    status: np.ndarray,
    process: np.ndarray,
    began: np.ndarray,
    completed: np.ndarray,
    committed: np.ndarray,
    *,
    timed: bool,
) -> Graph:
    """Both kinds of edges; without realtime if not `timed`.

    began, completed: int64[n], places in the history; completed is -1 where there is none. committed: bool[n], which
    transactions count.
    """
    n = len(began)
    if np.any(began[1:] < began[:-1]):
        order = np.argsort(began, kind="stable")
        columns = (status[order], process[order], began[order], completed[order], committed[order])
        graph = order_graph(*columns, timed=timed)
        names = np.concatenate((order, np.arange(n, graph.nodes))).astype(np.int32)
        return Graph(
            n, graph.nodes, names[graph.source], names[graph.target], graph.kind, graph.source_mop, graph.target_mop
        )
    barrier_of, barrier_count = barriers(began, completed, committed, places(began, completed) if timed else 0)
    room = 3 * n + barrier_count
    source, target, source_mop, target_mop = (np.empty(room, np.int32) for _ in range(4))
    columns = (source, target, np.empty(room, np.int8), source_mop, target_mop)
    count = order_edges(
        small_numbers(process), status == OK, committed, began, completed, barrier_of, barrier_count, 0, *columns
    )
    return Graph(n, n + barrier_count, *(column[:count] for column in columns))


def places(began: np.ndarray, completed: np.ndarray) -> int:
    """One more than the last place of the history that a transaction stands at."""
    return int(max(began.max(initial=-1), completed.max(initial=-1))) + 1


def small_numbers(process: np.ndarray) -> np.ndarray:
    """The processes, numbered from 0 (with gaps)."""
    if not len(process):
        return process
    low, high = int(process.min()), int(process.max())
    if high - low <= 4 * len(process) + 1024:
        return process - low
    return np.unique(process, return_inverse=True)[1].astype(np.int64)


@kernel
def barriers(invoked, completed, committed, places):
    """The chain of barriers: (what each place of the history is, how many barriers there are). places: 0 for none.

    Of a place: b >= 0, it is a completion that leads into barrier b; b <= -2, an invocation that barrier -2 - b leads
    to; -1, neither.
    """
    what = np.full(places, -1, np.int32)
    if places == 0:
        return what, 0
    begins = np.zeros(places, np.bool_)
    ends = np.zeros(places, np.bool_)
    for txn in range(len(invoked)):
        if committed[txn]:
            if invoked[txn] >= 0:
                begins[invoked[txn]] = True
            if completed[txn] >= 0:
                ends[completed[txn]] = True
    count = 0
    fresh = True
    for place in range(places):
        if ends[place]:
            if fresh:
                count += 1
                fresh = False
            what[place] = count - 1
        elif begins[place]:
            fresh = True
            if count:
                what[place] = -1 - count
    return what, count


@kernel
def order_edges(
    process,
    status_ok,
    committed,
    invoked,
    completed,
    barrier_of,
    barrier_count,
    count,
    source,
    target,
    kind,
    source_mop,
    target_mop,
):
    """Session edges (transactions come in the order in which their clients began them), then realtime ones."""
    txns = len(process)
    first = count
    processes = 0
    for txn in range(txns):
        processes = max(processes, process[txn] + 1)
    last = np.full(processes, -1, np.int32)
    for txn in range(txns):
        if not committed[txn]:
            continue
        before = last[process[txn]]
        if before >= 0:
            source[count], target[count], kind[count] = before, txn, PROCESS
            count += 1
        if status_ok[txn]:
            last[process[txn]] = txn
    if len(barrier_of):
        for txn in range(txns):
            if not committed[txn]:
                continue
            if completed[txn] >= 0:
                source[count], target[count], kind[count] = txn, txns + barrier_of[completed[txn]], REALTIME
                count += 1
            if invoked[txn] >= 0 and barrier_of[invoked[txn]] <= -2:
                source[count], target[count], kind[count] = txns - 2 - barrier_of[invoked[txn]], txn, REALTIME
                count += 1
        for barrier in range(barrier_count - 1):
            source[count], target[count], kind[count] = txns + barrier, txns + barrier + 1, REALTIME
            count += 1
    for edge in range(first, count):
        source_mop[edge] = NO_MOP
        target_mop[edge] = NO_MOP
    return count
