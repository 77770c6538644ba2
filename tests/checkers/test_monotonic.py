"""Goal: a counter that goes back is seen, and a sound one never called so. Method: definitions and brute force."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.ordering.monotonic import Monotonic
from checkers.ordering.monotonic_answers import answers_of
from harness.checker import CheckOptions
from harness.history import History, HistoryError
from harness.op import Op
from tests.checkers.histories import history
from tests.checkers.replay_oracle import Txn, calls_that_count, serial

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def verdict(ops: Any, model: str = "strict-serializable") -> Any:
    columns = ops if isinstance(ops, History) else History.from_ops(ops)
    return Monotonic().check(columns, CheckOptions(model=model))


def made(seed: int, flaw: float) -> list[Op]:
    """Up to eight ops on a counter by three clients; some effects get lost and some answers are old."""
    chance = random.Random(seed)
    ops: list[Op] = []
    values = [0]
    open_: dict[int, Op] = {}
    for _ in range(20):
        process = chance.randrange(3)
        op = open_.pop(process, None)
        if op is None:
            if sum(op.type == "invoke" for op in ops) < 8:
                open_[process] = Op("invoke", chance.choice(["inc", "read"]), [1, None], process)
                ops.append(open_[process])
            continue
        outcome = chance.choice(["ok"] * 6 + ["info", "fail"])
        old = chance.choice(values) if chance.random() < flaw else values[-1]
        if op.f == "inc" and (outcome == "ok" or (outcome == "info" and chance.random() < 0.5)):
            old += 1
            values.append(old)
        ops.append(op.replace(type=outcome, value=[1, old if outcome == "ok" else None]))
    return [op.replace(index=i, time_ns=i) for i, op in enumerate(ops)]


def txns_of(ops: list[Op]) -> list[Txn]:
    txns = []
    for op, told, begin, end in calls_that_count(ops):
        value = None if told is None else told.value[1]

        def run(state: Any, f: str = op.f, value: Any = value) -> Any:
            after = state.get(1, 0) + (f == "inc")
            return None if value not in (None, after) else {1: after} if f == "inc" else {}

        txns.append(Txn(int(op.process), begin, end, run))
    return txns


@thorough
@given(st.integers(0, 2**63), st.sampled_from([0.0, 0.2]))
def test_what_is_found_is_never_a_sound_history(seed: int, flaw: float) -> None:
    """The findings are necessary conditions: invalid is proven; without a flaw there is none."""
    ops = made(seed, flaw)
    for model, order in (("strict-serializable", "strict"), ("strong-session-serializable", "session")):
        found = verdict(ops, model).verdict
        if found == "invalid":
            assert not serial(txns_of(ops), order), model
        if flaw == 0:
            assert found == "valid"


@thorough
@given(st.integers(0, 2**63))
def test_each_pair_of_the_definition_is_found(seed: int) -> None:
    ops = made(seed, 0.3)
    found = verdict(ops)
    told = [op for op in ops if op.type == "ok"]
    begins = {int(History.from_ops(ops).pair[op.index]): op for op in told}
    back = stale = same = False
    for place, op in begins.items():
        for other in told:
            grows = op.f == "inc"
            if other.index < place and other is not op and op.value[1] < other.value[1] + grows:
                back = back or other.process == op.process
                stale = True
            same = same or (other.f == op.f == "inc" and other is not op and other.value == op.value)
    assert back == ("non-monotonic-read" in found.anomaly_types)
    assert same == ("lost-update" in found.anomaly_types)
    if stale:
        assert found.verdict == "invalid"
    assert not (found.verdict == "valid" and serial(txns_of(ops), "strict") and stale)


def done(process: int, f: str, told: Any) -> list[tuple[Any, ...]]:
    return [("invoke", process, f, [1, None]), ("ok", process, f, [1, told])]


def test_a_client_that_sees_it_go_back() -> None:
    found = verdict(history(*done(0, "inc", 1), *done(0, "inc", 2), *done(0, "read", 1)), "strong-session-serializable")
    assert (found.verdict, found.anomaly_counts) == ("invalid", {"non-monotonic-read": 1})
    assert found.anomalies[0].ops == [3, 5] and "saw it go back" in found.anomalies[0].sentence
    other = history(*done(0, "inc", 1), *done(1, "read", 0))
    assert verdict(other, "strong-session-serializable").verdict == "valid"
    assert verdict(other).anomaly_types == ["non-monotonic-read-realtime"]


def test_timestamps_must_agree_with_values() -> None:
    sound = [*done(0, "inc", [10, 1]), *done(1, "inc", [11, 2]), *done(2, "read", [11, 2])]
    assert verdict(history(*sound)).verdict == "valid"
    found = verdict(history(*done(0, "inc", [12, 1]), *done(1, "inc", [11, 2])))
    assert found.anomaly_types == ["non-monotonic-timestamp"]


def test_lost_and_impossible_values() -> None:
    lost = verdict(history(*done(0, "inc", 1), *done(1, "inc", 1)))
    assert lost.anomaly_types == ["lost-update", "non-monotonic-read-realtime"]
    assert verdict(history(*done(0, "read", 3))).anomaly_types == ["garbage-read"]


@pytest.mark.parametrize("told", ["x", [1, 2, 3], None, 1.5, True])
def test_values_of_another_shape_are_named(told: Any) -> None:
    with pytest.raises(HistoryError, match="index"):
        verdict(history(*done(0, "inc", told)))


def test_what_nobody_had_begun_to_add_is_from_the_future() -> None:
    """Without it the history would be valid: a lone increment that came later explains nothing."""
    read, inc = [("invoke", 0, "read", [1, None]), ("ok", 0, "read", [1, 1])], ("invoke", 1, "inc", [1, None])
    found = verdict(history(*read, inc, ("info", 1, "inc", [1, None])))
    assert (found.verdict, found.anomaly_counts, found.anomalies[0].ops) == ("invalid", {"future-read": 1}, [1])
    assert "only 0 increments" in found.anomalies[0].sentence
    assert verdict(history(read[0], inc, read[1])).verdict == "valid"
    assert verdict(history(*read)).anomaly_counts == {"garbage-read": 1}


def made_of_many(seed: int, flaw: float, *, all_ok: bool) -> list[Op]:
    """As Jepsen's test of TiDB records it: up to nine ops on two counters, reads of one or both; −1 is none."""
    chance = random.Random(seed)
    ops: list[Op] = []
    values: dict[int, list[int]] = {0: [-1], 1: [-1]}
    open_: dict[int, Op] = {}
    for turn in range(60):
        process = chance.randrange(3)
        op = open_.pop(process, None)
        if op is None:
            if turn < 24 and sum(op.type == "invoke" for op in ops) < 9:
                asked: Any = chance.randrange(2)
                if chance.random() < 0.5:
                    op = Op("invoke", "inc", asked, process)
                else:
                    op = Op("invoke", "read", dict.fromkeys(chance.choice([[0, 1], [0, 1], [asked]])), process)
                open_[process] = op
                ops.append(op)
            continue
        outcome = "ok" if all_ok else chance.choice(["ok"] * 6 + ["info", "fail"])
        old = {key: chance.choice(all_) if chance.random() < flaw else all_[-1] for key, all_ in values.items()}
        if op.f == "read":
            told: Any = {key: old[key] for key in op.value}
        else:
            told = {op.value: old[op.value] + 1}
            if outcome == "ok" or (outcome == "info" and chance.random() < 0.5):
                values[op.value].append(old[op.value] + 1)
            if outcome == "ok" and not all_ok and chance.random() < 0.2:
                told = {}
        ops.append(op.replace(type=outcome, value=told if outcome == "ok" else op.value))
    return [op.replace(index=i, time_ns=i) for i, op in enumerate(ops)]


