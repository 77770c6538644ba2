"""Goal: verdicts on transactions with searches are those of the definitions, and agree with the recorded ones.

Method: random small histories (some of a store with weak isolation, some corrupted) against exhaustive search.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers import models
from checkers.transactions.predicate_closed import ClosedPredicate
from harness.checker import CheckOptions
from harness.history import History, HistoryError
from harness.op import Op
from tests.checkers.histories import history
from tests.checkers.replay_oracle import Txn, before, serial, snapshot

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
CASES = Path(__file__).parents[3] / "shared" / "cases" / "transactions.json.gz"
STRENGTHS = {"": "none", "strong-session-": "session", "strong-": "strict"}
LEVELS = ("read-committed", "repeatable-read", "snapshot-isolation", "serializable")
PREDICATES: list[Any] = ["true", ["=", 1], ["=", 4], ["mod", 2, 0], ["mod", 2, 1], ["mod", 3, 1]]


def verdict(ops: Any, model: str = "serializable") -> Any:
    return ClosedPredicate().check(
        ops if isinstance(ops, History) else History.from_ops(ops), CheckOptions(model=model)
    )


def fits(predicate: Any, value: int) -> bool:
    if predicate == "true":
        return True
    return value == predicate[1] if predicate[0] == "=" else value % predicate[1] == predicate[2]


def made(seed: int) -> list[Op]:
    """An init and up to four transactions of three keys; reads of a snapshot, of the latest, or made up."""
    chance = random.Random(seed)
    fresh = itertools.count(1)
    keys = chance.choice([1, 1, 2])
    first = {key: next(fresh) for key in chance.sample(range(keys + 1), chance.randint(0, keys))}
    past: dict[int, list[int | None]] = {key: [None, *([first[key]] if key in first else [])] for key in range(3)}
    ops = [Op("invoke", "init", first, 9), Op("ok", "init", first, 9)]
    state: dict[int, int] = dict(first)
    open_: dict[int, tuple[Op, dict[int, int]]] = {}
    for _ in range(chance.randint(8, 16)):
        process = chance.randint(0, 2)
        if process in open_ and len(open_) < 3 and chance.randint(0, 2):
            process = min({0, 1, 2} - set(open_))
        if process not in open_:
            mops: list[Any] = []
            for _ in range(chance.randint(1, 3)):
                f = chance.choice(["rp", "rp", "r", "w", "insert", "delete"])
                key = chance.randint(0, keys)
                if f == "rp":
                    mops.append(["rp", chance.choice(PREDICATES), None])
                elif f in ("r", "delete"):
                    mops.append([f, key, None])
                else:
                    mops.append([f, key, next(fresh)])
            op = Op("invoke", "txn", mops, process)
            if sum(one.type == "invoke" for one in ops) > 4:
                continue
            open_[process] = (op, dict(state))
            ops.append(op)
            continue
        op, old = open_.pop(process)
        view = dict(old if chance.randint(0, 3) else state)
        changed: dict[int, int | None] = {}
        done: list[Any] = []
        top = next(fresh) - 1
        fresh = itertools.count(top + 1)
        for f, key, value in op.value:
            corrupt = chance.randint(0, 7) == 0
            if f == "rp":
                rows = {k: v for k, v in view.items() if fits(key, v)}
                if corrupt and rows:
                    rows.pop(chance.choice(sorted(rows)))
                elif corrupt:
                    rows = {k: v for k in range(3) for v in past[k][-1:] if v is not None and fits(key, v)}
                done.append([f, key, rows])
            elif f == "r":
                seen = view.get(key)
                done.append([f, key, chance.choice([*past[key], top]) if corrupt else seen])
            else:
                changed[key] = None if f == "delete" else value
                past[key].append(changed[key])
                view.pop(key, None)
                if f != "delete":
                    view[key] = value
                done.append([f, key, value])
        kind = chance.choice(["ok", "ok", "ok", "ok", "info", "fail"])
        if kind == "ok" or chance.randint(0, 3) == 0:
            for key, new in changed.items():
                state.pop(key, None)
                if new is not None:
                    state[key] = new
        ops.append(op.replace(type=kind, value=done if kind == "ok" else op.value))
    if chance.randint(0, 5) == 0:
        late = ops.pop(1)
        if chance.randint(0, 2):
            ops.insert(chance.randint(1, len(ops)), late.replace(type=chance.choice(["ok", "ok", "info"])))
    return [op.replace(index=i) for i, op in enumerate(ops)]


histories = st.integers(0, 2**63).map(made)
"""By seeds: hypothesis' own draws are mostly too tame to contradict each other."""


