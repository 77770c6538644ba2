"""Calls on registers as columns: what each client asked, and what it was told, as numbers.

Problem: linearizability of a register is decided by looking at each call a few times; a Python object for each costs a
hundred times more than the looking. Idea: `history.numbers` holds the values already; here they are put together call
by call, in the order of their invocations.

Two shapes of histories, told apart by the reads' invocations, as the object path does (`linearizable_calls`):

    one register   read nil, write 3, cas [1 2]              key is 0 for all, keyed is False
    many, by key   read [k nil], write [k 3], cas [k [1 2]]  key is k (also Jepsen's independent tuples)

With the key taken away, what was asked and what was answered have the same three shapes in both: NIL, NUMBER, PAIR.
Histories whose values are anything else (strings, keys that are no numbers, a read that answers for another key) have
no such columns: `calls_of` is None then, and the object path judges them, or raises its error.

Cost: O(n), numpy only; about 60 bytes a call.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from harness.history import FAIL, INFO, INVOKE, OK, History
from harness.value_columns import KEYED_PAIR, NIL, NO_NUMBER, NUMBER, PAIR, ValueColumns, columns_of_values


@dataclass(frozen=True)
class CallColumns:
    """n calls, in the order of their invocations.

    f: int32[n], into history.f_names. outcome: int8[n], OK, FAIL or INFO (also where it never completed).
    process: int64[n].
    invoked: int64[n], place of the invocation in the history. completed: int64[n], place of an ok or fail completion,
    -1 where the outcome is INFO. op: int64[n], history index that stands for the call: its completion's (also an
    info's), its invocation's where there is none.
    keyed: whether values are [key, value]. key: int64[n], 0 for all where not keyed.
    asked: int8[n], NIL, NUMBER or PAIR: the invocation's value without its key. asked_first, asked_second: int64[n],
    its numbers, NO_NUMBER for nil and for none.
    answered, answered_first, answered_second: the same of the completion's value; NIL where there is no completion,
    and where a completion of a keyed call holds nil instead of [key, value].
    """

    f: np.ndarray
    outcome: np.ndarray
    process: np.ndarray
    invoked: np.ndarray
    completed: np.ndarray
    op: np.ndarray
    keyed: bool
    key: np.ndarray
    asked: np.ndarray
    asked_first: np.ndarray
    asked_second: np.ndarray
    answered: np.ndarray
    answered_first: np.ndarray
    answered_second: np.ndarray

    def __len__(self) -> int:
        return len(self.f)


def calls_of(
    history: History, read_fs: Collection[str] = ("read",), pair_fs: Collection[str] = ("cas",)
) -> CallColumns | None:
    """The calls of a history's clients, or None where some value is no number, pair or key with one.

    read_fs: ops whose invocation carries no value of its own; they tell keyed from unkeyed. Where there is none,
    pair_fs, whose value is a pair, tell. An `f` of neither kind is taken as it comes.
    """
    numbers = history.numbers if history.numbers is not None else columns_of_values(history.value)
    invoked = np.flatnonzero(history.client & (history.type == INVOKE))
    pair = np.asarray(history.pair)[invoked]
    has_end = pair >= 0
    f = np.asarray(history.f)[invoked]
    keyed = _keyed(numbers, invoked, _is_any(history, f, read_fs), _is_any(history, f, pair_fs))
    if keyed is None:
        return None
    asked = _values(numbers, invoked, keyed)
    answered = _values(numbers, pair[has_end], keyed)
    if asked is None or answered is None:
        return None
    if keyed and ((asked[0] == NIL) & (asked[1] == NO_NUMBER)).any():
        return None
    told = np.zeros((4, len(invoked)), np.int64)
    told[1:] = NO_NUMBER
    told[0] = NIL
    told[:, has_end] = np.stack(answered)
    if keyed and ((told[1] != asked[1]) & (told[1] != NO_NUMBER)).any():
        return None
    outcome = np.full(len(invoked), INFO, np.int8)
    outcome[has_end] = history.type[pair[has_end]]
    known = (outcome == OK) | (outcome == FAIL)
    index = np.asarray(history.index)
    return CallColumns(
        f=f,
        outcome=outcome,
        process=np.asarray(history.process)[invoked],
        invoked=invoked,
        completed=np.where(known, pair, -1),
        op=np.where(has_end, index[pair], index[invoked]) if len(index) else np.empty(0, np.int64),
        keyed=keyed,
        key=asked[1] if keyed else np.zeros(len(invoked), np.int64),
        asked=asked[0].astype(np.int8),
        asked_first=asked[2],
        asked_second=asked[3],
        answered=told[0].astype(np.int8),
        answered_first=told[2],
        answered_second=told[3],
    )


def _is_any(history: History, f: np.ndarray, names: Collection[str]) -> np.ndarray:
    return np.isin(f, [code for code, name in enumerate(history.f_names) if name in names])


def _keyed(numbers: ValueColumns, invoked: np.ndarray, reading: np.ndarray, pairing: np.ndarray) -> bool | None:
    """Whether values are [key, value]; None where the reads don't agree on it."""
    shape = numbers.shape[invoked]
    if reading.any():
        pairs = shape[reading] == PAIR
        with_key = pairs & (numbers.second[invoked[reading]] == NO_NUMBER)
        if (pairs.all() or with_key.any()) and not with_key.all():
            return None
        return bool(with_key.any())
    return bool(pairing.any()) and bool((shape[pairing] == KEYED_PAIR).all())


def _values(numbers: ValueColumns, places: np.ndarray, keyed: bool) -> tuple[np.ndarray, ...] | None:
    """(shape, key, first, second) of the records' values; a key of NO_NUMBER where the value is nil. None: none fit."""
    shape = numbers.shape[places]
    first, second = numbers.first[places], numbers.second[places]
    if not keyed:
        if not np.isin(shape, (NIL, NUMBER, PAIR)).all():
            return None
        return shape, np.zeros(len(places), np.int64), first, second
    if not np.isin(shape, (NIL, PAIR, KEYED_PAIR)).all() or ((shape != NIL) & (first == NO_NUMBER)).any():
        return None
    inner = np.where(shape == KEYED_PAIR, PAIR, np.where(second == NO_NUMBER, NIL, NUMBER))
    return inner, first, second, numbers.third[places]
