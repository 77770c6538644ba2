"""Linearizability of data types by its definition, on raw records; and random executions of the same definitions.

A data type is given by what it may do: `steps(state, f, argument, process)` lists every (result, next state). Nothing
is shared with the checkers. The oracle tries every order within realtime, with every subset of the ops of unknown
outcome and every result that these could have had. Executions let each op happen at an instant between its call and
return; `corrupted` damages them. Cost: factorial, for up to some eight ops.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from harness.history import History

NEVER = 10**9
Steps = Callable[[Any, str, Any, int], list[tuple[Any, Hashable]]]


@dataclass(frozen=True)
class Type:
    """make: draws (f, argument) from a chance and how many ops came before."""

    initial: Hashable
    steps: Steps
    make: Callable[[random.Random, int], tuple[str, Any]]


@dataclass
class Done:
    """One call. outcome: ok, fail or info."""

    f: str
    argument: Any
    process: int
    invoked: int
    returned: int = NEVER
    outcome: str = "ok"
    result: Any = None
    fate: list[Any] = field(default_factory=list)


def linearizable(type_: Type, calls: Iterable[Done]) -> bool:
    """Whether such an order exists."""
    ops = [call for call in calls if call.outcome != "fail"]
    returns = [call.returned if call.outcome == "ok" else NEVER for call in ops]
    dead: set[tuple[Hashable, frozenset[int]]] = set()

    def place(state: Hashable, left: frozenset[int]) -> bool:
        if all(ops[i].outcome == "info" for i in left):
            return True
        if (state, left) in dead:
            return False
        first = min(returns[i] for i in left)
        for i in left:
            op = ops[i]
            if op.invoked > first:
                continue
            for result, after in type_.steps(state, op.f, op.argument, op.process):
                if (op.outcome == "info" or _same(result, op.result)) and place(after, left - {i}):
                    return True
        dead.add((state, left))
        return False

    return place(type_.initial, frozenset(range(len(ops))))


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


def execution(
    type_: Type, chance: random.Random, count: int, clients: int, crash: float = 0.0, goes_on: bool = False
) -> list[Done]:
    """Each op happens at an instant within its call; one that can't for long ends `fail` or never."""
    state = type_.initial
    calls: list[Done] = []
    busy: dict[int, Done] = {}
    happened: dict[int, bool] = {}
    names = list(range(clients))
    place = patience = 0
    while (len(calls) < count or busy) and patience < 60 * count + 60:
        patience += 1
        slot = chance.randrange(clients)
        if slot not in busy:
            if len(calls) < count:
                f, argument = type_.make(chance, len(calls))
                busy[slot] = Done(f, argument, names[slot], place)
                happened[slot] = False
                calls.append(busy[slot])
                place += 1
            continue
        call = busy[slot]
        if not happened[slot]:
            choices = type_.steps(state, call.f, call.argument, call.process)
            if chance.random() < crash:
                call.outcome = "info"
                if choices and chance.random() < 0.5:
                    state = chance.choice(choices[:3])[1]
                happened[slot] = True
            elif choices:
                call.result, state = chance.choice(choices[:3])
                happened[slot] = True
            elif chance.random() < 0.1:
                call.outcome = "fail"
                happened[slot] = True
            continue
        if call.outcome != "info" or chance.random() < 0.5:
            call.returned = place
            place += 1
        if call.outcome == "info" and (not goes_on or call.returned == NEVER):
            names[slot] = max(names) + 1
        del busy[slot]
    for call in busy.values():
        call.outcome = "info"
    return calls


def corrupted(chance: random.Random, calls: list[Done], results: Callable[[random.Random, Done], Any]) -> list[Done]:
    """Damaged: results exchanged or replaced, a call lost, calls moved in time, outcomes changed."""
    calls = [replace(call) for call in calls]
    for _ in range(chance.randint(1, 2)):
        if not calls:
            break
        call = chance.choice(calls)
        what = chance.randrange(5)
        if what == 0:
            other = chance.choice([each for each in calls if each.f == call.f])
            if call.outcome == other.outcome == "ok":
                call.result, other.result = other.result, call.result
                if call.argument is not None:
                    call.argument, other.argument = other.argument, call.argument
        elif what == 1:
            calls.remove(call)
        elif what == 2 and call.outcome == "ok":
            call.result = results(chance, call)
        elif what == 3:
            other = chance.choice(calls)
            for name in ("f", "argument", "outcome", "result"):
                mine, others = getattr(call, name), getattr(other, name)
                setattr(call, name, others)
                setattr(other, name, mine)
            for each in (call, other):
                if each.outcome != "info" and each.returned == NEVER:
                    each.outcome = "info"
        elif call.outcome == "fail":
            call.outcome = "ok"
            known = [each.result for each in calls if each.f == call.f and each.outcome == "ok" and each is not call]
            call.result = results(chance, replace(call, result=chance.choice(known))) if known else None
            call.outcome = "ok" if known else "fail"
        elif call.outcome == "ok":
            call.outcome = "info"
    return calls


def history_of(calls: Iterable[Done]) -> History:
    """The records, in Jepsen's form."""
    records: list[tuple[int, dict[str, Any]]] = []
    for call in calls:
        base = {"process": call.process, "f": call.f}
        records.append((call.invoked, {**base, "type": "invoke", "value": call.argument}))
        if call.returned != NEVER:
            value = call.result if call.outcome == "ok" else call.argument
            records.append((call.returned, {**base, "type": call.outcome, "value": value}))
    records.sort(key=lambda record: record[0])
    return History.from_ops({**op, "index": index, "time": index} for index, (_, op) in enumerate(records))


def only(calls: Iterable[Done], indexes: Iterable[int]) -> list[Done]:
    """The calls of which a record has one of the history's indexes."""
    calls = list(calls)
    places = sorted(place for call in calls for place in (call.invoked, call.returned) if place != NEVER)
    kept = {places[index] for index in indexes}
    return [call for call in calls if {call.invoked, call.returned} & kept]
