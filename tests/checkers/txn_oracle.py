"""Consistency models of list-append by definition: is there a legal execution? Brute force, for a few transactions.

`ok` transactions happened, `fail` ones did not, each `info` one may have. Own writes are always seen.

- serializable (and repeatable-read, as there are no predicate reads): an order of the transactions that replays every
  read of the `ok` ones; strong-session and strict: an order that respects session or realtime order.
- snapshot isolation: a commit order and for each transaction a snapshot, a prefix of it, that shows what it read, with
  no other writer of its own keys between snapshot and commit; a read-only one commits at its snapshot. Strong-session
  and strong: what ended before a transaction began is in its snapshot.
- read committed: an order in which each read shows some version that was installed by then. After a write of its own a
  transaction sees the version that it is about to install: what stood there before it in the order, and its writes.
- cursor stability: the same, and who reads a key and then writes it reads the version right before its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

State = dict[Any, tuple[Any, ...]]
NONE, SESSION, REALTIME = range(3)

MODELS = {
    "read-committed": ("rc", NONE),
    "cursor-stability": ("cs", NONE),
    "strong-session-cursor-stability": ("cs", SESSION),
    "strong-cursor-stability": ("cs", REALTIME),
    "repeatable-read": ("serial", NONE),
    "snapshot-isolation": ("si", NONE),
    "serializable": ("serial", NONE),
    "strong-session-snapshot-isolation": ("si", SESSION),
    "strong-session-serializable": ("serial", SESSION),
    "strong-snapshot-isolation": ("si", REALTIME),
    "strict-serializable": ("serial", REALTIME),
}


@dataclass(frozen=True)
class Txn:
    """One transaction: mops as (name, key, value), its type, process, and the places of its two records."""

    mops: tuple[tuple[str, Any, Any], ...]
    type: str
    process: int
    begin: int
    end: int

    def writes(self) -> set[Any]:
        return {key for name, key, _ in self.mops if name == "append"}


def transactions(ops: Sequence[Mapping[str, Any]]) -> list[Txn]:
    """The transactions of a list of op maps, each with an invocation."""
    result = []
    open_at: dict[int, int] = {}
    done: set[int] = set()
    for place, op in enumerate(ops):
        if op["type"] == "invoke":
            open_at[op["process"]] = place
            continue
        begin = open_at.pop(op["process"])
        done.add(begin)
        body = op["value"] if op["type"] == "ok" else ops[begin]["value"]
        result.append(Txn(_mops(body), op["type"], op["process"], begin, place))
    for place, op in enumerate(ops):
        if op["type"] == "invoke" and place not in done:
            result.append(Txn(_mops(op["value"]), "info", op["process"], place, len(ops)))
    return sorted(result, key=lambda txn: txn.begin)


def _mops(body: Iterable[Sequence[Any]]) -> tuple[tuple[str, Any, Any], ...]:
    return tuple((m[0].lstrip(":"), m[1], m[2] if len(m) > 2 else None) for m in body)


def legal(ops: Sequence[Mapping[str, Any]], model: str) -> bool:
    """Whether some execution that the model allows could have been seen so."""
    kind, order = MODELS[model]
    txns = transactions(ops)
    certain = [t for t in txns if t.type == "ok"]
    maybe = [t for t in txns if t.type == "info" and t.writes()]
    for count in range(len(maybe) + 1):
        for some in combinations(maybe, count):
            chosen = sorted([*certain, *some], key=lambda t: t.begin)
            before = {
                i: {j for j, other in enumerate(chosen) if _precedes(other, txn, order)} for i, txn in enumerate(chosen)
            }
            if _extend(chosen, before, kind, [], [{}]):
                return True
    return False


def _precedes(first: Txn, second: Txn, order: int) -> bool:
    if first.type != "ok" or first.end > second.begin or order == NONE:
        return False
    return order == REALTIME or first.process == second.process


def _extend(txns: list[Txn], before: dict[int, set[int]], kind: str, placed: list[int], states: list[State]) -> bool:
    if len(placed) == len(txns):
        return True
    for i, txn in enumerate(txns):
        if i in placed or not before[i] <= set(placed):
            continue
        if not _fits(txns, txn, before[i], kind, placed, states):
            continue
        if _extend(txns, before, kind, [*placed, i], [*states, _applied(states[-1], txn)]):
            return True
    return False


def _applied(state: State, txn: Txn) -> State:
    after = dict(state)
    for name, key, value in txn.mops:
        if name == "append":
            after[key] = (*after.get(key, ()), value)
    return after


def _fits(txns: list[Txn], txn: Txn, before: set[int], kind: str, placed: list[int], states: list[State]) -> bool:
    if kind == "serial":
        return _replays(txn, states[-1])
    if kind in ("rc", "cs"):
        return _reads_installed_versions(txn, states, kind == "cs")
    if not txn.writes():
        return _replays(txn, states[-1])
    for snapshot in range(len(states)):
        seen = placed[:snapshot]
        rivals = [j for j in placed[snapshot:] if txns[j].writes() & txn.writes()]
        if before <= set(seen) and not rivals and _replays(txn, states[snapshot]):
            return True
    return False


def _replays(txn: Txn, state: State) -> bool:
    own: State = {}
    for name, key, value in txn.mops:
        if name == "append":
            own[key] = (*own.get(key, ()), value)
        elif txn.type == "ok" and tuple(value or ()) != (*state.get(key, ()), *own.get(key, ())):
            return False
    return True


def _reads_installed_versions(txn: Txn, states: list[State], by_cursor: bool) -> bool:
    own: State = {}
    for place, (name, key, value) in enumerate(txn.mops):
        if name == "append":
            own[key] = (*own.get(key, ()), value)
        elif txn.type == "ok":
            seen = tuple(value or ())
            written_later = by_cursor and any(n == "append" and k == key for n, k, _ in txn.mops[place:])
            shown = states[-1:] if key in own or written_later else states
            if not any(seen == (*state.get(key, ()), *own.get(key, ())) for state in shown):
                return False
    return True
