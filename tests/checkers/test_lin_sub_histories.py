"""Goal: the records of an anomaly's `sub_history`, judged alone, are a history and show the anomaly again.

Method: random executions of every data type, most of them damaged, one object or two with keys. What is shown of each
anomaly is judged as the whole was: it must be invalid by the same name. (What had only the general name may have one of
its own then, as the ops that kept it from being seen are gone.)
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.linearizability.key_value_model import KeyValue
from checkers.linearizability.lin_checker import LinearizableType
from checkers.linearizability.lin_set import Set
from checkers.linearizability.linearizable import Linearizable
from harness.checker import Checker
from harness.history import History
from harness.verdict import Verdict
from tests.checkers import lin_types
from tests.checkers.histories import asked
from tests.checkers.lin_oracle import NEVER, Done, Type, corrupted, execution, history_of
from tests.checkers.test_lin_oracle import CASES

EXAMPLES = max(10, int(os.environ.get("FAULTLINE_EXAMPLES", "600")) // 20)
"""Of each data type: all of them together are as many as others have."""
GENERAL = "nonlinearizable"


def register(values: list[Any], fresh: float, cas: float = 0.3) -> Type:
    """values: that are written again and again; fresh: how often another one is."""

    def steps(state: Any, f: str, argument: Any, process: int) -> list[Any]:
        if f == "read":
            return [(state, state)]
        if f == "write":
            return [(argument, argument)]
        return [(argument, argument[1])] if argument[0] == state else []

    def make(chance: random.Random, number: int) -> tuple[str, Any]:
        new = 10 + number if chance.random() < fresh else chance.choice(values)
        what = chance.random()
        if what < 0.35:
            return "read", None
        if what < 1 - cas:
            return "write", new
        return "cas", [chance.choice([None, *values, *range(10, 10 + number)]), new]

    return Type(None, steps, make)


def strings() -> Type:
    def steps(state: Any, f: str, argument: Any, process: int) -> list[Any]:
        if f == "get":
            return [(state, state)]
        return [(argument, argument if f == "put" else state + argument)]

    def make(chance: random.Random, number: int) -> tuple[str, Any]:
        f = chance.choice(["get", "get", "put", "append", "append"])
        return f, None if f == "get" else chr(97 + (number if chance.random() < 0.7 else chance.randint(0, 2)))

    return Type("", steps, make)


def other_read(chance: random.Random, call: Done) -> Any:
    """Another answer of a read; a write's stays."""
    if call.f == "get":
        return call.result[:-1] + chance.choice("abcd")
    return chance.choice([None, 1, 2, 3, *range(10, 18)]) if call.f == "read" else call.result


Judge = tuple[Type, Callable[[random.Random, Done], Any], Checker, bool]
"""What makes histories, what damages their answers, who judges them, and whether keys are announced by an option."""


def judges() -> dict[str, Judge]:
    made: dict[str, Judge] = {
        "register, each value once": (register([1], 1.0), other_read, Linearizable(), False),
        "register of three values": (register([1, 2, 3], 0.0), other_read, Linearizable(), False),
        "register, some values often": (register([1, 2], 0.5), other_read, Linearizable(), False),
        "register, mostly compare-and-set": (register([1, 2], 0.7, 0.6), other_read, Linearizable(), False),
        "key-value store": (strings(), other_read, Linearizable(lambda initial: KeyValue("")), False),
    }
    for name, case in CASES.items():
        results = lin_types.any_set_result if isinstance(case.model, Set) else lin_types.any_result
        made[name] = (case.type, results, LinearizableType(lambda options, model=case.model: model), True)  # type: ignore[misc]
    return made


JUDGES = judges()


def drawn(name: str, chance: random.Random) -> list[Done]:
    type_, results, *_ = JUDGES[name]
    goes_on = name in CASES and CASES[name].goes_on
    crash = chance.choice([0.0, 0.0, 0.15, 0.4])
    calls = execution(type_, chance, chance.randint(1, 12), chance.randint(1, 5), crash, goes_on)
    for _ in range(chance.choice([0, 1, 1, 2])):
        calls = corrupted(chance, calls, results)
    if name not in CASES:
        calls = [replace(call, result=call.argument) if call.argument is not None else call for call in calls]
    return calls


def keyed(calls: list[Done], key: int) -> list[Done]:
    """The calls of one of two keys, whose records take turns."""
    return [
        replace(
            call,
            argument=[key, call.argument],
            result=[key, call.result],
            process=call.process + 100 * key,
            invoked=2 * call.invoked + key,
            returned=call.returned if call.returned == NEVER else 2 * call.returned + key,
        )
        for call in calls
    ]


@pytest.mark.parametrize("name", JUDGES)
@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**60))
def test_what_is_shown_shows_it_again(name: str, seed: int) -> None:
    chance = random.Random(seed)
    *_, checker, by_option = JUDGES[name]
    calls, options = drawn(name, chance), {}
    if chance.random() < 0.25:
        calls = [*keyed(calls, 0), *keyed(drawn(name, chance), 1)]
        options = {"keyed": "yes"} if by_option else {}
    recorded = history_of(calls)
    ops = [recorded.op(place) for place in range(len(recorded))]

    def judged(records: list[Any]) -> Verdict:
        return checker.check(History.from_ops(records), asked(**options))

    for anomaly in judged(ops).anomalies if ops else []:
        assert set(anomaly.ops) <= set(anomaly.sub_history), anomaly
        alone = judged([ops[index] for index in anomaly.sub_history])
        assert alone.verdict == "invalid", anomaly
        assert anomaly.type in (*alone.anomaly_types, GENERAL), (anomaly, alone)


def test_a_write_that_is_only_known_by_its_reader_to_be_the_older_one_is_shown_with_it() -> None:
    """The write of 1 had its answer after that of 2 began; only who had read it before tells that it came first."""
    records = [
        (0, "invoke", "write", 1), (1, "invoke", "read", None), (1, "ok", "read", 1),
        (2, "invoke", "write", 2), (0, "ok", "write", 1), (2, "ok", "write", 2),
        (1, "invoke", "cas", [1, 3]), (1, "ok", "cas", [1, 3]),
    ]  # fmt: skip
    ops = [dict(zip(("process", "type", "f", "value"), record)) for record in records]
    checker = Linearizable()
    verdict = checker.check(History.from_ops(ops), asked())
    assert "lost-write" in verdict.anomaly_types
    (lost,) = (each for each in verdict.anomalies if each.type == "lost-write")
    assert lost.sub_history == list(range(8))


def test_without_its_reads_a_register_of_pairs_is_not_taken_for_one_with_keys() -> None:
    records = [
        (0, "invoke", "read", None), (0, "ok", "read", None),
        (0, "invoke", "cas", [[1, 2], [3, 4]]), (0, "ok", "cas", [[1, 2], [3, 4]]),
        (0, "invoke", "write", [1, 2]), (0, "ok", "write", [1, 2]),
    ]  # fmt: skip
    ops = [dict(zip(("process", "type", "f", "value"), record)) for record in records]
    verdict = Linearizable().check(History.from_ops(ops), asked())
    (early,) = (each for each in verdict.anomalies if each.type == "future-read")
    alone = Linearizable().check(History.from_ops([ops[index] for index in early.sub_history]), asked())
    assert "future-read" in alone.anomaly_types and early.key is None
