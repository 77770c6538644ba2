"""Reads and writes of registers by session, and which must come before which.

For sequential and causal consistency, which know no realtime: only each client's own order, and who read whose write.
Values are unique for their key, so a read names its write. A write of unknown outcome that nobody read is left out; one
that was read happened, after what its client had done before, and nothing is known to come after it but its readers.

Order is kept as vector clocks: for each op, how many ops of each chain (a session, or a lone write of unknown outcome)
come before it or are it. Edges may be added; clocks are worked out anew then, in one pass, O(edges × chains).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from checkers.client_calls import ClientCall
from checkers.values import show

INITIAL = -1
"""Stands for the writer of a register's initial value."""


@dataclass(frozen=True)
class SessionOp:
    """One read, write, or both at once (a cas). `reads`, `writes`: whether; and the values."""

    call: ClientCall
    key: Hashable
    reads: bool
    read: Hashable
    writes: bool
    written: Hashable

    @property
    def text(self) -> str:
        """What it did, for a sentence."""
        key = "" if self.key is None else f" at key {show(self.key)}"
        if self.reads and self.writes:
            did = f"changed {show(self.read)} to {show(self.written)}"
        else:
            did = f"wrote {show(self.written)}" if self.writes else f"read {show(self.read)}"
        return f"op {self.call.record} (client {self.call.process}) {did}{key}"


@dataclass
class SessionOps:
    """n ops in the order of their invocations. source: op → the op it read from, INITIAL; only of reads.

    writes: key → ops that wrote it. garbage: reads of values that nobody wrote; failed: of values whose write failed.
    ambiguous: keys to which a value may have been written twice, or the initial value once more.
    """

    ops: list[SessionOp]
    source: dict[int, int] = field(default_factory=dict)
    writes: dict[Hashable, list[int]] = field(default_factory=dict)
    readers: dict[int, list[int]] = field(default_factory=dict)
    garbage: list[int] = field(default_factory=list)
    failed: list[tuple[int, SessionOp]] = field(default_factory=list)
    ambiguous: list[Hashable] = field(default_factory=list)
    chains: list[list[int]] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    """Session order and reads-from."""


def session_ops(ops: Sequence[SessionOp], aborted: Iterable[SessionOp], initial: Hashable) -> SessionOps:
    """Link them. ops: ok ones, and writes of unknown outcome, in the order of their invocations."""
    makers: dict[tuple[Hashable, Hashable], list[SessionOp]] = defaultdict(list)
    for op in ops:
        if op.writes:
            makers[op.key, op.written].append(op)
    wanted = {(op.key, op.read) for op in ops if op.reads and op.call.ok}
    grew = True
    while grew:
        grew = False
        for op in ops:
            if op.writes and op.reads and not op.call.ok and (op.key, op.written) in wanted:
                grew = grew or (op.key, op.read) not in wanted
                wanted.add((op.key, op.read))
    kept = [op for op in ops if op.call.ok or (op.writes and (op.key, op.written) in wanted)]
    found = SessionOps(kept)
    number = {id(op): place for place, op in enumerate(kept)}
    repeated = {key for (key, value), made in makers.items() if len(made) > 1 or value == initial}
    found.ambiguous = sorted(repeated, key=repr)
    gone = {(op.key, op.written): op for op in aborted if op.writes}
    last: dict[int, int] = {}
    for place, op in enumerate(kept):
        before = last.get(op.call.process)
        if before is not None:
            found.edges.append((before, place))
        if op.call.ok:
            last[op.call.process] = place
        if op.writes:
            found.writes.setdefault(op.key, []).append(place)
        if not op.reads:
            continue
        made = makers.get((op.key, op.read), [])
        if len(made) == 1 and id(made[0]) in number:
            writer = number[id(made[0])]
            found.source[place] = writer
            found.readers.setdefault(writer, []).append(place)
            found.edges.append((writer, place))
        elif op.read == initial and not made:
            found.source[place] = INITIAL
        elif not made:
            if (op.key, op.read) in gone:
                found.failed.append((place, gone[op.key, op.read]))
            else:
                found.garbage.append(place)
    chain_of: dict[int, list[int]] = {}
    for place, op in enumerate(kept):
        if not op.call.ok:
            found.chains.append([place])
            continue
        if op.call.process not in chain_of:
            chain_of[op.call.process] = []
            found.chains.append(chain_of[op.call.process])
        chain_of[op.call.process].append(place)
    return found


