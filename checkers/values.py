"""Values of ops made comparable and hashable, so that a checker can intern them.

Lists become tuples, maps become sorted tuples of pairs, and booleans are told apart from 0 and 1, which Python calls
equal. NaN is refused: a value that does not equal itself can't be checked. Cost: O(size of the value).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

from harness.history import HistoryError


def freeze(value: Any, index: int) -> Hashable:
    """A hashable stand-in that is equal for equal values. index: the record's, for messages. Raises HistoryError."""
    if value is None or type(value) in (int, str):
        return value
    if value is True or value is False:
        return ("boolean", value)
    if isinstance(value, float):
        if math.isnan(value):
            raise HistoryError(f"index {index}: NaN is no value that can be checked (it does not equal itself)")
        return value
    if isinstance(value, list | tuple):
        return ("list", *(freeze(part, index) for part in value))
    if isinstance(value, Mapping):
        entries = [(freeze(key, index), freeze(part, index)) for key, part in value.items()]
        return ("map", *sorted(entries, key=repr))
    if isinstance(value, Hashable):
        return value
    raise HistoryError(f"index {index}: a value of type {type(value).__name__} can't be checked")


def thaw(value: Any) -> Any:
    """The plain value that a frozen one stands for, for messages; keys of maps that are lists or maps become text."""
    if isinstance(value, tuple) and value:
        if value[0] == "boolean":
            return value[1]
        if value[0] == "list":
            return [thaw(part) for part in value[1:]]
        if value[0] == "map":
            return {_thaw_key(key): thaw(part) for key, part in value[1:]}
    return value


def _thaw_key(key: Any) -> Any:
    plain = thaw(key)
    return str(plain) if isinstance(plain, list | dict) else plain


def is_pair(value: Any) -> bool:
    """Whether a value is a list of two: [key, value], or [old, new]."""
    return isinstance(value, list | tuple) and len(value) == 2


def show(value: Any, limit: int = 60) -> str:
    """A value as a reader sees it in a sentence; nothing is shown as null."""
    value = thaw(value)
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
