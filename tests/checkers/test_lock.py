"""Goal: two holders at once and lost updates are found, from what is certain alone.

Method: the definitions, and brute force.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.ordering.lock import Lock
from harness.history import History, HistoryError
from harness.op import Op
from tests.checkers.histories import asked, history
from tests.checkers.replay_oracle import Txn, serial

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def verdict(ops: Any, **options: Any) -> Any:
    columns = ops if isinstance(ops, History) else History.from_ops(ops)
    return Lock().check(columns, asked("linearizable", **options))


def made(seed: int, flaw: float) -> list[Op]:
    """Up to nine ops on one lock by three clients; a flawed server sometimes grants it though it is held."""
    chance = random.Random(seed)
    ops: list[Op] = []
    holder: int | None = None
    mine: set[int] = set()
    token = 0
    open_: dict[int, Op] = {}
    for _ in range(18):
        process = chance.randrange(3)
        op = open_.pop(process, None)
        if op is None:
            open_[process] = Op("invoke", "release" if process in mine else "acquire", [1, None], process)
            ops.append(open_[process])
        elif op.f == "acquire":
            if holder is None or chance.random() < flaw:
                holder, token = process, token + 1
                mine.add(process)
                ops.append(op.replace(type="ok", value=[1, token]))
            else:
                ops.append(op.replace(type="fail"))
        else:
            mine.discard(process)
            holder = None if holder == process else holder
            ops.append(op.replace(type="ok"))
    return [op.replace(index=i, time_ns=i * 1_000_000) for i, op in enumerate(ops)]


@thorough
@given(st.integers(0, 2**63), st.sampled_from([0.0, 0.3]))
def test_two_holders_are_those_of_the_definition(seed: int, flaw: float) -> None:
    """The definition: an order of the ops that a mutex explains. Sound histories have one; where the checker finds two
    holders there is none, and the other way round whenever every hold was given back."""
    ops = made(seed, flaw)
    columns = History.from_ops(ops)
    txns = []
    for place, op in enumerate(ops):
        end = int(columns.pair[place])
        if op.type != "invoke" or (end >= 0 and ops[end].type == "fail"):
            continue

        def run(state: Any, op: Op = op) -> Any:
            holder = state.get("holder")
            if op.f == "acquire":
                return {"holder": op.process} if holder is None else None
            return {"holder": None} if holder == op.process else None

        txns.append(Txn(int(op.process), place, end if end >= 0 else None, run))
    explained = serial(txns, "strict")
    found = verdict(ops)
    if flaw == 0:
        assert explained and found.verdict == "valid"
    if found.verdict == "invalid":
        assert not explained


@thorough
@given(st.integers(0, 2**63))
def test_overlaps_are_found_by_the_definition(seed: int) -> None:
    ops = made(seed, 0.3)
    columns = History.from_ops(ops)
    holds = []
    for place, op in enumerate(ops):
        if op.type == "ok" and op.f == "acquire":
            later = [o.index for o in ops[place:] if o.type == "invoke" and o.process == op.process]
            holds.append((place, later[0] if later else place))
    overlap = any(a != b and a[0] < b[0] < a[1] for a in holds for b in holds)
    assert len(columns) == len(ops)
    assert overlap == ("two-holders" in verdict(ops).anomaly_types)


def done(process: int, f: str, value: Any, told: Any) -> list[tuple[Any, ...]]:
    return [("invoke", process, f, value), ("ok", process, f, told)]


def test_two_holders_in_a_sentence_and_a_lease_that_ended() -> None:
    records = [
        *done(0, "acquire", [1, None], [1, 1]),
        *done(1, "acquire", [1, None], [1, 2]),
        *done(0, "release", [1, 1], [1, 1]),
    ]
    found = verdict(history(*records))
    assert (found.verdict, found.anomaly_counts, found.anomalies[0].ops) == ("invalid", {"two-holders": 1}, [1, 3])
    assert "had not begun to give it back" in found.anomalies[0].sentence
    assert verdict(history(*records), ttl_s=0.002).verdict == "valid"
    assert verdict(history(*records), ttl_s=1).verdict == "invalid"


def test_jepsens_mutex_ops_are_understood() -> None:
    records = [*done(0, "acquire", None, None), *done(1, "acquire", None, None), *done(0, "release", None, None)]
    assert verdict(history(*records)).anomaly_types == ["two-holders"]


def test_tokens_fencing_and_lost_updates() -> None:
    grants = [
        *done(0, "acquire", [1, None], [1, 5]),
        *done(0, "release", [1, 5], [1, 5]),
        *done(1, "acquire", [1, None], [1, 5]),
    ]
    assert verdict(history(*grants)).anomaly_types == ["token-not-growing"]
    lost = [*done(0, "update", [1, 1], [1, [1, 0, 1]]), *done(1, "update", [1, 2], [1, [2, 0, 2]])]
    assert verdict(history(*lost)).anomaly_types == ["lost-update"]
    back = [
        *done(0, "update", [1, 1], [1, [1, 0, 1]]),
        *done(0, "update", [1, 1], [1, [1, 1, 0]]),
        *done(0, "update", [1, 1], [1, [1, 0, 2]]),
    ]
    assert verdict(history(*back)).verdict == "valid"
    late = [*done(1, "update", [1, 2], [1, [2, 0, 1]]), *done(0, "update", [1, 1], [1, [1, 1, 2]])]
    assert verdict(history(*late)).anomaly_types == ["fencing-broken"]
    assert verdict(history(*done(0, "update", [1, 1], [1, [1, 7, 8]]))).anomaly_types == ["garbage-read"]


@pytest.mark.parametrize("value", [3, [1, 2, 3]])
def test_values_of_another_shape_are_named(value: Any) -> None:
    with pytest.raises(HistoryError, match="index"):
        verdict(history(*done(0, "acquire", value, value)))


def drawn(chance: random.Random) -> list[tuple[str, int, str, int]]:
    """Records (type, process, f, ms) of four clients that take and give back one lock at random; some never do."""
    free = dict.fromkeys(range(4), "acquire")
    open_: dict[int, str] = {}
    records: list[tuple[str, int, str, int]] = []
    now_ms = 1
    for _ in range(chance.randrange(4, 18)):
        now_ms += chance.choice((1, 1, 2, 6))
        process = chance.randrange(4)
        if process in open_:
            f = open_.pop(process)
            type_ = "ok" if f == "acquire" or chance.random() < 0.7 else "fail"
            records.append((type_, process, f, now_ms))
            free[process] = "release" if f == "acquire" else "acquire"
        else:
            open_[process] = free[process]
            records.append(("invoke", process, free[process], now_ms))
    return records


@thorough
@given(st.integers(0, 2**63), st.sampled_from([0, 3, 7, 12]))
def test_holds_end_with_their_lease_or_when_they_are_given_back(seed: int, ttl_ms: int) -> None:
    """The definition, pair by pair: told before the other's hold was over, by either."""
    records = drawn(random.Random(seed))
    holds: list[tuple[int, int, float, float]] = []
    for place, (type_, process, f, ms) in enumerate(records):
        if (type_, f) != ("ok", "acquire"):
            continue
        asked_ms = next(r[3] for r in reversed(records[:place]) if r[1] == process)
        given_back = [p for p, r in enumerate(records) if p > place and r[1] == process and r[2] == "release"]
        holds.append((place, min(given_back, default=place), ms, asked_ms + ttl_ms if ttl_ms else float("inf")))
    two = {later[0] for later in holds for other in holds if other[0] < later[0] < other[1] and later[2] < other[3]}
    ops = [{"type": t, "process": p, "f": f, "value": [1, None], "time": ms * 1_000_000} for t, p, f, ms in records]
    found = verdict(History.from_ops(ops), ttl_s=ttl_ms / 1000)
    assert found.anomaly_counts.get("two-holders", 0) == len(two)
    assert {max(anomaly.ops) for anomaly in found.anomalies} == two
    assert found.verdict == ("invalid" if two else "valid")


def test_a_lease_in_a_record_without_times_is_unknown() -> None:
    records = [*done(0, "acquire", [1, None], [1, 1]), *done(1, "acquire", [1, None], [1, 2])]
    records += done(0, "release", [1, 1], [1, 1])
    ops = [{"type": t, "process": p, "f": f, "value": value} for t, p, f, value in records]
    assert verdict(History.from_ops(ops)).verdict == "invalid"
    found = verdict(History.from_ops(ops), ttl_s=1)
    assert (found.verdict, found.anomalies) == ("unknown", [])
    assert "the time of every acquire" in found.reasons[0]


def test_completions_alone_do_not_tell_which_token_came_first() -> None:
    records = [("ok", 1, "acquire", [1, 5]), ("ok", 0, "acquire", [1, 2])]
    records += [("ok", 1, "update", [1, [5, 0, 1]]), ("ok", 0, "update", [1, [2, 1, 2]])]
    found = verdict(history(*records))
    assert (found.verdict, found.anomalies) == ("unknown", [])