class Clocks:
    """The order that some edges make. cycle: ops in a circle, where there is one; `clock` means nothing then."""

    def __init__(self, found: SessionOps, edges: Iterable[tuple[int, int]]) -> None:
        count = len(found.ops)
        self.chain = np.zeros(count, np.int64)
        self.position = np.zeros(count, np.int64)
        for number, chain in enumerate(found.chains):
            self.chain[chain] = number
            self.position[chain] = np.arange(len(chain))
        after: list[list[int]] = [[] for _ in range(count)]
        waits = [0] * count
        self._before: list[list[int]] = [[] for _ in range(count)]
        for source, target in edges:
            after[source].append(target)
            self._before[target].append(source)
            waits[target] += 1
        order = [op for op in range(count) if not waits[op]]
        self.clock = np.zeros((count, len(found.chains)), np.int32)
        for op in order:
            row = self.clock[op]
            for earlier in self._before[op]:
                np.maximum(row, self.clock[earlier], out=row)
            row[self.chain[op]] = max(row[self.chain[op]], self.position[op] + 1)
            for later in after[op]:
                waits[later] -= 1
                if not waits[later]:
                    order.append(later)
        self.order = order
        self.cycle = self._circle(set(range(count)) - set(order)) if len(order) < count else []

    def before(self, one: int, other: int) -> bool:
        """Whether `one` comes before `other`."""
        return one != other and bool(self.clock[other, self.chain[one]] > self.position[one])

    def _circle(self, left: set[int]) -> list[int]:
        """A shortest circle through one of the ops that wait for each other."""
        best: list[int] = []
        for start in sorted(left)[:64]:
            came_from = {start: start}
            todo = [start]
            while todo and not (best and len(came_from) > 100_000):
                following: list[int] = []
                for op in todo:
                    for earlier in self._before[op]:
                        if earlier == start:
                            circle = [op]
                            while circle[-1] != start:
                                circle.append(came_from[circle[-1]])
                            if not best or len(circle) < len(best):
                                best = circle
                            following = []
                            break
                        if earlier in left and earlier not in came_from:
                            came_from[earlier] = op
                            following.append(earlier)
                    else:
                        continue
                    break
                todo = following
            if best and len(best) == 2:
                break
        return best


class ByChain:
    """For each key and chain, the ops of a kind by their positions: which was the last up to a moment?"""

    def __init__(self, found: SessionOps, clocks: Clocks, ops: Iterable[int]) -> None:
        self._rows: dict[tuple[Hashable, int], tuple[list[int], list[int]]] = {}
        self._chains: dict[Hashable, list[int]] = defaultdict(list)
        for op in ops:
            where = (found.ops[op].key, int(clocks.chain[op]))
            if where not in self._rows:
                self._rows[where] = ([], [])
                self._chains[where[0]].append(where[1])
            self._rows[where][0].append(int(clocks.position[op]))
            self._rows[where][1].append(op)

    def last_before(self, key: Hashable, op: int, clocks: Clocks, skip: int = -2) -> list[int]:
        """In each chain the last of key's ops that comes before `op`; `skip` is passed over."""
        found = []
        row = clocks.clock[op]
        for chain in self._chains.get(key, ()):
            positions, ops = self._rows[key, chain]
            place = int(np.searchsorted(positions, row[chain])) - 1
            while place >= 0 and ops[place] in (op, skip):
                place -= 1
            if place >= 0:
                found.append(ops[place])
        return found

    def firsts(self, key: Hashable) -> list[int]:
        """In each chain the first of key's ops."""
        return [self._rows[key, chain][1][0] for chain in self._chains.get(key, ())]
