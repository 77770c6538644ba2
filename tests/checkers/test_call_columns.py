"""Calls of registers as columns say what the records said, in both shapes, and are none for anything else."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.linearizability.call_columns import CallColumns, calls_of
from harness.history import FAIL, INFO, OK
from harness.value_columns import NIL, NO_NUMBER, NUMBER, PAIR
from tests.checkers.histories import history

RECORDS: list[tuple[Any, ...]] = [
    ("invoke", 0, "write", 3),
    ("invoke", 1, "read", None),
    ("invoke", 2, "cas", [3, 4]),
    ("ok", 0, "write", 3),
    ("info", 2, "cas", [3, 4]),
    ("ok", 1, "read", 3),
    ("invoke", 1, "cas", [None, 5]),
    ("fail", 1, "cas", [None, 5]),
    ("invoke", 0, "read", None),
]


def keyed(records: list[tuple[Any, ...]], key: Any = 7) -> list[tuple[Any, ...]]:
    return [(type_, process, f, [key, value]) for type_, process, f, value in records]


def rows(calls: CallColumns) -> list[list[Any]]:
    names = "outcome invoked completed op key asked asked_first asked_second answered answered_first answered_second"
    return [[int(getattr(calls, name)[i]) for name in names.split()] for i in range(len(calls))]


N = NO_NUMBER


@pytest.mark.parametrize("key", [None, 7, -1])
def test_what_was_asked_and_answered(key: int | None) -> None:
    records = RECORDS if key is None else keyed(RECORDS, key)
    recorded = history(*records)
    calls = calls_of(recorded)
    assert calls is not None
    assert calls.keyed == (key is not None)
    k = key or 0
    assert rows(calls) == [
        [OK, 0, 3, 3, k, NUMBER, 3, N, NUMBER, 3, N],
        [OK, 1, 5, 5, k, NIL, N, N, NUMBER, 3, N],
        [INFO, 2, -1, 4, k, PAIR, 3, 4, PAIR, 3, 4],
        [FAIL, 6, 7, 7, k, PAIR, N, 5, PAIR, N, 5],
        [INFO, 8, -1, 8, k, NIL, N, N, NIL, N, N],
    ]
    assert [recorded.f_names[code] for code in calls.f] == ["write", "read", "cas", "cas", "read"]
    assert calls.process.tolist() == [0, 1, 2, 1, 0]


def test_without_reads_the_cas_tell_whether_there_are_keys() -> None:
    plain = calls_of(history(("invoke", 0, "cas", [1, 2]), ("invoke", 1, "write", 3)))
    assert plain is not None and not plain.keyed
    by_key = calls_of(history(("invoke", 0, "cas", [9, [1, 2]]), ("invoke", 1, "write", [9, 3])))
    assert by_key is not None and by_key.keyed
    assert by_key.asked.tolist() == [PAIR, NUMBER]


def test_nothing_is_a_history_too() -> None:
    calls = calls_of(history())
    assert calls is not None and len(calls) == 0


def test_a_completion_of_a_keyed_call_may_say_nothing() -> None:
    calls = calls_of(history(("invoke", 0, "read", [1, None]), ("fail", 0, "read", None)))
    assert calls is not None and rows(calls) == [[FAIL, 0, 1, 1, 1, NIL, N, N, NIL, N, N]]


@pytest.mark.parametrize(
    "records",
    [
        [("invoke", 0, "write", "text")],
        [("invoke", 0, "write", 1.0)],
        [("invoke", 0, "write", True)],
        [("invoke", 0, "write", 2**63)],
        [("invoke", 0, "write", -(2**63))],
        [("invoke", 0, "read", ["x", None])],
        [("invoke", 0, "read", [1, None]), ("ok", 0, "read", [2, None])],
        [("invoke", 0, "read", [1, None]), ("ok", 0, "read", 3)],
        [("invoke", 0, "read", [1, None]), ("invoke", 1, "read", None)],
        [("invoke", 0, "read", [1, None]), ("invoke", 1, "write", None)],
        [("invoke", 0, "read", [None, None])],
        [("invoke", 0, "read", None), ("ok", 0, "read", [1, [2, 3]])],
        [("invoke", 0, "read", None), ("ok", 0, "read", [1, 2, 3])],
    ],
)
def test_anything_else_has_no_columns(records: list[tuple[Any, ...]]) -> None:
    assert calls_of(history(*records)) is None


def test_an_answer_for_another_key_is_left_to_the_object_path_whatever_it_holds() -> None:
    for value in ([2, 5], [2, [5, 6]]):
        assert calls_of(history(("invoke", 0, "read", [1, None]), ("ok", 0, "read", value))) is None
