"""Pairs on call: what each client tried and was told, and what each read of all pairs showed.

    leave     [pair, member, null]  → ok [pair, member, "left" | "stayed"]
    read-all  null                  → ok [[pair, on_call_0, on_call_1], ...]   pairs that are not listed: both on call

Calls are named by their places in one list, `PairCalls.calls`, so that they can be nodes of a graph.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from checkers.client_calls import ClientCall, calls_of
from checkers.values import freeze, show
from harness.history import FAIL, INFO, History, HistoryError

NAMES = ("Alice", "Bob")
BOTH_ON = (False, False)
_TOLD = (["left"], ["stayed"])


@dataclass
class Pair:
    """leaves: for each of the two members, the calls by which it tried to leave. shown: the pair as it was recorded."""

    shown: Any
    leaves: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))


@dataclass
class PairCalls:
    """calls: all calls. left: those that were told "left". stayed: those that were told "stayed".

    member_of: leave → (its pair's key, its member). looks: successful read → key → (member 0 is off, member 1 is off).
    """

    calls: list[ClientCall]
    pairs: dict[Hashable, Pair] = field(default_factory=dict)
    member_of: dict[int, tuple[Hashable, int]] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    stayed: set[int] = field(default_factory=set)
    looks: dict[int, dict[Hashable, tuple[bool, bool]]] = field(default_factory=dict)

    def possible(self, leave: int) -> bool:
        """Whether it took, or may have taken, its member off call."""
        return leave in self.left or self.calls[leave].outcome == INFO

    def failed(self, leave: int) -> bool:
        """Whether it certainly had no effect, and was not told what it saw."""
        return self.calls[leave].outcome == FAIL

    def who(self, leave: int) -> str:
        """The member's name and client."""
        member = self.member_of[leave][1]
        return f"{NAMES[member]} (member {member}, client {self.calls[leave].process})"


def pair_calls(history: History) -> PairCalls:
    """The calls of a history. Raises HistoryError for a value of another shape, and for an op of another kind."""
    found = PairCalls(calls_of(history, ("leave", "read-all"), only=True))
    for number, call in enumerate(found.calls):
        if call.f == "leave":
            _leave(found, number, call)
        elif call.ok:
            found.looks[number] = _look(call)
    return found


def _leave(found: PairCalls, number: int, call: ClientCall) -> None:
    value = call.argument
    if not isinstance(value, list | tuple) or len(value) != 3 or value[1] not in (0, 1):
        raise HistoryError(f"index {call.index}: the value of leave must be [pair, 0 or 1, null], not {show(value)}")
    key, member = freeze(value[0], call.index), int(value[1])
    if call.ok:
        told = call.result
        if not isinstance(told, list | tuple) or list(told[:2]) != list(value[:2]) or list(told[2:]) not in _TOLD:
            raise HistoryError(
                f"index {call.record}: an ok leave of {show(value[:2])} must say {show([*value[:2], 'left'])} or "
                f"{show([*value[:2], 'stayed'])}, not {show(told)}"
            )
        (found.left if told[2] == "left" else found.stayed).add(number)
    found.member_of[number] = (key, member)
    found.pairs.setdefault(key, Pair(value[0])).leaves[member].append(number)


def _look(call: ClientCall) -> dict[Hashable, tuple[bool, bool]]:
    if not isinstance(call.result, list | tuple):
        raise HistoryError(
            f"index {call.record}: the value of an ok read-all must be a list of pairs, not {show(call.result)}"
        )
    off: dict[Hashable, tuple[bool, bool]] = {}
    for row in call.result:
        if not isinstance(row, list | tuple) or len(row) != 3 or not all(part in (0, 1) for part in row[1:]):
            raise HistoryError(f"index {call.record}: read-all must list [pair, on call, on call], not {show(row)}")
        key = freeze(row[0], call.record)
        if key in off:
            raise HistoryError(f"index {call.record}: a read-all lists pair {show(row[0])} twice")
        off[key] = (not row[1], not row[2])
    return off
