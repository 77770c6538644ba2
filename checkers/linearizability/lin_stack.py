"""A stack: push and pop, last in, first out, linearizable.

Ops: push v, pop null → v, or null where it was empty. Actions as in `lin_elements`. States: the elements, the top
last.

Own algorithm, where values are unique. Let an element be *inside* from its push's return to its pop's invocation; it
may be inside longer, by as much as the two ops last.

- An element whose push and pop overlap can be pushed and popped in one instant, where it disturbs nobody: it is left
  out.
- The others must nest: of two that are inside at once, the one that came first leaves last. Take a stretch of time in
  which at every instant some element is inside. Whatever the order, one element is inside all that time, below all
  others: it was invoked to be pushed before the first push of the stretch returned, and its pop returned after the
  last pop of the stretch was invoked. If some element can be that one, take it away: what is left has an order iff
  the whole has (put it around). Stretches fall apart as elements are taken away. If none can be, there is no order.
- A pop that found nothing needs an instant at which no element must be inside (`lin_elements`).

This is the decrease-and-conquer idea of Lee and Mathur, "Efficient Decrease-and-Conquer Linearizability Monitoring",
OOPSLA 2025; bad patterns of stacks: Bouajjani et al., ICALP 2015. A pop of unknown outcome need not have happened;
where an order exists only with one, the search decides. Cost: O(n log n), compiled (`lin_stack_nesting`).

Names: as in `lin_bag`; `out-of-order`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from checkers.linearizability.lin_bag import Collection
from checkers.linearizability.lin_elements import EMPTY, PUT, TAKE_UNKNOWN, Element, Elements, Words
from checkers.linearizability.lin_outcome import Judged, broken, fits
from checkers.linearizability.lin_stack_nesting import unnested
from checkers.linearizability.linearizable_model import ILLEGAL, NEVER, Budget, Operation, State, _Illegal
from checkers.values import show

SHRINK_MAX = 400
"""Elements that a counterexample is tried without, one by one; with more of them all are shown."""


@dataclass(frozen=True)
class Stack(Collection):
    """See the module."""

    words: ClassVar[Words] = Words("pushed", "popped", "stack")
    name: ClassVar[str] = "stack"
    noun: ClassVar[str] = "stack"
    fs: ClassVar[tuple[str, ...]] = ("push", "pop")

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        if action[0] == PUT:
            return (*state, action[1])
        if action[0] == EMPTY:
            return ILLEGAL if state else state
        if action[0] == TAKE_UNKNOWN:
            return state[:-1]
        return state[:-1] if state and state[-1] == action[1] else ILLEGAL

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Judged | None:
        """See HasOwnAlgorithm."""
        elements = self.elements_of(operations)
        if elements is None:
            return None
        if elements.wrong is not None:
            return elements.wrong
        wrong = elements.false_empty() or _not_nested(elements)
        if wrong is not None and elements.unknown and any(each.take is None for each in elements.elements):
            return None
        return wrong or fits(operations)


def _not_nested(elements: Elements) -> Judged | None:
    inside = [each for each in elements.elements if each.inside[0] < each.inside[1]]
    rest = _unnested(inside)
    if not rest:
        return None
    if len(rest) <= SHRINK_MAX:
        for element in list(rest):
            without = [each for each in rest if each is not element]
            if _unnested(without):
                rest = without
    return _pair(elements, rest) or _none_below(elements, rest)


def _unnested(elements: list[Element]) -> list[Element]:
    """Elements of one stretch of time of which none can be below all others; none if all nest."""
    columns = np.empty((4, len(elements)), np.int64)
    for number, each in enumerate(elements):
        pop = each.take
        columns[:, number] = (
            each.put.invoked,
            each.put.returned,
            NEVER if pop is None else pop.invoked,
            NEVER if pop is None else pop.returned,
        )
    return [elements[number] for number in unnested(*columns)]


def _pair(elements: Elements, rest: list[Element]) -> Judged | None:
    """Two of them that prove it: a was pushed, then b, then a was popped while b was still there."""
    for a in rest[:SHRINK_MAX]:
        for b in rest[:SHRINK_MAX]:
            if a.take is None or not a.put.returned < b.put.invoked or not b.put.returned < a.take.invoked:
                continue
            if not a.take.returned < b.inside[1]:
                continue
            later = "nobody ever popped it" if b.take is None else "it was popped only later"
            return broken(
                elements.operations, "out-of-order", [a.put, b.put, a.take, *([b.take] if b.take else [])], 2,
                f" popped {show(a.value)}, but ", 1,
                f" had pushed {show(b.value)} on top of it before, and {later}.",
            )  # fmt: skip
    return None


def _none_below(elements: Elements, rest: list[Element]) -> Judged:
    shown = ", ".join(show(each.value) for each in rest[:8]) + (" ..." if len(rest) > 8 else "")
    proof = [op for each in rest for op in (each.put, each.take) if op is not None]
    return broken(
        elements.operations, "out-of-order", proof,
        f"{shown} were inside one after the other without a break, so one of them must have been below all others; "
        "but each of them was pushed too late or popped too early for that.",
    )  # fmt: skip
