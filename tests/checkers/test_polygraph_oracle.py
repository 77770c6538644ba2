"""The polygraph against brute force: every order of the versions, each judged by definition.

Random known edges (of all kinds, some through virtual nodes), random versions with random readers. An answer `possible`
comes with an order that leaves no forbidden cycle; one `not possible` with cycles whose every step is an edge that is
known or follows from the order that it names, and of which every order has one.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from checkers.transactions import polygraph_clauses
from checkers.transactions.cycle_kinds import G0, G1C, G2, NONADJACENT, SINGLE, classify
from checkers.transactions.dependency_graph import PROCESS, RW, WR, WW, Graph, before_all, graph_of
from checkers.transactions.order_edges import order_graph
from checkers.transactions.polygraph import Answer, Must, OpenKeys, decide
from harness.history import OK

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)

FORBIDDEN = {
    Must.WRITES: (G0,),
    Must.DEPENDENCIES: (G0, G1C),
    Must.VIEW: (G0, G1C, SINGLE),
    Must.SNAPSHOT: (G0, G1C, SINGLE, NONADJACENT),
    Must.SERIALIZABLE: (G0, G1C, SINGLE, NONADJACENT, G2),
}
Edge = tuple[int, int, int]
Question = tuple[Graph, OpenKeys]


def plain(txns: int, edges: list[Edge]) -> Graph:
    columns = [np.array([edge[i] for edge in edges], np.int32) for i in range(3)]
    none = np.full(len(edges), -1, np.int32)
    return Graph(txns, txns, columns[0], columns[1], columns[2].astype(np.int8), none, none)


def question(seed: int, txns: int, keys: int, crowded: bool) -> Question:
    rng = random.Random(seed)
    edges: set[Edge] = set()
    parts: list[Graph] = []
    key, start, writer, reader_start, reader = [], [0], [], [0], []
    for number in range(keys):
        writers = rng.sample(range(txns), min(txns, 4) if crowded and not number else rng.choice([2, 2, 3]))
        for one in writers:
            others = [t for t in range(txns) if t != one]
            readers = rng.sample(others, rng.choice([0, 0, 1, 1, 2]))
            edges |= {(one, other, WR) for other in readers}
            writer.append(one)
            reader += readers
            reader_start.append(len(reader))
        if rng.random() < 0.3:
            mops = np.arange(txns)
            initial = np.array(rng.sample(range(txns), rng.randint(1, txns)))
            parts.append(before_all(txns, initial, np.array(writers), mops))
        key.append(10 + number)
        start.append(len(writer))
    order = rng.sample(range(txns), txns)
    for _ in range(rng.choice([0, 0, 1, 2, 3])):
        a, b = rng.sample(range(txns), 2)
        if order[a] > order[b] and rng.random() < 0.9:
            a, b = b, a
        edges.add((a, b, rng.choice([WW, WR, RW, RW, PROCESS])))
    if rng.random() < 0.4:
        begins = np.array([rng.randrange(30) for _ in range(txns)])
        ends = begins + np.array([rng.randint(1, 20) for _ in range(txns)])
        known = np.array([rng.random() < 0.6 for _ in range(txns)])
        alone = np.arange(txns)
        parts.append(order_graph(np.full(txns, OK), alone, 2 * begins, 2 * ends + 1, known, timed=True))
    graph = graph_of(txns, [plain(txns, sorted(edges)), *parts])
    nothing = np.full(len(reader), -1, np.int32)
    return graph, OpenKeys(
        np.array(key, np.int32),
        np.array(start, np.int64),
        np.array(writer, np.int32),
        np.full(len(writer), -1, np.int32),
        np.array(reader_start, np.int64),
        np.array(reader, np.int32),
        nothing,
    )


def real_edges(graph: Graph) -> set[Edge]:
    """Edges between transactions: what leads through virtual nodes has the kind of its first step."""
    out: dict[int, list[tuple[int, int]]] = {}
    for source, target, kind in zip(graph.source.tolist(), graph.target.tolist(), graph.kind.tolist(), strict=True):
        out.setdefault(source, []).append((target, kind))

    def ends(node: int) -> set[int]:
        if node < graph.txns:
            return {node}
        return {end for target, _ in out.get(node, []) for end in ends(target)}

    return {
        (source, end, kind)
        for source, pairs in out.items()
        if source < graph.txns
        for target, kind in pairs
        for end in ends(target)
        if end != source
    }


def of_order(keys: OpenKeys, order: list[tuple[int, ...]]) -> set[Edge]:
    """Every ww and rw edge that an order of the versions (of each key) brings."""
    edges = set()
    for versions in order:
        for i, first in enumerate(versions):
            for second in versions[i + 1 :]:
                edges |= following(keys, first, second)
    return edges


def following(keys: OpenKeys, first: int, second: int) -> set[Edge]:
    readers = keys.reader[keys.reader_start[first] : keys.reader_start[first + 1]].tolist()
    late = int(keys.writer[second])
    return {(int(keys.writer[first]), late, WW)} | {(reader, late, RW) for reader in readers if reader != late}


def allowed(edges: set[Edge], txns: int) -> set[Must]:
    """What the cycles of these edges leave, as relations (Cerone & Gotsman, 2018): with D the dependencies and R the rw
    edges, D+ irreflexive; D+ and D+ R irreflexive; D (R or nothing) acyclic; D and R acyclic.
    """
    writes, depends, against = [0] * txns, [0] * txns, [0] * txns
    for source, target, kind in edges:
        if kind == RW:
            against[source] |= 1 << target
            continue
        depends[source] |= 1 << target
        if kind != WR:
            writes[source] |= 1 << target
    closed = closure(depends)
    lenient = [d | then(d, against) for d in depends]
    return {
        must
        for must, holds in (
            (Must.WRITES, irreflexive(closure(writes))),
            (Must.DEPENDENCIES, irreflexive(closed)),
            (Must.VIEW, irreflexive(closed) and irreflexive([then(d, against) for d in closed])),
            (Must.SNAPSHOT, irreflexive(closure(lenient))),
            (Must.SERIALIZABLE, irreflexive(closure([d | r for d, r in zip(depends, against, strict=True)]))),
        )
        if holds
    }


def then(row: int, relation: list[int]) -> int:
    result = 0
    for i, further in enumerate(relation):
        if row >> i & 1:
            result |= further
    return result


def closure(relation: list[int]) -> list[int]:
    closed = list(relation)
    for _ in closed:
        for i, row in enumerate(closed):
            closed[i] |= then(row, closed)
    return closed


def irreflexive(relation: list[int]) -> bool:
    return not any(row >> i & 1 for i, row in enumerate(relation))


def orders(keys: OpenKeys) -> Iterator[list[tuple[int, ...]]]:
    ranges = [range(low, high) for low, high in zip(keys.start[:-1].tolist(), keys.start[1:].tolist(), strict=True)]
    for choice in product(*(permutations(versions) for versions in ranges)):
        yield list(choice)


def by_definition(graph: Graph, keys: OpenKeys) -> dict[Must, bool]:
    known = real_edges(graph)
    left = set(Must)
    for order in orders(keys):
        left -= allowed(known | of_order(keys, order), graph.txns)
        if not left:
            break
    return {must: must not in left for must in Must}


def hold(graph: Graph, keys: OpenKeys, must: Must, answer: Answer) -> None:
    """The proof that comes with an answer, by definition."""
    known = real_edges(graph)
    if answer.possible:
        assert answer.order is not None
        order = [
            tuple(sorted(range(low, high), key=lambda v: answer.order[v]))
            for low, high in zip(keys.start[:-1].tolist(), keys.start[1:].tolist(), strict=True)
        ]
        assert must in allowed(known | of_order(keys, order), graph.txns)
        return
    assert answer.conflict is not None
    number = {
        (int(keys.key[k]), int(keys.writer[v])): v
        for k in range(len(keys))
        for v in range(int(keys.start[k]), int(keys.start[k + 1]))
    }
    assumed = []
    for cycle in answer.conflict.cycles:
        pairs = set()
        for link, after in zip(cycle, cycle[1:] + cycle[:1]):
            assert link.target == after.source
            edge = (link.source, link.target, link.kind)
            if link.key < 0:
                assert edge in known
            else:
                pair = number[link.key, link.first], number[link.key, link.second]
                assert edge in following(keys, *pair)
                pairs.add(pair)
        assert classify(list(cycle))[0] in FORBIDDEN[must]
        assumed.append(pairs)
    for order in orders(keys):
        place = {version: i for versions in order for i, version in enumerate(versions)}
        assert any(all(place[a] < place[b] for a, b in pairs) for pairs in assumed)


def answers(graph: Graph, keys: OpenKeys, hint: np.ndarray | None = None) -> dict[Must, Answer]:
    return {must: decide(graph, keys, must, deadline=time.monotonic() + 120, hint=hint) for must in Must}


def any_hint(seed: int, txns: int) -> np.ndarray:
    """Places of completions and invocations that have nothing to do with the question."""
    rng = np.random.default_rng(seed)
    completed = rng.integers(0, 30, txns)
    return np.stack((completed, completed - rng.integers(1, 12, txns)))


@thorough
@given(st.integers(0, 2**32), st.integers(3, 5), st.integers(1, 3), st.booleans())
@example(seed=9535, txns=3, keys=2, crowded=True)  # two transactions that each wait for what the other had read
def test_answers_are_those_of_every_order_in_turn(seed: int, txns: int, keys: int, crowded: bool) -> None:
    graph, versions = question(seed, txns, keys, crowded)
    expected = by_definition(graph, versions)
    for hint in (None, any_hint(seed, txns)):
        for must, answer in answers(graph, versions, hint).items():
            assert answer.possible is expected[must], (must, answer)
            hold(graph, versions, must, answer)


@settings(parent=thorough, max_examples=max(100, EXAMPLES // 4))
@given(st.integers(0, 2**32), st.integers(4, 6), st.integers(1, 2))
def test_without_a_sat_solver_small_questions_are_decided_too(seed: int, txns: int, keys: int) -> None:
    graph, versions = question(seed, txns, keys, True)
    expected = by_definition(graph, versions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polygraph_clauses, "Solver", None)
        for must, answer in answers(graph, versions).items():
            assert answer.possible is expected[must], (must, answer)
            hold(graph, versions, must, answer)
