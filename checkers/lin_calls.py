"""Calls on data types other than registers, with what is known of each call's result.

A queue's dequeue writes *and* answers, so it matters whether its answer is known: that of an `ok` op is; that of a
call of unknown outcome is `UNKNOWN`, not null, which would be an answer ("empty"). Values are one object's, or, with
the option `keyed`, [key, value] as Jepsen's independent workloads have them. Cost: one pass, O(n).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, Protocol

import numpy as np

from checkers.linearizable_calls import Call, Calls
from checkers.linearizable_model import NEVER, Action, Model
from checkers.values import freeze, show
from harness.history import FAIL, INFO, INVOKE, OK, History, HistoryError


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
"""The result of a call that nobody knows the outcome of."""


class DataType(Model, Protocol):
    """A model that is told whether a result is known, and which client it was."""

    def action(self, f: str, argument: Any, result: Any, index: int, process: int = -1) -> Action | None:
        """What an op did; None where it says nothing. result: UNKNOWN where nobody knows. Raises HistoryError."""
        ...


def calls_of(history: History, model: DataType, *, keyed: bool) -> list[Calls]:
    """The calls on each object that happened or may have. Raises HistoryError for an op that the model does not know,
    and for a value of another shape."""
    invocations = np.flatnonzero(history.client & (history.type == INVOKE)).tolist()
    objects: dict[Hashable, Calls] = {}
    for place in invocations:
        index, end = int(history.index[place]), int(history.pair[place])
        f = history.f_names[history.f[place]]
        if f not in model.fs:
            raise HistoryError(f"index {index}: the {model.name} knows {', '.join(model.fs)}, not {f!r}")
        outcome = INFO if end < 0 else int(history.type[end])
        if outcome == FAIL:
            continue
        key, argument = _split(history.value[place], keyed, index, f)
        result: Any = UNKNOWN
        answered = index
        if outcome == OK:
            answered = int(history.index[end])
            other, result = _split(history.value[end], keyed, answered, f)
            if other != key:
                raise HistoryError(f"index {answered}: answers for key {show(other)}, asked was {show(key)} ({index})")
        action = model.action(f, argument, result, answered, int(history.process[place]))
        if action is None:
            continue
        call = Call(
            action=action,
            outcome=outcome,
            process=int(history.process[place]),
            place=place,
            end=NEVER if end < 0 else end,
            record=int(history.index[end]) if end >= 0 else index,
        )
        name = freeze(key, index)
        objects.setdefault(name, Calls(key, keyed, history, noun=model.noun)).calls.append(call)
    return list(objects.values())


def _split(value: Any, keyed: bool, index: int, f: str) -> tuple[Any, Any]:
    if not keyed:
        return None, value
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise HistoryError(f"index {index}: the value of {f} must be [key, value], not {show(value)}")
    return value[0], value[1]