def txns_of(ops: list[Op]) -> tuple[dict[int, int], list[tuple[Txn, list[Any]]]]:
    """The initial rows, and the transactions; so is an init that another transaction did not wait for."""
    columns = History.from_ops(ops)
    first = ops[0].value if ops[1].f == "init" and ops[1].type == "ok" else {}
    txns = []
    for place, op in enumerate(ops):
        if op.type != "invoke" or (op.f == "init" and ops[1].f == "init" and ops[1].type == "ok"):
            continue
        end = int(columns.pair[place])
        outcome = "info" if end < 0 else ops[end].type
        if outcome == "fail":
            continue
        mops = ops[end].value if outcome == "ok" else op.value
        if op.f == "init":
            mops = [["w", key, value] for key, value in op.value.items()]
        known = outcome == "ok"

        def run(state: Any, mops: Any = mops, known: bool = known) -> Any:
            view = {k: state.get(k, first.get(k)) for k in range(3)}
            writes = {}
            for f, key, value in mops:
                if f == "rp":
                    if known and value != {k: v for k, v in view.items() if v is not None and fits(key, v)}:
                        return None
                elif f == "r":
                    if known and view[key] != value:
                        return None
                else:
                    view[key] = writes[key] = None if f == "delete" else value
            return writes

        txns.append((Txn(int(op.process), place, end if outcome == "ok" else None, run), mops))
    return first, txns


def weak(first: dict[int, int], txns: list[tuple[Txn, list[Any]]], order: str, *, repeatable: bool) -> bool:
    """Read committed: each read of another's write returns some version that was there by then. Repeatable read:
    rows that were read one by one are the latest."""
    needed = [i for i, (txn, _) in enumerate(txns) if txn.end is not None]
    optional = [i for i, (txn, _) in enumerate(txns) if txn.end is None]
    for count in range(len(optional) + 1):
        for extra in itertools.combinations(optional, count):
            for way in itertools.permutations([*needed, *extra]):
                if any(before(txns[b][0], txns[a][0], order) for a, b in itertools.combinations(way, 2)):
                    continue
                if _replays(first, txns, way, repeatable):
                    return True
    return False


def _replays(first: Any, txns: Any, way: Any, repeatable: bool) -> bool:
    """A deleted row explains an absence; the time before the initial rows only does where nothing else can."""
    versions: dict[int, list[int | None]] = {k: [None] if k not in first else [first[k]] for k in range(3)}
    for i in way:
        txn, mops = txns[i]
        own: dict[int, int | None] = {}
        for f, key, value in mops:
            if f in ("w", "insert"):
                own[key] = value
            elif f == "delete":
                own[key] = None
            elif txn.end is None:
                continue
            elif f == "r":
                if key in own:
                    if own[key] != value:
                        return False
                elif repeatable:
                    if versions[key][-1] != value:
                        return False
                elif value not in versions[key] and not (value is None and not _others_delete(txns, i, key)):
                    return False
            else:
                for k in range(3):
                    if k in own:
                        mine = own[k]
                        if value.get(k) != (mine if mine is not None and fits(key, mine) else None):
                            return False
                    elif k in value:
                        if not fits(key, value[k]) or value[k] not in versions[k]:
                            return False
                    elif all(v is not None and fits(key, v) for v in versions[k]) and (
                        k not in first or any(_finals(txns, i, k, key)) or not fits(key, first[k])
                    ):
                        return False
        for key, new in own.items():
            versions[key].append(new)
    return True


def _last(mops: Any, key: int) -> Any:
    own = [mop for mop in mops if mop[1] == key and mop[0] in ("w", "insert", "delete")]
    return own[-1] if own else None


def _others_delete(txns: Any, reader: int, key: int) -> bool:
    lasts = [_last(mops, key) for i, (_, mops) in enumerate(txns) if i != reader]
    return any(mop is not None and mop[0] == "delete" for mop in lasts)


def _finals(txns: Any, reader: int, key: int, predicate: Any) -> Any:
    """Whether each other's last write of the key is one that the search would not return."""
    for i, (_, mops) in enumerate(txns):
        mop = _last(mops, key)
        if i != reader and mop is not None:
            yield mop[0] == "delete" or not fits(predicate, mop[2])


def legal(ops: list[Op], level: str, order: str) -> bool:
    first, txns = txns_of(ops)
    if level == "serializable":
        return serial([txn for txn, _ in txns], order)
    if level == "snapshot-isolation":
        return snapshot([txn for txn, _ in txns], order)
    return weak(first, txns, order, repeatable=level == "repeatable-read")


