"""What zones found wrong with a register, as a sentence and as the calls that prove it whatever else happened.

The witnesses of `register_zones` prove a violation only with what makes them mean something: who put their values there
(back through the compare-and-sets to a plain write), and who found the value of a call of unknown outcome, so that it
has happened. Cost: O(calls of that register), for the registers that are shown only.
"""

from __future__ import annotations

from collections.abc import Callable

from checkers.linearizability.linearizable_model import NEVER
from checkers.linearizability.register_columns import READ, WRITE, RegisterColumns
from checkers.linearizability.register_zones import BETWEEN, CIRCLE, GARBAGE, INITIAL, INSIDE, TAKEN_TWICE, Zones
from harness.history import FAIL

_ONCE = "Every value was put there once only"
_GONE = f"{_ONCE}, so the older one can't have come back."


def violation_of(
    columns: RegisterColumns, zones: Zones, register: int, did: Callable[[int], str]
) -> tuple[list[int], str]:
    """(calls that prove it, what is wrong) of a register that zones found BROKEN.

    did: a call as a clause, such as "client 3 read 5".
    """
    calls = [int(call) for call in zones.witnesses[register] if call != INITIAL]
    return _with_grounds(columns, register, calls), _sentence(int(zones.violation[register]), zones, register, did)


def _sentence(violation: int, zones: Zones, register: int, did: Callable[[int], str]) -> str:
    a, b, c, d = (int(call) for call in zones.witnesses[register])
    if violation == GARBAGE:
        return f"{did(a)}, a value that nobody put there."
    if violation == TAKEN_TWICE:
        return f"{did(a)} and {did(b)}: both succeeded from one value, which was put there only once."
    if violation == CIRCLE:
        return f"{did(a)}, but what it found was made, by other compare-and-sets, from what it put there."
    if violation == INSIDE:
        return f"{did(a)} and had its answer before another op began, which must have come first: {did(b)}. {_ONCE}."
    assert violation == BETWEEN
    older = "the register held its initial value" if a == INITIAL else f"{did(a)} and had its answer"
    if b == c:
        return f"first {older}; then {did(b)} and had its answer; and only then began this: {did(d)}. {_GONE}"
    return f"{older} before this began: {did(b)}. And {did(c)} and had its answer before this began: {did(d)}. {_GONE}"


def _with_grounds(columns: RegisterColumns, register: int, calls: list[int]) -> list[int]:
    """The calls with those that put their values there, and those that show that unknown ones happened."""
    writers: dict[int, list[int]] = {}
    finders: dict[int, list[int]] = {}
    for call in range(int(columns.start[register]), int(columns.start[register + 1])):
        if columns.outcome[call] == FAIL:
            continue
        if columns.kind[call] != READ:
            writers.setdefault(int(columns.new[call]), []).append(call)
        if columns.kind[call] != WRITE:
            finders.setdefault(int(columns.old[call]), []).append(call)
    grounds: set[int] = set()
    todo = list(calls)
    while todo:
        call = todo.pop()
        if call in grounds:
            continue
        grounds.add(call)
        if columns.kind[call] != WRITE:
            todo += writers.get(int(columns.old[call]), [])
        if columns.returned[call] == NEVER and columns.kind[call] != READ:
            found_by = finders.get(int(columns.new[call]), [])
            known = [each for each in found_by if columns.returned[each] != NEVER]
            todo += known[:1] or found_by
    return sorted(grounds)
