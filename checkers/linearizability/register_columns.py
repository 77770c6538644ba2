"""The calls on every register of a history as columns, for compiled algorithms.

Problem: a Python object for each call, and a Python loop for each key, cost more than deciding. Idea: flat arrays, the
calls of one register side by side (CSR), values as small numbers of the register's own, so that an array can be
indexed by a value. From the reader's columns where it made them, else from the values as objects.

Cost: O(n); some 1 µs a record from objects, 0.05 µs from the reader's columns; 40 bytes a call.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.linearizability.call_columns import calls_of
from checkers.linearizability.linearizable_calls import contradicts
from checkers.linearizability.linearizable_model import NEVER
from checkers.values import freeze, is_pair
from harness.compiled import kernel, kernel_part
from harness.history import INFO, INVOKE, OK, History
from harness.value_columns import NIL, NO_NUMBER, PAIR, ValueColumns

READ, WRITE, CAS = range(3)
"""Kinds of calls. A cas from a value to itself is a READ."""


@dataclass(frozen=True)
class RegisterColumns:
    """k registers, n calls: those of register i are start[i] : start[i + 1], in the order of their invocations.

    start: int64[k + 1]. kind: int8[n]. outcome: int8[n], OK, FAIL or INFO; reads are OK only.
    old: int32[n], what a READ or CAS found; new: int32[n], what a WRITE or CAS put; -1 where there is none. Values are
    numbered by register, from 0, the initial value, to values[i] - 1 (values: int32[k]).
    invoked: int64[n], the invocation's place. returned: int64[n], the completion's, NEVER where the outcome is INFO.
    records: how many records the history has (places are smaller).
    key: k keys, as in the history (None where there is one register without a key: keyed is False).
    """

    start: np.ndarray
    kind: np.ndarray
    outcome: np.ndarray
    old: np.ndarray
    new: np.ndarray
    invoked: np.ndarray
    returned: np.ndarray
    values: np.ndarray
    records: int
    key: Sequence[Any]
    keyed: bool

    def __len__(self) -> int:
        return len(self.start) - 1

    def only(self, register: int) -> RegisterColumns:
        """The columns of one register; its calls are numbered from 0."""
        part = slice(int(self.start[register]), int(self.start[register + 1]))
        return RegisterColumns(
            start=np.array([0, part.stop - part.start], np.int64),
            kind=self.kind[part],
            outcome=self.outcome[part],
            old=self.old[part],
            new=self.new[part],
            invoked=self.invoked[part],
            returned=self.returned[part],
            values=self.values[register : register + 1],
            records=self.records,
            key=self.key[register : register + 1],
            keyed=self.keyed,
        )


def columns_of(history: History, initial: Hashable) -> RegisterColumns | None:
    """The columns of a history of registers; None for one that `linearizable_calls` must judge, or refuse.

    initial: the value before any write, as `checkers.values.freeze` gives it.
    """
    codes = _codes(history)
    if codes is None:
        return None
    if history.numbers is not None and (initial is None or type(initial) is int):
        columns = _from_numbers(history, history.numbers, codes, initial)
        if columns is not None:
            return columns
    return _from_objects(history, codes, initial)


def _from_numbers(
    history: History, numbers: ValueColumns, codes: np.ndarray, initial: int | None
) -> RegisterColumns | None:
    """Columns from the reader's; None where some value is no number, pair or key with one."""
    calls = calls_of(history)
    if calls is None or (initial is not None and not NO_NUMBER < initial < 2**63):
        return None
    kind = codes[calls.f]
    is_read = (kind == READ) & (calls.outcome == OK)
    shapes = numbers.shape[calls.completed[is_read]]
    if calls.keyed and (shapes != PAIR).any():
        return None
    if (calls.answered[is_read] == PAIR).any() or ((calls.asked == PAIR) != (kind == CAS))[kind != READ].any():
        return None
    told = (kind != READ) & (calls.outcome == OK) & (calls.answered != NIL)
    other = (calls.asked_first != calls.answered_first) | (calls.asked_second != calls.answered_second)
    if (told & other & ((calls.asked == NIL) | (calls.asked == calls.answered))).any():
        return None
    old = np.where(kind == READ, calls.answered_first, calls.asked_first)
    new = np.where(kind == CAS, calls.asked_second, calls.asked_first)
    kind = np.where((kind == CAS) & (old == new), READ, kind)
    kept = (calls.outcome == OK) | (kind != READ)
    keys, register = np.unique(calls.key[kept], return_inverse=True)
    return group(
        len(keys),
        register,
        kind[kept],
        calls.outcome[kept],
        old[kept],
        new[kept],
        calls.invoked[kept],
        np.where(calls.outcome == INFO, NEVER, calls.completed)[kept],
        NO_NUMBER if initial is None else initial,
        len(history),
        keys.tolist() if calls.keyed else [None] * len(keys),
        calls.keyed,
    )


