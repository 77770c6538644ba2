"""The data types as the oracle knows them: what each op may answer, and what comes after."""

from __future__ import annotations

import random
from typing import Any

from tests.checkers.lin_oracle import Done, Type

TOKENS = 60
"""Tokens are smaller; executions and damage stay far below it, so that there is always a greater one."""


def counter(amounts: tuple[int, ...]) -> Type:
    def steps(state: Any, f: str, argument: Any, process: int) -> list[Any]:
        return [(argument, state + argument)] if f == "add" else [(state, state)]

    def make(chance: random.Random, number: int) -> tuple[str, Any]:
        return ("add", chance.choice(amounts)) if chance.random() < 0.6 else ("read", None)

    return Type(0, steps, make)


def log(fresh: float = 0.9) -> Type:
    def steps(state: Any, f: str, argument: Any, process: int) -> list[Any]:
        if f == "append":
            after = (*state, argument)
            return [(argument, after), ([len(state), argument], after)]
        if f == "read":
            return [(list(state), state)]
        start = argument[0]
        there = list(state[start:])
        return [([start, there[:end]], state) for end in range(1, len(there) + 1)] or [([start, []], state)]

    def make(chance: random.Random, number: int) -> tuple[str, Any]:
        what = chance.random()
        if what < 0.55:
            return "append", number if chance.random() < fresh else chance.randint(0, 3)
        return ("read", None) if what < 0.8 else ("poll", [chance.randint(0, 3), None])

    return Type((), steps, make)


def set_(shares: dict[str, float]) -> Type:
    def steps(state: Any, f: str, argument: Any, process: int) -> list[Any]:
        if f == "add":
            return [(argument, state | {argument})]
        if f == "remove":
            return [(argument, state - {argument})]
        if f == "contains":
            return [([argument[0], argument[0] in state], state)]
        return [(sorted(state), state)]

    def make(chance: random.Random, number: int) -> tuple[str, Any]:
        f = chance.choices(list(shares), list(shares.values()))[0]
        element = chance.randint(0, 3)
        return f, {"contains": [element, None], "read": None}.get(f, element)

    return Type(frozenset(), steps, make)


def collection(kind: str, fresh: float, put: str = "enqueue", take: str = "dequeue") -> Type:
    def steps(state: Any, f: str, argument: Any, process: int) -> list[Any]:
        if f == put:
            after = (*state, argument)
            return [(argument, tuple(sorted(after)) if kind == "bag" else after)]
        if not state:
            return [(None, state)]
        if kind == "bag":
            return [(state[i], state[:i] + state[i + 1 :]) for i in range(len(state)) if state[i] not in state[:i]]
        return [(state[0], state[1:])] if kind == "fifo" else [(state[-1], state[:-1])]

    def make(chance: random.Random, number: int) -> tuple[str, Any]:
        if chance.random() < 0.5:
            return put, number if chance.random() < fresh else chance.randint(0, 2)
        return take, None

    return Type((), steps, make)


def mutex(owners: bool) -> Type:
    def steps(state: Any, f: str, argument: Any, process: int) -> list[Any]:
        owner = process if owners else 0
        if f == "acquire":
            return [(None, owner)] if state is None else []
        return [(None, None)] if state == owner else []

    def make(chance: random.Random, number: int) -> tuple[str, Any]:
        return chance.choice(["acquire", "acquire", "release"]), None

    return Type(None, steps, make)


def fenced_lock(expires: bool) -> Type:
    def steps(state: Any, f: str, argument: Any, process: int) -> list[Any]:
        owner, last = state
        if f == "release":
            return [(None, (None, last))] if expires or owner == process else []
        if owner is not None:
            return []
        tokens = range(last + 1, TOKENS)
        first = sorted(
            tokens, key=lambda token: (token < 0, token)
        )  # a token that is not known may be below all others
        return [(token, (None if expires else process, token)) for token in first]

    def make(chance: random.Random, number: int) -> tuple[str, Any]:
        return chance.choice(["acquire", "release"]), None

    return Type((None, -8), steps, make)


def multi_register() -> Type:
    def steps(state: Any, f: str, argument: Any, process: int) -> list[Any]:
        held = dict(state)
        if f == "read":
            return [({key: held.get(key) for key in argument}, state)]
        if f == "write":
            return [(argument, tuple(sorted({**held, **argument}.items())))]
        result = []
        for micro, key, value in argument:
            if micro == "w":
                held[key] = value
            result.append([micro, key, held.get(key)])
        return [(result, tuple(sorted(held.items())))]

    def make(chance: random.Random, number: int) -> tuple[str, Any]:
        keys = chance.sample("xyz", chance.choice([1, 1, 2]))
        f = chance.choice(["read", "write", "txn"])
        if f == "read":
            return f, dict.fromkeys(keys)
        if f == "write":
            return f, {key: chance.randint(1, 3) for key in keys}
        return f, [["w", key, chance.randint(1, 3)] if chance.random() < 0.5 else ["r", key, None] for key in keys]

    return Type((), steps, make)


def any_set_result(chance: random.Random, call: Done) -> Any:
    """The same where the order of elements says nothing."""
    result = any_result(chance, call)
    return sorted(result) if call.f == "read" else result


def any_result(chance: random.Random, call: Done) -> Any:
    """Some result of the right shape."""
    f, old, small = call.f, call.result, chance.randint(0, 4)
    if f in ("dequeue", "pop"):
        return chance.choice([None, small, chance.randint(0, 9)])
    if isinstance(old, bool):
        return not old
    if f == "read" and isinstance(old, int):
        return old + chance.choice([-1, 1, 2])
    if f == "contains":
        return [old[0], not old[1]]
    if f == "read" and isinstance(old, list):
        return chance.choice([old[:-1], [*old, small], sorted({*old, small}), old[::-1]])
    if f == "read" and isinstance(old, dict):
        return dict.fromkeys(old, small or None)
    if f == "poll":
        return [old[0], chance.choice([old[1][:-1], [*old[1], small], []])]
    if f == "append" and isinstance(old, list):
        return [small, old[1]]
    if f == "acquire" and isinstance(old, int):
        return chance.choice([old + 1, max(1, old - 1), small + 1])
    return old
