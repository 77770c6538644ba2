"""Which cycles a small list-append history has, by definition: every version order, every simple cycle, every naming.

Given only for histories whose reads can be explained by one order for each key (no garbage, no contradictions): the
appends that nobody read may then stand in any order at the end, and each such order has its own graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, permutations, product
from typing import Any

from checkers.transactions.cycle_kinds import Step, classify, name_of
from checkers.transactions.dependency_graph import PROCESS, REALTIME, RW, WR, WW
from tests.checkers.txn_oracle import Txn, transactions

Append = tuple[int, Any]
"""A transaction and what it appended."""


def names_by_order(ops: Sequence[Mapping[str, Any]]) -> list[set[str]] | None:
    """For each possible version order the names of all cycles; None if there is none, or the history is odd."""
    txns = transactions(ops)
    writer: dict[tuple[Any, Any], int] = {}
    for number, txn in enumerate(txns):
        for name, key, value in txn.mops:
            if name == "append":
                writer[key, value] = number
    longest: dict[Any, tuple[Any, ...]] = {}
    reads = [
        (i, key, tuple(value or ())) for i, t in _numbered(txns, "ok") for name, key, value in t.mops if name == "r"
    ]
    for _, key, seen in reads:
        if len(seen) > len(longest.get(key, ())):
            longest[key] = seen
    committed = {i for i, _ in _numbered(txns, "ok")}
    for key, seen in longest.items():
        for value in seen:
            if (key, value) not in writer or txns[writer[key, value]].type == "fail":
                return None
            committed.add(writer[key, value])
        if len(set(seen)) < len(seen):
            return None
    if any(longest.get(key, ())[: len(seen)] != seen for _, key, seen in reads):
        return None
    unread: dict[Any, dict[int, list[Any]]] = {}
    for i in committed:
        for name, key, value in txns[i].mops:
            if name == "append" and value not in longest.get(key, ()):
                unread.setdefault(key, {}).setdefault(i, []).append(value)
    keys = sorted(set(unread) | set(longest))
    results = []
    for ends in product(*(permutations(unread.get(key, {}).items()) for key in keys)):
        orders = {
            key: [*longest.get(key, ()), *(value for _, values in end for value in values)]
            for key, end in zip(keys, ends, strict=True)
        }
        results.append(_names(txns, committed, orders, writer, reads))
    return results


def _numbered(txns: list[Txn], kind: str) -> list[tuple[int, Txn]]:
    return [(i, txn) for i, txn in enumerate(txns) if txn.type == kind]


def _names(
    txns: list[Txn],
    committed: set[int],
    orders: dict[Any, list[Any]],
    writer: dict[tuple[Any, Any], int],
    reads: list[tuple[int, Any, tuple[Any, ...]]],
) -> set[str]:
    weakest: dict[tuple[int, int], int] = {}

    def add(source: int, target: int, kind: int) -> None:
        if source != target:
            weakest[source, target] = min(kind, weakest.get((source, target), kind))

    for key, order in orders.items():
        for one, other in pairwise(order):
            add(writer[key, one], writer[key, other], WW)
    for reader, key, seen in reads:
        order = orders.get(key, [])
        if seen:
            add(writer[key, seen[-1]], reader, WR)
        if len(seen) < len(order) and not (seen and writer[key, seen[-1]] == reader):
            add(reader, writer[key, order[len(seen)]], RW)
    options: dict[int, dict[int, list[int]]] = {i: {} for i in committed}
    for (source, target), kind in weakest.items():
        options[source].setdefault(target, []).append(kind)
    for i in committed:
        for j in committed:
            if txns[i].type == "ok" and txns[i].end < txns[j].begin:
                same = txns[i].process == txns[j].process
                options[i].setdefault(j, []).append(PROCESS if same else REALTIME)
    names = set()
    for cycle in _simple_cycles(options):
        hops = list(zip(cycle, cycle[1:] + cycle[:1]))
        for kinds in product(*(options[a][b] for a, b in hops)):
            if min(kinds) <= RW:
                steps = [Step(a, b, kind) for (a, b), kind in zip(hops, kinds, strict=True)]
                names.add(name_of(*classify(steps)))
    return names


def _simple_cycles(options: dict[int, dict[int, list[int]]]) -> Iterator[list[int]]:
    def extend(path: list[int]) -> Iterator[list[int]]:
        for target in options[path[-1]]:
            if target == path[0]:
                yield list(path)
            elif target > path[0] and target not in path:
                yield from extend([*path, target])

    for begin in options:
        yield from extend([begin])
