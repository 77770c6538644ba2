"""The session guarantees of list-append by definition, op by op, for a few transactions.

What the client did is compared pair by pair, with sets of elements; see `list_append_sessions` for the
definitions. `fail` never happened; `info` happened if an `ok` read shows one of its elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from tests.checkers.memory_oracle import Op, explained
from tests.checkers.txn_oracle import Txn, transactions


def broken_guarantees(ops: Sequence[Mapping[str, Any]]) -> set[tuple[str, Any, Any]]:
    """(guarantee, key, what shows it): a read's place (transaction's begin, number) or the later append's value."""
    txns = transactions(ops)
    reads = [
        ((txn.begin, place), key, tuple(value or ()))
        for txn in txns
        if txn.type == "ok"
        for place, (name, key, value) in enumerate(txn.mops)
        if name == "r"
    ]
    seen = {(key, element) for _, key, elements in reads for element in elements}
    happened = [
        txn
        for txn in txns
        if txn.type == "ok" or (txn.type == "info" and any(n == "append" and (k, v) in seen for n, k, v in txn.mops))
    ]
    written = {(key, value) for txn in happened for name, key, value in txn.mops if name == "append"}
    result: set[tuple[str, Any, Any]] = set()
    for process in {txn.process for txn in happened}:
        session = [txn for txn in happened if txn.process == process]
        if any(a.end > b.begin for a, b in pairwise(session)):
            continue
        did = [(txn, place, *mop) for txn in session for place, mop in enumerate(txn.mops)]
        for i, (txn, place, name, key, value) in enumerate(did):
            before = [(t, n, v) for t, _, n, k, v in did[:i] if k == key]
            wrote = [v for t, n, v in before if n == "append" and t is not txn and t.type == "ok"]
            if name == "r" and txn.type == "ok":
                shown = set(value or ())
                saw = {e for t, n, v in before if n == "r" and t.type == "ok" for e in v or () if (key, e) in written}
                if not set(wrote) <= shown:
                    result.add(("read-your-writes", key, (txn.begin, place)))
                if not saw <= shown:
                    result.add(("monotonic-reads", key, (txn.begin, place)))
            elif name == "append":
                read = [
                    e
                    for t, n, v in before
                    if n == "r" and t is not txn and t.type == "ok"
                    for e in v or ()
                    if (key, e) in written
                ]
                for guarantee, earlier in (("monotonic-writes", wrote), ("writes-follow-reads", read)):
                    if any(_without(elements, e, value) for _, k, elements in reads if k == key for e in earlier):
                        result.add((guarantee, key, value))
    return result


def _without(elements: tuple[Any, ...], earlier: Any, later: Any) -> bool:
    """A list shows the later element without the earlier one before it."""
    if later not in elements or earlier == later:
        return False
    return earlier not in elements or elements.index(earlier) > elements.index(later)


def kept_memory(ops: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """PRAM and causal: whether the history keeps them (see `memory_oracle`).

    Elements that nobody wrote, or in transactions that failed, say nothing.
    """
    txns = transactions(ops)
    seen = {(k, e) for t in txns if t.type == "ok" for n, k, v in t.mops if n == "r" for e in v or ()}
    happened = [
        t
        for t in txns
        if t.type == "ok" or (t.type == "info" and any(n == "append" and (k, v) in seen for n, k, v in t.mops))
    ]
    written = {(k, v) for t in happened for n, k, v in t.mops if n == "append"}
    sessions: dict[int, list[Op]] = {}
    for t in happened:
        for place, (name, key, value) in enumerate(t.mops):
            if name == "append":
                sessions.setdefault(t.process, []).append((t, place, name, key, value))
            elif t.type == "ok":
                shown = tuple(e for e in value or () if (key, e) in written)
                sessions.setdefault(t.process, []).append((t, place, name, key, shown))
    return {
        model: all(explained(sessions, p, causal=model == "causal") for p in sessions) for model in ("PRAM", "causal")
    }


def overlapping(txns: list[Txn]) -> bool:
    """Whether two transactions of one process overlap."""
    return any(a.process == b.process and a is not b and a.begin < b.begin < a.end for a in txns for b in txns)
