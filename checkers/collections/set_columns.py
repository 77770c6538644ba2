"""A set's history as columns: its elements, who added them, and the reads that showed them.

Problem: a read lists every element of the set, so n adds and r reads make n × r values; a Python object looked at for
each is far too slow. Idea: elements become small integers once, and reads one flat column of them (CSR), on which every
question is a sort or a count. Cost: O(values read × log), about 24 bytes for each.

Adds of an equal element count as one: it is in the set from some moment between the first invocation of those that did
not fail and the first acknowledgement.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from checkers.client_calls import refuse_others
from checkers.values import freeze, is_pair, show, thaw
from harness.history import FAIL, INFO, INVOKE, OK, History, HistoryError
from harness.value_columns import NO_NUMBER, NUMBER

NEVER = 2**62
"""A place after the end of every history: of what never happened."""
Labels = Sequence[Any] | np.ndarray
_DENSE = 4
"""How many numbers of a range may be unused for each that is used, so that a table of the range is worth its memory."""


@dataclass(frozen=True)
class CallPlaces:
    """n calls of one f, in the order of their invocations.

    begin: int64[n], place of the invocation (of the completion where only those were recorded). end: int64[n], place of
    the completion, NEVER where the outcome is INFO. outcome: int8[n]. source: int64[n], place of the record that stands
    for the call: its completion where it has one.
    """

    begin: np.ndarray
    end: np.ndarray
    outcome: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.begin)

    def where(self, chosen: np.ndarray) -> CallPlaces:
        """Some of them."""
        return CallPlaces(self.begin[chosen], self.end[chosen], self.outcome[chosen], self.source[chosen])


def places_of(history: History, f: str) -> CallPlaces:
    """The calls of the clients' ops with this f."""
    if f not in history.f_names:
        empty = np.empty(0, np.int64)
        return CallPlaces(empty, empty, np.empty(0, np.int8), empty)
    mine = history.client & (history.f == history.f_names.index(f))
    timed = history.has_invocations
    begin = np.flatnonzero(mine & (history.type == INVOKE) if timed else mine).astype(np.int64)
    pair = history.pair[begin] if timed else begin
    outcome = np.where(pair < 0, INFO, history.type[pair]).astype(np.int8)
    end = np.where(outcome == INFO, NEVER, pair)
    return CallPlaces(begin, end, outcome, np.where(pair < 0, begin, pair))


def numbers_at(history: History, places: np.ndarray) -> np.ndarray | None:
    """The values at these places as int64, where all of them are whole numbers that fit; None otherwise."""
    if history.numbers is not None and bool(np.all(history.numbers.shape[places] == NUMBER)):
        numbers: np.ndarray = history.numbers.first[places]
        return None if bool(np.any(numbers == NO_NUMBER)) else numbers
    values = [history.value[place] for place in places.tolist()]
    if set(map(type, values)) <= {int}:
        try:
            return np.fromiter(values, np.int64, len(values))
        except OverflowError:
            return None
    return None


@dataclass(frozen=True)
class SetColumns:
    """n elements, r successful reads in the order of their invocations, e elements read (each once per read).

    labels: the elements themselves, by number. invoked: int64[n], place of the first invocation of an add that did not
    fail, NEVER where there is none. acknowledged: int64[n], place of the first ok of an add, NEVER where there is none.
    attempts: int64[n], adds of it, failed ones too. add_source: int64[n], place of the record that stands for the add
    (the acknowledgement, else the last attempt's record), -1 where nobody added it.
    read_begin, read_end, read_process: int64[r]. start: int64[r + 1], element: int64[e], sorted within a read.
    repeated: (read, element) of every element that a read showed more than once.
    adds: all calls of adds, and added: int64[len(adds)], their elements. timed: whether realtime is known.
    """

    history: History
    labels: Labels
    invoked: np.ndarray
    acknowledged: np.ndarray
    attempts: np.ndarray
    add_source: np.ndarray
    read_begin: np.ndarray
    read_end: np.ndarray
    read_process: np.ndarray
    start: np.ndarray
    element: np.ndarray
    repeated: tuple[np.ndarray, np.ndarray]
    adds: CallPlaces
    added: np.ndarray
    timed: bool

    @property
    def reads(self) -> int:
        return len(self.read_begin)

    @property
    def read_of(self) -> np.ndarray:
        """int64[e]: the read of each element read."""
        return np.repeat(np.arange(self.reads), np.diff(self.start))

    def label(self, element: int) -> str:
        """An element for a sentence."""
        return show(self.labels[element])

    def shown(self, element: int) -> Any:
        """An element as a plain value."""
        label = self.labels[element]
        return int(label) if isinstance(label, np.integer) else thaw(label)

    def read_record(self, read: int) -> int:
        """History index of a read's completion."""
        return int(self.history.index[self.read_end[read]])

    def add_records(self, element: int) -> list[int]:
        """History indexes of the record that stands for the add, and of its invocation."""
        place = int(self.add_source[element])
        if place < 0:
            return []
        pair = int(self.history.pair[place])
        return sorted(int(self.history.index[each]) for each in {place, pair if pair >= 0 else place})

    def contains(self, read: int, element: int) -> bool:
        """Whether a read showed an element."""
        part = self.element[self.start[read] : self.start[read + 1]]
        at = int(np.searchsorted(part, element))
        return at < len(part) and int(part[at]) == element


