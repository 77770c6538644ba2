"""Values of a history as numbers, where a reader could make them so.

Problem: a Python object for each value costs a hundred times more than looking at it. Idea: a reader that sees the
bytes fills columns directly; values become objects only where somebody asks for one. Five shapes are known, which
cover registers and transactions over whole numbers; any other value is OTHER, and is an object only.

The columns say all of a value but an OTHER's: `values_in` gives the objects back, made of lists as the exact readers
make them. A value that is written in an unusual way (`(1 2)`, `["r" 1 nil]`) may be OTHER too.
"""

from __future__ import annotations

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

_NO_NUMBERS = (NO_NUMBER, NO_NUMBER, NO_NUMBER)
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
        self.shape: list[int] = []
        self.numbers: list[tuple[int, int, int]] = []
        self.mop_end: list[int] = []
        self.function: list[int] = []
        self.key: list[int] = []
        self.argument: list[int] = []
        self.number: list[int] = []
        self.list_end: list[int] = []
        self.element: list[int] = []

    def add(self, value: Any) -> int:
        """Append one value; its shape."""
        numbers = _NO_NUMBERS
        if value is None:
            shape = NIL
        elif not isinstance(value, list | tuple):
            shape = NUMBER if _fits(value) else OTHER
            if shape == NUMBER:
                numbers = (value, NO_NUMBER, NO_NUMBER)
        elif not value or isinstance(value[0], list | tuple):
            shape = TXN if self._add_txn(value) else OTHER
        else:
            shape, numbers = _pair_shape(value)
        self.numbers.append(numbers)
        self.mop_end.append(len(self.key))
        self.shape.append(shape)
        return shape

    def _add_txn(self, value: list[Any] | tuple[Any, ...]) -> bool:
        """Append the micro-ops of a transaction; False, and nothing is appended, for what is none."""
        mops, elements = len(self.key), len(self.element)
        for micro_op in value:
            argument = self._add_micro_op(micro_op)
            if argument < 0:
                del self.function[mops:], self.key[mops:], self.argument[mops:], self.number[mops:]
                del self.list_end[mops:], self.element[elements:]
                return False
            self.argument.append(argument)
            self.list_end.append(len(self.element))
        return True

    def _add_micro_op(self, micro_op: Any) -> int:
        """The shape of its argument; -1 for what is no micro-op of numbers."""
        if not isinstance(micro_op, list | tuple) or len(micro_op) != 3:
            return -1
        name, key, argument = micro_op
        function = _CODES.get(name) if type(name) is str else None
        if function is None or not _fits(key):
            return -1
        number, shape = NO_NUMBER, NIL
        if isinstance(argument, list | tuple):
            if not all(map(_fits, argument)):
                return -1
            shape = LIST
            self.element.extend(argument)
        elif argument is not None:
            if not _fits(argument):
                return -1
            number, shape = argument, NUMBER
        self.function.append(function)
        self.key.append(key)
        self.number.append(number)
        return shape

    def finish(self) -> ValueColumns:
        """The columns."""
        numbers = np.array(self.numbers, np.int64).reshape(-1, 3)
        return ValueColumns(
            shape=np.array(self.shape, np.int8),
            first=np.ascontiguousarray(numbers[:, 0]),
            second=np.ascontiguousarray(numbers[:, 1]),
            third=np.ascontiguousarray(numbers[:, 2]),
            mop_start=np.array([0, *self.mop_end], np.int64),
            function=np.array(self.function, np.int8),
            key=np.array(self.key, np.int64),
            argument=np.array(self.argument, np.int8),
            number=np.array(self.number, np.int64),
            list_start=np.array([0, *self.list_end], np.int64),
            element=np.array(self.element, np.int64),
        )


def columns_of_values(values: Iterable[Any]) -> ValueColumns:
    """Columns of values that are objects. Cost: some 2 µs a value."""
    builder = ValueColumnsBuilder()
    for value in values:
        builder.add(value)
    return builder.finish()


def _pair_shape(value: list[Any] | tuple[Any, ...]) -> tuple[int, tuple[int, int, int]]:
    """(shape, numbers) of a PAIR or KEYED_PAIR; OTHER for anything else."""
    if len(value) != 2:
        return OTHER, _NO_NUMBERS
    head, tail = value
    shape, parts = PAIR, (head, tail, None)
    if isinstance(tail, list | tuple) and len(tail) == 2:
        shape, parts = KEYED_PAIR, (head, *tail)
    if all(part is None or _fits(part) for part in parts):
        first, second, third = (NO_NUMBER if part is None else part for part in parts)
        return shape, (first, second, third)
    return OTHER, _NO_NUMBERS


def _fits(number: Any) -> bool:
    return type(number) is int and -(2**63) < number < 2**63
