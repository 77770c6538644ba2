"""Bank accounts, against the definition: is there an order of transfers and reads that explains all balances?

Method: hypothesis draws small histories of three accounts; the oracle replays orders exhaustively for the total, and
for each read every choice of the open transfers. Where an order exists, the checker may not call a total wrong.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.collections.bank import Bank
from harness.history import HistoryError
from tests.checkers.histories import asked, history
from tests.checkers.small_histories import Call, explained, records_of, timings

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
ACCOUNTS, BALANCE = 3, 4
Balances = tuple[int, ...]


def moved(balances: Balances, transfer: dict[str, int]) -> Balances:
    after = list(balances)
    after[transfer["from"]] -= transfer["amount"]
    after[transfer["to"]] += transfer["amount"]
    return tuple(after)


def step(state: Hashable, call: Call) -> Iterator[Hashable]:
    assert isinstance(state, tuple)
    if call.f == "read":
        if [list(row) for row in enumerate(state)] == call.result:
            yield state
    elif state[call.argument["from"]] >= call.argument["amount"]:
        yield moved(state, call.argument)
    elif call.outcome != "ok":
        yield state


@st.composite
def banks(draw: Any) -> list[Call]:
    calls: list[Call] = []
    effects: list[tuple[int, dict[str, int]]] = []
    reads = []
    for number, (process, begin, end) in enumerate(draw(timings(draw(st.integers(1, 7)), 3))):
        moment = draw(st.integers(begin, end))
        if draw(st.booleans()):
            source, goal = draw(st.sampled_from([(0, 1), (1, 0), (1, 2), (2, 0)]))
            transfer = {"from": source, "to": goal, "amount": draw(st.integers(1, 2))}
            outcome = draw(st.sampled_from(["ok", "ok", "ok", "info", "fail", "open"]))
            if outcome == "ok" or (outcome != "fail" and draw(st.booleans())):
                effects.append((moment, transfer))
            mine = process if outcome in ("ok", "fail") else 10 + number
            calls.append(Call(mine, "transfer", transfer, outcome, transfer, begin, end))
        else:
            reads.append((process, begin, end, moment))
    for process, begin, end, moment in reads:
        balances: Balances = (BALANCE,) * ACCOUNTS
        for at, transfer in sorted(effects, key=lambda effect: effect[0]):
            if at <= moment:
                balances = moved(balances, transfer)
        shown = [list(row) for row in enumerate(balances)]
        change = draw(st.sampled_from([None, None, None, "one", "two"]))
        if change:
            shown[0][1] -= 1
            shown[1][1] += 1 if change == "two" else 0
        calls.append(Call(process, "read", None, "ok", shown, begin, end))
    return calls


def alone(calls: list[Call], read: Call, order: str = "realtime") -> bool:
    """Whether some choice of the transfers that may have happened explains a read.

    order: `none`, `session` or `realtime`, from which follows what must have, and what can't have happened before.
    """
    transfers = [call for call in calls if call.f == "transfer" and call.outcome != "fail"]
    bound = [call for call in transfers if order == "realtime" or (order == "session" and call.process == read.process)]
    sure = [call for call in bound if call.outcome == "ok" and call.end < read.begin]
    late = [call for call in bound if call.begin > read.end]
    maybe = [call for call in transfers if call not in sure and call not in late]
    for size in range(len(maybe) + 1):
        for some in combinations(maybe, size):
            balances: Balances = (BALANCE,) * ACCOUNTS
            for call in (*sure, *some):
                balances = moved(balances, call.argument)
            if [list(row) for row in enumerate(balances)] == read.result:
                return True
    return False


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(banks())
def test_it_is_as_defined(calls: list[Call]) -> None:
    options = {"accounts": ACCOUNTS, "balance": BALANCE}
    verdict = Bank().check(history(*records_of(calls)), asked("strict-serializable", **options))
    reads = [call for call in calls if call.f == "read"]
    wrong = [read for read in reads if sum(b for _, b in read.result) != ACCOUNTS * BALANCE]
    impossible = [read for read in reads if read not in wrong and not alone(calls, read)]
    negative = [read for read in reads if any(b < 0 for _, b in read.result)]
    expected = {"wrong-total": wrong, "impossible-balances": impossible, "negative-balance": negative}
    assert verdict.anomaly_counts == {kind: len(found) for kind, found in sorted(expected.items()) if found}
    assert verdict.verdict == ("invalid" if verdict.anomaly_counts else "unknown" if not_read(calls) else "valid")
    initial = (BALANCE,) * ACCOUNTS
    if explained(calls, initial, step, order="realtime"):
        assert verdict.verdict != "invalid"
    loose = Bank().check(history(*records_of(calls)), asked("snapshot-isolation", **options))
    if explained(calls, initial, step, order="none"):
        assert loose.verdict != "invalid"
    garbage = [read for read in impossible if not alone(calls, read, "none")]
    assert (loose.verdict == "invalid") is bool(wrong or negative or garbage)
    session = Bank().check(history(*records_of(calls)), asked("strong-session-snapshot-isolation", **options))
    if explained(calls, initial, step, order="session"):
        assert session.verdict != "invalid"
    untrue = [read for read in impossible if not alone(calls, read, "session")]
    assert (session.verdict == "invalid") is bool(wrong or negative or untrue)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(banks())
def test_without_invocations_each_clients_order_is_known_and_realtime_is_not(calls: list[Call]) -> None:
    options = {"accounts": ACCOUNTS, "balance": BALANCE}
    calls = [call for call in calls if call.outcome != "open"]
    records = [record for record in records_of(calls) if record[0] != "invoke"]
    found = Bank().check(history(*records), asked("strong-session-snapshot-isolation", **options))
    calls = [replace(call, begin=call.end) for call in calls]
    reads = [call for call in calls if call.f == "read"]
    wrong = [read for read in reads if sum(b for _, b in read.result) != ACCOUNTS * BALANCE]
    untrue = [read for read in reads if not alone(calls, read, "session")]
    negative = [read for read in reads if any(b < 0 for _, b in read.result)]
    assert (found.verdict == "invalid") is bool(wrong or negative or untrue)
    strict = Bank().check(history(*records), asked("strict-serializable", **options))
    assert strict.verdict == ("invalid" if wrong or negative or untrue else "unknown" if calls else "valid")


def not_read(calls: list[Call]) -> bool:
    return not any(call.f == "read" for call in calls) and any(call.outcome == "ok" for call in calls)


SHAPES: list[Any] = [
    {0: 5, 1: 5},
    {"0": 5, "1": 5},
    [[0, 5], [1, 5]],
    [[1, 5], ["0", 5]],
    [5, 5],
]


@pytest.mark.parametrize("shape", SHAPES)
def test_balances_come_in_many_shapes(shape: Any) -> None:
    records = history(("invoke", 0, "read", None), ("ok", 0, "read", shape))
    assert Bank().check(records, asked(None, accounts=2, balance=5)).verdict == "valid"
    assert Bank().check(records, asked(None, total=11)).anomaly_counts == {"wrong-total": 1}


@pytest.mark.parametrize("shape", [7, "x", [[0]], {"a": "b"}, [[0, 1.5]], [[0, 1], [0, 2]], {0: 2**80}, [[None, 1]]])
def test_balances_of_another_shape_are_named(shape: Any) -> None:
    with pytest.raises(HistoryError, match="index 1"):
        Bank().check(history(("invoke", 0, "read", None), ("ok", 0, "read", shape)), asked())


@pytest.mark.parametrize("value", [None, 7, {"from": 0, "to": 1}, {"from": [1], "to": 1, "amount": 2}])
def test_a_transfer_of_another_shape_is_named(value: Any) -> None:
    with pytest.raises(HistoryError, match="index 0"):
        Bank().check(history(("invoke", 0, "transfer", value)), asked())


def test_two_totals_prove_that_one_is_wrong_whoever_says_what_it_should_be() -> None:
    records: list[tuple[Any, ...]] = []
    for total in (10, 10, 9):
        records += [("invoke", 0, "read", None), ("ok", 0, "read", {0: total, 1: None})]
    verdict = Bank().check(history(*records), asked("snapshot-isolation"))
    assert (verdict.verdict, verdict.stats["total"]) == ("invalid", 10)
    assert verdict.anomalies[0].details == {"total": 9, "expected": 10}
    assert {"consistent-view", "repeatable-read"} <= {*verdict.not_, *verdict.also_not}
    assert Bank().check(history(*records), asked("read-committed")).verdict == "valid"


def test_balances_that_nothing_explains_count_without_realtime_too() -> None:
    options = {"accounts": 2, "balance": 5}
    read = history(("invoke", 0, "read", None), ("ok", 0, "read", {0: 7, 1: 3}))
    found = Bank().check(read, asked("snapshot-isolation", **options))
    assert (found.verdict, found.anomaly_types) == ("invalid", ["impossible-balances"])
    assert "differ from the first ones: account 0 by +2, 1 by -2. No other transfer" in found.anomalies[0].sentence
    move = {"from": 1, "to": 0, "amount": 2}
    mine = [("invoke", 0, "transfer", move), ("ok", 0, "transfer", move)]
    stale = history(*mine, ("invoke", 0, "read", None), ("ok", 0, "read", {0: 5, 1: 5}))
    assert Bank().check(stale, asked("snapshot-isolation", **options)).verdict == "valid"
    found = Bank().check(stale, asked("strong-session-snapshot-isolation", **options))
    assert found.verdict == "invalid"
    assert "after its own transfers: account 0 by -2, 1 by +2. No other" in found.anomalies[0].sentence


def test_an_account_with_a_very_long_number_is_a_name() -> None:
    records = history(("invoke", 0, "read", None), ("ok", 0, "read", {"9" * 5000: 5}))
    assert Bank().check(records, asked(None, total=5)).verdict == "valid"


def test_negative_balances_can_be_allowed() -> None:
    records = history(("invoke", 0, "read", None), ("ok", 0, "read", {0: -1, 1: 11}))
    assert Bank().check(records, asked(None)).anomaly_types == ["negative-balance"]
    allowed = Bank().check(records, asked(None, **{"negative-balances": "allowed"}))
    assert allowed.verdict == "valid"