def columns_of(history: History, add: str = "add", read: str = "read") -> SetColumns:
    """The columns of ops `add v` and `read → [v, ...]` (nil: empty). Raises HistoryError for another read."""
    refuse_others(history, (add, read))
    adds = places_of(history, add)
    reads = places_of(history, read)
    reads = reads.where(reads.outcome == OK)
    _refuse_keys(history, reads)
    lists = [_elements(history, place) for place in reads.end.tolist()]
    added, element, labels = _number(history, adds.begin, lists, reads.end)
    n = len(labels)
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    element, start, repeated = _once_per_read(element, lengths, n)
    possible = adds.outcome != FAIL
    invoked = np.full(n, NEVER)
    np.minimum.at(invoked, added[possible], adds.begin[possible])
    acknowledged = np.full(n, NEVER)
    ok = adds.outcome == OK
    np.minimum.at(acknowledged, added[ok], adds.end[ok])
    add_source = np.full(n, -1)
    add_source[added] = adds.source
    add_source[acknowledged < NEVER] = acknowledged[acknowledged < NEVER]
    return SetColumns(
        history=history,
        labels=labels,
        invoked=invoked,
        acknowledged=acknowledged,
        attempts=np.bincount(added, minlength=n),
        add_source=add_source,
        read_begin=reads.begin,
        read_end=reads.end,
        read_process=history.process[reads.begin] if len(reads) else np.empty(0, np.int64),
        start=start,
        element=element,
        repeated=repeated,
        adds=adds,
        added=added,
        timed=history.has_invocations,
    )


def _refuse_keys(history: History, reads: CallPlaces) -> None:
    """Raise HistoryError where reads ask for `[key, null]`, as in Jepsen's independent tests: many sets, not one."""
    places = reads.begin[reads.begin != reads.end].tolist()
    for place in places[:1]:
        asked = history.value[place]
        if is_pair(asked) and asked[1] is None:
            raise HistoryError(
                f"index {history.index[place]}: a read of {show(asked)} asks for one set of many, and this checker "
                "judges one: give it the history of each key by itself, or judge with set-linearizable, keyed=yes"
            )


def _elements(history: History, place: int) -> Sequence[Any]:
    value = history.value[place]
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise HistoryError(
            f"index {history.index[place]}: the value of an ok read must be a list of elements, not {show(value)}"
        )
    return value


def _number(
    history: History, add_places: np.ndarray, lists: list[Sequence[Any]], read_places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Labels]:
    """(numbers of the added elements, numbers of those read, the elements by number)."""
    total = sum(map(len, lists))
    added = numbers_at(history, add_places)
    if added is not None and all(set(map(type, each)) <= {int} for each in lists):
        try:
            read = np.fromiter(chain.from_iterable(lists), np.int64, total)
        except OverflowError:
            read = None
        if read is not None:
            return _number_integers(added, read)
    numbers: dict[Hashable, int] = {}

    def number_of(value: Any, place: int) -> int:
        return numbers.setdefault(freeze(value, int(history.index[place])), len(numbers))

    first = [number_of(history.value[place], place) for place in add_places.tolist()]
    then = [number_of(value, place) for place, each in zip(read_places.tolist(), lists) for value in each]
    return np.array(first, np.int64), np.array(then, np.int64), list(numbers)


def _number_integers(added: np.ndarray, read: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    every = [part for part in (added, read) if len(part)]
    if not every:
        return added, read, np.empty(0, np.int64)
    low, high = int(min(part.min() for part in every)), int(max(part.max() for part in every))
    width = high - low + 1
    if width <= _DENSE * (len(added) + len(read)) + 1024:
        used = np.zeros(width, bool)
        for part in every:
            used[part - low] = True
        rank = np.cumsum(used) - 1
        return rank[added - low], rank[read - low], np.flatnonzero(used) + low
    labels = np.unique(np.concatenate(every))
    return np.searchsorted(labels, added), np.searchsorted(labels, read), labels


def _once_per_read(
    element: np.ndarray, lengths: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """(elements, sorted and once per read; where each read starts; the repeated ones)."""
    key = np.repeat(np.arange(len(lengths)), lengths) * max(n, 1) + element
    if len(key) > 1 and bool(np.any(key[1:] <= key[:-1])):
        key = np.sort(key, kind="stable")
    fresh = np.ones(len(key), bool)
    fresh[1:] = key[1:] != key[:-1]
    again = np.unique(key[~fresh])
    key = key[fresh]
    read = key // max(n, 1)
    start = np.searchsorted(read, np.arange(len(lengths) + 1))
    return key - read * max(n, 1), start, (again // max(n, 1), again % max(n, 1))
