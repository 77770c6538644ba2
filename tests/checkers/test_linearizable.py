"""The checker of registers: recorded verdicts of peers, shapes of values, names of violations, bad input.

The names are proofs of their own: hypothesis draws small registers, and whatever has a name must have no order by the
definition.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.linearizability import register_anomalies
from checkers.linearizability.key_value_model import KeyValue
from checkers.linearizability.linearizable import Linearizable
from checkers.linearizability.linearizable_calls import calls_by_object
from checkers.linearizability.register_model import Register
from harness.history import History, HistoryError
from tests.checkers.histories import asked, history
from tests.checkers.linearizability_oracle import linearizable

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
CASES = Path(__file__).parents[2].parent / "shared" / "cases" / "linearizability.json.gz"


def cases(model: str = "cas-register") -> list[dict[str, Any]]:
    begins = {"cas-register": "cas-register", KeyValue.name: "kv"}[model]
    if not CASES.exists():
        return []
    with gzip.open(CASES) as file:
        return [case for case in json.load(file) if case["model"].startswith(begins)]


@pytest.mark.skipif(not CASES.exists(), reason=f"the recorded verdicts of peers are not there ({CASES.name})")
def test_recorded_verdicts_of_peers() -> None:
    recorded = cases()
    assert len(recorded) == 82
    for case in recorded:
        verdict = Linearizable().check(History.from_ops(case["history"]), asked(initial=case["initial"]))
        expected = {True: "valid", False: "invalid"}.get(case["linearizable"], "invalid")
        assert verdict.verdict == expected, case["name"]
        if case["linearizable"] is None:
            assert "badval" in case["name"]
            assert "garbage-read" in verdict.anomaly_types


@pytest.mark.skipif(not CASES.exists(), reason=f"the recorded verdicts of peers are not there ({CASES.name})")
def test_recorded_verdicts_on_a_key_value_store_with_append() -> None:
    recorded = [case for case in cases(KeyValue.name) if case["linearizable"] is not None]
    assert [case["name"] for case in recorded] == ["c10-ok", "c10-bad", "c50-ok"]
    checker = Linearizable(lambda initial: KeyValue(initial or ""))
    for case in recorded:
        ops = [{**op, "value": [op["key"], op["value"]]} for op in case["history"]]
        verdict = checker.check(History.from_ops(ops), msgspec.structs.replace(asked(), time_budget_s=240))
        assert verdict.verdict == ("valid" if case["linearizable"] else "invalid"), case["name"]


@st.composite
def register_histories(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """Up to 7 calls of clients that each do one thing, in a drawn interleaving."""
    count = draw(st.integers(1, 7))
    records: list[tuple[Any, ...]] = []
    values = st.sampled_from([None, 1, 2, 3])
    plans = []
    for process in range(count):
        f = draw(st.sampled_from(["read", "read", "write", "cas"]))
        value = {
            "read": None,
            "write": draw(st.sampled_from([1, 2, 3])),
            "cas": [draw(values), draw(st.sampled_from([1, 2, 3]))],
        }[f]
        outcome = draw(st.sampled_from(["ok", "ok", "ok", "fail", "info", None]))
        plans.append((process, f, value, outcome, draw(values)))
    invoked: set[int] = set()
    for process in draw(st.permutations([*range(count), *range(count)])):
        _, f, value, outcome, seen = plans[process]
        if process not in invoked:
            invoked.add(process)
            records.append(("invoke", process, f, value))
        elif outcome is not None:
            records.append((outcome, process, f, seen if f == "read" and outcome == "ok" else value))
    return records


@settings(max_examples=EXAMPLES, deadline=None)
@given(register_histories())
def test_agrees_with_the_definition_and_names_only_what_is_proven(records: list[tuple[Any, ...]]) -> None:
    recorded = history(*records)
    verdict = Linearizable().check(recorded, asked())
    (register,) = calls_by_object(recorded, Register()) or [None]
    expected = register is None or linearizable(Register(), register.operations)
    assert verdict.verdict == ("valid" if expected else "invalid")
    if register is None:
        return
    for named in register_anomalies.find(register, None):
        assert not expected, named
        assert named.type in verdict.anomaly_types
    if not expected:
        keep = set(next(each for each in verdict.anomalies if each.type == "nonlinearizable").sub_history)
        calls = [call for call in register.calls if call.record in keep]
        register.calls[:] = calls
        assert not linearizable(Register(), register.operations)


def check(*records: tuple[Any, ...], model: str = "linearizable", **options: Any) -> Any:
    return Linearizable().check(history(*records), asked(model, **options))


def done(process: int, f: str, value: Any, result: Any = None) -> list[tuple[Any, ...]]:
    return [("invoke", process, f, value), ("ok", process, f, value if result is None else result)]


def test_stale_read() -> None:
    verdict = check(
        *done(0, "write", [7, 1]), *done(0, "write", [7, 2]), *done(2, "read", [7, None], [7, 2]),
        *done(1, "read", [7, None], [7, 1]),
    )  # fmt: skip
    assert verdict.anomaly_types == ["nonlinearizable", "stale-read"]
    assert "Key 7: client 1 read 1, which was out of date" in verdict.anomalies[0].sentence
    assert verdict.not_ == ["linearizable"]


def test_lost_update_of_two_that_started_from_the_same_value() -> None:
    verdict = check(
        *done(0, "write", [7, 1]),
        ("invoke", 1, "cas", [7, [1, 2]]),
        ("invoke", 2, "cas", [7, [1, 3]]),
        ("ok", 1, "cas", [7, [1, 2]]),
        ("ok", 2, "cas", [7, [1, 3]]),
    )
    assert verdict.anomaly_types == ["lost-update", "nonlinearizable"]


def test_two_that_started_from_one_value_are_no_violation_if_it_may_have_been_there_twice() -> None:
    verdict = check(
        *done(0, "write", 1),
        ("invoke", 3, "write", 1),
        ("invoke", 1, "cas", [1, 2]),
        ("invoke", 2, "cas", [1, 3]),
        ("ok", 1, "cas", [1, 2]),
        ("ok", 2, "cas", [1, 3]),
    )
    assert verdict.verdict == "valid"


@pytest.mark.parametrize(
    ("records", "type_"),
    [
        (done(0, "read", None, 9), "garbage-read"),
        ([("invoke", 1, "write", 9), ("fail", 1, "write", 9), *done(0, "read", None, 9)], "G1a"),
        ([*done(0, "read", None, 9), *done(1, "write", 9)], "future-read"),
    ],
)
def test_values_from_nowhere(records: list[tuple[Any, ...]], type_: str) -> None:
    assert type_ in check(*records).anomaly_types


def test_initial_value() -> None:
    assert check(*done(0, "read", None, 0)).verdict == "invalid"
    assert check(*done(0, "read", None, 0), initial=0).verdict == "valid"


def test_keys_are_judged_apart() -> None:
    verdict = check(*done(0, "write", [1, 5]), *done(0, "write", [2, 6]), *done(0, "read", [2, None], [2, 6]))
    assert (verdict.verdict, verdict.stats["keys"]) == ("valid", 2)


def test_each_broken_key_is_explained_whatever_decided_the_others() -> None:
    """Key 1 needs the search, as 5 is written to it twice; key 2 is decided without one."""
    searched = [*done(0, "write", [1, 5]), *done(0, "write", [1, 5]), *done(0, "read", [1, None], [1, 9])]
    verdict = check(*searched, *done(0, "write", [2, 6]), *done(0, "cas", [2, [7, 7]]))
    explained = {each.key: each for each in verdict.anomalies if each.type == "nonlinearizable"}
    assert {key: (each.ops, each.sub_history) for key, each in explained.items()} == {
        1: ([5], [4, 5]),
        2: ([9], [8, 9]),
    }
    assert "The 1 ops" in explained[2].sentence and "held 6" in explained[2].sentence


def test_true_is_not_one() -> None:
    assert check(*done(0, "write", 1), *done(0, "read", None, True)).verdict == "invalid"


def test_an_unseen_write_of_unknown_outcome_may_have_happened_late_or_never() -> None:
    base = [("invoke", 9, "write", 2), ("info", 9, "write", 2), *done(0, "write", 1)]
    assert check(*base, *done(1, "read", None, 1), *done(1, "read", None, 2)).verdict == "valid"
    twice = [*done(1, "read", None, 2), *done(1, "read", None, 1), *done(1, "read", None, 2)]
    assert check(*base, *twice).verdict == "invalid"


def test_without_invocations_nothing_is_known() -> None:
    verdict = check(("ok", 0, "write", 1), ("ok", 1, "read", 1))
    assert verdict.verdict == "unknown"
    assert "no invocation" in verdict.reasons[0]


def test_a_weaker_model_is_not_decided_by_this_checker_but_for_values_from_nowhere() -> None:
    stale = [*done(0, "write", 1), *done(0, "write", 2), *done(1, "read", None, 1)]
    assert check(*stale, model="serializable").verdict == "unknown"
    assert check(*done(0, "read", None, 9), model="read-committed").verdict == "invalid"


STALE_THEN_CHANGED = (
    *done(0, "write", 39),
    *done(0, "write", 40),
    *done(1, "read", None, 39),
    *done(2, "cas", [40, 42]),
)


def test_a_stale_read_makes_no_lost_update_of_a_right_change() -> None:
    """As etcd's serializable reads show it: the read was wrong, the compare-and-set was not."""
    verdict = check(*STALE_THEN_CHANGED)
    assert verdict.verdict == "invalid"
    assert "lost-update" not in verdict.anomaly_types


