"""Small registers' operations: drawn from a simulated register, with crashed ones and with corrupted results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from checkers.linearizability.linearizable_model import NEVER, Operation
from checkers.linearizability.register_columns import CAS, READ, WRITE, RegisterColumns, group
from harness.history import INFO, OK

KINDS = {"read": READ, "write": WRITE, "cas": CAS}


@st.composite
def registers(draw: st.DrawFn, most: int = 9, clients: int = 6) -> list[Operation]:
    """Up to `most` operations of some clients on a register that starts with None, in the order of invocation.

    Each takes effect somewhere between its call and its return; crashed ones do or don't. Then some results are
    changed, so that about half of the histories have no order.
    """
    values = draw(st.sampled_from([[1], [1, 2], [1, 2, 3]]))
    crash, corrupt = draw(st.sampled_from([0, 20, 50])), draw(st.sampled_from([0, 20, 60]))
    width = draw(st.integers(1, clients))
    left = draw(st.integers(1, most))
    register: Any = None
    place = 0
    waiting: list[tuple[str, int]] = []
    done: list[tuple[Any, int, bool]] = []
    operations: list[Operation] = []
    while left or waiting or done:
        step = draw(st.integers(0, 3))
        if left and step < 2 and len(waiting) + len(done) < width:
            waiting.append((draw(st.sampled_from(["read", "write", "cas"])), place))
            left, place = left - 1, place + 1
        elif waiting and (step < 3 or not done):
            f, began = waiting.pop(draw(st.integers(0, len(waiting) - 1)))
            crashed = draw(st.integers(0, 99)) < crash
            happens = not crashed or draw(st.booleans())
            new = draw(st.sampled_from(values))
            old = register if draw(st.integers(0, 3)) else draw(st.sampled_from([None, *values]))
            action: tuple[Any, ...] = (f, register) if f == "read" else (f, new) if f == "write" else (f, old, new)
            if (f == "write" and happens) or (f == "cas" and happens and old == register):
                register = new
            elif f == "cas" and not crashed:
                continue
            if draw(st.integers(0, 99)) < corrupt:
                action = (*action[:-1], draw(st.sampled_from(values)))
            if f == "cas" and action[1] == action[2]:
                action = ("read", action[1])
            if not (crashed and action[0] == "read"):
                done.append((action, began, crashed))
        elif done:
            action, began, crashed = done.pop(draw(st.integers(0, len(done) - 1)))
            operations.append(Operation(action, began, NEVER if crashed else place))
            place += not crashed
    return sorted(operations, key=lambda operation: operation.invoked)


def columns_of(*each: Sequence[Operation]) -> RegisterColumns:
    """The columns of some registers, one after the other in the history."""
    rows: list[tuple[int, ...]] = []
    first = 0
    for register, operations in enumerate(each):
        numbers: dict[Any, int] = {None: 0}
        last = 0
        for operation in operations:
            action: Any = operation.action
            old = numbers.setdefault(action[1], len(numbers)) if action[0] != "write" else -1
            new = numbers.setdefault(action[-1], len(numbers)) if action[0] != "read" else -1
            returned = NEVER if operation.crashed else first + operation.returned
            last = max(last, operation.invoked, 0 if operation.crashed else operation.returned)
            outcome = INFO if operation.crashed else OK
            rows.append((register, KINDS[action[0]], outcome, old, new, first + operation.invoked, returned))
        first += last + 1
    table = np.array(rows, np.int64).reshape(-1, 7)
    return group(len(each), *(table[:, i] for i in range(7)), 0, first, [None] * len(each), False)  # type: ignore[call-arg]


def until(operations: Sequence[Operation], end: int) -> list[Operation]:
    """What had been seen of the operations before a place."""
    return [
        Operation(operation.action, operation.invoked, operation.returned if operation.returned < end else NEVER)
        for operation in operations
        if operation.invoked < end and not (operation.returned >= end and operation.action[0] == "read")  # type: ignore[index]
    ]
