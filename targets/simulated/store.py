"""The store: one log of commits over versioned values, and what a transaction sees of it.

A transaction reads from a snapshot and is checked when it commits: if anything that it read has changed since, it has
no effect. That makes the store strictly serializable. Each flaw takes one part of it away:

    dirty-read    reads see what others have written and not committed yet
    lost-update   nothing is checked, and a write replaces the value that the transaction saw
    write-skew    only what the transaction writes is checked (snapshot isolation)
    read-skew     no snapshot: each read sees the latest commit; only read keys that are also written are checked
    stale-read    a replica answers read-only transactions from what has reached it (`targets.simulated.cluster`)
    lost-write    a new leader may not have the last commits, though they were acknowledged

and, in `targets.simulated.cluster`, where there are several nodes:

    split-brain         nodes that were cut off have a leader too, on a fork of the store that is thrown away at the end
    duplicate           a write is applied twice; what is handed out once (an id, an element) is handed out again
    non-monotonic-read  each read is answered by another replica, and each replica lags by another time
    diverged-replicas   each replica misses some commits for good, and answers reads from what it has
    lost-element        one write of a commit is undone, at once or a moment later, though it was acknowledged

Cost: O(log versions) a read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from typing import Any

from harness.target import DidNotHappen

FLAWS = (
    "none",
    "dirty-read",
    "lost-update",
    "write-skew",
    "read-skew",
    "stale-read",
    "lost-write",
    "split-brain",
    "duplicate",
    "non-monotonic-read",
    "diverged-replicas",
    "lost-element",
)

Write = tuple[str, Hashable, Any]
"""("append" | "write", key, element or value)."""


class Store:
    """Committed versions. `now` is the number of commits; a snapshot is such a number."""

    def __init__(self) -> None:
        self.now = 0
        self._times_ns: list[int] = []
        self._seqs: dict[Hashable, list[int]] = {}
        self._values: dict[Hashable, list[Any]] = {}
        self.dirty: dict[Hashable, list[tuple[Transaction, Any]]] = {}

    def read(self, key: Hashable, snapshot: int) -> tuple[Any, int]:
        """(value, number of the commit that wrote it) at a snapshot; (None, 0) when nobody had."""
        seqs = self._seqs.get(key)
        place = bisect_right(seqs, snapshot) if seqs else 0
        return (self._values[key][place - 1], seqs[place - 1]) if seqs and place else (None, 0)

    def written(self) -> list[Hashable]:
        """Every key that was ever written, in that order; at last those that are being written, if reads see that."""
        return [*self._seqs, *(key for key in self.dirty if key not in self._seqs)]

    def fork(self) -> Store:
        """A store with the same past and a future of its own."""
        other = Store()
        other.now = self.now
        other._times_ns = list(self._times_ns)
        other._seqs = {key: list(seqs) for key, seqs in self._seqs.items()}
        other._values = {key: list(values) for key, values in self._values.items()}
        return other

    def apply(self, writes: Sequence[Write], time_ns: int) -> None:
        """One more commit of these writes, on top of what is here."""
        values: dict[Hashable, Any] = {}
        for kind, key, argument in writes:
            old = values[key] if key in values else self.read(key, self.now)[0]
            values[key] = applied(kind, old, argument)
        self.commit(values, time_ns)

    def undo(self, write: Write, time_ns: int) -> None:
        """Take an element out of its list again; put back the value before, if nothing has replaced the one written."""
        kind, key, argument = write
        values = self._values.get(key, [])
        if not values:
            return
        if kind == "append":
            kept = list(values[-1] or ())
            if argument in kept:
                kept.remove(argument)
                self.commit({key: tuple(kept)}, time_ns)
        elif values[-1] == argument:
            self.commit({key: values[-2] if len(values) > 1 else None}, time_ns)

    def commit(self, writes: dict[Hashable, Any], time_ns: int) -> None:
        """One more commit. Times must not go back."""
        self.now += 1
        self._times_ns.append(time_ns)
        for key, value in writes.items():
            self._seqs.setdefault(key, []).append(self.now)
            self._values.setdefault(key, []).append(value)

    def snapshot_at(self, time_ns: int) -> int:
        """The snapshot of everything committed up to a time; what was there at the beginning is in all of them."""
        return bisect_right(self._times_ns, max(0, time_ns))

    def lose(self, snapshot: int) -> int:
        """Forget every commit after a snapshot; how many there were."""
        lost = self.now - snapshot
        self.now = snapshot
        del self._times_ns[snapshot:]
        for key, seqs in self._seqs.items():
            keep = bisect_right(seqs, snapshot)
            del seqs[keep:], self._values[key][keep:]
        return lost


class Transaction:
    """One transaction on the store, with one flaw or `none`. leader, term: of the node that runs it."""

    def __init__(self, store: Store, flaw: str, snapshot: int, *, leader: str = "", term: int = 0) -> None:
        self.leader, self.term = leader, term
        self._store = store
        self._flaw = flaw
        self._snapshot = snapshot
        self._reads: dict[Hashable, int] = {}
        self._writes: list[Write] = []

    @property
    def writes(self) -> Sequence[Write]:
        """What it has written so far."""
        return self._writes

    def read(self, key: Hashable) -> Any:
        """The value as this transaction sees it, with its own writes; None when it has none."""
        snapshot = self._store.now if self._flaw == "read-skew" else self._snapshot
        value, seq = self._store.read(key, snapshot)
        self._reads.setdefault(key, seq)
        if self._flaw == "dirty-read" and (dirty := self._store.dirty.get(key)):
            value = dirty[-1][1]
        elif self._writes:
            for kind, written, argument in self._writes:
                if written == key:
                    value = applied(kind, value, argument)
        return value

    def append(self, key: Hashable, element: Any) -> None:
        """Add to the tuple at a key."""
        self._write("append", key, element)

    def write(self, key: Hashable, value: Any) -> None:
        """Replace the value at a key."""
        self._write("write", key, value)

    def _write(self, kind: str, key: Hashable, argument: Any) -> None:
        if self._flaw == "lost-update":
            kind, argument = "write", applied(kind, self.read(key), argument)
        if self._flaw == "dirty-read":
            latest = self._store.read(key, self._store.now)[0]
            dirty = self._store.dirty.setdefault(key, [])
            dirty.append((self, applied(kind, dirty[-1][1] if dirty else latest, argument)))
        self._writes.append((kind, key, argument))

    def commit(self, time_ns: int) -> None:
        """Make the writes permanent. Raises DidNotHappen when what this transaction rests on has changed."""
        self._clean_up()
        if not self._writes:
            return
        if any(self._changed(key, seq) for key, seq in self._checked()):
            raise DidNotHappen("conflict: another transaction was first")
        self._store.apply(self._writes, time_ns)

    def abort(self) -> None:
        """Leave nothing behind."""
        self._clean_up()

    def _checked(self) -> list[tuple[Hashable, int]]:
        """(key, number of the last commit that it may have had) of all that must not have changed."""
        written = {key: None for _, key, _ in self._writes}
        if self._flaw == "lost-update":
            return []
        if self._flaw == "write-skew":
            return [(key, self._snapshot) for key in written]
        if self._flaw == "read-skew":
            return [(key, self._reads[key]) for key in written if key in self._reads]
        return list(self._reads.items())

    def _changed(self, key: Hashable, seq: int) -> bool:
        return self._store.read(key, self._store.now)[1] > seq

    def _clean_up(self) -> None:
        if self._flaw == "dirty-read":
            for key in {key: None for _, key, _ in self._writes}:
                entries = [entry for entry in self._store.dirty.get(key, ()) if entry[0] is not self]
                if entries:
                    self._store.dirty[key] = entries
                else:
                    self._store.dirty.pop(key, None)


def applied(kind: str, old: Any, argument: Any) -> Any:
    """The value after one write."""
    return (*(old or ()), argument) if kind == "append" else argument