@thorough
@given(histories, st.sampled_from(LEVELS), st.sampled_from(list(STRENGTHS)))
def test_verdicts_are_those_of_the_definitions(ops: list[Op], level: str, strength: str) -> None:
    found = verdict(ops, strength + level)
    expected = "valid" if legal(ops, level, STRENGTHS[strength]) else "invalid"
    assert found.verdict == expected, (level, found)
    counted = models.canonical(strength + level)
    for name in found.also_not + found.not_:
        if name == counted:
            assert expected == "invalid"


@thorough
@given(histories)
def test_what_is_ruled_out_is_ruled_out(ops: list[Op]) -> None:
    found = verdict(ops)
    broken = {*found.not_, *found.also_not}
    for strength, order in STRENGTHS.items():
        for level in LEVELS:
            if models.canonical(strength + level) in broken:
                assert not legal(ops, level, order), (strength + level, found)


@thorough
@given(histories)
def test_the_sub_history_of_an_anomaly_shows_it_alone(ops: list[Op]) -> None:
    """The same, or more: where it holds fewer versions a search can have missed fewer of them."""
    for anomaly in verdict(ops).anomalies:
        assert not anomaly.type.startswith("G0"), "nobody says in which order writes took effect"
        assert set(anomaly.ops) <= set(anomaly.sub_history)
        if not anomaly.type.endswith("-cycle-exists"):
            alone = verdict([op for op in ops if op.index in anomaly.sub_history])
            ruled_out = {model for part in models.ruled_out([anomaly.type]) for model in part}
            assert ruled_out <= {*alone.not_, *alone.also_not}, (anomaly, alone)
            if not anomaly.cycle:
                assert anomaly.type in alone.anomaly_types


@pytest.mark.skipif(not CASES.exists(), reason="the recorded cases are not there")
def test_recorded_cases_have_the_recorded_verdicts_and_anomalies() -> None:
    recorded_cases = json.loads(gzip.decompress(CASES.read_bytes()))
    cases = [case for case in recorded_cases if case["workload"] == "closed-predicate"]
    assert len(cases) == 5
    also = {"G-single-realtime", "G1c-realtime"}
    for case in cases:
        for recorded in case["verdicts"]:
            model = recorded["options"]["consistency-models"][0]
            found = verdict(case["history"], model)
            said = {True: "valid", False: "invalid", "unknown": "valid"}[recorded["valid"]]
            assert found.verdict == said, (case["name"], model)
            named = {name for name in recorded["anomaly_types"] if "graph" not in name and "exists" not in name}
            assert named <= set(found.anomaly_types), (case["name"], model)
            if recorded["valid"] is False:
                assert set(found.anomaly_types) - named <= also
            assert {*recorded["not"], *recorded["also_not"]} - {"strong-serializable"} <= {*found.not_, *found.also_not}


def txn(process: int, *mops: Any) -> list[tuple[Any, ...]]:
    return [("invoke", process, "txn", list(mops)), ("ok", process, "txn", list(mops))]


def test_two_searches_that_differ_are_a_phantom() -> None:
    records = [
        ("invoke", 0, "init", {1: 10}),
        ("ok", 0, "init", {1: 10}),
        ("invoke", 1, "txn", [["rp", "true", None], ["rp", "true", None]]),
        *txn(2, ["insert", 2, 20]),
        ("ok", 1, "txn", [["rp", "true", {1: 10}], ["rp", "true", {1: 10, 2: 20}]]),
    ]
    found = verdict(history(*records))
    assert found.verdict == "invalid" and "G-single" in found.anomaly_types
    assert verdict(history(*records), "repeatable-read").verdict == "valid"
    assert verdict(history(*records), "read-committed").verdict == "valid"


@pytest.mark.parametrize("outcome", ["ok", "info", None])
def test_an_init_that_was_not_ok_before_all_others_is_a_transaction_like_any(outcome: str | None) -> None:
    rows = {1: 10, 2: 20}
    records: list[Any] = [("invoke", 9, "init", rows), *txn(0, ["rp", "true", {}])]
    records += [(outcome, 9, "init", rows)] if outcome else []
    assert verdict(history(*records), "strict-serializable").verdict == "valid"
    assert verdict(history(*records, *txn(1, ["rp", "true", rows])), "strict-serializable").verdict == "valid"
    half = verdict(history(*records, *txn(1, ["rp", "true", {1: 10}])))
    assert half.verdict == "invalid"
    late = history(*txn(0, ["rp", "true", {}]), ("invoke", 9, "init", rows), ("ok", 9, "init", rows))
    assert verdict(late, "strict-serializable").verdict == "valid"


def test_an_init_with_nothing_for_a_key_wrote_no_row() -> None:
    init = [("invoke", 9, "init", {1: None, 2: 5}), ("ok", 9, "init", {1: None, 2: 5})]
    assert verdict(history(*init, *txn(0, ["rp", "true", {2: 5}], ["r", 1, None]))).verdict == "valid"


