"""A counter: add and read, linearizable.

Ops: add d (a whole number, may be negative), read null → n. Actions: ("add", d), ("read", n). States: the number.

Own algorithm, exact where all amounts are the same and not 0: the counter is then a length that grows by one step at
a time (`lin_sequence`, O(n log n)). Other amounts: what is outside the bounds is proven wrong at once. At a read the
counter is at least the initial value with all increments that had returned before it began and all decrements that
had begun before it returned, and at most the reverse. (Necessary, not sufficient: Jepsen's `counter` checks only
this.) What is within them is left to the search, as which amounts add up is a subset-sum problem.

Names: `lost-increment` (a read shows less than the bounds allow), `extra-increment` (more), `nonlinearizable` (the
reads contradict each other).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from checkers.linearizability.lin_calls import UNKNOWN
from checkers.linearizability.lin_outcome import NONLINEARIZABLE, Judged, act, broken, fits
from checkers.linearizability.lin_sequence import Append, Observation, fill
from checkers.linearizability.linearizable_model import ILLEGAL, NEVER, Action, Budget, Kind, Operation, State, _Illegal
from checkers.values import show
from harness.history import HistoryError


@dataclass(frozen=True)
class Counter:
    """initial: the value before any add."""

    initial: int = 0
    name: ClassVar[str] = "counter"
    noun: ClassVar[str] = "counter"
    fs: ClassVar[tuple[str, ...]] = ("add", "read")
    read_fs: ClassVar[tuple[str, ...]] = ("read",)
    grows: ClassVar[bool] = True

    def action(self, f: str, argument: Any, result: Any, index: int, process: int = -1) -> Action | None:
        """See DataType."""
        value = argument if f == "add" else result
        if value is UNKNOWN or (f == "add" and value == 0):
            return None
        if type(value) is not int:
            raise HistoryError(f"index {index}: {f} needs a whole number, not {show(value)}")
        return (f, value)

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        f, value = action
        if f == "add":
            return state + value
        return state if state == value else ILLEGAL

    def kind(self, action: Any) -> Kind:
        """See Model."""
        return Kind.READ_ONLY if action[0] == "read" else Kind.OTHER

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """All of them."""
        return operations

    def describe(self, action: Any) -> str:
        """See Model."""
        return f"{'read' if action[0] == 'read' else 'added'} {action[1]}"

    def describe_state(self, state: State) -> str:
        """See Model."""
        return str(state)

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Judged | None:
        """See HasOwnAlgorithm."""
        amounts = {act(operation)[1] for operation in operations if act(operation)[0] == "add"}
        outside = self._outside(operations)
        if outside is not None:
            return outside
        return None if len(amounts) > 1 else self._by_steps(operations, amounts.pop() if amounts else 1)

    def _outside(self, operations: Sequence[Operation]) -> Judged | None:
        """The read that is farthest outside its bounds."""
        adds = [operation for operation in operations if act(operation)[0] == "add"]
        reads = [operation for operation in operations if act(operation)[0] == "read"]
        sums: list[_Sums] = []
        for sign in (1, -1):
            signed = [each for each in adds if act(each)[1] * sign > 0]
            sums.append(_Sums(signed))
        ups, downs = sums
        for read in reads:
            value = act(read)[1]
            low = self.initial + ups.returned(read.invoked) + downs.invoked(read.returned)
            high = self.initial + ups.invoked(read.returned) + downs.returned(read.invoked)
            if value < low:
                return broken(
                    operations,
                    "lost-increment",
                    self._bounds(read, adds, 1),
                    0,
                    f" read {value}, but with all increments that had been acknowledged before it began",
                    f"{', and all decrements that anybody had begun,' if downs.total else ''} the counter was at least "
                    f"{low}: {low - value} is missing.",
                )
            if value > high:
                return broken(
                    operations,
                    "extra-increment",
                    self._bounds(read, adds, -1),
                    0,
                    f" read {value}, but even with every increment that anybody had begun to make before it returned "
                    f"the counter was at most {high}: {value - high} too many.",
                )
        return None

    def _bounds(self, read: Operation, adds: Sequence[Operation], surely: int) -> list[Operation]:
        """The read and what its bound is made of: adds of this sign that had happened, and others that may have."""
        return [
            read,
            *(each for each in adds if act(each)[1] * surely > 0 and each.returned < read.invoked),
            *(each for each in adds if act(each)[1] * surely < 0 and each.invoked < read.returned),
        ]

    def _by_steps(self, operations: Sequence[Operation], amount: int) -> Judged:
        """All amounts the same: the counter is a length."""
        events: list[Append | Observation] = []
        for operation in operations:
            f, value = act(operation)
            if f == "add":
                events.append(Append(operation.invoked, operation.returned))
                continue
            steps, rest = divmod(value - self.initial, amount)
            if rest:
                adds = [each for each in operations if act(each)[0] == "add" and each.invoked < operation.returned]
                return broken(
                    operations, "garbage-read", [operation, *adds], 0,
                    f" read {value}, which no number of additions of {amount} to {self.initial} makes.",
                )  # fmt: skip
            events.append(Observation(operation.invoked, operation.returned, steps, steps))
        stuck = fill(events)
        if stuck is None:
            return fits(operations)
        operation = operations[stuck.event]
        length = self.initial + stuck.length * amount
        return broken(
            operations,
            NONLINEARIZABLE,
            [operation],
            0,
            f" {self.describe(act(operation))}, and this fits no order: by what was read and acknowledged before, "
            f"the counter was {'past it, at ' if stuck.missing < 0 else 'no farther than '}{length}.",
            grounds=[each for each in operations if each.invoked < operation.returned],
            until=operation.returned,
        )


class _Sums:
    """Sums of amounts by time."""

    def __init__(self, adds: Sequence[Operation]) -> None:
        self._by_invocation = self._sums([(each.invoked, act(each)[1]) for each in adds])
        done = [(each.returned, act(each)[1]) for each in adds if each.returned != NEVER]
        self._by_return = self._sums(done)
        self.total = len(adds)

    def _sums(self, entries: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
        entries.sort()
        sums = [0]
        for _, amount in entries:
            sums.append(sums[-1] + amount)
        return [place for place, _ in entries], sums

    def invoked(self, before: int) -> int:
        """Of the adds invoked before a place."""
        places, sums = self._by_invocation
        return sums[bisect_left(places, before)]

    def returned(self, before: int) -> int:
        """Of the adds that returned before a place."""
        places, sums = self._by_return
        return sums[bisect_left(places, before)]
