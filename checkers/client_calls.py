"""Calls of clients: an invocation together with its completion, as the smaller checkers want them.

What an op was asked is taken from its invocation, what it answered from its completion. A call that never completed
counts as `info`. In a history that holds completions only, each stands for the whole call: the order of one client's
calls is known then, and nothing about realtime. Cost: one pass, O(n), some 200 bytes a call.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.values import is_pair, show
from harness.history import INFO, INVOKE, OK, History, HistoryError

NEVER = 2**62
"""The end of a call that nobody knows the outcome of."""


@dataclass(frozen=True)
class ClientCall:
    """One call. outcome: OK, FAIL or INFO. argument: the invocation's value; result: the completion's, if it is OK.

    place: of the invocation. end: of the completion, NEVER where the outcome is INFO. record: the history index that
    stands for it, its completion's where it has one. begin_ns, end_ns: its times (end_ns 0 without a completion).
    """

    f: str
    process: int
    outcome: int
    argument: Any
    result: Any
    place: int
    end: int
    record: int
    index: int
    node: str | None
    begin_ns: int
    end_ns: int

    @property
    def ok(self) -> bool:
        return self.outcome == OK

    @property
    def records(self) -> list[int]:
        """The history indexes of its records."""
        return sorted({self.index, self.record})

    @property
    def timed(self) -> bool:
        """Whether the record tells when it returned: records without times have 0 there."""
        return self.end_ns > 0

    @property
    def moment(self) -> str:
        """When it returned, for a sentence."""
        return f"{self.end_ns / 1e9:.3f} s" if self.timed else f"op {self.record}"


def calls_of(history: History, fs: Collection[str], *, only: bool = False) -> list[ClientCall]:
    """The calls of these fs, in the order of their invocations.

    only: an op of another f is refused (HistoryError) instead of left out.
    """
    if only:
        refuse_others(history, fs)
    timed = history.has_invocations
    heads = np.flatnonzero(history.client & ((history.type == INVOKE) if timed else (history.type >= 0)))
    names = history.f_names
    wanted = {code for code, name in enumerate(names) if name in fs}
    calls: list[ClientCall] = []
    for place in heads.tolist():
        code = int(history.f[place])
        if code not in wanted:
            continue
        end = int(history.pair[place]) if timed else place
        outcome = INFO if end < 0 else int(history.type[end])
        last = place if end < 0 else end
        calls.append(
            ClientCall(
                f=names[code],
                process=int(history.process[place]),
                outcome=outcome,
                argument=history.value[place],
                result=history.value[end] if outcome == OK else None,
                place=place,
                end=NEVER if outcome == INFO else end,
                record=int(history.index[last]),
                index=int(history.index[place]),
                node=history.node[place] or history.node[last],
                begin_ns=int(history.time_ns[place]),
                end_ns=0 if end < 0 else int(history.time_ns[end]),
            )
        )
    return calls


def refuse_others(history: History, fs: Collection[str]) -> None:
    """Raise HistoryError for a client's op of another f: what it did to the data is not known, so nothing else is."""
    others = [code for code, name in enumerate(history.f_names) if name not in fs]
    found = np.flatnonzero(history.client & np.isin(history.f, others)).tolist()
    for place in found[:1]:
        known = ", ".join(name for name in sorted(fs) if name)
        other = history.f_names[history.f[place]]
        raise HistoryError(f"index {history.index[place]}: known are the ops {known}, not {other!r}")


def pair_of(value: Any, index: int, expected: str) -> tuple[Any, Any]:
    """The two parts of a value `[a, b]`. expected: its shape, for the message. Raises HistoryError."""
    if not is_pair(value):
        raise HistoryError(f"index {index}: expected {expected}, got {show(value)}")
    return value[0], value[1]


def parts_of(value: Any, index: int, expected: str) -> Sequence[Any]:
    """The parts of a value that is a list. Raises HistoryError."""
    if not isinstance(value, list | tuple):
        raise HistoryError(f"index {index}: expected {expected}, got {show(value)}")
    return value
