"""A set: add, remove, contains, and reads of all elements, linearizable.

Ops: add x, remove x (both also where nothing changes), contains x → true or false (as [x, true], or true alone), read
null → [x ...]. Actions: ("add", x), ("remove", x), ("contains", x, seen), ("read", elements, those that were shown
twice). States: the elements, a frozenset.

Own algorithms:

- Nobody reads all elements: each element is an object of its own (locality), a flag that is set, cleared and read.
  Where nobody removes it, whoever lacks it must come before its adds, whoever has it after the first of them: pairs in
  realtime decide, in O(n log n). Else it is searched on its own; with two states the search stays small.
- Nobody removes: reads of all elements must contain each other, which orders them. An element's first add may be
  taken to be the one that was invoked first, as adds of one element can change places. Then everything is an order
  between two ops: a read before all adds of what it lacks, the first add before all reads of what they have. With
  realtime this is a graph, and an order exists iff it has no circle (`lin_order`). Cost: O(n + size of the reads).
- Else the search, on all elements together.

Names: `lost-element` (an element that was added is missing from two answers or more, and nobody saw it afterwards),
`stale-read` (it is missing from one, or somebody saw it later), `incompatible-order` (two reads each lack what the
other has), `duplicate-elements` (a read shows one twice), `garbage-read`, `future-read`, `nonlinearizable` otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar

from checkers.linearizability.lin_calls import UNKNOWN
from checkers.linearizability.lin_order import Order
from checkers.linearizability.lin_outcome import NONLINEARIZABLE, Judged, act, broken, fits
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
from checkers.values import freeze, is_pair, show
from harness.history import HistoryError


@dataclass(frozen=True)
class Set:
    """initial: the elements before any op."""

    initial: Any = frozenset()
    name: ClassVar[str] = "set"
    noun: ClassVar[str] = "set"
    fs: ClassVar[tuple[str, ...]] = ("add", "remove", "contains", "read")
    read_fs: ClassVar[tuple[str, ...]] = ("contains", "read")

    def action(self, f: str, argument: Any, result: Any, index: int, process: int = -1) -> Action | None:
        """See DataType."""
        if f in ("add", "remove"):
            return (f, freeze(argument, index))
        if result is UNKNOWN:
            return None
        if f == "contains":
            element = argument[0] if is_pair(argument) and argument[1] is None else argument
            seen = result[1] if is_pair(result) else result
            if type(seen) is not bool:
                raise HistoryError(f"index {index}: contains answers true or false, not {show(result)}")
            return ("contains", freeze(element, index), seen)
        if not isinstance(result, list | tuple | set | frozenset):
            raise HistoryError(f"index {index}: a read of a set answers with its elements, not {show(result)}")
        elements = [freeze(element, index) for element in result]
        distinct = frozenset(elements)
        twice = (
            ()
            if len(distinct) == len(elements)
            else tuple(sorted({e for e in distinct if elements.count(e) > 1}, key=repr))
        )
        return ("read", distinct, twice)

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        f, subject = action[:2]
        if f == "add":
            return state | {subject}
        if f == "remove":
            return state - {subject}
        seen = state == subject and not action[2] if f == "read" else (subject in state) == action[2]
        return state if seen else ILLEGAL

    def kind(self, action: Any) -> Kind:
        """See Model."""
        return Kind.READ_ONLY if action[0] in self.read_fs else Kind.OTHER

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """All of them."""
        return operations

    def describe(self, action: Any) -> str:
        """See Model."""
        f, subject = action[:2]
        if f == "read":
            return f"read {_elements((*subject, *action[2]))}"
        if f == "contains":
            return f"was told that {show(subject)} is {'' if action[2] else 'not '}there"
        return f"{'added' if f == 'add' else 'removed'} {show(subject)}"

    def describe_state(self, state: Any) -> str:
        """See Model."""
        return _elements(state)

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Outcome | None:
        """See HasOwnAlgorithm."""
        for operation in operations:
            if act(operation)[0] == "read" and act(operation)[2]:
                return self._twice(operations, operation)
        fs = {act(operation)[0] for operation in operations}
        if "read" not in fs:
            return self._each_alone(operations, budget)
        return None if "remove" in fs else _Growing(self, operations).judge()

    def _twice(self, operations: Sequence[Operation], read: Operation) -> Judged:
        return broken(
            operations, "duplicate-elements", [read], 0,
            f" read a set that has {show(act(read)[2][0])} twice.",
        )  # fmt: skip

    def _each_alone(self, operations: Sequence[Operation], budget: Budget) -> Outcome:
        removed = {act(operation)[1] for operation in operations if act(operation)[0] == "remove"}
        by_element: dict[Any, list[Operation]] = defaultdict(list)
        growing: list[Operation] = []
        for operation in operations:
            element = act(operation)[1]
            (by_element[element] if element in removed else growing).append(operation)
        outcome: Outcome = _Growing(self, growing).judge()
        if outcome.linearizable is False:
            return outcome
        undecided = None
        for element, ops in by_element.items():
            outcome = search(_Flag(element in self.initial), ops, budget)
            if outcome.linearizable is False:
                return self._stuck(operations, outcome)
            undecided = undecided or (outcome if outcome.linearizable is None else None)
        return undecided or fits(operations)

    def _stuck(self, operations: Sequence[Operation], outcome: Outcome) -> Judged:
        stuck = outcome.stuck
        assert stuck is not None
        element = act(stuck)[1]
        rest = [each for each in operations if act(each)[1] == element and each is not stuck]
        there = " or ".join("there" if each else "not there" for each in outcome.states)
        return broken(
            operations, NONLINEARIZABLE, [stuck], 0,
            f" {self.describe(act(stuck))}, but in any order of what had been answered before {show(element)} was "
            f"{there}.", grounds=rest,
        )  # fmt: skip


@dataclass(frozen=True)
class _Flag(Set):
    """One element of a set. initial: whether it is there."""

    initial: Any = False

    def step(self, state: Any, action: Any) -> State | _Illegal:
        if action[0] == "contains":
            return state if state == action[2] else ILLEGAL
        return action[0] == "add"

    def kind(self, action: Any) -> Kind:
        return Kind.READ_ONLY if action[0] == "contains" else Kind.BLIND


@dataclass
class _Growing:
    """A set that nobody removes from."""

    model: Set
    operations: Sequence[Operation]
    adds: dict[Any, list[Operation]] = field(default_factory=lambda: defaultdict(list))
    reads: list[Operation] = field(default_factory=list)
    checks: list[Operation] = field(default_factory=list)

    def judge(self) -> Judged:
        """Whether there is an order.

        Without reads of all elements the pairs that `_from_nowhere` and `_missing` look for are all that can forbid
        one: of each element, those that lack it come first, then its first add, then those that have it.
        """
        for operation in sorted(self.operations, key=lambda each: each.invoked):
            f, subject = act(operation)[:2]
            if f == "add":
                self.adds[subject].append(operation)
            elif f == "read":
                self.reads.append(operation)
            else:
                self.checks.append(operation)
        self.reads.sort(key=lambda each: len(act(each)[1]))
        wrong = self._from_nowhere() or self._incomparable() or self._missing()
        if wrong is not None or not self.reads:
            return wrong or fits(self.operations)
        return self._circle()

    def _seen(self) -> Iterable[tuple[Any, Operation]]:
        """(element, who saw it first), each element once."""
        first: dict[Any, Operation] = {}
        for operation in sorted((*self.reads, *self.checks), key=lambda each: each.returned):
            f, subject, told = act(operation)
            if f == "contains":
                if told:
                    first.setdefault(subject, operation)
            elif len(subject) > len(first) or not subject <= first.keys():
                for element in subject:
                    first.setdefault(element, operation)
        return first.items()

    def _from_nowhere(self) -> Judged | None:
        for element, operation in self._seen():
            if element in self.model.initial:
                continue
            adds = self.adds.get(element)
            if adds and adds[0].invoked < operation.returned:
                continue
            did = self.model.describe(act(operation))
            if not adds:
                return broken(
                    self.operations, "garbage-read", [operation], 0,
                    f" {did}; {show(element)} was never added, or only by an add that failed.",
                    grounds=self._first_adds([operation]),
                )  # fmt: skip
            return broken(
                self.operations, "future-read", [operation, adds[0]], 0,
                f" {did} before anybody had begun to add {show(element)} (", 1, " was the first).",
                grounds=self._first_adds([operation]),
            )  # fmt: skip
        return None

    def _first_adds(self, finders: Iterable[Operation]) -> list[Operation]:
        """Of each element that these answers have, the add that was invoked first."""
        seen: dict[Any, None] = {}
        for finder in finders:
            f, subject, told = act(finder)
            if f == "read":
                seen.update(dict.fromkeys(subject))
            elif told:
                seen[subject] = None
        return [self.adds[element][0] for element in seen if self.adds.get(element)]

    def _incomparable(self) -> Judged | None:
        for smaller, larger in zip(self.reads, self.reads[1:]):
            mine, other = act(smaller)[1], act(larger)[1]
            only = mine - other
            others = other - mine
            if only:
                adds = [self.adds[element][0] for element in (*only, *others) if element not in self.model.initial]
                return broken(
                    self.operations, "incompatible-order", [smaller, larger, *adds], 0,
                    f" read a set with {_elements(only)} and without {_elements(others)}, ", 1,
                    " one the other way round; nothing was ever removed. So they saw the elements come in different "
                    "orders.", grounds=self._first_adds([smaller, larger]),
                )  # fmt: skip
        return None

    def _missing(self) -> Judged | None:
        """Elements that had been added, or seen, before something began that says they are not there."""
        done: dict[Any, Operation] = {}
        """Element → whatever returned first of all that had it: an add, or something that saw it."""
        for element, operation in self._seen():
            done[element] = operation
        for element, adds in self.adds.items():
            for add in adds:
                if add.returned < NEVER and (element not in done or add.returned < done[element].returned):
                    done[element] = add
        order = sorted(done.items(), key=lambda each: each[1].returned)
        finders = sorted((*self.reads, *self.checks), key=lambda each: each.invoked)
        due: set[Any] = set(self.model.initial)
        place = 0
        for operation in finders:
            while place < len(order) and order[place][1].returned < operation.invoked:
                due.add(order[place][0])
                place += 1
            f, subject, *told = act(operation)
            missing: Iterable[Any] = ()
            if f == "read" and not due <= subject:
                missing = due - subject
            elif f == "contains" and not told[0] and subject in due:
                missing = (subject,)
            for element in missing:
                return self._names_missing(operation, element, done.get(element))
        return None

    def _names_missing(self, operation: Operation, element: Any, by: Operation | None) -> Judged:
        """Lost where at least two lack it and nobody saw it afterwards; one alone may just be late."""
        since = -1 if by is None else by.returned
        finders = [each for each in (*self.reads, *self.checks) if each.invoked > since]
        again = any(self._has(each, element) for each in finders if each.returned > operation.invoked)
        lacking = [each for each in finders if self._has(each, element) is False]
        lost = not again and len(lacking) > 1
        adds = self.adds[element][:1]
        proof = [operation, *([by] if by else []), *(add for add in adds if add is not by)]
        did = f" {self.model.describe(act(operation))}, without {show(element)}"
        shown = [each for each in proof if act(each)[0] != "add"]
        if lost:
            shown += [each for each in lacking if each is not operation][:1]
        elif again:
            shown += [each for each in finders if self._has(each, element) and each.returned > operation.invoked][:1]
        grounds = [*shown, *self._first_adds(shown)]
        tail = (
            f"nobody saw it again: {len(lacking)} answers in all lack it" if lost
            else "a later answer has it: this one was out of date" if again
            else "this answer was out of date, or the element is gone"
        )  # fmt: skip
        type_ = "lost-element" if lost else "stale-read"
        if by is None:
            return broken(
                self.operations, type_, proof, 0, f"{did}, which was there at the start and was never removed; {tail}.",
                grounds=grounds,
            )  # fmt: skip
        how = "had added" if act(by)[0] == "add" else "had seen"
        return broken(
            self.operations, type_, proof, 0, f"{did}. ", 1,
            f" {how} it and had the answer before this began, and nobody removed it; {tail}.", grounds=grounds,
        )  # fmt: skip

    def _has(self, finder: Operation, element: Any) -> bool | None:
        """Whether an answer has the element; None where it says nothing about it."""
        f, subject, told = act(finder)
        if f == "read":
            return element in subject
        return told if subject == element else None

    def _circle(self) -> Judged:
        """The whole order as a graph; invalid where it has a circle."""
        order = Order(self.operations)
        number = {id(operation): place for place, operation in enumerate(self.operations)}
        level: dict[Any, int] = dict.fromkeys(self.model.initial, 0)
        """Element → how many different sets were read without it."""
        groups: list[tuple[frozenset[Any], int, int]] = []
        """(elements, node before its reads, node after them)."""
        for read in self.reads:
            elements: Any = act(read)[1]
            if not groups or groups[-1][0] != elements:
                before, after = order.node(), order.node()
                if groups:
                    order.precede(groups[-1][2], before)
                new = elements - groups[-1][0] if groups else elements
                for element in new:
                    level.setdefault(element, len(groups))
                    if element not in self.model.initial:
                        order.precede(number[id(self.adds[element][0])], before)
                groups.append((elements, before, after))
            order.precede(groups[-1][1], number[id(read)])
            order.precede(number[id(read)], groups[-1][2])
        seen = {element for element, _ in self._seen()}
        for element, adds in self.adds.items():
            if element in self.model.initial:
                continue
            lacking = level.get(element, len(groups))
            for place, add in enumerate(adds):
                if add.returned == NEVER and (place or element not in seen):
                    continue
                if lacking:
                    order.precede(groups[lacking - 1][2], number[id(add)])
        for check in self.checks:
            element = act(check)[1]
            for add in self.adds[element][:1] if act(check)[2] else self.adds[element]:
                if element in self.model.initial or (add.returned == NEVER and element not in seen):
                    continue
                ends = (number[id(add)], number[id(check)])
                order.precede(*(ends if act(check)[2] else reversed(ends)))
        circle = order.circle()
        if circle is None:
            return fits(self.operations)
        proof = [self.operations[place] for place in circle]
        steps = "; ".join(f"another {self.model.describe(act(op))}" for op in proof[1:6])
        return broken(
            self.operations, NONLINEARIZABLE, proof, 0,
            f" {self.model.describe(act(proof[0]))}; {steps}; and these must each come before the next, round in a "
            "circle, because they had ended before it began or because of what they saw.",
            grounds=self._first_adds(each for each in proof if act(each)[0] != "add"),
        )  # fmt: skip


def _elements(elements: Collection[Any]) -> str:
    shown = sorted(show(element) for element in islice(elements, 10 if len(elements) > 12 else 12))
    if len(elements) > 12:
        shown.append(f"... {len(elements)} in all")
    return "{" + " ".join(shown) + "}"
