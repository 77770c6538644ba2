"""What the ops of a monotonic workload were told, in the two forms in which they are recorded.

    inc   [k, null] → ok [k, v] or [k, [t, v]]      read  [k, null] → ok [k, v] or [k, [t, v]]
    inc   k         → ok {k v}, or {} or k          read  {k null, j null, ...} → ok {k v, j w, ...}

The first is ours, and Dgraph's in Jepsen: v increments have been done; null is none. The second is that of Jepsen's
tests of TiDB and those made after it: −1 is none, and the first increment tells 0; an update in place tells nothing.
Cost: O(answers).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from checkers.client_calls import ClientCall, calls_of, pair_of
from checkers.values import freeze, show
from harness.history import History, HistoryError

EXPECTED_PAIR = "[key, value] or [key, [timestamp, value]] with a whole number as value"
EXPECTED_MAP = "a key to increment and {key value, ...} with whole numbers from -1 as values"
NONE_YET = -1
"""What a map says of a key that nobody has incremented."""


@dataclass(frozen=True)
class Told:
    """What an ok op was told of a key. value: how many increments that means. timestamp: the database's, or None.

    shown: the value as the record has it.
    """

    call: ClientCall
    value: int
    timestamp: Any
    shown: int

    @property
    def text(self) -> str:
        """For a sentence."""
        return f"op {self.call.record} (client {self.call.process}) got {self.shown}"


@dataclass
class Answers:
    """calls, told: by key, in the order of their invocations. of_many: whether one read may tell of several keys.

    counted: whether it is sure how many increments a value means. A map's values are taken for one less than that, as
    in TiDB's test; sure it is as soon as a read found −1 or an increment told 0.
    """

    of_many: bool
    calls: dict[Hashable, list[ClientCall]] = field(default_factory=lambda: defaultdict(list))
    told: dict[Hashable, list[Told]] = field(default_factory=lambda: defaultdict(list))
    counted: bool = True

    def at_least(self, key: Hashable) -> list[Told]:
        """What was told of the key, with the fewest increments that it can mean."""
        told = self.told[key]
        return told if self.counted else [replace(each, value=each.shown) for each in told]


def answers_of(history: History) -> Answers:
    """Raises HistoryError for an op of another name, or a value of neither form."""
    calls = calls_of(history, ("inc", "read"), only=True)
    of_many = any(isinstance(value, Mapping) for call in calls for value in (call.argument, call.result))
    answers = Answers(of_many)
    for call in calls:
        for key in _asked_map(call) if of_many else [_asked_pair(call)]:
            answers.calls[key].append(call)
        if call.ok:
            for key, told in _told_map(call) if of_many else [_told_pair(call)]:
                answers.told[key].append(told)
    if of_many:
        every = [each for told in answers.told.values() for each in told]
        answers.counted = any(each.shown == (0 if each.call.f == "inc" else NONE_YET) for each in every)
    return answers


def _asked_pair(call: ClientCall) -> Hashable:
    return freeze(pair_of(call.argument, call.index, f"[key, null] (or {EXPECTED_MAP})")[0], call.index)


def _told_pair(call: ClientCall) -> tuple[Hashable, Told]:
    key, value = pair_of(call.result, call.record, EXPECTED_PAIR)
    asked = _asked_pair(call)
    if freeze(key, call.record) != asked:
        raise HistoryError(f"index {call.record}: answers for key {show(key)}, asked was {show(call.argument[0])}")
    timestamp = None
    if isinstance(value, list | tuple):
        timestamp, value = pair_of(value, call.record, EXPECTED_PAIR)
    value = 0 if value is None and call.f == "read" else value
    if type(value) is not int or not isinstance(timestamp, int | float | str | None):
        raise HistoryError(f"index {call.record}: expected {EXPECTED_PAIR}, got {show(call.result)}")
    return asked, Told(call, value, timestamp, value)


def _asked_map(call: ClientCall) -> list[Hashable]:
    asked = call.argument
    if isinstance(asked, Mapping) and (call.f == "read" or call.index == call.record):
        return [freeze(key, call.index) for key in asked]
    if call.f == "read" or not isinstance(asked, int | str):
        raise HistoryError(f"index {call.index}: expected {EXPECTED_MAP}, got {show(asked)}")
    return [freeze(asked, call.index)]


def _told_map(call: ClientCall) -> Iterator[tuple[Hashable, Told]]:
    result, asked = call.result, _asked_map(call)
    if call.f == "inc" and not isinstance(result, Mapping) and (result is None or result == call.argument):
        return
    if not isinstance(result, Mapping):
        raise HistoryError(f"index {call.record}: expected {EXPECTED_MAP}, got {show(result)}")
    keys = [freeze(key, call.record) for key in result]
    if set(keys) != set(asked) and (keys or call.f == "read"):
        raise HistoryError(f"index {call.record}: answers {show(result)}, asked was {show(call.argument)}")
    for key, value in zip(keys, result.values(), strict=True):
        if type(value) is not int or value < NONE_YET + (call.f == "inc"):
            raise HistoryError(f"index {call.record}: expected {EXPECTED_MAP}, got {show(result)}")
        yield key, Told(call, value + 1, None, value)
