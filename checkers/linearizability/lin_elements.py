"""What queues, stacks and bags have in common: elements that are put in once and taken out once.

An element's own violations (delivered twice, delivered though never put in, or before that), and the times at which
it must have been inside: from the return of its put to the invocation of its take. Cost: O(n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from checkers.linearizability.lin_outcome import Judged, act, broken
from checkers.linearizability.linearizable_model import NEVER, Operation
from checkers.values import show

PUT, TAKE, EMPTY, TAKE_UNKNOWN = "put", "take", "empty", "take-unknown"
"""Actions: (PUT, v), (TAKE, v), (EMPTY,): found nothing, (TAKE_UNKNOWN,): nobody knows what it took, if anything."""


@dataclass(frozen=True)
class Words:
    """How a data type's ops are told: `enqueued`, `dequeued`, `was told that the queue is empty`."""

    put: str
    take: str
    noun: str

    def describe(self, action: Any) -> str:
        """An action as a clause."""
        if action[0] == EMPTY:
            return f"was told that the {self.noun} is empty"
        if action[0] == TAKE_UNKNOWN:
            return f"{self.take} something unknown, or nothing"
        return f"{self.put if action[0] == PUT else self.take} {show(action[1])}"


@dataclass(frozen=True)
class Element:
    """One element. take: None where nobody took it out."""

    value: Any
    put: Operation
    take: Operation | None = None

    @property
    def inside(self) -> tuple[int, int]:
        """Places from and to which it must have been inside; the second is NEVER where it stays."""
        return self.put.returned, NEVER if self.take is None else self.take.invoked


