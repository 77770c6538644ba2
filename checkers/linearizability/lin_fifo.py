"""A FIFO queue: enqueue and dequeue, first in, first out, linearizable.

Ops and actions as in `lin_bag`. States: the elements, the oldest first.

Own algorithm, where values are unique: there is an order iff none of four bad patterns shows up (Henzinger, Sezgin
and Vafeiadis, "Aspect-Oriented Linearizability Proofs", CONCUR 2013, theorem 2; Bouajjani et al., ICALP 2015):

1. an element is dequeued that was never enqueued, or before that, or 2. twice;
3. a was enqueued before b in realtime, and b was dequeued before a in realtime, or b was and a never;
4. a dequeue found nothing, though at every instant of it some element must have been inside.

A dequeue of unknown outcome may have taken an a that 3 misses, if it was invoked before the b's dequeue returned;
each such a needs one of its own, which is a matching of deadlines (greedy). With 4 besides, the search decides. Cost:
O(n log n).

Names: as in `lin_bag`; `out-of-order`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from checkers.linearizability.lin_bag import Collection
from checkers.linearizability.lin_elements import EMPTY, PUT, TAKE_UNKNOWN, Element, Elements
from checkers.linearizability.lin_outcome import Judged, broken, fits
from checkers.linearizability.linearizable_model import ILLEGAL, Budget, Operation, State, _Illegal
from checkers.values import show


@dataclass(frozen=True)
class FifoQueue(Collection):
    """See the module."""

    name: ClassVar[str] = "FIFO queue"

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        if action[0] == PUT:
            return (*state, action[1])
        if action[0] == EMPTY:
            return ILLEGAL if state else state
        if action[0] == TAKE_UNKNOWN:
            return state[1:]
        return state[1:] if state and state[0] == action[1] else ILLEGAL

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Judged | None:
        """See HasOwnAlgorithm."""
        elements = self.elements_of(operations)
        if elements is None:
            return None
        wrong = elements.wrong or _overtaken(elements)
        if wrong is not None:
            return wrong
        late = _left_behind(elements)
        if isinstance(late, Judged):
            return late
        wrong = elements.false_empty()
        if elements.empties and elements.unknown and (late or wrong):
            return None
        return wrong or fits(operations)


def _overtaken(elements: Elements) -> Judged | None:
    """A pair that came out in the wrong order."""
    taken = [each for each in elements.elements if each.take is not None]
    by_return = sorted(taken, key=lambda each: each.put.returned)
    latest: Element | None = None
    place = 0
    for second in sorted(taken, key=lambda each: each.put.invoked):
        while place < len(by_return) and by_return[place].put.returned < second.put.invoked:
            if latest is None or by_return[place].inside[1] > latest.inside[1]:
                latest = by_return[place]
            place += 1
        assert second.take is not None
        if latest is not None and second.take.returned < latest.inside[1]:
            assert latest.take is not None
            return broken(
                elements.operations, "out-of-order", [latest.put, second.put, second.take, latest.take], 0,
                f" had enqueued {show(latest.value)} before ", 1, f" began to enqueue {show(second.value)}, but ", 2,
                f" had dequeued {show(second.value)} before ", 3, f" began to dequeue {show(latest.value)}.",
            )  # fmt: skip
    return None


def _left_behind(elements: Elements) -> Judged | list[Element]:
    """Elements that nobody is known to have taken, though a later one came out; what is wrong where these are more than
    unknown takes can explain."""
    taken = sorted((each for each in elements.elements if each.take is not None), key=lambda each: each.put.invoked)
    left = sorted((each for each in elements.elements if each.take is None), key=lambda each: -each.put.returned)
    due: list[tuple[int, Element, Element]] = []
    first: Element | None = None
    for element in left:
        while taken and taken[-1].put.invoked > element.put.returned:
            later = taken.pop()
            if first is None or later.take.returned < first.take.returned:  # type: ignore[union-attr]
                first = later
        if first is not None:
            due.append((first.take.returned, element, first))  # type: ignore[union-attr]
    due.sort(key=lambda each: each[0])
    unknown = sorted(elements.unknown, key=lambda each: each.invoked)
    for number, (deadline, element, later) in enumerate(due):
        if number < len(unknown) and unknown[number].invoked < deadline:
            continue
        proof = [element.put, later.put, later.take]
        proof += [each for one in due[:number] for each in (one[1].put, one[2].put, one[2].take)]
        proof += unknown[:number]
        more = f" (dequeues of unknown outcome can have taken {number} others at most)" if number else ""
        return broken(
            elements.operations, "out-of-order", [each for each in dict.fromkeys(proof) if each is not None], 0,
            f" had enqueued {show(element.value)} before ", 1, f" began to enqueue {show(later.value)}, and ", 2,
            f" dequeued {show(later.value)}, but nobody had dequeued {show(element.value)} by then, nor ever "
            f"did{more}.",
        )  # fmt: skip
    return [element for _, element, _ in due]
