"""Calls on data types other than registers, with what is known of each call's result.

A queue's dequeue writes *and* answers, so it matters whether its answer is known: that of an `ok` op is; that of a
call of unknown outcome is `UNKNOWN`, not null, which would be an answer ("empty"). Values are one object's, or, with
the option `keyed`, [key, value] as Jepsen's independent workloads have them; without it, invocations that can only be
meant so are refused. Cost: one pass, O(n).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, Protocol

import numpy as np

from checkers.linearizability.linearizable_calls import Call, Calls
from checkers.linearizability.linearizable_model import NEVER, Action, Model
from checkers.values import freeze, is_pair, show
from harness.history import FAIL, INFO, INVOKE, OK, History, HistoryError


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
"""The result of a call that nobody knows the outcome of."""
ASK_NOTHING = ("read", "dequeue", "pop", "acquire", "release")
"""Ops that are invoked with null, or with [key, null] where there are keys."""
TELL_WHAT_THEY_ASK = ("contains", "poll")
"""Ops that are invoked with [what they ask for, null], or with [key, [that, null]]."""


class DataType(Model, Protocol):
    """A model that is told whether a result is known, and which client it was."""

    def action(self, f: str, argument: Any, result: Any, index: int, process: int = -1) -> Action | None:
        """What an op did; None where it says nothing. result: UNKNOWN where nobody knows. Raises HistoryError."""
        ...


def calls_of(history: History, model: DataType, *, keyed: bool) -> list[Calls]:
    """The calls on each object that happened or may have. Raises HistoryError for an op that the model does not know,
    and for a value of another shape."""
    places = np.flatnonzero(history.client & (history.type == INVOKE))
    ends = history.pair[places]
    outcomes = np.where(ends < 0, INFO, history.type[ends]).tolist()
    indexes = history.index.tolist()
    fs, values = history.f_names, history.value
    objects: dict[Hashable, Calls] = {}
    whole = Calls(None, keyed, history, noun=model.noun)
    columns = (places.tolist(), ends.tolist(), outcomes, history.f[places].tolist(), history.process[places].tolist())
    for place, end, outcome, code, process in zip(*columns):
        f = fs[code]
        if f not in model.fs:
            raise HistoryError(f"index {indexes[place]}: the {model.name} knows {', '.join(model.fs)}, not {f!r}")
        if outcome == FAIL:
            continue
        if not keyed:
            _refuse_keyed(values[place], indexes[place], f)
        key, argument = _split(values[place], indexes[place], f) if keyed else (None, values[place])
        record = indexes[place if end < 0 else end]
        result: Any = UNKNOWN
        if outcome == OK:
            result = values[end]
            if keyed:
                other, result = _split(result, record, f)
                if other != key:
                    raise HistoryError(
                        f"index {record}: answers for key {show(other)}, asked was {show(key)} ({indexes[place]})"
                    )
        action = model.action(f, argument, result, record, process)
        if action is None:
            continue
        call = Call(action, outcome, process, place, NEVER if end < 0 else end, record)
        if keyed:
            whole = objects.setdefault(freeze(key, record), Calls(key, keyed, history, noun=model.noun))
        whole.calls.append(call)
    return list(objects.values()) if keyed else [whole] if whole.calls else []


def _refuse_keyed(asked: Any, index: int, f: str) -> None:
    """Raise HistoryError for an invocation that can only be meant as [key, value]: taken as one object's, the answer
    would be wrong."""
    value = asked
    if f in TELL_WHAT_THEY_ASK:
        value = asked[1] if is_pair(asked) else None
    elif f not in ASK_NOTHING:
        return
    if is_pair(value) and value[1] is None:
        raise HistoryError(
            f"index {index}: {f} is invoked with {show(asked)}, as if each value were [key, value]: say so with the "
            "option keyed=yes"
        )


def _split(value: Any, index: int, f: str) -> tuple[Any, Any]:
    if not is_pair(value):
        raise HistoryError(f"index {index}: the value of {f} must be [key, value], not {show(value)}")
    return value[0], value[1]
