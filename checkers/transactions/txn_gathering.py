"""The micro-ops of some records, put together from the columns that a reader made, compiled.

What `txn_columns` does with objects, without an object: micro-ops and elements are counted first, then copied
to where they belong. Cost: O(micro-ops + elements), two passes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.compiled import kernel
from harness.history import OK
from harness.value_columns import APPEND, LIST, NIL, NUMBER, READ, TXN, WRITE, ValueColumns


class Gathered(NamedTuple):
    """n transactions, m micro-ops, e elements that were read.

    mop_start: int64[n + 1]. writes: bool[m]. key: int64[m]. value: int64[m], what was written, 0 for reads.
    list_start: int64[m + 1], element: int64[e].
    """

    mop_start: np.ndarray
    writes: np.ndarray
    key: np.ndarray
    value: np.ndarray
    list_start: np.ndarray
    element: np.ndarray


def gather(numbers: ValueColumns, source: np.ndarray, status: np.ndarray, lists: bool) -> Gathered | None:
    """The micro-ops of the records `source`, each with its transaction's status; None where one is of another form.

    lists: whether writes are `append` and reads return lists; else writes are `w` and reads return a number. Reads of
    transactions that are not OK return nothing. A value of nil is a transaction without micro-ops, unless it is OK.
    """
    source = np.ascontiguousarray(source, np.int64)
    status = np.ascontiguousarray(status, np.int8)
    columns = numbers.shape, numbers.mop_start, numbers.function, numbers.argument
    mops, elements = _measure(*columns, numbers.list_start, source, status, lists)
    if mops < 0:
        return None
    gathered = Gathered(
        np.zeros(len(source) + 1, np.int64),
        np.empty(mops, np.bool_),
        np.empty(mops, np.int64),
        np.empty(mops, np.int64),
        np.zeros(mops + 1, np.int64),
        np.empty(elements, np.int64),
    )
    _copy(
        *columns,
        numbers.list_start,
        numbers.key,
        numbers.number,
        numbers.element,
        source,
        status,
        *gathered,
    )
    return gathered


@kernel
def _measure(shape, mop_start, function, argument, list_start, source, status, lists):
    """(micro-ops, elements) of all transactions; (-1, 0) where one is of another form."""
    mops = elements = 0
    for i in range(len(source)):
        place = source[i]
        committed = status[i] == OK
        if shape[place] != TXN and (shape[place] != NIL or committed):
            return -1, 0
        for m in range(mop_start[place], mop_start[place + 1]):
            if function[m] != READ:
                if function[m] != (APPEND if lists else WRITE) or argument[m] != NUMBER:
                    return -1, 0
            elif committed:
                if argument[m] != NIL and argument[m] != (LIST if lists else NUMBER):
                    return -1, 0
                elements += 1 if argument[m] == NUMBER else list_start[m + 1] - list_start[m]
        mops += mop_start[place + 1] - mop_start[place]
    return mops, elements


@kernel
def _copy(
    shape,
    mop_start,
    function,
    argument,
    list_start,
    key,
    number,
    element,
    source,
    status,
    to_mop_start,
    to_writes,
    to_key,
    to_value,
    to_list_start,
    to_element,
):
    to = e = 0
    for i in range(len(source)):
        place = source[i]
        for m in range(mop_start[place], mop_start[place + 1]):
            to_writes[to] = function[m] != READ
            to_key[to] = key[m]
            to_value[to] = 0
            if function[m] != READ:
                to_value[to] = number[m]
            elif status[i] == OK:
                if argument[m] == NUMBER:
                    to_element[e] = number[m]
                    e += 1
                elif argument[m] == LIST:
                    for j in range(list_start[m], list_start[m + 1]):
                        to_element[e] = element[j]
                        e += 1
            to += 1
            to_list_start[to] = e
        to_mop_start[i + 1] = to
