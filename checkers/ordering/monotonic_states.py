"""Reads of several counters at once: is there an order in which no counter ever shrinks?

Each counter by itself may only grow to everybody, and still one reader can have seen x grown and y not yet, and another
y grown and x not yet. Idea (Jepsen's `monotonic`, after Kingsbury and Alvaro's Elle): a value names its place in its
counter's order, so who must come before whom is known: an increment before what was told its value, what was told less
before the increment. A circle of these, of sessions and of realtime has no order.

An increment that nobody told of stands in by itself where values skip: some increment made what was read next. Circles
of one counter alone are left out: pairs of ops tell these better (`checkers.ordering.monotonic`).
Cost: O(n log n) for n values told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from functools import partial

from checkers.client_calls import NEVER, ClientCall
from checkers.findings import Finding
from checkers.ordering.monotonic_answers import Answers, Told
from checkers.transactions.cycle_kinds import Cycle
from checkers.transactions.dependency_graph import KIND_NAMES, PROCESS, REALTIME, RW, WR, WW
from checkers.transactions.explained_graph import ExplainedGraph
from checkers.values import show, thaw
from harness.history import INFO
from harness.verdict import Anomaly, Edge

CIRCLES_MAX = 1_000
"""How many circles of a kind are made and told apart: those of one counter alone are not for here."""


def circles(answers: Answers, *, timed: bool) -> tuple[list[Finding], list[str]]:
    """(findings, at most `CIRCLES_MAX` of a kind; what was left undecided)."""
    calls = {each.call.place: each.call for told in answers.told.values() for each in told}
    if not answers.of_many or not calls:
        return [], []
    nodes = list(calls.values())
    graph = ExplainedGraph(nodes, [True] * len(nodes), timed)
    number = {place: node for node, place in enumerate(calls)}
    for key, told in answers.told.items():
        _add(graph, nodes, number, key, told)
    found, undecided = graph.cycles(CIRCLES_MAX)
    named = [(name, cycle) for name, _, cycles in found for cycle in cycles if len(_keys(graph, cycle)) > 1]
    return [Finding(_anomaly(graph, name, cycle), name) for name, cycle in named], undecided


def _add(
    graph: ExplainedGraph, nodes: list[ClientCall], number: dict[int, int], key: Hashable, told: list[Told]
) -> None:
    """What the values of one counter say of the order. nodes: the graph's calls, which may grow."""
    by_value: dict[int, list[Told]] = defaultdict(list)
    for each in told:
        by_value[each.value].append(each)
    before: list[tuple[int, int]] = []
    shown = 0
    for value in sorted(by_value):
        group = by_value[value]
        made = [each for each in group if each.call.f == "inc"]
        readers = [number[each.call.place] for each in group if each.call.f == "read"]
        earlier, shown = shown, group[0].shown
        maker = number[made[0].call.place] if len(made) == 1 else _unknown(graph, nodes) if value > 0 else None
        if maker is not None:
            for node, kind in before:
                graph.add(node, maker, kind, partial(_why, nodes, (node, maker, kind), key, earlier, shown), thaw(key))
            for node in readers:
                graph.add(maker, node, WR, partial(_why, nodes, (maker, node, WR), key, earlier, shown), thaw(key))
        before = [*((node, RW) for node in readers), *([(maker, WW)] if maker is not None else [])]


def _unknown(graph: ExplainedGraph, nodes: list[ClientCall]) -> int:
    """A node for an increment that nobody told of: of a client of its own, at no known time."""
    node = len(nodes)
    nodes.append(ClientCall("inc", -2 - node, INFO, None, None, -1, NEVER, -1, -1, None, 0, 0))
    graph.committed.append(True)
    return node


def _why(nodes: list[ClientCall], ends: tuple[int, int, int], key: Hashable, before: int, after: int) -> str:
    source, target, kind = nodes[ends[0]], nodes[ends[1]], ends[2]
    if kind == WR:
        return f"op {target.record} found key {show(key)} at {after}"
    if kind == WW and target.ok:
        return f"op {target.record} brought key {show(key)} to {after}"
    did = f"found key {show(key)} at" if kind == RW else f"brought key {show(key)} to"
    return f"op {source.record} {did} {before}, before it came to {after}"


def _keys(graph: ExplainedGraph, cycle: Cycle) -> set[str]:
    return {repr(graph.edge(step).key) for step in cycle if step.kind not in (PROCESS, REALTIME)}


def _anomaly(graph: ExplainedGraph, name: str, cycle: Cycle) -> Anomaly:
    known = [step.source for step in cycle if graph.calls[step.source].ok]
    start = next(place for place, step in enumerate(cycle) if step.source == known[0])
    edges = list(_shown(graph, [*cycle[start:], *cycle[:start]]))
    calls: list[ClientCall] = [graph.calls[node] for node in known]
    ops = ", ".join(str(edge.source) for edge in edges)
    return Anomaly(
        type=name,
        ops=sorted({call.record for call in calls}),
        sentence=f"Ops {ops} contradict each other: {'; '.join(edge.why for edge in edges)}.",
        key=next((edge.key for edge in edges if edge.key is not None), None),
        cycle=edges,
        sub_history=sorted({record for call in calls for record in call.records}),
    )


def _shown(graph: ExplainedGraph, cycle: Cycle) -> Iterator[Edge]:
    """The cycle's edges; those into and out of an increment that nobody told of are one."""
    pending: list[Edge] = []
    source = -1
    for step in cycle:
        edge = graph.edge(step)
        if not pending:
            source = graph.calls[step.source].record
        pending.append(edge)
        if not graph.calls[step.target].ok:
            continue
        kind = next((each.kind for each in pending if each.kind == KIND_NAMES[RW]), edge.kind)
        whys = [each.why for each in (pending[0], pending[-1])] if len(pending) > 1 else [edge.why]
        yield Edge(source, graph.calls[step.target].record, kind, ", and ".join(whys), edge.key)
        pending = []