def _from_objects(history: History, codes: np.ndarray, initial: Hashable) -> RegisterColumns | None:
    """Columns from the values as objects; None where some value has another shape."""
    places = np.flatnonzero(history.client & (history.type == INVOKE))
    ends = history.pair[places]
    outcomes = np.where(ends < 0, INFO, history.type[ends]).astype(np.int8)
    fs = codes[history.f[places]]
    asked = (outcomes == OK) | (fs != READ)
    keyed = _is_keyed(history, places[fs == READ].tolist(), places[fs == CAS].tolist())
    if keyed is None:
        return None
    places, ends, outcomes, fs = places[asked], ends[asked], outcomes[asked], fs[asked]
    numbers: dict[Hashable, int] = {initial: 0}
    registers: dict[Hashable, int] = {}
    keys: list[Any] = []
    value = history.value
    old, new, register = [], [], []
    for place, end, kind, outcome in zip(places.tolist(), ends.tolist(), fs.tolist(), outcomes.tolist()):
        argument = value[place]
        result = value[end] if kind == READ else argument
        if kind != READ and outcome == OK and _contradicts(argument, value[end], keyed):
            return None
        if keyed:
            if type(argument) not in (list, tuple) or len(argument) != 2:
                return None
            key = argument[0]
            if type(key) is not int and type(key) is not str:
                key = freeze(key, int(history.index[place]))
            number = registers.get(key)
            if number is None:
                number = registers[key] = len(keys)
                keys.append(argument[0])
            register.append(number)
            if kind == READ:
                if type(result) not in (list, tuple) or len(result) != 2:
                    return None
                answered = result[0]
                if answered != argument[0] or type(answered) is not type(argument[0]):
                    return None
                result = result[1]
            else:
                result = argument[1]
        if kind == CAS:
            if type(result) not in (list, tuple) or len(result) != 2:
                return None
            old.append(_number(numbers, result[0], history, place))
            new.append(_number(numbers, result[1], history, place))
        elif kind == READ:
            old.append(_number(numbers, result, history, end))
            new.append(-1)
        else:
            old.append(-1)
            new.append(_number(numbers, result, history, place))
    olds, news = np.array(old, np.int64), np.array(new, np.int64)
    fs = np.where((fs == CAS) & (olds == news), READ, fs).astype(np.int8)
    if not keyed:
        keys = [None] if len(places) else []
        registers_of = np.zeros(len(places), np.int32)
    else:
        registers_of = np.array(register, np.int32)
    kept = (outcomes == OK) | (fs != READ)
    returned = np.where(outcomes == INFO, NEVER, ends)
    return group(
        len(keys),
        registers_of[kept],
        fs[kept],
        outcomes[kept],
        olds[kept],
        news[kept],
        places[kept],
        returned[kept],
        0,
        len(history),
        keys,
        keyed,
    )


def group(
    registers: int,
    register: np.ndarray,
    kind: np.ndarray,
    outcome: np.ndarray,
    old: np.ndarray,
    new: np.ndarray,
    invoked: np.ndarray,
    returned: np.ndarray,
    initial: int,
    records: int,
    keys: Sequence[Any],
    keyed: bool,
) -> RegisterColumns:
    """Columns of calls in the order of invocation, brought together by register.

    register: int[n], below `registers`. old, new: int64[n], any numbers that are equal for equal values (ignored
    where the kind of call has none). initial: the number of the initial value. The others as in RegisterColumns.
    """
    start, order, olds, news, values = _group(
        registers,
        np.ascontiguousarray(register, np.int32),
        np.ascontiguousarray(kind, np.int8),
        np.ascontiguousarray(old, np.int64),
        np.ascontiguousarray(new, np.int64),
        initial,
    )
    return RegisterColumns(
        start=start,
        kind=np.ascontiguousarray(kind[order], np.int8),
        outcome=np.ascontiguousarray(outcome[order], np.int8),
        old=olds,
        new=news,
        invoked=np.ascontiguousarray(invoked[order], np.int64),
        returned=np.ascontiguousarray(returned[order], np.int64),
        values=values,
        records=records,
        key=keys,
        keyed=keyed,
    )


