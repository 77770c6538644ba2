"""Goal: verdicts on pairs on call are those of the definitions, and what is shown can be judged alone.

Method: random small histories of up to two pairs, leaves and reads of all by several clients at once, of a store that
may show old states and wrong ones; against exhaustive search.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.transactions.write_skew import WriteSkew
from harness.history import History, HistoryError
from harness.op import Op
from harness.verdict import Verdict
from tests.checkers.histories import asked, history
from tests.checkers.replay_oracle import MODELS, Txn, calls_that_count

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
PAIRS = 2
LOOK = [("invoke", 2, "read-all", None), ("ok", 2, "read-all", [])]


def judged(ops: list[Op], model: str) -> Verdict:
    return WriteSkew().check(History.from_ops(ops), asked(model))


def made(seed: int) -> list[Op]:
    """Up to six calls of one to four clients. A flawed store answers from an old state, or with a member turned."""
    chance = random.Random(seed)
    members = [(pair, member) for pair in range(chance.randint(1, PAIRS)) for member in (0, 1)]
    todo: list[tuple[int, int] | None] = [place for place in members if chance.random() < 0.85]
    if chance.random() < 0.2:
        todo.append(chance.choice(members))
    todo += [None] * chance.randint(1, 3)
    chance.shuffle(todo)
    todo = todo[:6]
    flaw = chance.choice([0, 0.1, 0.3, 0.6])
    clients, fresh = list(range(chance.randint(1, 4))), 10
    off: set[tuple[int, int]] = set()
    past = [set(off)]
    open_: dict[int, tuple[Op, tuple[int, int] | None]] = {}
    ops: list[Op] = []
    while todo or open_:
        free = [client for client in clients if client not in open_]
        if todo and free and (not open_ or chance.random() < 0.55):
            place, client = todo.pop(), chance.choice(free)
            op = Op("invoke", "leave", [*place, None], client) if place else Op("invoke", "read-all", None, client)
            open_[client] = (op, place)
            ops.append(op)
            continue
        client = chance.choice(sorted(open_))
        op, place = open_.pop(client)
        view = set(chance.choice(past) if chance.random() < flaw else off)
        if chance.random() < flaw / 4:
            view ^= {chance.choice(members)}
        outcome = chance.choice(["ok", "ok", "ok", "ok", "info", "fail", "open"])
        if outcome in ("info", "open"):
            clients[clients.index(client)] = fresh
            fresh += 1
        if place is None:
            rows = [[pair, (pair, 0) not in view, (pair, 1) not in view] for pair in range(PAIRS)]
            answer: Any = [row for row in rows if not (row[1] and row[2]) or chance.random() < 0.1]
        else:
            leaves = view.isdisjoint({(place[0], 0), (place[0], 1)})
            answer = [*place, "left" if leaves else "stayed"]
            odds = {"ok": 1.0, "fail": flaw / 3}.get(outcome, 0.6)
            if leaves and chance.random() < odds:
                off.add(place)
                past.append(set(off))
        if outcome != "open":
            ops.append(op.replace(type=outcome, value=answer if outcome == "ok" else op.value))
    return [op.replace(index=i) for i, op in enumerate(ops)]


histories = st.integers(0, 2**63).map(made)


def txns_of(ops: list[Op]) -> list[Txn]:
    """What each call did, by the docstring's rule: leave only if both are on call."""
    txns = []
    for op, told, begin, end in calls_that_count(ops):
        answer = None if told is None else told.value

        def leave(state: Any, place: Any = op.value, answer: Any = answer) -> Any:
            does = "stayed" if state.get((place[0], 0)) or state.get((place[0], 1)) else "left"
            if answer is not None and answer[2] != does:
                return None
            return {(place[0], place[1]): True} if does == "left" else {}

        def look(state: Any, answer: Any = answer) -> Any:
            on = {(pair, member): True for pair in range(PAIRS) for member in (0, 1)}
            on.update({(row[0], member): row[1 + member] for row in answer for member in (0, 1)})
            return {} if all(on[place] is not state.get(place, False) for place in on) else None

        txns.append(Txn(int(op.process), begin, end, leave if op.f == "leave" else look))
    return txns


@thorough
@given(histories, st.sampled_from(sorted(MODELS)))
def test_verdicts_are_those_of_the_definitions(ops: list[Op], model: str) -> None:
    legal, order = MODELS[model]
    found = judged(ops, model)
    if found.verdict == "unknown":
        assert any("after the last leave" in reason or "only once" in reason for reason in found.reasons)
        if all("after the last leave" in reason for reason in found.reasons):
            assert legal(txns_of(ops), order), found
    else:
        assert found.verdict == ("valid" if legal(txns_of(ops), order) else "invalid"), found
    for name in {*found.not_, *found.also_not} & set(MODELS):
        other, its_order = MODELS[name]
        assert not other(txns_of(ops), its_order), (name, found)


