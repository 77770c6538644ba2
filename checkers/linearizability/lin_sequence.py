"""Positions that are filled one after the other: is there an order for appends and for observations of the length?

What counters and logs have in common: an object that only grows, step by step. An *append* takes the next position;
some are known to have taken a certain one (*named*), the others are interchangeable (*free*). An *observation*
happened while the length was within [low, high].

Idea: go through the history and fill positions as late as possible: when an append completes that has no position
yet, or when an observation completes that needs a greater length. An observation is done as soon as the length fits.
To fill a position that nobody is named for, take the pending free append that returns first. Being late loses
nothing: a greater length can still be reached at any later time by the same appends and others, and on the way it
passes every length that an observation may be waiting for (exchange argument, as for earliest-deadline-first
scheduling of unit jobs; the oracle tests try it on all small histories). So one walk decides, without a search.
Appends of unknown outcome return never and are used when nothing else will do.

Cost: O(n log n).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from checkers.linearizability.linearizable_model import NEVER

FREE = -1
"""The position of an append that is not known."""


@dataclass(frozen=True, slots=True)
class Append:
    """invoked, returned: places, NEVER where nobody knows the outcome. position: the one it took, or FREE."""

    invoked: int
    returned: int
    position: int = FREE


@dataclass(frozen=True, slots=True)
class Observation:
    """The length was from low to high (both included) at an instant between the two places."""

    invoked: int
    returned: int
    low: int
    high: int = NEVER


@dataclass(frozen=True)
class Stuck:
    """event: number of the append or observation that has no place. length: before it. missing: the position that
    nobody could fill yet, -1 where the length was too great already.
    """

    event: int
    length: int
    missing: int = -1


def fill(events: Sequence[Append | Observation]) -> Stuck | None:
    """None where there is an order."""
    return _Walk(events).run()


class _Walk:
    def __init__(self, events: Sequence[Append | Observation]) -> None:
        self.events = events
        self.named: Mapping[int, int] = {
            event.position: number
            for number, event in enumerate(events)
            if isinstance(event, Append) and event.position != FREE
        }
        self.length = 0
        self.invoked = [False] * len(events)
        self.done = [False] * len(events)
        self.free: list[tuple[int, int]] = []
        self.waiting: dict[int, list[int]] = {}
        """Lowest length → the observations that are pending and need it."""

    def run(self) -> Stuck | None:
        """Walk from record to record."""
        places: list[tuple[int, int]] = []
        for number, event in enumerate(self.events):
            places.append((event.invoked, number))
            if event.returned != NEVER:
                places.append((event.returned, number))
        places.sort()
        for _, number in places:
            if not self.invoked[number]:
                self._invoke(number)
            elif not self.done[number]:
                missing = self._complete(number)
                if missing is not None:
                    return Stuck(number, self.length, missing)
        return None

    def _invoke(self, number: int) -> None:
        self.invoked[number] = True
        event = self.events[number]
        if isinstance(event, Append):
            if event.position == FREE:
                heapq.heappush(self.free, (event.returned, number))
        elif self.length >= event.low:
            self.done[number] = self.length <= event.high
        else:
            self.waiting.setdefault(event.low, []).append(number)

    def _complete(self, number: int) -> int | None:
        """None, or the position that can't be filled (-1: the length is too great)."""
        event = self.events[number]
        if isinstance(event, Observation) and self.length >= event.low:
            return -1
        while not self.done[number]:
            if not self._fill_next():
                return self.length
        return None

    def _fill_next(self) -> bool:
        named = self.named.get(self.length)
        if named is not None:
            if not self.invoked[named]:
                return False
            self.done[named] = True
        elif self.free:
            self.done[heapq.heappop(self.free)[1]] = True
        else:
            return False
        self.length += 1
        for number in self.waiting.pop(self.length, ()):
            self.done[number] = True
        return True
