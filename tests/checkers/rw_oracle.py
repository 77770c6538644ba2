"""Consistency models of registers by definition: is there a legal execution? Brute force, for a few transactions.

`ok` transactions happened, `fail` ones did not, each `info` one may have. Own writes are always seen; nothing written
reads as None. The definitions are those of `txn_oracle`, with a register in the place of a list:

- serializable (and repeatable-read): an order of the transactions that replays every read of the `ok` ones;
  strong-session and strict: an order that respects session or realtime order.
- snapshot isolation: a commit order and for each transaction a snapshot, a prefix of it, that shows what it read, with
  no other writer of its own keys between snapshot and commit; a read-only one commits at its snapshot.
- read committed: an order in which each read of another's write shows some version that was installed by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from tests.checkers.txn_oracle import NONE, REALTIME, SESSION, Txn, transactions

MODELS = {
    "read-committed": ("rc", NONE),
    "repeatable-read": ("serial", NONE),
    "snapshot-isolation": ("si", NONE),
    "serializable": ("serial", NONE),
    "strong-session-snapshot-isolation": ("si", SESSION),
    "strong-session-serializable": ("serial", SESSION),
    "strong-snapshot-isolation": ("si", REALTIME),
    "strict-serializable": ("serial", REALTIME),
}

State = dict[Any, Any]


def writes(txn: Txn) -> dict[Any, Any]:
    """What a transaction leaves behind."""
    return {key: value for name, key, value in txn.mops if name == "w"}


def legal(ops: Sequence[Mapping[str, Any]], model: str) -> bool:
    """Whether some execution that the model allows could have been seen so."""
    kind, order = MODELS[model]
    txns = transactions(ops)
    certain = [t for t in txns if t.type == "ok"]
    maybe = [t for t in txns if t.type == "info" and writes(t)]
    for count in range(len(maybe) + 1):
        for some in combinations(maybe, count):
            chosen = sorted([*certain, *some], key=lambda t: t.begin)
            before = [
                {j for j, other in enumerate(chosen) if _precedes(other, txn, order)} for i, txn in enumerate(chosen)
            ]
            if _extend(chosen, before, kind, [], [{}], set()):
                return True
    return False


def _precedes(first: Txn, second: Txn, order: int) -> bool:
    if first.type != "ok" or first.end > second.begin or order == NONE:
        return False
    return order == REALTIME or first.process == second.process


def _extend(
    txns: list[Txn],
    before: list[set[int]],
    kind: str,
    placed: list[int],
    states: list[State],
    dead: set[Any],
) -> bool:
    if len(placed) == len(txns):
        return True
    known = frozenset(placed), tuple(tuple(sorted(state.items())) for state in states)
    if known in dead:
        return False
    for i, txn in enumerate(txns):
        if i in placed or not before[i] <= set(placed):
            continue
        if _fits(txns, txn, before[i], kind, placed, states) and _extend(
            txns, before, kind, [*placed, i], [*states, {**states[-1], **writes(txn)}], dead
        ):
            return True
    if kind == "serial":
        dead.add(known)
    return False


def _fits(txns: list[Txn], txn: Txn, before: set[int], kind: str, placed: list[int], states: list[State]) -> bool:
    if kind == "serial":
        return _replays(txn, states[-1:])
    if kind == "rc":
        return _replays(txn, states, each_its_own=True)
    if not writes(txn):
        return _replays(txn, states[-1:])
    for snapshot in range(len(states)):
        seen = placed[:snapshot]
        rivals = [j for j in placed[snapshot:] if writes(txns[j]).keys() & writes(txn).keys()]
        if before <= set(seen) and not rivals and _replays(txn, [states[snapshot]]):
            return True
    return False


def _replays(txn: Txn, states: list[State], each_its_own: bool = False) -> bool:
    """Whether the reads show one of the states; with `each_its_own` every read may show another one."""
    if txn.type != "ok":
        return True
    if not each_its_own:
        return any(_shows(txn, [state]) for state in states)
    return _shows(txn, states)


def _shows(txn: Txn, states: list[State]) -> bool:
    own: State = {}
    for name, key, value in txn.mops:
        if name == "w":
            own[key] = value
        elif key in own:
            if own[key] != value:
                return False
        elif not any(state.get(key) == value for state in states):
            return False
    return True
