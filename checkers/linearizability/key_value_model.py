"""Strings by key with get, put and append, as a model for the linearizability checker.

Ops, by key: get [k, null] → ok [k, s], put [k, s], append [k, s]; initially the empty string.
Actions: ("get", s), ("put", s), ("append", s). States: the string.

Problem: to the search, appends in flight can come in every order until a get tells, which is factorial. Idea: where no
text is the beginning of another, what a get returned falls into texts in one way. To an append this tells in which
states it leads on to something that a get shows: ("append", s, states, whether one of them it must be). From any other
state it leads to a *lost* one, in which nothing is told apart until the next put. If the text was written once and is
shown by a get, it can't have been lost. So the search tries no order that some get contradicts later. Where it finds
none, there is none; the operation that has no place is the last of the shortest history, up to some completion, that
has no order. It is found by bisection, and each history is told only what its own gets returned.

Cost: one search as a rule, log(completions) of them where there is no order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from checkers.linearizability.linearizable_model import (
    ILLEGAL,
    NEVER,
    Action,
    Budget,
    Kind,
    Operation,
    Outcome,
    State,
    _Illegal,
)
from checkers.linearizability.linearizable_search import search
from checkers.values import show
from harness.history import HistoryError

_LOST: State = ("lost",)
"""The state after something that no get ever shows."""
_LOSES: Action = ("append", "", frozenset(), False)


@dataclass(frozen=True)
class KeyValue:
    """initial: every key's string before any op; null stands for the empty one."""

    initial: State = ""
    name: ClassVar[str] = "key-value store"
    noun: ClassVar[str] = "key"
    fs: ClassVar[tuple[str, ...]] = ("get", "put", "append")
    read_fs: ClassVar[tuple[str, ...]] = ("get",)
    grows: ClassVar[bool] = True

    def action(self, f: str, argument: Any, result: Any, index: int) -> Action | None:
        """See Model."""
        text = result if f == "get" else argument
        if not self.is_argument(text):
            raise HistoryError(f"index {index}: {f} needs a string, not {show(text)}")
        return (f, text)

    def is_argument(self, value: Any) -> bool:
        """See KnowsArguments."""
        return isinstance(value, str)

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        f, text = action[:2]
        if f == "get":
            return state if state == text else ILLEGAL
        if f == "put":
            return text
        if len(action) == 2 or state in action[2]:
            return state + text
        return ILLEGAL if action[3] else _LOST

    def kind(self, action: Any) -> Kind:
        """See Model."""
        if action == _LOSES:
            return Kind.BLIND
        return {"get": Kind.READ_ONLY, "put": Kind.BLIND, "append": Kind.OTHER}[action[0]]

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """All of them."""
        return operations

    def describe(self, action: Any) -> str:
        """See Model."""
        did = {"get": "read", "put": "wrote", "append": "appended"}[action[0]]
        return f"{did} {show(action[1])!r}"

    def describe_state(self, state: State) -> str:
        """See Model."""
        return "something that no get showed" if state == _LOST else repr(show(state))

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Outcome | None:
        """See HasOwnAlgorithm."""
        initial: Any = self.initial
        texts = Counter(operation.action[1] for operation in operations if operation.action[0] != "get")  # type: ignore[index]
        known = sorted({initial, *texts} - {""})
        if "" in texts or (initial and initial in texts):
            return None
        if any(longer.startswith(text) for text, longer in pairwise(known)):
            return None
        outcome = search(self, _told(operations, operations, texts, initial), budget)
        if outcome.linearizable is not False:
            return outcome
        ends = sorted(operation.returned for operation in operations if not operation.crashed)

        def is_broken(end: int) -> bool:
            some = _up_to(operations, end)
            return search(self, _told(some, some, texts, initial), budget).linearizable is not True

        broken = bisect_left(ends[:-1], True, key=is_broken)
        some = _up_to(operations, ends[broken])
        before = _up_to(operations, ends[broken] - 1)
        found = search(self, _told(some, before, texts, initial), budget)
        if found.linearizable is not False:
            return Outcome(False, found.completed, len(ends))
        found.completions = len(ends)
        return found


def _up_to(operations: Sequence[Operation], end: int) -> list[Operation]:
    """What was known at a place of the history; gets that had not returned say nothing."""
    return [
        Operation(each.action, each.invoked, each.returned if each.returned <= end else NEVER)
        for each in operations
        if each.invoked <= end and (each.returned <= end or each.action[0] != "get")  # type: ignore[index]
    ]


def _told(
    operations: Sequence[Operation], gets: Sequence[Operation], texts: Mapping[str, int], initial: str
) -> list[Operation]:
    """The operations as what their gets returned tells of them; what an append must find, only those of `gets` tell.

    texts: how often each is written.
    """
    values = _returned(gets)
    first: set[str] = set()
    leads_on: dict[str, set[str]] = {}
    must_find: dict[str, set[str]] = {}
    for value in values | _returned(operations):
        for place, text in _parts(value, texts, initial):
            leads_on.setdefault(text, set()).add(value[:place])
            if not place:
                first.add(text)
            if value in values and texts[text] == 1:
                must_find.setdefault(text, set()).add(value[:place])
    told = []
    for each in operations:
        action: Any = each.action
        f, text = action
        if f != "get" and text not in (first if f == "put" else leads_on):
            action = _LOSES
        elif f == "append":
            action = (f, text, frozenset(must_find.get(text, leads_on[text])), text in must_find)
        if action != _LOSES or not each.crashed:
            told.append(Operation(action, each.invoked, each.returned))
    return told


def _returned(operations: Sequence[Operation]) -> set[Any]:
    """What the gets among them returned."""
    return {
        operation.action[1]  # type: ignore[index]
        for operation in operations
        if operation.action[0] == "get" and not operation.crashed  # type: ignore[index]
    }


def _parts(value: str, texts: Container[str], initial: str) -> list[tuple[int, str]]:
    """(where it begins, text) of each text in a value; none of a value that is not made of them."""
    place = len(initial) if value.startswith(initial) else 0
    parts = []
    while place < len(value):
        end = next((end for end in range(place + 1, len(value) + 1) if value[place:end] in texts), None)
        if end is None:
            return []
        parts.append((place, value[place:end]))
        place = end
    return parts