def test_what_only_realtime_proves_does_not_count_against_a_model_without_it() -> None:
    later = (*done(0, "write", 1), *done(0, "write", 2), *done(1, "cas", [1, 3]))
    assert check(*later).anomaly_counts["lost-update"] == 1
    for records in (later, STALE_THEN_CHANGED):
        verdict = check(*records, model="sequential")
        assert verdict.verdict == "unknown"
        assert not any(anomaly.counts for anomaly in verdict.anomalies)


def test_out_of_budget_is_unknown_and_says_how_far_it_got() -> None:
    recorded = history(*done(0, "write", 1), *done(0, "write", 1))
    options = asked("linearizable")
    verdict = Linearizable().check(recorded, type(options)(model="linearizable", time_budget_s=-1.0))
    assert verdict.verdict == "unknown"
    assert "0 of 2 completed ops were placed" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([("invoke", 0, "txn", [])], "knows read, write, cas"),
        ([("invoke", 0, "cas", 3)], r"needs a value \[old, new\]"),
        ([*done(0, "read", [1, None], [1, None]), ("invoke", 0, "read", None)], r"must be \[key, null\]"),
        ([*done(0, "read", [1, None], [1, None]), ("invoke", 0, "write", 4)], r"must be \[key, value\]"),
        (done(0, "read", [1, None], [2, 4]), "answers for key 2"),
        (done(0, "write", float("nan")), "NaN"),
        (done(0, "write", 1, 2), r"index 1: completes write 2, but its invocation \(0\) was write 1"),
        (done(0, "write", None, 3), "completes write 3, .* was write null"),
        (done(0, "write", "a", "b"), "completes write b, .* was write a"),
        (done(0, "cas", [1, 2], [1, 3]), r"completes cas \[1, 3\], .* was cas \[1, 2\]"),
        ([*done(0, "read", [1, None], [1, None]), *done(0, "write", [1, 4], [1, 5])], "completes write 5"),
        ([*done(0, "read", ["x", None], ["x", None]), *done(0, "write", ["x", 4], ["y", 4])], "answers for key y"),
        ([*done(0, "read", [1, None], [1, None]), *done(0, "write", [1, 4], [2, 4])], "answers for key 2"),
    ],
)
def test_bad_input_is_named(records: list[tuple[Any, ...]], message: str) -> None:
    with pytest.raises(HistoryError, match=message):
        check(*records)


@pytest.mark.parametrize("answer", [None, "OK", True])
def test_what_a_database_answers_to_a_write_says_nothing(answer: Any) -> None:
    """Another value would: nobody knew which of the two was written."""
    ops = (*done(0, "write", 4, answer), *done(0, "cas", [4, 5], answer), *done(1, "read", None, 5))
    assert check(*ops).verdict == "valid"
    keyed = [(type_, process, f, ["x", value]) for type_, process, f, value in ops]
    assert check(*keyed).verdict == "valid"
