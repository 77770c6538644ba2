"""A mutex: acquire and release, linearizable.

Ops: acquire, release (values are ignored). As in Knossos anybody may release it; with the owner told apart use the
fenced lock, or `owner` below. Actions: ("acquire",), ("release",). States: whether it is held.

Own algorithm, always exact: acquires and releases must alternate, and those of a kind are interchangeable. Go through
the history and place ops as late as possible: when one returns that has no place yet, it is put next; where the lock
is not in the state for that, the pending op of the other kind that returns first goes before it. Being late loses
nothing, as every op that could have been put earlier still can be, and the state depends on nothing but how many of
each kind were put. Ops of unknown outcome are used when no other will do. Cost: O(n log n).

With owners (`OwnedMutex`): only the client that acquired it may release it. Each acquire and the same client's next
release are then a block that nothing may come between; there is an order iff no two clients surely held it at once:
from the return of an acquire to the invocation of its release (zones of Gibbons and Korach 1997, all forward). Where
a client goes on after an op of unknown outcome, the search decides.

Names: `held-twice`, `released-unheld`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from checkers.linearizability.lin_outcome import Judged, act, broken, fits
from checkers.linearizability.linearizable_model import ILLEGAL, NEVER, Action, Budget, Kind, Operation, State, _Illegal


@dataclass(frozen=True)
class Mutex:
    """See the module."""

    initial: ClassVar[State] = False
    name: ClassVar[str] = "mutex"
    noun: ClassVar[str] = "lock"
    fs: ClassVar[tuple[str, ...]] = ("acquire", "release")
    read_fs: ClassVar[tuple[str, ...]] = ()

    def action(self, f: str, argument: Any, result: Any, index: int, process: int = -1) -> Action | None:
        """See DataType."""
        return (f,)

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        acquires = action[0] == "acquire"
        return ILLEGAL if state == acquires else acquires

    def kind(self, action: Any) -> Kind:
        """See Model."""
        return Kind.OTHER

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """All of them."""
        return operations

    def describe(self, action: Any) -> str:
        """See Model."""
        return "acquired it" if action[0] == "acquire" else "released it"

    def describe_state(self, state: Any) -> str:
        """See Model."""
        return "an owner" if state else "no owner"

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Judged | None:
        """See HasOwnAlgorithm."""
        places: list[tuple[int, int]] = []
        for number, operation in enumerate(operations):
            places.append((operation.invoked, number))
            if operation.returned != NEVER:
                places.append((operation.returned, number))
        places.sort()
        pending: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
        """Whether it acquires → those invoked that have no place yet, the first to return first."""
        invoked = [False] * len(operations)
        placed = [False] * len(operations)
        held = False
        for _, number in places:
            acquires = act(operations[number])[0] == "acquire"
            if not invoked[number]:
                invoked[number] = True
                heapq.heappush(pending[acquires], (operations[number].returned, number))
                continue
            if placed[number]:
                continue
            if held == acquires:
                if not pending[not acquires]:
                    return self._stuck(operations, number)
                placed[heapq.heappop(pending[not acquires])[1]] = True
            first = heapq.heappop(pending[acquires])[1]
            assert first == number
            placed[number] = True
            held = acquires
        return fits(operations)

    def _stuck(self, operations: Sequence[Operation], number: int) -> Judged:
        """The part since the lock was surely in one state would do; all that came before is shown."""
        stuck = operations[number]
        rest = [each for each in operations if each.invoked < stuck.returned and each is not stuck]
        if act(stuck)[0] == "release":
            return broken(
                operations, "released-unheld", [stuck], 0,
                " released it, but in every order of what had been answered before nobody held it then, and nobody "
                "could have acquired it in time.", grounds=rest, until=stuck.returned,
            )  # fmt: skip
        return broken(
            operations, "held-twice", [stuck], 0,
            " acquired it, but in every order of what had been answered before somebody held it then, and nobody "
            "could have released it in time.", grounds=rest, until=stuck.returned,
        )  # fmt: skip


@dataclass(frozen=True)
class OwnedMutex(Mutex):
    """A mutex that only its owner may release. Actions: ("acquire", client), ("release", client). States: the owner."""

    initial: ClassVar[State] = None
    name: ClassVar[str] = "mutex with owners"

    def action(self, f: str, argument: Any, result: Any, index: int, process: int = -1) -> Action | None:
        """See DataType."""
        return (f, process)

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        f, client = action
        if f == "acquire":
            return ILLEGAL if state is not None else client
        return None if state == client else ILLEGAL

    def describe_state(self, state: Any) -> str:
        """See Model."""
        return "no owner" if state is None else f"client {state} as its owner"

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Judged | None:
        """See HasOwnAlgorithm."""
        holds = held_by(operations)
        if holds is None or isinstance(holds, Judged):
            return holds
        return _overlap(operations, holds) or fits(operations)


@dataclass(frozen=True)
class Hold:
    """One client's hold of a lock. release: None where it never released it."""

    acquire: Operation
    release: Operation | None

    @property
    def surely(self) -> tuple[int, int]:
        """From when to when it surely was held."""
        return self.acquire.returned, NEVER if self.release is None else self.release.invoked

    @property
    def operations(self) -> list[Operation]:
        return [self.acquire, *([] if self.release is None else [self.release])]


def held_by(operations: Sequence[Operation]) -> list[Hold] | Judged | None:
    """Each client's holds (actions have the client in place 1); what is wrong where a client's own ops contradict.

    An acquire of unknown outcome is left out: nothing shows that it happened. None where a client goes on after an op
    of unknown outcome: its next ops may mean either.
    """
    holds: list[Hold] = []
    open_by: dict[Any, Operation] = {}
    unsure: set[Any] = set()
    wrong: Judged | None = None
    for operation in operations:
        f, client = act(operation)[:2]
        if client in unsure:
            return None
        if operation.crashed:
            unsure.add(client)
        held = open_by.get(client)
        if f == "acquire":
            if operation.crashed:
                continue
            if held is not None:
                wrong = wrong or broken(
                    operations, "held-twice", [held, operation], 1,
                    " acquired it, although it held it already and had not released it.",
                )  # fmt: skip
            open_by[client] = operation
        elif held is not None:
            holds.append(Hold(open_by.pop(client), operation))
        elif not operation.crashed:
            wrong = wrong or broken(
                operations, "released-unheld", [operation], 0, " released it without having acquired it."
            )
    return wrong or holds + [Hold(each, None) for each in open_by.values()]


def _overlap(operations: Sequence[Operation], holds: list[Hold]) -> Judged | None:
    last: Hold | None = None
    for hold in sorted((each for each in holds if each.surely[0] < each.surely[1]), key=lambda each: each.surely):
        if last is not None and hold.surely[0] < last.surely[1]:
            return held_at_once(operations, last, hold)
        if last is None or hold.surely[1] > last.surely[1]:
            last = hold
    return None


def held_at_once(operations: Sequence[Operation], first: Hold, second: Hold) -> Judged:
    """Two clients that held the lock at one time."""
    number = len(first.operations)
    return broken(
        operations, "held-twice", [*first.operations, *second.operations], number,
        " acquired it while ", 0, " held it: at one time both had been told that the lock is theirs, and neither had "
        "begun to release it.",
    )  # fmt: skip
