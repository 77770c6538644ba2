"""Linearizability by its definition, for small histories: some order of all operations, crashed ones at will.

Every order is tried that keeps realtime (one that returned before another was invoked comes first), with every
subset of the crashed operations. Shares nothing with the checker but the model's step function. Cost: factorial, but
what is left to place in a state is tried once only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from checkers.linearizability.linearizable_model import ILLEGAL, Model, Operation, State


def linearizable(model: Model, operations: Sequence[Operation]) -> bool:
    """Whether such an order exists."""

    @cache
    def place(state: State, left: frozenset[int]) -> bool:
        if all(operations[i].crashed for i in left):
            return True
        first_return = min(operations[i].returned for i in left)
        for i in left:
            if operations[i].invoked > first_return:
                continue
            after = model.step(state, operations[i].action)
            if after is not ILLEGAL and place(after, left - {i}):
                return True
        return False

    return place(model.initial, frozenset(range(len(operations))))