def test_an_attempt_that_failed_before_hides_nothing() -> None:
    writes = [["w", 1, 5], ["w", 2, 6]]
    attempts = [("invoke", 0, "txn", writes), ("fail", 0, "txn", writes)]
    attempts += [("invoke", 0, "txn", writes), ("info", 0, "txn", writes)]
    found = verdict(history(*attempts, *txn(1, ["r", 1, 5], ["r", 2, None])))
    assert (found.verdict, found.anomaly_types) == ("invalid", ["G-single-item"])


def test_reads_of_each_others_writes_are_g1c_and_no_g0() -> None:
    first = [["r", 1, 11], ["w", 1, 10], ["w", 2, 20]]
    second = [["r", 2, 20], ["w", 2, 21], ["w", 1, 11]]
    records = [("invoke", 0, "txn", first), ("invoke", 1, "txn", second)]
    records += [("ok", 0, "txn", first), ("ok", 1, "txn", second)]
    found = verdict(history(*records), "read-uncommitted")
    assert (found.verdict, found.anomaly_types, found.not_) == ("valid", ["G1c"], ["read-committed"])
    assert verdict(history(*records), "read-committed").verdict == "invalid"


def test_the_reader_that_proves_a_write_is_part_of_the_sub_history() -> None:
    writes = [["w", 1, 5], ["w", 2, 6]]
    attempt = [("invoke", 0, "txn", writes), ("info", 0, "txn", writes)]
    unrelated = txn(3, ["w", 3, 9])
    found = verdict(history(*attempt, *txn(1, ["r", 1, None], ["r", 2, 6]), *unrelated, *txn(2, ["r", 1, 5])))
    assert found.anomaly_types == ["G-single-item"]
    assert found.anomalies[0].sub_history == [0, 1, 2, 3]
    skewed = [("invoke", 0, "txn", [["rp", "true", None], ["w", 1, 5]]), *txn(1, ["r", 1, 5])]
    skewed[:0] = [("invoke", 9, "init", {1: 4}), ("ok", 9, "init", {1: 4})]
    found = verdict(history(*skewed, *txn(2, ["rp", ["=", 5], {}], ["r", 1, 5])))
    assert 0 in found.anomalies[0].sub_history


def test_a_history_too_large_for_sat_is_decided_by_one_order_or_unknown() -> None:
    records: list[tuple[Any, ...]] = [("invoke", 0, "init", {}), ("ok", 0, "init", {})]
    rows: dict[int, int] = {}
    for number in range(1, 200):
        records += txn(
            number % 3, ["rp", ["mod", 5, 1], {k: v for k, v in rows.items() if v % 5 == 1}], ["w", number % 7, number]
        )
        rows[number % 7] = number
    assert verdict(history(*records), "strict-serializable").verdict == "valid"


@pytest.mark.parametrize(
    "value",
    [7, [7], [["x", 1, 2]], [["rp", ["<", 3], None]], [["rp", ["mod", 0, 1], None]], [["w", 1, None]], [["r"]]],
)
def test_values_of_another_shape_are_named(value: Any) -> None:
    with pytest.raises(HistoryError, match="index"):
        verdict(history(("invoke", 0, "txn", value), ("ok", 0, "txn", value)))


@pytest.mark.parametrize("key", ["²", "--5", "9" * 5000, "-", "007", "-0"])
def test_a_key_that_is_no_plain_number_stays_a_text(key: str) -> None:
    assert verdict(history(*txn(0, ["w", key, 5]), *txn(1, ["rp", "true", {key: 5}], ["r", key, 5]))).verdict == "valid"
    assert verdict(history(*txn(0, ["w", key, 5]), *txn(1, ["r", key, 6]))).anomaly_types == ["garbage-read"]


def test_a_key_that_is_nan_is_named_with_its_record() -> None:
    with pytest.raises(HistoryError, match="index 1: NaN"):
        verdict(history(*txn(0, ["w", float("nan"), 5])))


def test_an_op_of_another_kind_is_refused() -> None:
    with pytest.raises(HistoryError, match="index 2: known are the ops init, txn, not 'write'"):
        verdict(history(*txn(0, ["w", 1, 5]), ("invoke", 1, "write", [1, 6]), ("ok", 1, "write", [1, 6])))


def test_a_search_that_returns_no_map_is_named() -> None:
    value = [["rp", "true", 3]]
    with pytest.raises(HistoryError, match="index 1"):
        verdict(history(("invoke", 0, "txn", [["rp", "true", None]]), ("ok", 0, "txn", value)))
