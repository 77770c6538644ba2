"""Edges of sessions and of realtime, against what was done before what, transaction by transaction."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.transactions.dependency_graph import PROCESS, REALTIME
from checkers.transactions.order_edges import order_graph
from harness.history import FAIL, INFO, OK

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(st.integers(0, 9), st.integers(1, 3), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_edges_lead_from_what_was_done_to_what_began_after_it(
    txns: int, clients: int, timed: bool, in_order: bool, seed: int
) -> None:
    """Also of transactions that overlap, that come in any order, and of which some do not count."""
    chance = np.random.default_rng(seed)
    records = chance.choice(3 * txns, 2 * txns, replace=False).reshape(txns, 2)
    began, completed = records.min(axis=1, initial=4 * txns), records.max(axis=1, initial=-1)
    status = chance.choice([OK, INFO, FAIL], txns, p=[0.7, 0.2, 0.1]).astype(np.int8)
    completed[status == INFO] = -1
    committed = (status != FAIL) & (chance.random(txns) < 0.9)
    process = chance.choice([3, 10**12, -5], clients, replace=False)[chance.integers(0, clients, txns)]
    if in_order:
        order = np.argsort(began)
        status, process, began = status[order], process[order], began[order]
        completed, committed = completed[order], committed[order]
    graph = order_graph(status, process, began, completed, committed, timed=timed)
    edges = list(zip(graph.source.tolist(), graph.target.tolist(), graph.kind.tolist(), strict=True))
    later = sorted(range(txns), key=lambda txn: began[txn])
    expected = set()
    for one in range(txns):
        after = [t for t in later if process[t] == process[one] and began[t] > began[one] and committed[t]]
        if committed[one] and status[one] == OK:
            until = next((place for place, t in enumerate(after) if status[t] == OK), len(after) - 1)
            expected |= {(one, t) for t in after[: until + 1]}
    assert {(s, t) for s, t, kind in edges if kind == PROCESS} == expected
    assert len(edges) == len(set(edges))
    reaches = np.zeros((graph.nodes, graph.nodes), bool)
    for source, target, kind in edges:
        reaches[source, target] = kind == REALTIME
    for middle in range(txns, graph.nodes):
        reaches |= np.outer(reaches[:, middle], reaches[middle])
    for one in range(txns):
        for other in range(txns):
            both = timed and bool(committed[one] and committed[other])
            assert reaches[one, other] == (both and 0 <= completed[one] < began[other])
