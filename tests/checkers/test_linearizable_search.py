"""The frontier search agrees with the definition, on small random registers of every shape.

Method: hypothesis draws operations with overlapping intervals, crashed ones among them, over few values, so that equal
operations, chains of cas and impossible reads are common; the oracle tries every order.
"""

from __future__ import annotations

import os

from hypothesis import example, given, settings
from hypothesis import strategies as st

from checkers.linearizability.linearizable_model import NEVER, Budget, Operation
from checkers.linearizability.linearizable_search import EXACT, FEW, UNLIMITED, Uses, _Search, search
from checkers.linearizability.register_model import Register
from tests.checkers.linearizability_oracle import linearizable

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
VALUES = st.sampled_from([None, 1, 2])
ACTIONS = st.one_of(
    st.tuples(st.just("read"), VALUES),
    st.tuples(st.just("write"), st.sampled_from([1, 2])),
    st.tuples(st.just("cas"), VALUES, VALUES).filter(lambda action: action[1] != action[2]),
)


@st.composite
def registers(draw: st.DrawFn, max_size: int = 7) -> list[Operation]:
    """Up to 7 operations; a fourth of them crashed."""
    actions = draw(st.lists(ACTIONS, max_size=max_size))
    places = draw(st.permutations([number for number in range(len(actions)) for _ in range(2)]))
    crashed = draw(st.lists(st.integers(0, 3), min_size=len(actions), max_size=len(actions)))
    ends: list[list[int]] = [[] for _ in actions]
    for place, number in enumerate(places):
        ends[number].append(place)
    return [
        Operation(action, begin, NEVER if crash == 0 else end)
        for action, (begin, end), crash in zip(actions, ends, crashed)
        if not (crash == 0 and action[0] == "read")
    ]


def budget() -> Budget:
    return Budget.of(20, 500)


def run(operations: list[Operation], uses: Uses) -> bool | None:
    return _Search(Register(), Register().needed(operations), uses, budget()).run().linearizable


@settings(max_examples=EXAMPLES, deadline=None)
@given(registers())
@example([Operation(("write", 1), 0), Operation(("read", 1), 1, 2), Operation(("read", None), 3, 4)])
def test_agrees_with_the_definition(operations: list[Operation]) -> None:
    assert search(Register(), operations, budget()).linearizable is linearizable(Register(), operations)


@settings(max_examples=EXAMPLES, deadline=None)
@given(registers())
def test_each_search_is_sound_on_its_own(operations: list[Operation]) -> None:
    expected = linearizable(Register(), operations)
    assert run(operations, EXACT) is expected
    if run(operations, UNLIMITED) is False:
        assert not expected
    for uses in (*FEW, Uses(keep=1, more=0)):
        if run(operations, uses):
            assert expected


@settings(max_examples=EXAMPLES, deadline=None)
@given(registers())
def test_the_prefix_before_the_stuck_operation_is_linearizable(operations: list[Operation]) -> None:
    outcome = _Search(Register(), operations, EXACT, budget()).run()
    if outcome.linearizable:
        return
    assert outcome.stuck is not None
    cut = outcome.stuck.returned

    def until(end: int) -> list[Operation]:
        return [
            Operation(operation.action, operation.invoked, operation.returned if operation.returned < end else NEVER)
            for operation in operations
            if operation.invoked < end and not (operation.returned >= end and operation.action[0] == "read")  # type: ignore[index]
        ]

    assert linearizable(Register(), until(cut))
    assert not linearizable(Register(), until(cut + 1))


def test_a_search_out_of_budget_says_so() -> None:
    writes = [Operation(("write", 1), place, 100 + place) for place in range(10)]
    spent = Budget(deadline=0.0, configurations=1000)
    outcome = search(Register(), writes, spent)
    assert outcome.linearizable is None
    assert outcome.completions == 10
