"""An append-only log: append, read and poll, linearizable.

Ops: append v → ok v, or ok [position, v] where the log tells where it put it; read null → [v ...], the whole log;
poll [from, null] → [from, [v ...]], some elements from a position on (none: nothing is there yet). Positions count
from `first`. Actions: ("append", v, position or None), ("read", values), ("poll", from, values). States: the values,
a tuple.

Own algorithm, exact where every value is appended once (by what has happened or may have): reads, polls and answers
tell the positions of values. Contradictions among them are proven wrong. What is left: positions are filled one after
the other, some by a known append, some by any of the others (`lin_sequence`). An append of unknown outcome that
nobody saw may fill a gap. Cost: O(n log n), and the size of what was read.

Names: `incompatible-order` (two reads show two logs), `duplicate-elements`, `garbage-read`, `future-read`,
`stale-read` (a read is too short), `nonlinearizable` otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from checkers.linearizability.lin_calls import UNKNOWN
from checkers.linearizability.lin_outcome import NONLINEARIZABLE, Judged, act, broken, fits
from checkers.linearizability.lin_sequence import FREE, Append, Observation, Stuck, fill
from checkers.linearizability.linearizable_model import ILLEGAL, Action, Budget, Kind, Operation, State, _Illegal
from checkers.values import freeze, is_pair, show
from harness.history import HistoryError


@dataclass(frozen=True)
class Log:
    """first: the position of the first element."""

    first: int = 0
    initial: ClassVar[State] = ()
    name: ClassVar[str] = "log"
    noun: ClassVar[str] = "log"
    fs: ClassVar[tuple[str, ...]] = ("append", "read", "poll")
    read_fs: ClassVar[tuple[str, ...]] = ("read", "poll")
    grows: ClassVar[bool] = True

    def action(self, f: str, argument: Any, result: Any, index: int, process: int = -1) -> Action | None:
        """See DataType."""
        if f == "append":
            return ("append", freeze(argument, index), self._position(argument, result, index))
        if result is UNKNOWN:
            return None
        if f == "read":
            return ("read", self._values(result, index))
        if not is_pair(result) or type(result[0]) is not int:
            raise HistoryError(f"index {index}: poll needs [position, values], not {show(result)}")
        if result[0] < self.first:
            raise HistoryError(f"index {index}: poll from position {result[0]}, but positions begin at {self.first}")
        return ("poll", result[0] - self.first, self._values(result[1], index))

    def _position(self, argument: Any, result: Any, index: int) -> int | None:
        if result is UNKNOWN or result == argument or result is None:
            return None
        if not is_pair(result) or type(result[0]) is not int:
            raise HistoryError(
                f"index {index}: an append answers with its value or [position, value], not {show(result)}"
            )
        if freeze(result[1], index) != freeze(argument, index):
            raise HistoryError(f"index {index}: an append of {show(argument)} answers for {show(result[1])}")
        return result[0] - self.first

    def _values(self, values: Any, index: int) -> tuple[Any, ...]:
        if values is None:
            return ()
        if not isinstance(values, list | tuple):
            raise HistoryError(f"index {index}: a log's elements must be a list, not {show(values)}")
        return tuple(freeze(value, index) for value in values)

    def step(self, state: Any, action: Any) -> State | _Illegal:
        """See Model."""
        if action[0] == "append":
            return (*state, action[1]) if action[2] is None or action[2] == len(state) else ILLEGAL
        if action[0] == "read":
            return state if state == action[1] else ILLEGAL
        _, start, values = action
        there = state[start : start + len(values)] if values else state[start:]
        return state if there == values else ILLEGAL

    def kind(self, action: Any) -> Kind:
        """See Model."""
        return Kind.OTHER if action[0] == "append" else Kind.READ_ONLY

    def needed(self, operations: Sequence[Operation]) -> Sequence[Operation]:
        """All of them."""
        return operations

    def describe(self, action: Any) -> str:
        """See Model."""
        if action[0] == "append":
            at = "" if action[2] is None else f" at position {action[2] + self.first}"
            return f"appended {show(action[1])}{at}"
        if action[0] == "read":
            return f"read {_list(action[1])}"
        return f"read {_list(action[2])} from position {action[1] + self.first} on"

    def describe_state(self, state: Any) -> str:
        """See Model."""
        return _list(state)

    def decide(self, operations: Sequence[Operation], budget: Budget) -> Judged | None:
        """See HasOwnAlgorithm."""
        appended: dict[Any, Operation] = {}
        for operation in operations:
            if act(operation)[0] == "append":
                if act(operation)[1] in appended:
                    return None
                appended[act(operation)[1]] = operation
        known = _Known(self, operations, appended)
        return known.wrong or self._walk(operations, known)

    def _walk(self, operations: Sequence[Operation], known: _Known) -> Judged:
        """Fill the positions one by one."""
        events: list[Append | Observation] = []
        for operation in operations:
            f, *rest = act(operation)
            invoked, returned = operation.invoked, operation.returned
            if f == "append":
                events.append(Append(invoked, returned, known.position.get(rest[0], FREE)))
            elif f == "read":
                events.append(Observation(invoked, returned, len(rest[0]), len(rest[0])))
            elif rest[1]:
                events.append(Observation(invoked, returned, rest[0] + len(rest[1])))
            else:
                events.append(Observation(invoked, returned, 0, rest[0]))
        stuck = fill(events)
        return fits(operations) if stuck is None else self._stuck(operations, known, stuck)

    def _stuck(self, operations: Sequence[Operation], known: _Known, stuck: Stuck) -> Judged:
        operation = operations[stuck.event]
        needed = known.needed(operation, stuck.missing)
        did = self.describe(act(operation))
        if stuck.missing < 0:
            return broken(
                operations, "stale-read", [operation], 0,
                f" {did}, which was out of date: by what was acknowledged and read before it began the log had "
                f"{stuck.length} elements.", **needed,
            )  # fmt: skip
        value = known.at.get(stuck.missing)
        if value is None:
            why = "nobody had begun to append anything that could stand there"
        else:
            why = f"{show(value[0])} stands there, and nobody had begun to append it"
        return broken(
            operations, NONLINEARIZABLE, [operation], 0,
            f" {did}; for that position {stuck.missing + self.first} must have been filled, and {why}.", **needed,
        )  # fmt: skip


@dataclass
class _Known:
    """What answers and reads tell of positions. at: position → (value, who told). wrong: a contradiction among them."""

    log: Log
    operations: Sequence[Operation]
    appended: dict[Any, Operation]
    at: dict[int, tuple[Any, Operation]] = field(default_factory=dict)
    position: dict[Any, int] = field(default_factory=dict)
    wrong: Judged | None = None

    def __post_init__(self) -> None:
        told: list[tuple[int, tuple[Any, ...], Operation]] = []
        for operation in self.operations:
            f, *rest = act(operation)
            if f == "append" and rest[1] is not None:
                told.append((rest[1], (rest[0],), operation))
            elif f == "read":
                told.append((0, rest[0], operation))
            elif f == "poll":
                told.append((rest[0], rest[1], operation))
        whole: dict[int, tuple[tuple[Any, ...], Operation]] = {}
        for start, values, operation in sorted(told, key=lambda each: len(each[1]), reverse=True):
            longest = whole.setdefault(start, (values, operation))[0]
            if longest[: len(values)] == values and longest is not values:
                continue
            for place, value in enumerate(values, start):
                self._learn(place, value, operation)
                if self.wrong is not None:
                    return

    def needed(self, stuck: Operation, missing: int) -> dict[str, Any]:
        """What shows that an op has no place, as `broken` takes it: all that was invoked before it returned, who told
        where the values of these stand and what is missing, and the appends of what they all answered."""
        before = [each for each in self.operations if each.invoked < stuck.returned]
        known = {value for each in before if each.returned <= stuck.returned for value in _told(each)}
        asked = [*(act(each)[1] for each in before if act(each)[0] == "append"), self.at.get(missing, (None,))[0]]
        tellers = [self.at[self.position[value]][1] for value in asked if value in self.position and value not in known]
        until = max(each.returned for each in (stuck, *tellers))
        shown = [*before, *tellers]
        return {"grounds": [*shown, *self._appends(each for each in shown if each.returned <= until)], "until": until}

    def _appends(self, tellers: Iterable[Operation]) -> list[Operation]:
        """The appends of all that these answers show."""
        values = dict.fromkeys(value for each in tellers for value in _told(each))
        return [self.appended[value] for value in values if value in self.appended]

    def _learn(self, place: int, value: Any, operation: Operation) -> None:
        append = self.appended.get(value)
        if place >= 0 and append is not None and append.invoked < operation.returned:
            there = self.at.setdefault(place, (value, operation))
            mine = self.position.setdefault(value, place)
            if mine == place and there[0] == value:
                return
        did = self.log.describe(act(operation))
        if place < 0:
            self.wrong = broken(
                self.operations, NONLINEARIZABLE, [operation], 0,
                f" {did}, but positions begin at {self.log.first}.",
            )  # fmt: skip
            return
        if append is None:
            self.wrong = broken(
                self.operations, "garbage-read", [operation], 0,
                f" {did}; {show(value)} was never appended, or only by an append that failed.",
                grounds=self._appends([operation]),
            )  # fmt: skip
            return
        if append.invoked > operation.returned:
            self.wrong = broken(
                self.operations, "future-read", [operation, append], 0,
                f" {did} before ", 1, f" had begun to append {show(value)}.", grounds=self._appends([operation]),
            )  # fmt: skip
            return
        shown = place + self.log.first
        if mine != place:
            other = self.at[mine][1]
            self.wrong = broken(
                self.operations, "duplicate-elements", [append, operation, other], 1,
                f" {did}: {show(value)} stands at position {shown} and, by what ", 2,
                f" was told, at position {mine + self.log.first}. It was appended once.",
                grounds=self._appends([operation, other]),
            )  # fmt: skip
        else:
            self.wrong = broken(
                self.operations, "incompatible-order", [operation, there[1], append, self.appended[there[0]]], 0,
                f" {did}: at position {shown} stands {show(value)}, but ", 1,
                f" was told that {show(there[0])} stands there. The log has two versions.",
                grounds=self._appends([operation, there[1]]),
            )  # fmt: skip


def _told(operation: Operation) -> tuple[Any, ...]:
    """The values of which an answer tells where they stand."""
    f, *rest = act(operation)
    if f == "append":
        return () if rest[1] is None else (rest[0],)
    return rest[0] if f == "read" else rest[1]


def _list(values: Sequence[Any]) -> str:
    ends = [*values] if len(values) <= 12 else [*values[:6], "...", *values[-5:]]
    return f"[{' '.join(show(value) for value in ends)}]"
