"""Small random histories of concurrent clients, and what any sequential data type must explain of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True)
class Call:
    """An op: (f, argument) with its outcome ok, fail, info or open, and its result; begin and end in time."""

    process: int
    f: str
    argument: Any
    outcome: str
    result: Any
    begin: int
    end: int


def records_of(calls: Sequence[Call]) -> list[tuple[Any, ...]]:
    """The records (type, process, f, value) of calls whose begins and ends are all different."""
    events: list[tuple[int, tuple[Any, ...]]] = []
    for call in calls:
        events.append((call.begin, ("invoke", call.process, call.f, call.argument)))
        if call.outcome == "ok":
            events.append((call.end, ("ok", call.process, call.f, call.result)))
        elif call.outcome != "open":
            events.append((call.end, (call.outcome, call.process, call.f, call.argument)))
    return [record for _, record in sorted(events, key=lambda event: event[0])]


@st.composite
def timings(draw: Any, count: int, processes: int = 3, *, clean: bool = True) -> list[tuple[int, int, int]]:
    """(process, begin, end) of so many calls, one at a time for each process, all moments different.

    clean: calls of one process may be as dense as they like; the caller gives each unknown call a process of its own.
    """
    process_of = [draw(st.integers(0, processes - 1)) for _ in range(count)]
    order = draw(st.permutations([call for call in range(count) for _ in range(2)]))
    begin: dict[int, int] = {}
    end: dict[int, int] = {}
    waiting: dict[int, list[int]] = {p: [] for p in range(processes)}
    for call in range(count):
        waiting[process_of[call]].append(call)
    open_: dict[int, int] = {}
    moment = 0
    for slot in order:
        process = process_of[slot]
        if process in open_:
            end[open_.pop(process)] = moment
        elif waiting[process]:
            call = waiting[process].pop(0)
            begin[call] = moment
            open_[process] = call
        moment += 1
    for call in open_.values():
        end[call] = moment
        moment += 1
    return [(process_of[call], begin[call], end[call]) for call in range(count)]


Step = Callable[[Hashable, Call], Iterator[Hashable]]
"""step(state, call) → every state after the call takes effect there; none where its result does not fit."""


def explained(calls: Sequence[Call], initial: Hashable, step: Step, *, order: str) -> bool:
    """Whether some order of the ok calls and of some unknown ones explains every result (by exhaustive search).

    order: `realtime`, `session` or `none`: what the order must respect. A call of unknown outcome has no end.
    """
    wanted = [call for call in calls if call.outcome != "fail"]

    def before(one: Call, other: Call) -> bool:
        if order == "none" or one is other:
            return False
        if order == "session" and one.process != other.process:
            return False
        return one.outcome == "ok" and one.end < other.begin

    predecessors = [frozenset(i for i, one in enumerate(wanted) if before(one, other)) for other in wanted]
    needed = frozenset(i for i, call in enumerate(wanted) if call.outcome == "ok")
    seen: set[tuple[frozenset[int], Hashable]] = set()
    todo: list[tuple[frozenset[int], Hashable]] = [(frozenset(), initial)]
    while todo:
        done, state = todo.pop()
        if needed <= done:
            return True
        for i, call in enumerate(wanted):
            if i in done or not (predecessors[i] & needed) <= done:
                continue
            for then in step(state, call):
                entry = (done | {i}, then)
                if entry not in seen:
                    seen.add(entry)
                    todo.append(entry)
    return False
