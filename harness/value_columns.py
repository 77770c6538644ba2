"""Values of a history as numbers, where a reader could make them so.

Problem: a Python object for each value costs a hundred times more than looking at it. Idea: a reader that sees the
bytes fills columns directly; values become objects only where somebody asks for one. Five shapes are known, which
cover registers and transactions over whole numbers; any other value is OTHER, and is an object only.

The columns say all of a value but an OTHER's: `values_in` gives the objects back, made of lists as the exact readers
make them. A value that is written in an unusual way (`(1 2)`, `["r" 1 nil]`) may be OTHER too.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

NIL, NUMBER, PAIR, TXN, OTHER, LIST, KEYED_PAIR = range(7)
"""Shapes of values: nothing; 7; [7 8] (either may be nil); [[:r 1 nil] [:append 1 2]] (also []); anything else.

KEYED_PAIR is [7 [8 9]] (each may be nil): a pair that belongs to a key, as a compare-and-set on one of many registers.
LIST, of any number of numbers, is a shape of a micro-op's argument only.
"""

READ, APPEND, WRITE = range(3)
"""Functions of micro-ops: `r`, `append`, `w`."""

FUNCTIONS = ("r", "append", "w")
"""The names of READ, APPEND and WRITE."""

NO_NUMBER = -(2**63)
"""What a column of numbers holds for nil. A value that is this number, or holds it, is OTHER."""

_CODES = {name: code for code, name in enumerate(FUNCTIONS)}


@dataclass(frozen=True)
class ValueColumns:
    """n records, m micro-ops, e list elements; each level has offsets into the next (CSR).

    shape: int8[n], one of NIL ... OTHER or KEYED_PAIR. first, second, third: int64[n], the numbers of a NUMBER (one),
    a PAIR (two) or a KEYED_PAIR (three: key, then the pair), in their order, NO_NUMBER for nil and for none.
    mop_start: int64[n + 1]; a record that is no TXN has no micro-ops.
    function: int8[m], READ, APPEND or WRITE. key: int64[m]. argument: int8[m], NIL, NUMBER or LIST.
    number: int64[m], the argument that is a NUMBER, else NO_NUMBER. list_start: int64[m + 1], element: int64[e], the
    elements of an argument that is a LIST.
    """

    shape: np.ndarray
    first: np.ndarray
    second: np.ndarray
    third: np.ndarray
    mop_start: np.ndarray
    function: np.ndarray
    key: np.ndarray
    argument: np.ndarray
    number: np.ndarray
    list_start: np.ndarray
    element: np.ndarray

    def __len__(self) -> int:
        return len(self.shape)

    def values_in(self, begin: int, end: int) -> list[Any]:
        """The values of records begin:end as objects, with lists for vectors; None for an OTHER."""
        mops_from, mops_to = int(self.mop_start[begin]), int(self.mop_start[end])
        micro_ops = self._micro_ops(mops_from, mops_to) if mops_to > mops_from else []
        shapes, firsts, seconds, thirds = (
            column[begin:end].tolist() for column in (self.shape, self.first, self.second, self.third)
        )
        starts = (self.mop_start[begin : end + 1] - mops_from).tolist()
        values: list[Any] = []
        for shape, first, second, third, start, stop in zip(shapes, firsts, seconds, thirds, starts, starts[1:]):
            if shape == TXN:
                values.append(micro_ops[start:stop])
            elif shape == NUMBER:
                values.append(first)
            elif shape == PAIR:
                values.append([_part(first), _part(second)])
            elif shape == KEYED_PAIR:
                values.append([_part(first), [_part(second), _part(third)]])
            else:
                values.append(None)
        return values

    def _micro_ops(self, begin: int, end: int) -> list[list[Any]]:
        elements_from = int(self.list_start[begin])
        elements = self.element[elements_from : int(self.list_start[end])].tolist()
        starts = (self.list_start[begin : end + 1] - elements_from).tolist()
        functions, keys, arguments, numbers = (
            column[begin:end].tolist() for column in (self.function, self.key, self.argument, self.number)
        )
        return [
            [
                FUNCTIONS[function],
                key,
                number if argument == NUMBER else None if argument == NIL else elements[start:stop],
            ]
            for function, key, argument, number, start, stop in zip(
                functions, keys, arguments, numbers, starts, starts[1:]
            )
        ]


def _part(number: int) -> int | None:
    return None if number == NO_NUMBER else number


class ValueColumnsBuilder:
    """Columns of values that are objects, one `add` each."""

    def __init__(self) -> None:
        self.shape = array("b")
        self.numbers = (array("q"), array("q"), array("q"))
        self.mop_end = array("q")
        self.function = array("b")
        self.key = array("q")
        self.argument = array("b")
        self.number = array("q")
        self.list_end = array("q")
        self.element = array("q")

    def add(self, value: Any) -> int:
        """Append one value; its shape."""
        shape = TXN if isinstance(value, list | tuple) and self._add_txn(value) else OTHER
        numbers: tuple[Any, ...] = ()
        if value is None:
            shape = NIL
        elif shape != TXN and (found := _plain(value)) is not None:
            shape, numbers = found
        for place, column in enumerate(self.numbers):
            column.append(numbers[place] if place < len(numbers) else NO_NUMBER)
        self.mop_end.append(len(self.key))
        self.shape.append(shape)
        return shape

    def _add_txn(self, value: list[Any] | tuple[Any, ...]) -> bool:
        """Append the micro-ops of a transaction; False, and nothing is appended, for what is none."""
        for micro_op in value:
            if not isinstance(micro_op, list | tuple) or len(micro_op) != 3:
                return False
            name, key, argument = micro_op
            if type(name) is not str or name not in _CODES or not _fits(key):
                return False
            if isinstance(argument, list | tuple):
                if not all(map(_fits, argument)):
                    return False
            elif argument is not None and not _fits(argument):
                return False
        for name, key, argument in value:
            self.function.append(_CODES[name])
            self.key.append(key)
            listed = isinstance(argument, list | tuple)
            self.argument.append(LIST if listed else NIL if argument is None else NUMBER)
            self.number.append(NO_NUMBER if listed or argument is None else argument)
            if listed:
                self.element.extend(argument)
            self.list_end.append(len(self.element))
        return True

    def finish(self) -> ValueColumns:
        """The columns."""
        first, second, third = (_column(column, np.int64) for column in self.numbers)
        return ValueColumns(
            shape=_column(self.shape, np.int8),
            first=first,
            second=second,
            third=third,
            mop_start=_offsets(self.mop_end),
            function=_column(self.function, np.int8),
            key=_column(self.key, np.int64),
            argument=_column(self.argument, np.int8),
            number=_column(self.number, np.int64),
            list_start=_offsets(self.list_end),
            element=_column(self.element, np.int64),
        )


def columns_of_values(values: Iterable[Any]) -> ValueColumns:
    """Columns of values that are objects. Cost: some 2 µs a value and 0.3 µs a number."""
    builder = ValueColumnsBuilder()
    for value in values:
        builder.add(value)
    return builder.finish()


def _plain(value: Any) -> tuple[int, tuple[int, ...]] | None:
    """(shape, numbers) of a NUMBER, PAIR or KEYED_PAIR; None for anything else."""
    if _fits(value):
        return NUMBER, (value,)
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    head, tail = value
    shape, parts = PAIR, (head, tail)
    if isinstance(tail, list | tuple) and len(tail) == 2:
        shape, parts = KEYED_PAIR, (head, *tail)
    if all(part is None or _fits(part) for part in parts):
        return shape, tuple(NO_NUMBER if part is None else part for part in parts)
    return None


def _fits(number: Any) -> bool:
    return type(number) is int and -(2**63) < number < 2**63


def _column(column: array[int], dtype: Any) -> np.ndarray:
    return np.array(column, dtype=dtype)


def _offsets(ends: array[int]) -> np.ndarray:
    offsets = np.zeros(len(ends) + 1, np.int64)
    offsets[1:] = ends
    return offsets
