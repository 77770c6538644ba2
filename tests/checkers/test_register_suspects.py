"""Goal: looking at the suspects only finds what looking at every call finds.

Method: random registers, some of whose answers are wrong, with values that are written once or often, calls of every
outcome and one or many keys; every violation that has a name is the same, found either way.
"""

from __future__ import annotations

import os
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.linearizability.linearizable_calls import calls_at, calls_by_object
from checkers.linearizability.register_anomalies import Named, find, find_among
from checkers.linearizability.register_columns import columns_of
from checkers.linearizability.register_model import Register
from checkers.linearizability.register_suspects import suspects
from harness.history import History

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, database=None)


def made(seed: int) -> History:
    """A register under up to four clients. What is found is sometimes an older value, or one that was never there."""
    chance = random.Random(seed)
    unique, wrong = chance.random() < 0.5, chance.choice([0.0, 0.1, 0.4])
    current, past, fresh = None, [None], 0
    ops: list[dict[str, Any]] = []
    open_: dict[int, tuple[str, Any]] = {}
    for _ in range(chance.randint(4, 40)):
        process = chance.randrange(4)
        if process not in open_:
            f = chance.choice(["read", "read", "write", "cas"])
            fresh += 1
            new = fresh if unique else chance.randrange(4)
            value = {"read": None, "write": new, "cas": [chance.choice([current, *past[-3:]]), new]}[f]
            open_[process] = (f, value)
            ops.append({"type": "invoke", "process": process, "f": f, "value": value})
            continue
        f, value = open_.pop(process)
        outcome = chance.choice(["ok"] * 7 + ["info", "fail"])
        lies = chance.random() < wrong
        if f == "read" and outcome == "ok":
            value = chance.choice([*past, fresh, fresh + 1, 99]) if lies else current
        if f == "cas" and outcome == "ok" and value[0] != current and not lies:
            outcome = "fail"
        if f != "read" and (outcome == "ok" or (outcome == "info" and chance.random() < 0.5)) and not lies:
            current = value if f == "write" else value[1]
            past.append(current)
        ops.append({"type": outcome, "process": process, "f": f, "value": value})
    return History.from_ops([{**op, "index": place, "time": place} for place, op in enumerate(ops)])


def both(seed: int) -> tuple[list[Named], list[Named] | None]:
    """(what every call shows, what the suspects show; None where the suspects are not enough)."""
    history = made(seed)
    columns = columns_of(history, None)
    assert columns is not None
    if not len(columns):
        return [], []
    [register] = calls_by_object(history, Register())
    every = list(find(register, None))
    found = suspects(columns)
    if found.others:
        return every, None
    needed = calls_at(history, Register(), columns.invoked[found.needed].tolist(), None, False, frozenset())
    return every, list(find_among(needed, None, set(columns.invoked[found.wrong].tolist())))


@thorough
@given(st.integers(0, 2**63))
def test_suspects_show_what_every_call_shows(seed: int) -> None:
    every, few = both(seed)
    if few is not None:
        assert few == every


def test_most_registers_need_only_their_suspects() -> None:
    results = [both(seed) for seed in range(400)]
    kinds = {named.type for _, few in results for named in few or ()}
    assert kinds == {"G1a", "garbage-read", "future-read", "stale-read", "lost-update"}
    assert {named.type for every, few in results if few is None for named in every} >= {"lost-write", "lost-update"}
    assert sum(few is not None for _, few in results) > 200
