"""Goal: a value of any shape can be compared, and shown in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers.values import freeze, show, thaw
from harness.history import HistoryError

KEYS = st.recursive(st.integers() | st.text() | st.booleans() | st.none(), lambda part: st.lists(part).map(tuple))
VALUES = st.recursive(KEYS, lambda part: st.lists(part) | st.dictionaries(KEYS, part))


@given(VALUES)
def test_every_value_can_be_frozen_and_shown(value: Any) -> None:
    hash(freeze(value, 0))
    assert isinstance(show(value), str) and isinstance(show(freeze(value, 0)), str)


def test_a_map_with_lists_for_keys_is_shown() -> None:
    assert show(freeze({(1, 2): 3}, 0)) == "{'[1, 2]': 3}"
    assert thaw(freeze({(1, (2,)): [True, {0: None}]}, 0)) == {"[1, [2]]": [True, {0: None}]}


def test_nan_is_named_with_its_record() -> None:
    with pytest.raises(HistoryError, match="index 7: NaN"):
        freeze([{1: float("nan")}], 7)