@dataclass
class Elements:
    """A history whose values are put in once. unknown: takes with an unknown result. empties: that found nothing.

    elements: those that count: an unknown put that nobody took out is left out, as nothing shows that it happened.
    wrong: what is wrong with one element by itself.
    """

    operations: Sequence[Operation]
    words: Words
    elements: list[Element] = field(default_factory=list)
    empties: list[Operation] = field(default_factory=list)
    unknown: list[Operation] = field(default_factory=list)
    wrong: Judged | None = None

    @classmethod
    def of(cls, operations: Sequence[Operation], words: Words) -> Elements | None:
        """None where a value was put in twice."""
        made = cls(operations, words)
        puts: dict[Any, Operation] = {}
        takes: dict[Any, list[Operation]] = {}
        for operation in operations:
            action = act(operation)
            if action[0] == PUT:
                if action[1] in puts:
                    return None
                puts[action[1]] = operation
            elif action[0] == TAKE:
                takes.setdefault(action[1], []).append(operation)
            elif action[0] == EMPTY:
                made.empties.append(operation)
            else:
                made.unknown.append(operation)
        for value, took in takes.items():
            made.wrong = made.wrong or made._judge(value, puts.get(value), took)
        for value, put in puts.items():
            took_it = takes.get(value)
            if took_it or not put.crashed:
                made.elements.append(Element(value, put, took_it[0] if took_it else None))
        return made

    def _judge(self, value: Any, put: Operation | None, takes: list[Operation]) -> Judged | None:
        take, put_in = self.words.take, self.words.put
        if put is None:
            return broken(
                self.operations, "garbage-read", takes[:1], 0,
                f" {take} {show(value)}, which was never {put_in}, or only by an op that failed.",
            )  # fmt: skip
        if len(takes) > 1:
            return broken(
                self.operations, "delivered-twice", [put, *takes[:2]], 1,
                f" {take} {show(value)}, and so did ", 2, f": it was {put_in} once.",
            )  # fmt: skip
        if takes[0].returned < put.invoked:
            return broken(
                self.operations, "future-read", [put, *takes], 1,
                f" {take} {show(value)} before ", 0, f" had begun to {_infinitive(put_in)} it.",
            )  # fmt: skip
        return None

    def false_empty(self) -> Judged | None:
        """A take that found nothing, though at every instant of it some element must have been inside.

        Exact for bags, queues and stacks alike: an element can be put in at its put's last instant and taken out at its
        take's first, so that at every other time everything can be out.
        """
        if not self.empties:
            return None
        last = max(max(each.invoked, 0 if each.crashed else each.returned) for each in self.operations)
        covered = np.zeros(last + 3, np.int64)
        """Entry p: how many elements must have been inside all the time between place p - 1 and place p."""
        for element in self.elements:
            begin, end = element.inside
            if begin < end:
                covered[begin + 1] += 1
                covered[min(end, last + 1) + 1] -= 1
        free = np.concatenate([[0], np.cumsum(np.cumsum(covered) == 0)])
        for empty in self.empties:
            if free[empty.returned + 1] == free[empty.invoked + 1]:
                return self._says_empty(empty)
        return None

    def false_empty_of_bag(self) -> Judged | None:
        """The same of a bag in which takes of unknown outcome may have taken what nobody else took.

        Exact: at some instant of it, all that others took can be out, and what else is in by then is not more than the
        unknown takes that had been invoked.
        """
        last = max(max(each.invoked, 0 if each.crashed else each.returned) for each in self.operations)
        taken, left = np.zeros(last + 3, np.int64), np.zeros(last + 3, np.int64)
        """Entry p: how many of each kind must have been inside between place p - 1 and place p."""
        for element in self.elements:
            begin, end = element.inside
            if element.take is None:
                left[begin + 1] += 1
            elif begin < end:
                taken[begin + 1] += 1
                taken[end + 1] -= 1
        for take in self.unknown:
            left[take.invoked + 1] -= 1
        free = np.concatenate([[0], np.cumsum((np.cumsum(taken) == 0) & (np.cumsum(left) <= 0))])
        for empty in self.empties:
            if free[empty.returned + 1] == free[empty.invoked + 1]:
                return self._holds_more(empty)
        return None

    def _holds_more(self, empty: Operation) -> Judged:
        before = [each for each in self.elements if each.put.returned < empty.returned]
        before = [each for each in before if each.inside[1] > empty.invoked]
        unknown = [each for each in self.unknown if each.invoked < empty.returned]
        held = (
            f"{len(unknown)} ops of unknown outcome can have taken one element each, and there were more" if unknown
            else "only later an op of unknown outcome began that can have taken one"
        )  # fmt: skip
        proof = [empty, *(op for each in before for op in (each.put, each.take) if op is not None), *unknown]
        return broken(
            self.operations, "false-empty", proof, 0,
            f" was told that the {self.words.noun} is empty, but at every instant of that time it held something: "
            f"{held}.", grounds=() if unknown else self.unknown[:1],
        )  # fmt: skip

    def _says_empty(self, empty: Operation) -> Judged:
        """The elements that one after the other were inside while somebody found nothing."""
        inside = sorted(
            (element for element in self.elements if element.put.returned < empty.returned),
            key=lambda each: each.inside,
            reverse=True,
        )
        chain: list[Element] = []
        best: Element | None = None
        reached = empty.invoked
        while reached < empty.returned:
            while inside and inside[-1].inside[0] <= reached:
                element = inside.pop()
                best = element if best is None or element.inside[1] > best.inside[1] else best
            assert best is not None and best.inside[1] > reached
            chain.append(best)
            reached = best.inside[1]
        proof = [empty, *(op for each in chain for op in (each.put, each.take) if op is not None)]
        shown = ", ".join(show(each.value) for each in chain[:6]) + (" ..." if len(chain) > 6 else "")
        stays = len(chain) == 1 and chain[0].take is None
        type_ = "lost-element" if stays and not self.unknown else "false-empty"
        tail = ", and nobody ever took it out" if stays else ""
        return broken(
            self.operations, type_, proof, 0,
            f" was told that the {self.words.noun} is empty, but all that time it held {shown}"
            f"{' (one after the other)' if len(chain) > 1 else ''}{tail}.",
        )  # fmt: skip


def _infinitive(past: str) -> str:
    return {"enqueued": "enqueue", "pushed": "push"}.get(past, past)
