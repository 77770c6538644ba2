"""PRAM and causal memory by definition, for registers and for lists. Brute force.

For each client there must be some order of all writes and its own reads that keeps every client's own order, and in
which each read shows what the writes before it left. causal: and that keeps what follows from the clients' orders and
from who read whose write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.checkers.txn_oracle import Txn

Op = tuple[Txn, int, str, Any, Any]
"""A transaction, the number of the micro-op in it, and the micro-op: what it wrote, or read (of a list a tuple)."""


def explained(sessions: Mapping[int, Sequence[Op]], client: int, *, causal: bool) -> bool:
    """Whether there is such an order for one client. sessions: what counts of each client, in its order."""
    everything = [op for session in sessions.values() for op in session]
    number = {id(op): i for i, op in enumerate(everything)}
    before: list[set[int]] = [set() for _ in everything]
    for session in sessions.values():
        for i, op in enumerate(session):
            before[number[id(op)]] |= {number[id(other)] for other in session[:i]}
    if causal:
        writer = {(op[3], op[4]): i for i, op in enumerate(everything) if op[2] != "r"}
        for i, op in enumerate(everything):
            if op[2] == "r":
                seen = op[4] if isinstance(op[4], tuple) else (op[4],) if op[4] is not None else ()
                before[i] |= {writer[op[3], value] for value in seen}
        for _ in everything:
            for some in before:
                some |= {further for j in some for further in before[j]}
        if any(i in some for i, some in enumerate(before)):
            return False
    told = frozenset(i for i, op in enumerate(everything) if op[2] != "r" or op[0].process == client)
    reads = frozenset(i for i in told if everything[i][2] == "r")
    dead: set[frozenset[Any]] = set()

    def extend(done: frozenset[int], state: Mapping[Any, Any]) -> bool:
        if reads <= done:
            return True
        if (known := done | {("", *item) for item in state.items()}) in dead:
            return False
        for i in told - done:
            _, _, name, key, value = everything[i]
            if not (before[i] & told) <= done:
                continue
            if name == "r":
                if state.get(key, () if isinstance(value, tuple) else None) == value:
                    # a read that can be done now may as well be
                    if extend(done | {i}, state):
                        return True
                    break
            elif extend(done | {i}, {**state, key: value if name == "w" else (*state.get(key, ()), value)}):
                return True
        dead.add(known)
        return False

    return extend(frozenset(), {})