@thorough
@given(histories, st.sampled_from(sorted(MODELS)))
def test_the_sub_history_of_an_anomaly_shows_it_alone(ops: list[Op], model: str) -> None:
    for anomaly in judged(ops, model).anomalies:
        alone = judged([op for op in ops if op.index in anomaly.sub_history], model)
        assert set(anomaly.ops) <= set(anomaly.sub_history)
        assert anomaly.type in alone.anomaly_types, (anomaly, alone)


def test_who_stays_before_the_other_leaves_breaks_realtime_only() -> None:
    records = history(
        ("invoke", 0, "leave", [7, 0, None]),
        ("ok", 0, "leave", [7, 0, "stayed"]),
        ("invoke", 1, "leave", [7, 1, None]),
        ("ok", 1, "leave", [7, 1, "left"]),
        ("invoke", 2, "read-all", None),
        ("ok", 2, "read-all", [[7, True, False]]),
    )
    found = WriteSkew().check(records, asked("serializable"))
    assert (found.verdict, found.anomaly_types, found.not_) == ("valid", ["G1c-realtime"], ["strong-read-committed"])
    assert WriteSkew().check(records, asked("strict-serializable")).verdict == "invalid"
    assert "op 1 saw Bob off call, whom op 3 had taken off" in found.anomalies[0].sentence


def test_a_client_that_misses_its_own_leave_breaks_its_session() -> None:
    records = history(
        ("invoke", 0, "leave", [7, 0, None]),
        ("ok", 0, "leave", [7, 0, "left"]),
        ("invoke", 0, "read-all", None),
        ("ok", 0, "read-all", []),
    )
    found = WriteSkew().check(records, asked("strong-session-serializable"))
    assert (found.verdict, found.anomaly_types) == ("invalid", ["lost-write"])
    assert found.anomalies[0].sub_history == [0, 1, 2, 3]


def test_a_leave_that_was_seen_and_is_gone_breaks_realtime() -> None:
    records = history(
        ("invoke", 0, "leave", [7, 0, None]),
        ("info", 0, "leave", [7, 0, None]),
        ("invoke", 1, "leave", [7, 1, None]),
        ("ok", 1, "leave", [7, 1, "stayed"]),
        ("invoke", 2, "read-all", None),
        ("ok", 2, "read-all", []),
    )
    assert WriteSkew().check(records, asked("serializable")).verdict == "valid"
    found = WriteSkew().check(records, asked("strict-serializable"))
    assert (found.verdict, found.anomaly_types) == ("invalid", ["G-single-item-realtime"])
    assert found.anomalies[0].sentence.startswith("Pair 7: ops ")


def test_reads_that_disagree_about_two_pairs_are_not_valid() -> None:
    one, other = [[1, False, True]], [[2, False, True]]
    records = [
        ("invoke", 2, "read-all", None),
        ("invoke", 3, "read-all", None),
        ("invoke", 0, "leave", [1, 0, None]),
        ("invoke", 1, "leave", [2, 0, None]),
        ("ok", 0, "leave", [1, 0, "left"]),
        ("ok", 1, "leave", [2, 0, "left"]),
        ("ok", 2, "read-all", one),
        ("ok", 3, "read-all", other),
    ]
    found = WriteSkew().check(history(*records), asked("snapshot-isolation"))
    assert (found.verdict, found.anomaly_types) == ("invalid", ["G-nonadjacent-item"])
    assert found.anomalies[0].sentence.startswith("Pairs 2, 1: ops ")


def test_two_leaves_of_one_member_are_a_lost_update() -> None:
    leave = [("invoke", 0, "leave", [7, 0, None]), ("ok", 0, "leave", [7, 0, "left"])]
    found = WriteSkew().check(history(*leave, *leave), asked("snapshot-isolation"))
    assert found.verdict == "invalid" and "lost-update" in found.anomaly_types
    unsure = [("invoke", 1, "leave", [7, 0, None]), ("info", 1, "leave", [7, 0, None])]
    look = [("invoke", 2, "read-all", None), ("ok", 2, "read-all", [[7, False, True]])]
    found = WriteSkew().check(history(*leave, *unsure, *look), asked("serializable"))
    assert found.verdict == "unknown" and "(7): each may only once" in found.reasons[0]


def test_a_pair_may_be_null() -> None:
    records = [("invoke", 0, "leave", [None, 0, None]), ("info", 0, "leave", [None, 0, None])]
    records += [("invoke", 1, "leave", [None, 1, None]), ("ok", 1, "leave", [None, 1, "stayed"])]
    found = WriteSkew().check(history(*records, *LOOK), asked("strict-serializable"))
    assert found.anomaly_types == ["G-single-item-realtime"]
    assert found.anomalies[0].sentence.startswith("Pair null: ops ")


def test_an_op_of_another_kind_is_refused() -> None:
    with pytest.raises(HistoryError, match="index 0: known are the ops leave, read-all, not 'transfer'"):
        WriteSkew().check(history(("invoke", 0, "transfer", None)), asked())
