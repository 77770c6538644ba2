"""What sessions are promised, of registers, by definition, micro-op by micro-op. Brute force.

- read-your-writes, monotonic-reads: for each client and key some order of the writes in which each of the client's
  reads shows its own earlier, acknowledged writes, or what it had read before, or something later. writes-follow-reads:
  for each key some order of the writes in which none comes before what its client had read. monotonic-writes asks for
  an order that keeps each client's own; there always is one.
- PRAM: for each client some order of all writes and its own reads that keeps every client's own order, and in which
  each read shows the last write of its key. causal: and keeps what follows from it and from who read whose write.

`fail` never happened, and reads of it say nothing; `info` happened if an `ok` read shows one of its writes, after all
that its client had done before. Own writes missed, values that nobody wrote and reads of one's own transaction's future
are no execution of anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

from tests.checkers.memory_oracle import Op, explained
from tests.checkers.txn_oracle import Txn, transactions

MODELS = ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads", "PRAM", "causal")


def kept(ops: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Model → whether the history keeps it."""
    txns = transactions(ops)
    seen = {(k, v) for t in txns if t.type == "ok" for n, k, v in t.mops if n == "r"}
    happened = [
        t
        for t in txns
        if t.type == "ok" or (t.type == "info" and any(n == "w" and (k, v) in seen for n, k, v in t.mops))
    ]
    if not all(_well_formed(t, txns) for t in happened if t.type == "ok"):
        return dict.fromkeys(MODELS, False)
    written = {(k, v) for t in happened for n, k, v in t.mops if n == "w"}
    sessions: dict[int, list[Op]] = {}
    for t in happened:
        for place, (name, key, value) in enumerate(t.mops):
            if name == "w" or (t.type == "ok" and (value is None or (key, value) in written)):
                sessions.setdefault(t.process, []).append((t, place, name, key, value))
    keys = {key for key, _ in written} | {op[3] for session in sessions.values() for op in session}
    by_key = {key: [v for k, v in written if k == key] for key in keys}
    return {
        "read-your-writes": all(_some_order(by_key[k], _own_writes(s, k)) for s in sessions.values() for k in keys),
        "monotonic-reads": all(_some_order(by_key[k], _again(s, k)) for s in sessions.values() for k in keys),
        "monotonic-writes": True,
        "writes-follow-reads": all(
            _some_order(by_key[k], [pair for s in sessions.values() for pair in _answers(s, k)]) for k in keys
        ),
        "PRAM": all(explained(sessions, p, causal=False) for p in sessions),
        "causal": all(explained(sessions, p, causal=True) for p in sessions),
    }


def _well_formed(txn: Txn, txns: Sequence[Txn]) -> bool:
    written = {(k, v) for t in txns for n, k, v in t.mops if n == "w"}
    own: dict[Any, Any] = {}
    mine = {(k, v) for n, k, v in txn.mops if n == "w"}
    for name, key, value in txn.mops:
        if name == "w":
            own[key] = value
        elif key in own:
            if own[key] != value:
                return False
        elif value is not None and ((key, value) not in written or (key, value) in mine):
            return False
    return True


def _own_writes(session: Sequence[Op], key: Any) -> list[tuple[Any, Any]]:
    """(value, a value that must not come before it)."""
    return [
        (a[4], b[4])
        for i, b in enumerate(session)
        for a in session[:i]
        if a[3] == b[3] == key and a[2] == "w" and b[2] == "r" and a[0] is not b[0] and a[0].type == "ok"
    ]


def _again(session: Sequence[Op], key: Any) -> list[tuple[Any, Any]]:
    reads = [op[4] for op in session if op[3] == key and op[2] == "r"]
    return [(a, b) for i, b in enumerate(reads) for a in reads[:i]]


def _answers(session: Sequence[Op], key: Any) -> list[tuple[Any, Any]]:
    return [
        (a[4], b[4])
        for i, b in enumerate(session)
        for a in session[:i]
        if a[3] == b[3] == key and a[2] == "r" and b[2] == "w"
    ]


def _some_order(values: Sequence[Any], pairs: Sequence[tuple[Any, Any]]) -> bool:
    """Whether the values of a key can stand in an order, after None, in which the second of no pair is earlier."""
    for order in permutations(values):
        place = {value: i for i, value in enumerate((None, *order))}
        if all(place[a] <= place[b] for a, b in pairs):
            return True
    return False
