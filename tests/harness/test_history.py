"""Histories from ops: columns, pairs, fault windows, and a clear error for every record that is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.fault import Fault
from harness.history import NEMESIS_PROCESS, TYPES, History, HistoryError
from harness.op import NEMESIS, Op


def op(type_: Any = "invoke", process: Any = 0, f: Any = "read", **more: Any) -> dict[str, Any]:
    return {"type": type_, "process": process, "f": f, "value": None, **more}


def test_ops_come_back_as_they_were() -> None:
    ops = [
        Op("invoke", "write", 3, 0, 10, 0, None, "n1"),
        Op("invoke", "read", None, 1, 12, 1),
        Op("info", "inject", {"id": 1, "kind": "kill", "lane": "kill"}, NEMESIS, 13, 2),
        Op("fail", "read", None, 1, 15, 3, "timeout: no answer"),
        Op("ok", "write", 3, 0, 20, 4, None, "n1"),
    ]
    history = History.from_ops(ops)
    assert [history.op(place) for place in range(len(history))] == ops
    assert history.pair.tolist() == [4, 3, -1, 1, 0]
    assert history.client.tolist() == [True, True, False, True, True]
    assert history.process[2] == NEMESIS_PROCESS


def test_jepsens_maps_with_or_without_colons_time_and_index() -> None:
    history = History.from_ops(
        [
            {"type": ":invoke", "process": 3, "f": ":txn", "value": [["r", 1, None]], "time": 5},
            {"type": ":info", "process": "nemesis", "f": "start", "value": None, "time": 6},
            {"type": "ok", "process": 3, "f": "txn", "value": [["r", 1, 2]], "time": 7.0, "error": ["timeout", "x"]},
        ]
    )
    assert history.time_ns.tolist() == [5, 6, 7]
    assert history.index.tolist() == [0, 1, 2]
    assert history.error[2] == "timeout: x"
    assert history.f_names == ("txn", "start")


def test_completions_alone_are_a_history_without_realtime() -> None:
    history = History.from_ops([op("ok", 0), op("ok", 0), op("fail", 1)])
    assert history.pair.tolist() == [-1, -1, -1]
    assert not history.has_invocations


def test_an_index_may_skip() -> None:
    assert History.from_ops([op(index=3), op("ok", index=9)]).index.tolist() == [3, 9]


def test_overlapping_transactions_of_one_process_are_told_apart_by_their_writes() -> None:
    first, second = [["append", "x", 1], ["r", "y", None]], [["append", "x", 2]]
    seen = [["append", "x", 1], ["r", "y", [4]]]
    history = History.from_ops(
        [op(value=first), op(value=second), op("ok", value=seen), op("ok", value=second), op(value=first)]
    )
    assert history.pair.tolist() == [2, 3, 0, 1, -1]
    with pytest.raises(HistoryError, match="could belong to 2 of them"):
        History.from_ops([op(value=first), op(value=first), op("ok", value=seen)])


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([op("done")], "record 0: type must be one of invoke, ok, fail, info, not 'done'"),
        ([op(None)], "type must be one of"),
        ([op([])], "type must be one of"),
        ([op(process=None)], "process must be a whole number"),
        ([op(process=1.5)], "process must be a whole number"),
        ([op(process=True)], "process must be a whole number"),
        ([op(process=-2)], "process must be a number from 0"),
        ([op(process=2**63)], "process must be a number from 0"),
        ([op(f=3)], "f must be a name"),
        ([op(time=float("nan"))], "time must be a whole number"),
        ([op(time="soon")], "time must be a whole number"),
        ([op(time=10**400)], "time must fit 64 bits"),
        ([op(index=2**64)], "index must fit 64 bits"),
        ([op(index=4), op("ok", index=4)], "record 1: index 4 comes after index 4"),
        ([op(index=4), op("ok")], "has no index"),
        ([op(), op("ok", index=4)], "records before it have none"),
        ([op(), op("ok"), op("ok", 5)], "record 2: process 5 completes \\(ok\\) an op that it never invoked"),
        ([op(), op("ok"), op("ok")], "never invoked"),
        ([op(), op(f="write")], "record 1: process 0 invokes write while its op of record 0 is still open"),
        ([op(), op("ok", f="write")], "completes write, but its open op, record 0, is read"),
        (["text"], "record 0: expected an op map"),
        ([op(), [1]], "record 1: expected an op map"),
    ],
)
def test_what_is_no_history_is_named(ops: list[Any], message: str) -> None:
    with pytest.raises(HistoryError, match=message):
        History.from_ops(ops)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(TYPES) | JUNK,
                "process": st.integers(0, 2) | JUNK,
                "f": st.sampled_from(["read", "inject", "heal"]) | JUNK,
                "value": JUNK,
                "index": st.integers(0, 5) | JUNK,
                "time": JUNK,
                "error": JUNK,
                "node": JUNK,
            },
        )
        | JUNK,
        max_size=6,
    )
)
def test_junk_is_a_history_or_a_history_error(ops: list[Any]) -> None:
    try:
        history = History.from_ops(ops)
        assert len(history) == len(ops)
        history.windows()
    except HistoryError:
        pass


def fault(type_: str, f: str, id_: int, **more: Any) -> dict[str, Any]:
    error = more.pop("error", None)
    value = {"id": id_, "kind": "pause", "lane": "pause", "nodes": ["n1"], "params": {"length_s": 2.0}, **more}
    return {"type": type_, "process": "nemesis", "f": f, "value": value, "error": error}


def test_windows_run_from_the_request_to_the_confirmed_heal() -> None:
    ops = [
        fault("invoke", "inject", 1),
        fault("info", "inject", 1, observed={"took_effect": True, "pids": [4]}),
        fault("invoke", "inject", 2),
        fault("info", "inject", 2, error="no such process"),
        fault("invoke", "heal", 1),
        fault("info", "heal", 1, observed={"served_after_s": 0.2}),
        fault("invoke", "inject", 3),
        fault("info", "inject", 3, observed={"took_effect": False}),
        fault("invoke", "heal", 3),
        fault("info", "heal", 3, error="the agent was lost"),
        {"type": "invoke", "process": 1, "f": "read", "value": None},
    ]
    history = History.from_ops([{**op, "time": place * 10} for place, op in enumerate(ops)])
    first, second, third = history.windows()
    assert (first.begin_index, first.end_index, first.end_ns, first.healed) == (0, 5, 50, True)
    assert first.fault == Fault(
        1, "pause", "pause", ["n1"], {"length_s": 2.0}, {"took_effect": True, "pids": [4], "served_after_s": 0.2}
    )
    assert first.took_effect
    assert (second.error, second.took_effect, second.healed) == ("no such process", False, False)
    assert (third.begin_index, third.end_index, third.healed, third.took_effect) == (6, 10, False, False)
    assert history.pair.tolist()[:6] == [1, 0, 3, 2, 5, 4]


def test_what_a_heal_saw_later_counts() -> None:
    ops = [
        fault("invoke", "inject", 1),
        fault("info", "inject", 1, observed={"took_effect": False}),
        fault("invoke", "heal", 1),
        fault("info", "heal", 1, observed={"took_effect": True, "stalls": 3}),
    ]
    (window,) = History.from_ops(ops).windows()
    assert window.took_effect


def test_a_window_is_the_same_in_edn_where_every_record_of_a_fault_is_info() -> None:
    ops = [
        fault("invoke", "inject", 1),
        fault("info", "inject", 1, observed={"took_effect": True}),
        fault("invoke", "heal", 1),
        fault("info", "heal", 1, observed={}),
    ]
    as_edn = [{**op, "type": "info"} for op in ops]
    assert History.from_ops(as_edn).windows() == History.from_ops(ops).windows()


def test_a_malformed_fault_is_named_and_a_foreign_one_ignored() -> None:
    with pytest.raises(HistoryError, match="fault record is malformed"):
        History.from_ops([fault("invoke", "inject", 1, nodes=7)]).windows()
    jepsen = {"type": "info", "process": "nemesis", "f": "start", "value": {"kind": "halves"}}
    assert History.from_ops([jepsen, jepsen]).windows() == []