def _codes(history: History) -> np.ndarray | None:
    """int8[f_names]: READ, WRITE or CAS; None where a client invoked anything else."""
    kinds = {"read": READ, "write": WRITE, "cas": CAS}
    codes = np.array([kinds.get(name, -1) for name in history.f_names], np.int8)
    used = codes[history.f[history.client & (history.type == INVOKE)]] if len(codes) else codes
    return None if (used < 0).any() else codes


def _is_keyed(history: History, reads: Sequence[int], cas: Sequence[int]) -> bool | None:
    """As `linearizable_calls` tells it; None where it would not say."""
    value = history.value

    if reads:
        pairs = [value[place] for place in reads if is_pair(value[place])]
        keyed = sum(each[1] is None for each in pairs)
        if keyed == len(reads):
            return True
        return None if keyed or len(pairs) == len(reads) else False
    return bool(cas) and all(is_pair(value[place]) and is_pair(value[place][1]) for place in cas)


def _contradicts(argument: Any, told: Any, keyed: bool) -> bool:
    if not keyed:
        return contradicts(argument, told)
    if not all(type(each) in (list, tuple) and len(each) == 2 for each in (argument, told)):
        return False
    return argument[0] != told[0] or contradicts(argument[1], told[1])


def _number(numbers: dict[Hashable, int], value: Any, history: History, place: int) -> int:
    if type(value) is not int and type(value) is not str and value is not None:
        value = freeze(value, int(history.index[place]))
    return numbers.setdefault(value, len(numbers))


@kernel
def _group(
    registers: int, register: np.ndarray, kind: np.ndarray, old: np.ndarray, new: np.ndarray, initial: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(start, order, old, new, values): a stable counting sort by register; values numbered by register, hashed."""
    n = len(register)
    start = np.zeros(registers + 1, np.int64)
    for i in range(n):
        start[register[i] + 1] += 1
    widest = 0
    for i in range(registers):
        widest = max(widest, start[i + 1])
        start[i + 1] += start[i]
    order = np.empty(n, np.int64)
    free = start[:registers].copy()
    for i in range(n):
        order[free[register[i]]] = i
        free[register[i]] += 1
    size = 16
    while size < 4 * widest + 4:
        size *= 2
    held = np.empty(size, np.int64)
    number = np.empty(size, np.int32)
    stamp = np.full(size, -1, np.int32)
    olds = np.full(n, -1, np.int32)
    news = np.full(n, -1, np.int32)
    values = np.empty(registers, np.int32)
    for i in range(registers):
        mask = 16
        while mask < 4 * (start[i + 1] - start[i]) + 4:
            mask *= 2
        mask -= 1
        place = hashed(initial, mask)
        held[place], number[place], stamp[place] = initial, 0, i
        count = 1
        for j in range(start[i], start[i + 1]):
            call = order[j]
            for side in range(2):
                if kind[call] == (WRITE if side == 0 else READ):
                    continue
                value = old[call] if side == 0 else new[call]
                place = hashed(value, mask)
                while stamp[place] == i and held[place] != value:
                    place = (place + 1) & mask
                if stamp[place] != i:
                    held[place], number[place], stamp[place] = value, count, i
                    count += 1
                if side == 0:
                    olds[j] = number[place]
                else:
                    news[j] = number[place]
        values[i] = count
    return start, order, olds, news, values


@kernel_part
def hashed(value: int, mask: int) -> int:
    """A place in a table of mask + 1 (a power of two) for a number."""
    mixed = np.uint64(value) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(mask))  # type: ignore[return-value]
