"""What is known of a history's objects once they are judged: how many there are, and which have no order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from checkers.linearizable_calls import Call, Calls
from checkers.linearizable_model import Outcome


class Trouble(ABC):
    """One object that is not known to be linearizable. linearizable: False, or None where it is undecided."""

    def __init__(self, calls: Calls, linearizable: bool | None) -> None:
        self.calls = calls
        self.linearizable = linearizable

    @abstractmethod
    def explained(self) -> Outcome:
        """How far an order exists."""

    @abstractmethod
    def shrunk(self, stuck: Call) -> list[Call]:
        """Calls up to the one that has no place, without those reads that are not needed to show it."""


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
