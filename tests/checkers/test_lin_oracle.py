"""Every data type's algorithm, and the search on the same histories, against brute force by definition.

Method: random executions of the data type by several clients, most of them damaged afterwards. The checker's
verdict must be the oracle's; so must the search's without the own algorithm, and the records that it shows must
show it again. How far it says that an order exists, one must exist. FAULTLINE_EXAMPLES sets how many are tried (the
nightly profile: 20000).
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from checkers.linearizability.lin_bag import Bag
from checkers.linearizability.lin_calls import DataType, calls_of
from checkers.linearizability.lin_checker import LinearizableType
from checkers.linearizability.lin_counter import Counter
from checkers.linearizability.lin_fenced_lock import FencedLock
from checkers.linearizability.lin_fifo import FifoQueue
from checkers.linearizability.lin_log import Log
from checkers.linearizability.lin_multi_register import MultiRegister
from checkers.linearizability.lin_mutex import Mutex, OwnedMutex
from checkers.linearizability.lin_set import Set
from checkers.linearizability.lin_stack import Stack
from checkers.linearizability.linearizable_model import Budget
from checkers.linearizability.linearizable_search import search
from harness.glossary import ANOMALIES
from tests.checkers import lin_types
from tests.checkers.histories import asked
from tests.checkers.lin_oracle import NEVER, Done, Type, corrupted, execution, history_of, linearizable, only

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Case:
    type: Type
    model: DataType
    goes_on: bool = False
    """Whether clients go on after an op of unknown outcome."""


CASES = {
    "counter by one": Case(lin_types.counter((1,)), Counter()),
    "counter by minus two": Case(lin_types.counter((-2,)), Counter()),
    "counter up and down": Case(lin_types.counter((1, 2, -1)), Counter()),
    "log": Case(lin_types.log(1.0), Log()),
    "log with repeated values": Case(lin_types.log(0.7), Log()),
    "set that grows": Case(lin_types.set_({"add": 5, "read": 3, "contains": 3}), Set()),
    "set without reads": Case(lin_types.set_({"add": 3, "remove": 2, "contains": 4}), Set()),
    "set with everything": Case(lin_types.set_({"add": 3, "remove": 2, "contains": 1, "read": 2}), Set()),
    "queue": Case(lin_types.collection("bag", 1.0), Bag()),
    "queue with repeated values": Case(lin_types.collection("bag", 0.3), Bag()),
    "FIFO queue": Case(lin_types.collection("fifo", 1.0), FifoQueue()),
    "FIFO queue with repeated values": Case(lin_types.collection("fifo", 0.5), FifoQueue()),
    "stack": Case(lin_types.collection("stack", 1.0, "push", "pop"), Stack()),
    "stack with repeated values": Case(lin_types.collection("stack", 0.5, "push", "pop"), Stack()),
    "mutex": Case(lin_types.mutex(owners=False), Mutex()),
    "mutex with owners": Case(lin_types.mutex(owners=True), OwnedMutex()),
    "mutex whose clients go on": Case(lin_types.mutex(owners=True), OwnedMutex(), goes_on=True),
    "fenced lock": Case(lin_types.fenced_lock(expires=False), FencedLock()),
    "fenced lock whose clients go on": Case(lin_types.fenced_lock(expires=False), FencedLock(), goes_on=True),
    "fenced lock that expires": Case(lin_types.fenced_lock(expires=True), FencedLock(expires=True)),
    "multi-register": Case(lin_types.multi_register(), MultiRegister()),
}


def drawn(case: Case, seed: int) -> list[Done]:
    chance = random.Random(seed)
    crash = chance.choice([0.0, 0.0, 0.15, 0.4])
    calls = execution(case.type, chance, chance.randint(1, 8), chance.randint(1, 5), crash, case.goes_on)
    results = lin_types.any_set_result if isinstance(case.model, Set) else lin_types.any_result
    return corrupted(chance, calls, results) if chance.random() < 0.75 else calls


@pytest.mark.parametrize("name", CASES)
@thorough
@given(seed=st.integers(0, 2**60))
@example(seed=11_495_150_318_838)  # registers whose crashed write would have to take effect twice
def test_agrees_with_the_definition(name: str, seed: int) -> None:
    case = CASES[name]
    calls = drawn(case, seed)
    if not calls:
        return
    recorded = history_of(calls)
    expected = linearizable(case.type, calls)
    verdict = LinearizableType(lambda options: case.model).check(recorded, asked())
    assert verdict.verdict == ("valid" if expected else "invalid"), calls
    for anomaly in verdict.anomalies:
        assert anomaly.type in ANOMALIES and anomaly.sentence.endswith(".")
        assert set(anomaly.ops) <= set(anomaly.sub_history)
        shown = only(calls, anomaly.sub_history)
        assert not linearizable(case.type, shown), anomaly
        how_far = re.search(r"The (\d+) ops that returned before", anomaly.sentence)
        if how_far:
            (stuck,) = only(calls, anomaly.ops)
            before = [call for call in shown if call.outcome == "ok" and call.returned < stuck.returned]
            assert int(how_far[1]) == len(before), anomaly
            pending = [replace(call, outcome="info") for call in shown if call not in before]
            assert linearizable(case.type, [*before, *pending]), anomaly
    for each in calls_of(recorded, case.model, keyed=False):
        searched = search(case.model, each.operations, Budget.of(20, 500))
        assert searched.linearizable == expected, calls


@pytest.mark.parametrize("left, verdict", [(2, "valid"), (3, "invalid")])
def test_what_unknown_dequeues_can_have_taken_needs_no_search(left: int, verdict: str) -> None:
    """Two dequeues of unknown outcome explain that two elements of 400 were gone when the queue said it is empty."""
    calls: list[Done] = []

    def add(f: str, argument: Any, result: Any, outcome: str = "ok") -> None:
        place = 2 * len(calls)
        process = len(calls) if outcome == "info" else 1000
        calls.append(Done(f, argument, process, place, place + 1 if outcome == "ok" else NEVER, outcome, result))

    for _ in range(2):
        add("dequeue", None, None, "info")
    for number in range(400):
        add("enqueue", number, number)
        if number >= left:
            add("dequeue", None, number)
    add("dequeue", None, None)
    found = LinearizableType(lambda options: Bag()).check(history_of(calls), asked())
    assert (found.verdict, found.stats["objects_searched"]) == (verdict, 0)
