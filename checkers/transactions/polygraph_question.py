"""The question that a polygraph answers, and its answer, as data.

A history says which transactions wrote a key and who read which version; the order of the versions may be open. A
polygraph (Papadimitriou, The Serializability of Concurrent Database Updates, 1979) is what is known for certain, and
for each two versions of a key two sets of edges of which one must hold:
- a before b: `ww` from a's writer to b's, and `rw` from every reader of a to b's writer;
- b before a: the same the other way round.

Uncertain transactions of which nobody read anything are left out by the caller. That is sound: take an execution in
which such a transaction committed, and take it out: nobody read what it wrote, so every read still returns the same,
and fewer orders are asked for. A transaction's earlier writes to a register that it wrote again are no versions.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from checkers.transactions.cycle_kinds import Step


class Must(enum.Enum):
    """Which cycles an order of the versions must not leave; session and realtime edges count where they are given.

    WRITES: none of ww (G0). DEPENDENCIES: none of ww and wr (G1c). VIEW: none with fewer than two rw (G-single).
    SNAPSHOT: none without two rw in a row (G-nonadjacent). SERIALIZABLE: none.
    """

    WRITES = 0
    DEPENDENCIES = 1
    VIEW = 2
    SNAPSHOT = 3
    SERIALIZABLE = 4


@dataclass(frozen=True)
class OpenKeys:
    """Keys with several committed writers: k keys, v versions, r reads of them.

    key: int32[k], the caller's numbers. start: int64[k + 1]: the versions of key i are start[i]:start[i + 1].
    writer: int32[v], the transaction that wrote each version, one version for each key and transaction.
    writer_mop: int32[v], the micro-op. reader_start: int64[v + 1]. reader: int32[r], the transactions that read
    the version; the graph must hold the wr edges to them. reader_mop: int32[r].
    The initial version is none of these: that its readers come before every writer is known (see
    `dependency_graph.before_all`). Keys with one writer need not be here.
    """

    key: np.ndarray
    start: np.ndarray
    writer: np.ndarray
    writer_mop: np.ndarray
    reader_start: np.ndarray
    reader: np.ndarray
    reader_mop: np.ndarray

    def __len__(self) -> int:
        return len(self.key)

    def key_of_version(self) -> np.ndarray:
        """int32[v]: the place of each version's key."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.start))

    def with_distinct_readers(self) -> OpenKeys:
        """Each reader of a version once, and without its own writer."""
        version = np.repeat(np.arange(len(self.writer)), np.diff(self.reader_start))
        pair = version.astype(np.int64) * (int(self.reader.max(initial=0)) + 1) + self.reader
        _, places = np.unique(pair, return_index=True)
        places = np.sort(places)
        places = places[self.reader[places] != self.writer[version[places]]]
        if len(places) == len(self.reader):
            return self
        count = np.bincount(version[places], minlength=len(self.writer))
        return OpenKeys(
            self.key,
            self.start,
            self.writer,
            self.writer_mop,
            np.concatenate(([0], np.cumsum(count))).astype(np.int64),
            self.reader[places],
            self.reader_mop[places],
        )

    def without_readers(self) -> OpenKeys:
        """The same versions, as if nobody had read them."""
        none = np.empty(0, np.int32)
        return OpenKeys(
            self.key, self.start, self.writer, self.writer_mop, np.zeros(len(self.writer) + 1, np.int64), none, none
        )


class Link(Step, frozen=True):
    """A step of a cycle. key (-1 if it is known): it holds if transaction `first` wrote the key before `second`."""

    key: int = -1
    first: int = -1
    second: int = -1


@dataclass(frozen=True)
class Conflict:
    """Cycles of which every order of the versions has at least one; few of them, each needed."""

    cycles: list[list[Link]]

    @property
    def txns(self) -> list[int]:
        """The transactions on them."""
        return sorted({link.source for cycle in self.cycles for link in cycle})

    @property
    def choices(self) -> list[tuple[int, int, int]]:
        """(transaction, transaction, key): the pairs of writes whose order is open."""
        pairs = {
            (min(link.first, link.second), max(link.first, link.second), link.key)
            for cycle in self.cycles
            for link in cycle
            if link.key >= 0
        }
        return sorted(pairs)

    @property
    def steps(self) -> list[Link]:
        """What is known to come before what, whatever the order."""
        known = {(link.source, link.target): link for cycle in self.cycles for link in cycle if link.key < 0}
        return list(known.values())


@dataclass(frozen=True)
class Answer:
    """possible: None if it was not decided, for the `reason`. conflict: why not, where it is not possible.

    order: int64[v], the place of each version within its key in an order that fits, where one was found.
    """

    possible: bool | None
    conflict: Conflict | None = None
    reason: str = ""
    order: np.ndarray | None = None
