"""Is there a legal execution? By exhaustive search, from the definitions alone, for small histories.

A transaction is a function of the state that it sees: it returns what it writes, or None where it could not have
answered as it did. Serial: some order of the transactions (those of unknown outcome may be left out) in which each sees
the state that those before it left. Session: the order keeps each client's own; strict: and that of realtime. Snapshot:
each sees the state of a moment before its commit, and nobody else commits to what it writes in between; session and
strict then bind the snapshot to what had committed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history import History
from harness.op import Op

State = Mapping[Hashable, Any]


@dataclass(frozen=True)
class Txn:
    """run(state) → writes, None if it can't be. begin, end: places; end None: unknown outcome, may be left out."""

    process: int
    begin: int
    end: int | None
    run: Callable[[State], State | None]


def before(first: Txn, second: Txn, order: str) -> bool:
    """Whether the order binds the two. order: `none`, `session` or `strict`."""
    if first.end is None or first.end > second.begin:
        return False
    return order == "strict" or (order == "session" and first.process == second.process)


def serial(txns: Sequence[Txn], order: str) -> bool:
    """Whether some serial order explains the history."""
    tried: set[tuple[int, Any]] = set()
    earlier = [sum(1 << j for j, other in enumerate(txns) if before(other, txn, order)) for txn in txns]
    needed = sum(1 << i for i, txn in enumerate(txns) if txn.end is not None)

    def search(done: int, state: dict[Hashable, Any]) -> bool:
        if done & needed == needed:
            return True
        key = (done, frozenset(state.items()))
        if key in tried:
            return False
        tried.add(key)
        for i, txn in enumerate(txns):
            if done >> i & 1 or earlier[i] & ~done:
                continue
            writes = txn.run(state)
            if writes is not None and search(done | 1 << i, {**state, **writes}):
                return True
        return False

    return search(0, {})


def snapshot(txns: Sequence[Txn], order: str) -> bool:
    """Whether some commit order with a snapshot for each transaction does."""
    tried: set[tuple[int, Any]] = set()
    earlier = [sum(1 << j for j, other in enumerate(txns) if before(other, txn, order)) for txn in txns]
    needed = sum(1 << i for i, txn in enumerate(txns) if txn.end is not None)

    def search(done: int, log: list[tuple[int, State]]) -> bool:
        if done & needed == needed:
            return True
        key = (done, tuple((i, frozenset(writes.items())) for i, writes in log))
        if key in tried:
            return False
        tried.add(key)
        for i, txn in enumerate(txns):
            if done >> i & 1 or earlier[i] & ~done:
                continue
            for seen in range(len(log) + 1):
                if earlier[i] & ~sum(1 << j for j, _ in log[:seen]):
                    continue
                state: dict[Hashable, Any] = {}
                for _, written in log[:seen]:
                    state.update(written)
                writes = txn.run(state)
                if writes is None or any(set(writes) & set(other) for _, other in log[seen:]):
                    continue
                places = range(seen, len(log) + 1) if not writes else [len(log)]
                for place in places:
                    if search(done | 1 << i, [*log[:place], (i, writes), *log[place:]]):
                        return True
        return False

    return search(0, [])


MODELS = {
    "serializable": (serial, "none"),
    "strong-session-serializable": (serial, "session"),
    "strict-serializable": (serial, "strict"),
    "snapshot-isolation": (snapshot, "none"),
    "strong-session-snapshot-isolation": (snapshot, "session"),
    "strong-snapshot-isolation": (snapshot, "strict"),
}


def calls_that_count(ops: list[Op]) -> Iterator[tuple[Op, Op | None, int, int | None]]:
    """(invocation, its ok completion, begin, end) of all calls but failed ones and reads that were not told anything.

    The completion and the end are None where the outcome is unknown.
    """
    columns = History.from_ops(ops)
    for place, op in enumerate(ops):
        end = int(columns.pair[place])
        if op.type != "invoke" or (end >= 0 and ops[end].type == "fail"):
            continue
        told = ops[end] if end >= 0 and ops[end].type == "ok" else None
        if told is not None or op.f not in ("read", "read-all"):
            yield op, told, place, None if told is None else end
