"""Goal: long forks, and every other contradiction of group reads, are found exactly where no execution explains them.

Method: random small histories against brute force by definition; and forks that are put into sound histories.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.transactions.long_fork import LongFork
from harness.checker import CheckOptions
from harness.history import History, HistoryError
from harness.op import Op
from tests.checkers.histories import history
from tests.checkers.replay_oracle import MODELS, Txn, calls_that_count

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
SIZE = 2


def verdict(ops: Any, model: str = "snapshot-isolation") -> Any:
    columns = ops if isinstance(ops, History) else History.from_ops(ops)
    return LongFork().check(columns, CheckOptions(model=model))


def made(seed: int, *, crossing: bool = False) -> list[Op]:
    """Up to eight ops on two groups of two keys by three clients, read from replicas that each miss something.

    crossing: each read takes some keys of both groups.
    """
    chance = random.Random(seed)
    ops: list[Op] = []
    replicas: list[set[int]] = [set(), set(), set()]
    unwritten = [*chance.sample(range(SIZE, 2 * SIZE), SIZE), *chance.sample(range(SIZE), SIZE)]
    open_: dict[int, Op] = {}
    flawed = chance.random() < 0.9
    for _ in range(20):
        process = chance.randrange(3)
        if process not in open_:
            if sum(op.type == "invoke" for op in ops) == 8:
                continue
            group = chance.choice([0, 0, 0, 0, 1])
            keys = chance.sample(range(group * SIZE, (group + 1) * SIZE), SIZE)
            if unwritten and chance.random() < 0.6 - 0.1 * len(ops) / 4:
                op = Op("invoke", "write", [["w", unwritten.pop(), 1]], process)
            else:
                if crossing:
                    keys = chance.sample(range(2 * SIZE), chance.randint(1, 3))
                op = Op("invoke", "read", [["r", key, None] for key in keys], process)
            open_[process] = op
            ops.append(op)
            continue
        op = open_.pop(process)
        kind = chance.choice(["ok", "ok", "ok", "ok", "info", "fail"])
        if op.f == "write":
            for replica in replicas:
                if (kind == "ok" and not (flawed and chance.random() < 0.45)) or chance.random() < 0.1:
                    replica.add(op.value[0][1])
            ops.append(op.replace(type=kind))
        elif kind == "ok":
            seen = chance.choice(replicas) if flawed else replicas[0]
            ops.append(op.replace(type="ok", value=[["r", key, 1 if key in seen else None] for _, key, _ in op.value]))
        else:
            ops.append(op.replace(type=kind))
    return [op.replace(index=i) for i, op in enumerate(ops)]


def txns_of(ops: list[Op]) -> list[Txn]:
    txns = []
    for op, told, begin, end in calls_that_count(ops):
        mops = (told or op).value

        def run(state: Any, f: str = op.f, mops: Any = mops) -> Any:
            if f == "write":
                return {mops[0][1]: 1}
            return {} if all(state.get(key) == value for _, key, value in mops) else None

        txns.append(Txn(int(op.process), begin, end, run))
    return txns


@thorough
@given(st.integers(0, 2**63), st.sampled_from(sorted(MODELS)))
def test_verdicts_are_those_of_the_definitions(seed: int, model: str) -> None:
    ops = made(seed)
    legal, order = MODELS[model]
    assert verdict(ops, model).verdict == ("valid" if legal(txns_of(ops), order) else "invalid")


@thorough
@given(st.integers(0, 2**63), st.sampled_from(sorted(MODELS)))
def test_verdicts_where_groups_overlap(seed: int, model: str) -> None:
    ops = made(seed, crossing=True)
    legal, order = MODELS[model]
    assert verdict(ops, model).verdict == ("valid" if legal(txns_of(ops), order) else "invalid")


def test_three_reads_of_three_groups_that_disagree_in_a_circle() -> None:
    writes = [("invoke", key, "write", [["w", key, 1]]) for key in (1, 2, 3)]
    reads = [*read(4, k1=1, k2=None), *read(5, k2=1, k3=None), *read(6, k3=1, k1=None)]
    found = verdict(history(*writes, *reads))
    assert found.verdict == "invalid" and "G-nonadjacent-item" in found.anomaly_types
    found = verdict(history(*writes, *read(4, k1=1, k2=None), *read(5, k2=1, k1=None, k3=None)))
    assert found.verdict == "invalid" and "G-nonadjacent-item" in found.anomaly_types


def test_the_random_histories_are_of_both_kinds() -> None:
    found = [verdict(made(seed)).verdict for seed in range(200)]
    assert found.count("valid") > 50 and found.count("invalid") > 15


def write(process: int, key: int) -> list[tuple[Any, ...]]:
    return [("invoke", process, "write", [["w", key, 1]]), ("ok", process, "write", [["w", key, 1]])]


def read(process: int, **values: Any) -> list[tuple[Any, ...]]:
    mops = [["r", int(key[1:]), value] for key, value in values.items()]
    return [("invoke", process, "read", [[f, key, None] for f, key, _ in mops]), ("ok", process, "read", mops)]


FORK = [
    ("invoke", 0, "write", [["w", 1, 1]]),
    ("invoke", 1, "write", [["w", 2, 1]]),
    read(2, k1=1, k2=None)[0],
    *read(3, k2=1, k1=None),
    read(2, k1=1, k2=None)[1],
    ("ok", 0, "write", [["w", 1, 1]]),
    ("ok", 1, "write", [["w", 2, 1]]),
]


def test_two_reads_that_disagree_are_a_long_fork() -> None:
    found = verdict(history(*FORK))
    assert (found.verdict, found.anomaly_counts) == ("invalid", {"long-fork": 1})
    assert found.anomalies[0].ops == [4, 5, 6, 7]
    assert [edge.kind for edge in found.anomalies[0].cycle] == ["wr", "rw", "wr", "rw"]
    assert "no order of the two writes that fits both readers" in found.anomalies[0].sentence
    assert "snapshot-isolation" in {*found.not_, *found.also_not}
    assert verdict(history(*FORK), "parallel-snapshot-isolation").verdict == "valid"


def test_a_chain_of_states_is_no_fork_but_may_be_stale() -> None:
    records = [*write(0, 1), *read(2, k1=None, k2=None), *write(1, 2), *read(3, k1=1, k2=None)]
    assert verdict(history(*records)).verdict == "valid"
    found = verdict(history(*records), "strict-serializable")
    assert set(found.anomaly_types) == {"G-single-item-realtime"}


def test_a_key_written_twice_is_unknown() -> None:
    found = verdict(history(*write(0, 1), *write(1, 1)))
    assert found.verdict == "unknown" and "more than once" in found.reasons[0]


def test_values_that_were_never_written_or_rolled_back() -> None:
    assert verdict(history(*read(0, k1=7, k2=None))).anomaly_types == ["garbage-read"]
    failed = [("invoke", 0, "write", [["w", 1, 1]]), ("fail", 0, "write", [["w", 1, 1]])]
    assert verdict(history(*failed, *read(1, k1=1, k2=None))).anomaly_types == ["G1a"]


@pytest.mark.parametrize("value", [3, [3], [["x", 1, 1]], [["w", 1, None]], [["w", 1, 1], ["r", 2, None]]])
def test_values_of_another_shape_are_named(value: Any) -> None:
    with pytest.raises(HistoryError, match="index"):
        verdict(history(("invoke", 0, "read", value), ("ok", 0, "read", value)))


def test_a_write_that_completes_without_its_value_is_a_write() -> None:
    records = [("invoke", 0, "write", [["w", 1, 1]]), ("ok", 0, "write", None), *read(1, k1=1, k2=None)]
    assert verdict(history(*records)).verdict == "valid"


@pytest.mark.parametrize("told", [[["w", 1, 2]], [["w", 2, 1]], [["r", 1, None]], []])
def test_a_completion_that_tells_of_another_write_is_named(told: Any) -> None:
    with pytest.raises(HistoryError, match="index 1: completes"):
        verdict(history(("invoke", 0, "write", [["w", 1, 1]]), ("ok", 0, "write", told)))


def test_a_read_of_other_keys_than_were_asked_for_is_named() -> None:
    for told in ([["r", 2, 1]], [["r", 1, None], ["r", 2, None]], None, 0, ""):
        with pytest.raises(HistoryError, match="index"):
            verdict(history(("invoke", 0, "read", [["r", 1, None]]), ("ok", 0, "read", told)))


@given(st.integers(0, 2**63), st.integers(2, 30))
@settings(max_examples=100, deadline=None)
def test_a_fork_put_into_a_sound_history_is_found(seed: int, keys: int) -> None:
    """Mutation: of two states of a chain, one gets a key of the other that it lacks taken out."""
    chance = random.Random(seed)
    order = chance.sample(range(keys), keys)
    records: list[Any] = [("invoke", key, "write", [["w", key, 1]]) for key in order]
    for seen in range(keys + 1):
        there = set(order[:seen])
        records += read(100 + seen, **{f"k{key}": 1 if key in there else None for key in range(keys)})
    assert verdict(history(*records)).verdict == "valid"
    spoilt = chance.randrange(2, keys + 1)
    index = keys + 2 * spoilt + 1
    gone = order[chance.randrange(spoilt - 1)]
    type_, process, f, value = records[index]
    records[index] = (type_, process, f, [[m, key, None if key == gone else v] for m, key, v in value])
    found = verdict(history(*records))
    assert found.verdict == "invalid" and "long-fork" in found.anomaly_types
