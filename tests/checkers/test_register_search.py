"""The compiled search of registers against the definition, and against the search in Python.

Method: hypothesis draws operations of simulated registers, results corrupted or not; the oracle tries every order. Each
way of counting crashed calls is a proof of its own, and is tested as one; with arrays of two rows and pauses after
each step too. Larger registers, beyond the oracle, are compared with the Python search.
"""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.linearizability import register_search
from checkers.linearizability.linearizable_model import NEVER, Budget, Operation
from checkers.linearizability.linearizable_search import search
from checkers.linearizability.register_model import Register
from checkers.linearizability.register_search import EXACT, FEW, FREE, Beam, RegisterSearch, Walk
from checkers.linearizability.register_walk import A_EVENT, A_STEPS, H_STOP, INVALID, PAUSED, VALID
from tests.checkers.linearizability_oracle import linearizable
from tests.checkers.register_operations import columns_of, registers, until

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def budget(memory_mb: int = 500) -> Budget:
    return Budget.of(20, memory_mb)


def judged(operations: list[Operation]) -> int:
    searched = RegisterSearch(columns_of(operations))
    searched.judge(np.ones(1, bool), budget())
    return int(searched.judged[0])


@thorough
@given(registers())
def test_agrees_with_the_definition(operations: list[Operation]) -> None:
    assert judged(operations) == (VALID if linearizable(Register(), operations) else INVALID)


@thorough
@given(registers(most=12, clients=12))
def test_agrees_with_the_definition_with_many_clients(operations: list[Operation]) -> None:
    assert judged(operations) == (VALID if linearizable(Register(), operations) else INVALID)


@thorough
@given(registers(), st.booleans())
def test_each_walk_is_sound_on_its_own(operations: list[Operation], small: bool) -> None:
    expected = linearizable(Register(), operations)
    searched = RegisterSearch(columns_of(operations))
    outcomes = {}
    for way in (EXACT, FEW, FREE, None):
        walk = Beam(searched, 0) if way is None else Walk(searched, 0, way, rows=2 if small else 512)
        outcomes[way] = PAUSED
        while outcomes[way] == PAUSED:
            outcomes[way] = walk.run(1 if small and way is not None else 100_000, budget())
    assert outcomes[EXACT] == (VALID if expected else INVALID)
    if expected:
        assert outcomes[FREE] == VALID
    else:
        assert outcomes[FEW] == outcomes[None] == INVALID


@thorough
@given(registers())
def test_how_far_an_order_exists(operations: list[Operation]) -> None:
    if linearizable(Register(), operations):
        return
    found = RegisterSearch(columns_of(operations)).explain(0, budget())
    end = operations[found.stuck].returned
    assert not linearizable(Register(), until(operations, end + 1))
    assert found.ordered
    assert linearizable(Register(), until(operations, end))
    assert found.completed == sum(operation.returned < end for operation in operations)


@thorough
@given(st.lists(registers(most=6), max_size=4))
def test_registers_are_judged_apart(each: list[list[Operation]]) -> None:
    searched = RegisterSearch(columns_of(*each))
    searched.judge(np.ones(len(each), bool), budget())
    expected = [VALID if linearizable(Register(), operations) else INVALID for operations in each]
    assert searched.judged.tolist() == expected


def simulated(seed: int, count: int, clients: int, crashed: float, values: int = 5) -> list[Operation]:
    """A long register that has an order: each op takes effect at one instant between its call and its return."""
    draw = random.Random(seed)
    register: Any = None
    operations: list[Operation] = []
    open_: list[list[Any]] = []
    place = started = 0
    while started < count or open_:
        if started < count and len(open_) < clients and draw.random() < 0.6:
            open_.append([draw.choice(["read", "write", "cas"]), place, None, False])
            started, place = started + 1, place + 1
            continue
        if not open_:
            continue
        call = draw.choice(open_)
        f, began, action, crash = call
        if action is None:
            new, old = draw.randrange(values), draw.choice([register, draw.randrange(values)])
            crash = f != "read" and draw.random() < crashed
            happens = not crash or draw.random() < 0.5
            call[2] = (f, register) if f == "read" else (f, new) if f == "write" else (f, old, new)
            call[3] = crash
            if f == "cas" and (old == new or (old != register and not crash)):
                open_.remove(call)
            elif f != "read" and happens and (f == "write" or old == register):
                register = new
            continue
        open_.remove(call)
        operations.append(Operation(action, began, NEVER if crash else place))
        place += not crash
    return sorted(operations, key=lambda operation: operation.invoked)


def with_a_changed_read(operations: list[Operation], seed: int) -> list[Operation]:
    """The same with another value in one read."""
    draw = random.Random(seed)
    reads = [place for place, operation in enumerate(operations) if operation.action[0] == "read"]  # type: ignore[index]
    place = draw.choice(reads)
    changed = Operation(("read", draw.randrange(5)), operations[place].invoked, operations[place].returned)
    return [*operations[:place], changed, *operations[place + 1 :]]


def test_long_registers_that_have_an_order_are_valid() -> None:
    for seed in range(40):
        clients, crashed = (1 + seed % 12, 0.02 * (seed % 3))
        assert judged(simulated(seed, 400, clients, crashed)) == VALID, seed


def test_changed_reads_of_longer_registers_as_the_python_search_judges_them() -> None:
    verdicts = []
    for seed in range(150):
        operations = simulated(seed, 40, 1 + seed % 7, 0.04 * (seed % 3))
        operations = with_a_changed_read(operations, seed)
        expected = search(Register(), operations, budget()).linearizable
        assert expected is not None
        assert judged(operations) == (VALID if expected else INVALID), seed
        verdicts.append(expected)
    assert 30 < sum(verdicts) < 120


def test_more_pending_calls_than_bits_in_a_word() -> None:
    writes = [Operation(("write", 1 + place % 3), place, 1000 + place) for place in range(130)]
    reads = [Operation(("read", 1 + place % 3), 200 + place, 800 + place) for place in range(9)]
    assert judged([*writes, *reads]) == VALID
    assert judged([*writes, *reads, Operation(("read", 1), 1200, 1201), Operation(("read", 2), 1202, 1203)]) == INVALID


def test_a_beam_that_finds_no_way_on_goes_back() -> None:
    went_back = 0
    for seed in range(12):
        searched = RegisterSearch(columns_of(simulated(seed, 3000, 6, 0.03)))
        few = Walk(searched, 0, FEW)
        went_back += few.run(10**9, budget()) == INVALID
        assert Beam(searched, 0).run(10**9, budget()) == VALID, seed
    assert went_back


def test_without_memory_it_is_undecided_and_nothing_breaks() -> None:
    operations = with_a_changed_read(simulated(3, 300, 40, 0.0), 1)
    searched = RegisterSearch(columns_of(operations))
    walk = Walk(searched, 0, EXACT, rows=2)
    assert walk.run(10**9, Budget(deadline=budget().deadline, configurations=0)) == register_search.FULL
    walk = Walk(searched, 0, EXACT, rows=2)
    assert walk.run(10, budget()) == PAUSED
    assert 0 < walk._at[A_STEPS] < 10_000
    assert walk._at[A_EVENT] < walk._room[register_search.R_HOW][H_STOP]


def test_without_time_it_is_undecided() -> None:
    searched = RegisterSearch(columns_of(simulated(1, 50, 4, 0.1)))
    searched.judge(np.ones(1, bool), Budget.of(-1, 100))
    assert searched.judged.tolist() == [register_search.UNDECIDED]
    hard = searched.hard(0)
    assert hard is not None
    assert hard.completed == 0
