"""Goal: a key-value store is judged as by definition, also where what gets returned tells the order of appends.

Method: hypothesis draws operations of a simulated key, some texts twice, some the beginning of another, some results
changed, some operations of unknown outcome; the oracle tries every order. Of a broken history, the operation named is
the one that returned last in the shortest history that has no order.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.linearizability.key_value_model import KeyValue
from checkers.linearizability.linearizable_model import NEVER, Budget, Operation
from checkers.linearizability.linearizable_objects import decide
from tests.checkers.linearizability_oracle import linearizable

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
TEXTS = {"unique": "abcdefghi", "twice": "aabbccdde", "beginnings": ["a", "ab", "b", "ba", "c", "ca", "d", "da", "e"]}


@st.composite
def keys(draw: st.DrawFn, most: int = 8) -> tuple[str, list[Operation]]:
    """(initial value, operations by invocation) of one key."""
    initial = draw(st.sampled_from(["", "", "x"]))
    texts = list(draw(st.sampled_from(list(TEXTS.values()))))
    crash, corrupt = draw(st.sampled_from([0, 0, 25])), draw(st.sampled_from([0, 15, 50]))
    left, width = draw(st.integers(1, most)), draw(st.integers(1, 5))
    state, place = initial, 0
    waiting: list[tuple[str, int]] = []
    done: list[tuple[Any, int]] = []
    operations: list[Operation] = []
    while left or waiting or done:
        step = draw(st.integers(0, 3))
        if left and step < 2 and len(waiting) + len(done) < width:
            waiting.append((draw(st.sampled_from(["get", "get", "append", "append", "append", "put"])), place))
            left, place = left - 1, place + 1
        elif waiting and (step < 3 or not done):
            f, began = waiting.pop(draw(st.integers(0, len(waiting) - 1)))
            text = state if f == "get" else texts.pop(0)
            state = {"get": state, "put": text, "append": state + text}[f]
            if f == "get" and draw(st.integers(0, 99)) < corrupt:
                letters = list(state)
                if letters and draw(st.booleans()):
                    letters.pop(draw(st.integers(0, len(letters) - 1)))
                else:
                    letters.insert(draw(st.integers(0, len(letters))), draw(st.sampled_from("abcz")))
                text = "".join(letters)
            done.append(((f, text), began))
        elif done:
            action, began = done.pop(draw(st.integers(0, len(done) - 1)))
            if action[0] != "get" and draw(st.integers(0, 99)) < crash:
                operations.append(Operation(action, began))
            else:
                operations.append(Operation(action, began, place))
                place += 1
    return initial, sorted(operations, key=lambda operation: operation.invoked)


def up_to(operations: list[Operation], end: int) -> list[Operation]:
    """What was known when the record at `end` was made."""
    return [
        Operation(each.action, each.invoked, each.returned if each.returned <= end else NEVER)
        for each in operations
        if each.invoked < end
    ]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(keys())
def test_agrees_with_the_definition(key: tuple[str, list[Operation]]) -> None:
    initial, operations = key
    model = KeyValue(initial)
    outcome = decide(model, operations, Budget.of(60, 200))
    assert outcome.linearizable is linearizable(model, operations)
    if outcome.linearizable:
        return
    ends = sorted(each.returned for each in operations if not each.crashed)
    broken = next(n for n, end in enumerate(ends) if not linearizable(model, up_to(operations, end)))
    assert outcome.stuck is not None
    assert (outcome.stuck.returned, outcome.completed, outcome.completions) == (ends[broken], broken, len(ends))
    assert outcome.states


def test_what_gets_returned_tells_the_order_of_many_appends() -> None:
    """Twenty appends at once, and a get that shows them in reverse: no other order is tried."""
    texts = [f"<{number}>" for number in range(20)]
    appends = [Operation(("append", text), number, 20 + number) for number, text in enumerate(texts)]
    for shown, expected in ((texts[::-1], True), ([*texts[::-1], "<7>"], False), (texts[1:], False)):
        outcome = decide(KeyValue(), [*appends, Operation(("get", "".join(shown)), 40, 41)], Budget.of(60, 200))
        assert outcome.linearizable is expected
