"""A queue without order (a bag): enqueue and dequeue, linearizable.

Ops: enqueue v, dequeue null → v, or null where it was empty. (A dequeue that *failed* says nothing: only an `ok` null
is an observation.) Actions: see `lin_elements`. States: the elements with their numbers.

Own algorithms:

- No dequeue found the queue empty: each value on its own. Puts may be as early, takes as late as can be, so there is
  an order iff, whenever k takes of v had returned, k puts of v had been invoked. Values may repeat, and a dequeue of
  unknown outcome need not have happened. Cost: O(n log n).
- Some did, and values are unique: besides, at some instant of each such dequeue everything can have been out
  (`lin_elements`), but for as many elements as dequeues of unknown outcome can have taken by then.

Source of the second: Bouajjani, Emmi, Enea and Hamza, "On Reducing Linearizability to State Reachability", ICALP 2015
(bad patterns of collections); Emmi and Enea, "Sound, Complete, and Tractable Linearizability Monitoring for
Concurrent Collections", POPL 2018.

Names: `garbage-read`, `future-read`, `delivered-twice`, `lost-element` (found empty, and an acknowledged element was
never seen again), `false-empty`, `nonlinearizable` otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from checkers.linearizability.lin_calls import UNKNOWN
from checkers.linearizability.lin_elements import EMPTY, PUT, TAKE, TAKE_UNKNOWN, Elements, Words
from checkers.linearizability.lin_outcome import Judged, act, broken, fits
from checkers.linearizability.linearizable_model import ILLEGAL, Action, Budget, Kind, Operation, State, _Illegal
from checkers.values import freeze, show
from harness.history import HistoryError


@dataclass(frozen=True)
class Collection:
    """What the queue without order, the FIFO queue and the stack share as models."""

    initial: ClassVar[State] = ()
    words: ClassVar[Words] = Words("enqueued", "dequeued", "queue")
    name: ClassVar[str] = "queue"
    noun: ClassVar[str] = "queue"
    fs: ClassVar[tuple[str, ...]] = ("enqueue", "dequeue")
    read_fs: ClassVar[tuple[str, ...]] = ()
    grows: ClassVar[bool] = True

    def action(self, f: str, argument: Any, result: Any, index: int, process: int = -1) -> Action | None:
        """See DataType."""
        if f == self.fs[0]:
            if argument is None:
                raise HistoryError(f"index {index}: {f} needs a value; null stands for an empty {self.noun}")
            return (PUT, freeze(argument, index))
        if result is UNKNOWN:
            return (TAKE_UNKNOWN,)
        return (EMPTY,) if result is None else (TAKE, freeze(result, index))

    def kind(self, action: Any) -> Kind:
        """See Model."""
        return Kind.READ_ONLY if action[0] == EMPTY else Kind.OTHER

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """All of them."""
        return operations

    def describe(self, action: Any) -> str:
        """See Model."""
        return self.words.describe(action)

    def describe_state(self, state: Any) -> str:
        """See Model."""
        return f"[{' '.join(show(value) for value in state)}]"

    def elements_of(self, operations: Sequence[Operation]) -> Elements | None:
        """The elements; None where values are put in twice."""
        return Elements.of(operations, self.words)


@dataclass(frozen=True)
class Bag(Collection):
    """A queue without order."""

    initial: ClassVar[State] = (frozenset(), frozenset())
    """Elements as (value, how many equal ones came before), takes of unknown outcome that are used up."""

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        held, used = state
        if action[0] == EMPTY:
            return ILLEGAL if held else state
        value, copies = action[1], 0
        while (value, copies) in held:
            copies += 1
        if action[0] == PUT:
            return held | {(value, copies)}, used
        if not copies or (action[0] == TAKE_UNKNOWN and action[2] in used):
            return ILLEGAL
        return held - {(value, copies - 1)}, used | {action[2]} if action[0] == TAKE_UNKNOWN else used

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """Each take of unknown outcome as many: one for each value that it can have taken; the model uses one of them.

        Without a take that found nothing, they are not needed.
        """
        known = [operation for operation in operations if act(operation)[0] != TAKE_UNKNOWN]
        if not any(act(operation)[0] == EMPTY for operation in known):
            return known
        values = dict.fromkeys(act(operation)[1] for operation in known if act(operation)[0] == PUT)
        unknown = [operation for operation in operations if act(operation)[0] == TAKE_UNKNOWN]
        return known + [
            replace(operation, action=(TAKE_UNKNOWN, value, number))
            for number, operation in enumerate(unknown)
            for value in values
        ]

    def describe_state(self, state: Any) -> str:
        """See Model."""
        return f"[{' '.join(sorted(show(value) for value, _ in state[0]))}]"

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Judged | None:
        """See HasOwnAlgorithm."""
        wrong = self._by_value(operations)
        if wrong is not None or not any(act(operation)[0] == EMPTY for operation in operations):
            return wrong or fits(operations)
        elements = self.elements_of(operations)
        if elements is None:
            return None
        wrong = elements.false_empty_of_bag() if elements.unknown else elements.false_empty()
        return wrong or fits(operations)

    def _by_value(self, operations: Sequence[Operation]) -> Judged | None:
        puts: dict[Any, list[Operation]] = defaultdict(list)
        takes: dict[Any, list[Operation]] = defaultdict(list)
        for operation in operations:
            action = act(operation)
            if action[0] in (PUT, TAKE):
                (puts if action[0] == PUT else takes)[action[1]].append(operation)
        for value, took in takes.items():
            took.sort(key=lambda each: each.returned)
            put = sorted(puts.get(value, ()), key=lambda each: each.invoked)
            for place, take in enumerate(took):
                if place < len(put) and put[place].invoked < take.returned:
                    continue
                return self._too_many(operations, value, put, took[: place + 1])
        return None

    def _too_many(
        self, operations: Sequence[Operation], value: Any, puts: list[Operation], takes: list[Operation]
    ) -> Judged:
        last = len(takes) - 1
        if not puts:
            return broken(
                operations, "garbage-read", takes[-1:], 0,
                f" dequeued {show(value)}, which was never enqueued, or only by an op that failed.",
            )  # fmt: skip
        before = sum(put.invoked < takes[-1].returned for put in puts)
        if len(puts) > last:
            return broken(
                operations, "future-read", [*takes, *puts[: len(takes)]], last,
                f" dequeued {show(value)} when {len(takes)} of it had been dequeued and "
                f"{before} had begun to be enqueued; the next one came only later.",
            )  # fmt: skip
        often = "once" if len(puts) == 1 else f"{len(puts)} times"
        return broken(
            operations, "delivered-twice", [*takes, *puts], last,
            f" dequeued {show(value)}, which others had dequeued too: {len(takes)} in all, but it was "
            f"enqueued {often}.",
        )  # fmt: skip
