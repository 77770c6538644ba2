"""Components along some kinds of edges, against reachability by brute force."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.transactions.cycle_kernels import SELF, refine, room_to_refine
from checkers.transactions.dependency_graph import REALTIME, WW

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
NODES = 7
Edge = tuple[int, int, int]

edges_of = st.lists(
    st.tuples(
        st.integers(0, NODES - 1), st.integers(0, NODES - 1), st.sampled_from([*range(WW, REALTIME + 1), SELF])
    ).filter(lambda edge: edge[0] != edge[1]),
    max_size=20,
)


def rows_of(edges: list[Edge]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By source and kind; SELF comes first, as in a split graph."""
    by_row = sorted(edges, key=lambda edge: (edge[0], edge[2] != SELF, edge[2]))
    first = np.searchsorted([edge[0] for edge in by_row], np.arange(NODES + 1)).astype(np.int64)
    target = np.array([edge[1] for edge in by_row], np.int32)
    return first, target, np.array([edge[2] for edge in by_row], np.int8)


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(edges_of, st.integers(0, 2 ** (SELF + 1) - 1), st.lists(st.integers(-1, 1), min_size=NODES, max_size=NODES))
def test_components_are_what_reaches_each_other(edges: list[Edge], allowed: int, within: list[int]) -> None:
    used = [
        (source, target)
        for source, target, kind in edges
        if allowed >> kind & 1 and within[source] == within[target] >= 0
    ]
    reaches = np.zeros((NODES, NODES), bool)
    for source, target in used:
        reaches[source, target] = True
    for middle in range(NODES):
        reaches |= np.outer(reaches[:, middle], reaches[middle])
    label, count, rank = refine(*rows_of(edges), allowed, np.array(within, np.int32), True, room_to_refine(NODES))
    assert [own >= 0 for own in label] == [bool(reaches[node, node]) for node in range(NODES)]
    assert sorted(set(label[label >= 0].tolist())) == list(range(count))
    for one in range(NODES):
        for other in range(NODES):
            if label[one] >= 0 and label[other] >= 0:
                assert (label[one] == label[other]) == (reaches[one, other] and reaches[other, one])
    assert all(rank[source] >= rank[target] for source, target in used)
