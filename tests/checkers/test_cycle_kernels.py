"""Components, the edges inside of them, and cycles of two, each against brute force."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.transactions.cycle_kernels import (
    LONG_ROW,
    SELF,
    SHORT_ROW,
    adjacency,
    edges_around,
    edges_of_kinds,
    find_mutual,
    inner_edges,
    refine,
    refine_around,
    room_to_refine,
    with_edge,
)
from checkers.transactions.cycle_pairs import BY_SESSION, BY_TIME
from checkers.transactions.dependency_graph import PASS, REALTIME, RW, WR, WW

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
NODES = 7
Edge = tuple[int, int, int]

edges_of = st.lists(
    st.tuples(
        st.integers(0, NODES - 1), st.integers(0, NODES - 1), st.sampled_from([*range(WW, REALTIME + 1), SELF])
    ).filter(lambda edge: edge[0] != edge[1]),
    max_size=20,
)


def rows_of(edges: list[Edge], nodes: int = NODES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By source and kind; SELF comes first, as in a split graph."""
    by_row = sorted(edges, key=lambda edge: (edge[0], edge[2] != SELF, edge[2]))
    first = np.searchsorted([edge[0] for edge in by_row], np.arange(nodes + 1)).astype(np.int64)
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


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(
    st.one_of(st.integers(2, 9), st.integers(40, 80), st.just(3000)),
    st.floats(0.5, 3.0),
    st.integers(0, 2 ** (SELF + 1) - 1),
    st.integers(0, 2 ** (SELF + 1) - 1),
    st.integers(0, 2 ** (SELF + 1) - 1),
    st.integers(0, 2**32 - 1),
)
def test_known_parts_of_components_change_nothing(
    nodes: int, edges_each: float, allowed: int, fewer: int, more: int, seed: int
) -> None:
    """Also where they are found in steps, with further kinds in each, and only some components are looked into."""
    chance = np.random.default_rng(seed)
    count = int(nodes * edges_each)
    source, target = chance.integers(0, nodes, count), chance.integers(0, nodes, count)
    kind = chance.choice([*range(WW, REALTIME + 1), SELF], count)
    edges = [(int(s), int(t), int(k)) for s, t, k in zip(source, target, kind, strict=True) if s != t]
    first, targets, kinds = rows_of(edges, nodes)
    within = chance.choice([-1, 0, 0, 0, 1], nodes).astype(np.int32)
    room = room_to_refine(nodes)
    known, groups, _ = refine(first, targets, kinds, allowed & fewer, within, False, room)
    ends = edges_around(first, targets, kinds, allowed, within, known)
    largest, _, _ = refine(first, targets, kinds, allowed, within, False, room)
    for some, inside in ((allowed & (fewer | more), largest), (allowed, within)):
        label, components, _ = refine(first, targets, kinds, some, inside, False, room)
        known, groups = refine_around(*ends, some, inside, known, groups, room)
        assert groups == components
        assert len(set(zip(label.tolist(), known.tolist(), strict=True))) == components + bool(np.any(label < 0))
        assert np.array_equal(label < 0, known < 0)


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(st.integers(2, 6), st.integers(0, 5 * SHORT_ROW), st.integers(0, 2**32 - 1))
def test_edges_inside_of_components_are_the_weakest_between_two(nodes: int, count: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    source, target = chance.integers(0, nodes, (2, count)).astype(np.int32)
    kind = chance.integers(WW, REALTIME + 1, count).astype(np.int8)
    label = chance.integers(-1, 2, nodes).astype(np.int32)
    number = np.where(label >= 0, np.cumsum(label >= 0) - 1, -1).astype(np.int32)
    expected: list[tuple[int, int, int, int]] = []
    reads: dict[tuple[int, int], set[int]] = {}
    seen = set()
    for own in np.flatnonzero(label >= 0).tolist():
        inside = [e for e in range(count) if source[e] == own and label[target[e]] == label[own]]
        for edge in sorted(inside, key=lambda e: (kind[e], e)):
            between = (int(number[own]), int(number[target[edge]]))
            if kind[edge] == WR:
                reads.setdefault(between, set()).add(edge)
            if kind[edge] > PASS or between not in seen:
                expected.append((*between, int(kind[edge]), edge))
            if kind[edge] <= PASS:
                seen.add(between)
    rows_given = adjacency(source, target, nodes)
    first, *columns, read = inner_edges(*rows_given, kind, label, number, int(np.count_nonzero(label >= 0)))
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert rows == expected
    assert [row[0] for row in rows] == np.repeat(np.arange(len(first) - 1), np.diff(first)).tolist()
    for (one, other, how, _), left_out in zip(rows, read.tolist(), strict=True):
        if how == WW and (one, other) in reads:
            assert left_out in reads[one, other]
        else:
            assert left_out == -1


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(st.one_of(st.integers(2, 6), st.integers(LONG_ROW, LONG_ROW + 40)), st.integers(0, 2**32 - 1))
def test_cycles_of_two_are_found_once(txns: int, seed: int) -> None:
    """Also of transactions with more edges than are gone through one by one."""
    chance = np.random.default_rng(seed)
    nodes, hubs = txns + 3, chance.choice(txns, min(2, txns), replace=False)
    dense = chance.random((txns, txns)) < chance.choice([0.02, 0.3])
    for hub in hubs.tolist():
        dense[hub], dense[:, hub] = chance.random((2, txns)) < chance.choice([0.5, 0.95])
    np.fill_diagonal(dense, False)
    source, target = np.nonzero(dense)
    kind = chance.integers(WW, RW + 1, len(source))
    others = chance.integers(0, nodes, (2, 3 * txns))
    how = chance.integers(PASS, REALTIME + 1, 3 * txns)
    edges = [*zip(source.tolist(), target.tolist(), kind.tolist(), strict=True)]
    edges += [(s, t, k) for s, t, k in zip(*others.tolist(), how.tolist(), strict=True) if s != t]
    first, targets, kinds = rows_of(edges, nodes)
    sources = np.repeat(np.arange(nodes, dtype=np.int32), np.diff(first))
    names = np.sort(chance.choice(2 * nodes, nodes, replace=False))
    ok = chance.random(2 * nodes) < 0.8
    process = chance.integers(0, 3, 2 * nodes)
    began = chance.permutation(2 * nodes)
    completed = np.where(ok, began + chance.integers(1, nodes, 2 * nodes), -1)
    timed = bool(chance.integers(2))
    expected = set()
    at = {(s, t): e for e, (s, t, k) in enumerate(zip(sources.tolist(), targets, kinds, strict=True)) if k <= RW}
    for (one, other), edge in at.items():
        late, early = names[one], names[other]
        if other >= txns or one >= txns:
            continue
        if (other, one) in at:
            expected.add(frozenset((edge, at[other, one])))
        elif ok[early] and 0 <= completed[early] < began[late] and (timed or process[early] == process[late]):
            expected.add(frozenset((edge, BY_SESSION if process[early] == process[late] else BY_TIME)))
    there, back = find_mutual(first, sources, targets, kinds, txns, names, ok, process, began, completed, timed)
    found = [frozenset(pair) for pair in zip(there.tolist(), back.tolist(), strict=True)]
    assert len(found) == len(set(found))
    assert set(found) == expected


@settings(max_examples=EXAMPLES, deadline=None, database=None)
@given(edges_of, st.lists(st.integers(-1, 2), min_size=NODES, max_size=NODES))
def test_which_components_have_an_edge_of_a_kind(edges: list[Edge], label: list[int]) -> None:
    first, target, kind = rows_of(edges)
    source = np.repeat(np.arange(NODES, dtype=np.int32), np.diff(first))
    for how, among in zip((WW, WR, RW), edges_of_kinds(kind), strict=True):
        assert among.tolist() == [edge for edge in range(len(kind)) if kind[edge] == how]
        inside = {label[s] for s, t, k in edges if k == how and label[s] == label[t] >= 0}
        holding = with_edge(among, source, target, np.array(label, np.int32), 3)
        assert holding.tolist() == [component in inside for component in range(3)]
