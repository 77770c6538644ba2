"""What is known of a history's objects once they are judged: how many there are, and which have no order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from checkers.linearizability.linearizable_calls import Call, Calls
from checkers.linearizability.linearizable_model import NEVER, Outcome, State
from checkers.linearizability.register_anomalies import Named, find
from harness.history import FAIL


class Trouble(ABC):
    """One object that is not known to be linearizable. linearizable: False, or None where it is undecided."""

    def __init__(self, linearizable: bool | None) -> None:
        self.linearizable = linearizable

    @property
    @abstractmethod
    def calls(self) -> Calls:
        """All calls of the object."""

    @property
    def about(self) -> Calls:
        """The object's key and title; maybe without its calls."""
        return self.calls

    def named(self, initial: State) -> Iterator[Named]:
        """The violations that have a name; of registers only."""
        return find(self.calls, initial)

    def call_at(self, place: int) -> Call:
        """The call that was invoked at a place."""
        return next(call for call in self.calls.calls if call.place == place)

    def in_flight(self, stuck: Call) -> int:
        """How many other calls were in flight, or of unknown outcome, when a call returned."""
        return sum(
            call.place < stuck.end and (call.end > stuck.end or call.returned == NEVER)
            for call in self.calls.calls
            if call.outcome != FAIL and call is not stuck
        )

    @abstractmethod
    def explained(self) -> Outcome:
        """How far an order exists."""

    @abstractmethod
    def records(self, calls: Sequence[Call]) -> list[int]:
        """Records that show what is wrong with these calls: theirs, and those of who may have put what they found."""

    def records_of(self, named: Named, initial: State) -> list[int]:
        """Records that show a violation that has a name, by that name."""
        return self.records(named.calls)

    @abstractmethod
    def shrunk(self, stuck: Call) -> list[int]:
        """Records of calls up to the completion of one that has no place, enough of them to show that."""


@dataclass
class Objects:
    """All objects of a history, judged. troubles: those not known to be linearizable, one by one.

    operations: calls that happened or may have. crashed: those of unknown outcome.
    """

    count: int
    operations: int
    crashed: int
    troubles: Iterator[Trouble]
    configurations_max: int
