"""Which cycles a small register history has, by definition: every version order, every simple cycle, every naming.

Given only for histories without garbage, aborted, future or contradictory reads. The versions of a key may stand in any
order after the state before any write; each combination has its own graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, permutations, product
from typing import Any

from checkers.transactions.cycle_kinds import Step, classify, name_of
from checkers.transactions.dependency_graph import PROCESS, REALTIME, RW, WR, WW
from tests.checkers.rw_oracle import writes
from tests.checkers.txn_graph_oracle import _numbered, _simple_cycles
from tests.checkers.txn_oracle import Txn, transactions

ORDERS_MAX = 3000


def names_by_order(ops: Sequence[Mapping[str, Any]]) -> list[set[str]] | None:
    """For each version order the names of all cycles; None if the history is odd, or there are too many orders."""
    txns = transactions(ops)
    writer = {(key, value): i for i, txn in enumerate(txns) for name, key, value in txn.mops if name == "w"}
    committed = {i for i, _ in _numbered(txns, "ok")}
    reads: list[tuple[int, Any, int | None]] = []
    for i, txn in _numbered(txns, "ok"):
        own: dict[Any, Any] = {}
        for name, key, value in txn.mops:
            if name == "w":
                own[key] = value
            elif key in own:
                if own[key] != value:
                    return None
            elif value is not None:
                by = writer.get((key, value))
                if by is None or by == i or txns[by].type == "fail" or writes(txns[by])[key] != value:
                    return None
                committed.add(by)
                reads.append((i, key, by))
            else:
                reads.append((i, key, None))
    writers: dict[Any, list[int]] = {}
    for i in sorted(committed):
        for key in writes(txns[i]):
            writers.setdefault(key, []).append(i)
    orders = 1
    for key in writers:
        for count in range(2, len(writers[key]) + 1):
            orders *= count
    if orders > ORDERS_MAX:
        return None
    keys = list(writers)
    return [
        _names(txns, committed, dict(zip(keys, chosen, strict=True)), reads)
        for chosen in product(*(permutations(writers[key]) for key in keys))
    ]


def _names(
    txns: list[Txn],
    committed: set[int],
    orders: dict[Any, tuple[int, ...]],
    reads: list[tuple[int, Any, int | None]],
) -> set[str]:
    kinds_of: dict[tuple[int, int], set[int]] = {}

    def add(source: int, target: int, kind: int) -> None:
        if source != target:
            kinds_of.setdefault((source, target), set()).add(kind)

    for order in orders.values():
        for one, other in pairwise(order):
            add(one, other, WW)
    for reader, key, by in reads:
        order = orders.get(key, ())
        at = 0 if by is None else order.index(by) + 1
        if by is not None:
            add(by, reader, WR)
        if at < len(order):
            add(reader, order[at], RW)
    options: dict[int, dict[int, list[int]]] = {i: {} for i in committed}
    for (source, target), between in kinds_of.items():
        options[source].setdefault(target, []).extend(sorted(between))
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
