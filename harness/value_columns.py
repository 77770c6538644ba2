"""Values of a history as numbers, where a reader could make them so.

Problem: a Python object for each value costs a hundred times more than looking at it. Idea: a reader that sees the
bytes fills columns directly; values become objects only where somebody asks for one. Four shapes are known, which
cover registers and transactions over whole numbers; any other value is OTHER, and is an object only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NIL, NUMBER, PAIR, TXN, OTHER, LIST = range(6)
"""Shapes of values: nothing, 7, [7 8] (either may be nil), [[:r 1 nil] [:append 1 2]], anything else.

LIST, of any number of numbers, is a shape of a micro-op's argument only.
"""

READ, APPEND, WRITE = range(3)
"""Functions of micro-ops: `r`, `append`, `w`."""

NO_NUMBER = -(2**63)
"""What a column of numbers holds for nil. A value that is this number is OTHER."""


@dataclass(frozen=True)
class ValueColumns:
    """n records, m micro-ops, e list elements; each level has offsets into the next (CSR).

    shape: int8[n], one of NIL ... OTHER. first, second: int64[n], a NUMBER's value (second: NO_NUMBER) or a PAIR's two,
    NO_NUMBER for nil. mop_start: int64[n + 1]; a record that is no TXN has no micro-ops.
    function: int8[m], READ, APPEND or WRITE. key: int64[m]. argument: int8[m], NIL, NUMBER or LIST.
    number: int64[m], the argument that is a NUMBER, else NO_NUMBER. list_start: int64[m + 1], element: int64[e], the
    elements of an argument that is a LIST.
    """

    shape: np.ndarray
    first: np.ndarray
    second: np.ndarray
    mop_start: np.ndarray
    function: np.ndarray
    key: np.ndarray
    argument: np.ndarray
    number: np.ndarray
    list_start: np.ndarray
    element: np.ndarray