def txns_of_many(ops: list[Op]) -> list[Txn]:
    txns = []
    for op, told, begin, end in calls_that_count(ops):
        values = {} if told is None else told.value

        def run(state: Any, f: str = op.f, asked: Any = op.value, values: Any = values) -> Any:
            after = {key: state.get(key, -1) + (f == "inc") for key in ([asked] if f == "inc" else asked)}
            if any(after[key] != value for key, value in values.items()):
                return None
            return after if f == "inc" else {}

        txns.append(Txn(int(op.process), begin, end, run))
    return txns


@pytest.mark.parametrize(
    ("first", "found", "judgement"), [(0, 0, "valid"), (0, 1, "invalid"), (1, 1, "valid"), (1, 2, "invalid")]
)
def test_whether_the_first_increment_of_a_map_tells_0_or_1_is_seen(first: int, found: int, judgement: str) -> None:
    """In TiDB's test it tells 0. Where nobody saw that, a value may mean as many increments as it says."""
    incs = [("invoke", 0, "inc", "x"), ("ok", 0, "inc", {"x": first})]
    read = [("invoke", 1, "read", {"x": None}), ("ok", 1, "read", {"x": found})]
    assert verdict(history(*incs, *read)).verdict == judgement


MODELS = (
    ("serializable", "none"),
    ("strong-session-serializable", "session"),
    ("strict-serializable", "strict"),
)


def test_two_readers_who_saw_one_of_two_counters_grow_each() -> None:
    """What one counter by itself does not show; an increment whose outcome nobody knows is enough."""

    def read(process: int, x: int, y: int) -> list[tuple[Any, ...]]:
        return [("invoke", process, "read", {"x": None, "y": None}), ("ok", process, "read", {"x": x, "y": y})]

    begun = [("invoke", 0, "inc", "x"), ("invoke", 1, "inc", "y"), ("ok", 1, "inc", {"y": 0})]
    found = verdict(history(*begun, *read(2, 0, -1), *read(3, -1, 0)), "snapshot-isolation")
    assert (found.verdict, found.anomaly_counts) == (
        "invalid",
        {"G-nonadjacent-item": 1, "non-monotonic-read-realtime": 2},
    )
    [circle] = [anomaly for anomaly in found.anomalies if anomaly.counts]
    assert circle.ops == [2, 4, 6]
    assert "found key x at -1, before it came to 0, and op 4 found key x at 0" in circle.sentence
    assert verdict(history(*begun, *read(2, 0, -1), *read(3, 0, 0)), "serializable").verdict == "valid"


@thorough
@given(st.integers(0, 2**63), st.sampled_from([0.0, 0.2, 0.4]))
def test_counters_that_are_read_together_are_never_called_wrong_when_they_are_right(seed: int, flaw: float) -> None:
    ops = made_of_many(seed, flaw, all_ok=False)
    for model, order in MODELS:
        found = verdict(ops, model)
        if found.verdict == "invalid":
            assert not serial(txns_of_many(ops), order), (model, found.anomaly_counts)
        if flaw == 0:
            assert found.verdict == "valid"


@thorough
@given(st.integers(0, 2**63), st.sampled_from([0.2, 0.4]))
def test_counters_of_which_all_is_told_are_judged_exactly(seed: int, flaw: float) -> None:
    ops = made_of_many(seed, flaw, all_ok=True)
    if not answers_of(History.from_ops(ops)).counted:
        return
    for model, order in MODELS:
        found = verdict(ops, model)
        assert (found.verdict == "valid") == serial(txns_of_many(ops), order), (model, found.anomaly_counts)
