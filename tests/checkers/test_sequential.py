"""Goal: sequential and causal consistency are judged as their definitions say.

Method: random small histories of replicated registers, some replicas late or wrong, against exhaustive search: for
sequential consistency over all orders; for causal consistency over all causal orders' linearizations by session.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.ordering.causal import DEFAULT_MODEL, Causal
from checkers.ordering.sequential import Sequential
from harness.checker import CheckOptions
from harness.history import History, HistoryError
from harness.op import Op
from tests.checkers.histories import history
from tests.checkers.replay_oracle import Txn, calls_that_count, serial

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def sequential(ops: Any, model: str = "sequential") -> Any:
    columns = ops if isinstance(ops, History) else History.from_ops(ops)
    return Sequential().check(columns, CheckOptions(model=model))


def causal(ops: Any, model: str = DEFAULT_MODEL) -> Any:
    columns = ops if isinstance(ops, History) else History.from_ops(ops)
    return Causal().check(columns, CheckOptions(model=model))


def made(seed: int, *, infos: bool = True, most: int = 9) -> list[Op]:
    """Up to nine ops on two registers by three clients, each with a replica of its own that hears of writes later."""
    chance = random.Random(seed)
    ops: list[Op] = []
    replicas: list[dict[int, int]] = [{}, {}, {}]
    news: list[list[tuple[int, int]]] = [[], [], []]
    open_: dict[int, Op] = {}
    fresh = 0
    roams = chance.choice([0, 0.5])
    for _ in range(3 * most):
        process = chance.randrange(3)
        for _ in range(chance.randint(0, 2)):
            if news[process]:
                key, value = news[process].pop(chance.choice([0, 0, -1]))
                replicas[process][key] = value
        op = open_.pop(process, None)
        if op is None:
            if sum(op.type == "invoke" for op in ops) == most:
                continue
            key = chance.randrange(2)
            kind = chance.choice(["read", "read", "write", "write", "cas"])
            if kind != "read":
                fresh += 1
            value = {"read": None, "write": fresh, "cas": [replicas[process].get(key), fresh]}[kind]
            open_[process] = Op("invoke", kind, [key, value], process)
            ops.append(open_[process])
            continue
        key, value = op.value
        view = chance.choice(replicas) if chance.random() < roams else replicas[process]
        outcome = chance.choice(["ok"] * 8 + (["info", "fail"] if infos else []))
        if op.f == "read":
            ops.append(op.replace(type=outcome, value=[key, view.get(key) if outcome == "ok" else None]))
            continue
        if outcome != "fail":
            new = value if op.f == "write" else value[1]
            replicas[process][key] = new
            for other in {0, 1, 2} - {process}:
                news[other].append((key, new))
        ops.append(op.replace(type=outcome))
    return [op.replace(index=i) for i, op in enumerate(ops)]


def txns_of(ops: list[Op]) -> list[Txn]:
    txns = []
    for op, told, begin, end in calls_that_count(ops):
        key, value = told.value if op.f == "read" and told is not None else op.value

        def run(state: Any, f: str = op.f, key: int = key, value: Any = value) -> Any:
            if f == "write":
                return {key: value}
            old = value if f == "read" else value[0]
            if state.get(key) != old:
                return None
            return {} if f == "read" else {key: value[1]}

        txns.append(Txn(int(op.process), begin, end, run))
    return txns


VALUES: list[Callable[[int], Any]] = [
    lambda n: n,
    lambda n: f"v{n}",
    lambda n: [n, [n]],
    lambda n: 2**70 + n,
    lambda n: [1, True, "1", 2.5, [1], False, 0, [1, [2]], [], {"a": 1}][n - 1],
]


def dressed(ops: list[Op], value: Callable[[int], Any]) -> list[Op]:
    """The same with values of another type."""

    def worn(told: Any) -> Any:
        return None if told is None else [worn(each) for each in told] if isinstance(told, list) else value(told)

    return [op.replace(value=[op.value[0], worn(op.value[1])]) for op in ops]


def shown_alone(checker: Any, ops: list[Op], found: Any, asked: CheckOptions) -> None:
    """The records that each anomaly names must show it by themselves."""
    for anomaly in found.anomalies:
        alone = checker.check(History.from_ops([ops[index] for index in anomaly.sub_history]), asked)
        assert anomaly.type in alone.anomaly_types, anomaly


@thorough
@given(st.integers(0, 2**63), st.sampled_from(VALUES))
def test_sequential_is_what_an_order_explains(seed: int, value: Callable[[int], Any]) -> None:
    ops = made(seed)
    worn = dressed(ops, value)
    found = sequential(worn)
    assert found.verdict == ("valid" if serial(txns_of(ops), "session") else "invalid")
    shown_alone(Sequential(), worn, found, CheckOptions())


MODELS = {
    "serializable": "none",
    "snapshot-isolation": "none",
    "repeatable-read": "none",
    "strong-session-snapshot-isolation": "session",
}


@thorough
@given(st.integers(0, 2**63), st.sampled_from(sorted(MODELS)))
def test_other_models_that_mean_an_order(seed: int, model: str) -> None:
    """Two that change one version break serializability whatever the order of their clients' operations."""
    ops = made(seed)
    expected = "valid" if serial(txns_of(ops), MODELS[model]) else "invalid"
    assert sequential(ops, model).verdict == expected
    assert Causal().check(History.from_ops(ops), CheckOptions(model=model)).verdict == expected


@thorough
@given(st.integers(0, 2**63))
def test_models_between_are_valid_where_an_order_is_and_unknown_without_proof(seed: int) -> None:
    ops = made(seed)
    ordered = serial(txns_of(ops), "session")
    for model in ("strong-session-read-committed", "strong-session-parallel-snapshot-isolation", "monotonic-reads"):
        found = sequential(ops, model)
        if ordered:
            assert found.verdict == "valid"
        elif found.anomaly_types == ["nonsequential"]:
            assert found.verdict == "unknown" and "is not decided" in found.reasons[0]


def test_two_that_change_one_version_are_a_lost_update() -> None:
    records = [*done(0, "write", [1, 5]), *done(0, "cas", [1, [5, 6]]), *done(1, "cas", [1, [5, 7]])]
    found = sequential(history(*records), "serializable")
    assert (found.verdict, found.anomaly_types) == ("invalid", ["lost-update", "nonsequential"])
    assert found.anomalies[0].ops == [3, 5] and "each changed what op 1 wrote" in found.anomalies[0].sentence
    assert sequential(history(*records), "read-committed").verdict == "valid"
    assert sequential(history(*records), "strong-session-read-committed").verdict == "unknown"
    circle = [*done(0, "cas", [1, [6, 5]]), *done(1, "cas", [1, [5, 6]])]
    for checker in (Sequential(), Causal()):
        found = checker.check(history(*circle), CheckOptions(model="read-committed"))
        assert found.verdict == "invalid" and "G1c" in found.anomaly_types


def test_causal_memory_is_what_the_model_causal_means() -> None:
    """Each client sees its own write and then the other's: causal memory allows it. One client sees one, the other, and
    the first again: it does not. Where all writes have one order, as by default, neither can be."""
    writes = [*done(0, "write", [1, 10]), *done(1, "write", [1, 20])]
    apart = [*writes, *done(0, "read", [1, 20]), *done(1, "read", [1, 10])]
    swing = [*writes, *done(2, "read", [1, 10]), *done(2, "read", [1, 20]), *done(2, "read", [1, 10])]
    for model, verdicts in (
        (None, ["invalid", "invalid"]),
        ("causal", ["valid", "invalid"]),
        ("PRAM", ["valid", "unknown"]),
    ):
        for records, expected in zip((apart, swing), verdicts):
            assert Causal().check(history(*records), CheckOptions(model=model)).verdict == expected
    found = causal(history(*apart))
    assert (found.not_, found.anomaly_counts) == (["strong-session-snapshot-isolation"], {"CyclicCF": 1})
    assert "wrote 10 at key 1, and after that op 5 (client 0) read 20 at key 1" in found.anomalies[0].sentence
    assert causal(history(*swing), "causal").not_ == ["causal"]


def test_registers_that_hold_lists_are_no_registers_of_several_parts() -> None:
    records = [*done(0, "write", [1, [5]]), *done(1, "read", [1, [5]]), *done(1, "read", [2, None])]
    assert sequential(history(*records)).verdict == causal(history(*records)).verdict == "valid"


@thorough
@given(st.integers(0, 2**63))
def test_linearizable_is_asked_of_the_linearizability_checker(seed: int) -> None:
    ops = made(seed, most=6)
    assert sequential(ops, "linearizable").verdict == ("valid" if serial(txns_of(ops), "strict") else "invalid")


def test_the_random_histories_are_of_both_kinds() -> None:
    found = [sequential(made(seed)).verdict for seed in range(100)]
    assert found.count("valid") > 15 and found.count("invalid") > 8
    for model in (DEFAULT_MODEL, "causal"):
        found = [causal(made(seed), model).verdict for seed in range(300)]
        assert found.count("valid") > 30 and found.count("invalid") > 5, model


# -- causal consistency by definition


def explains(order: Any, reads: set[int], actions: list[Any]) -> bool:
    """Whether running the ops in this order gives each of `reads` what it found."""
    state: dict[Any, Any] = {}
    for op in order:
        _, key, old, new = actions[op]
        if op in reads and old is not MISSING and state.get(key) != old:
            return False
        if new is not MISSING:
            state[key] = new
    return True


MISSING = object()


def by_definition(ops: list[Op], model: str) -> bool:
    """Causal memory: for each op some order of its causal past explains its answer and those of its session before.
    Else one arbitration of all ops, in which each op's past in that order explains its answer."""
    columns = History.from_ops(ops)
    actions: list[Any] = []
    for place, op in enumerate(ops):
        if op.type != "invoke":
            continue
        value = ops[int(columns.pair[place])].value if columns.pair[place] >= 0 else None
        if value is None:
            continue
        key, value = value
        old, new = {
            "read": (value, MISSING),
            "write": (MISSING, value),
            "cas": (value[0], value[1]) if op.f == "cas" else (None, None),
        }[op.f]
        actions.append((int(op.process), key, old, new))
    count = len(actions)
    maker = {(key, new): op for op, (_, key, _, new) in enumerate(actions) if new is not MISSING}
    before = [[False] * count for _ in range(count)]
    for one, other in itertools.combinations(range(count), 2):
        before[one][other] = actions[one][0] == actions[other][0]
    for op, (_, key, old, _) in enumerate(actions):
        if old is not MISSING and old is not None:
            before[maker[key, old]][op] = True
    for middle, one, other in itertools.product(range(count), repeat=3):
        before[one][other] = before[one][other] or (before[one][middle] and before[middle][other])
    if any(before[op][op] for op in range(count)):
        return False

    def orders(members: list[int]) -> Any:
        def extend(chosen: list[int], left: list[int]) -> Any:
            if not left:
                yield chosen
            for op in left:
                if not any(before[other][op] for other in left):
                    yield from extend([*chosen, op], [other for other in left if other != op])

        yield from extend([], members)

    def past(op: int) -> list[int]:
        return [other for other in range(count) if other == op or before[other][op]]

    if model == DEFAULT_MODEL:
        return any(
            all(explains([o for o in order if o in set(past(op))], {op}, actions) for op in range(count))
            for order in orders(list(range(count)))
        )
    for op in range(count):
        own = {other for other in past(op) if actions[other][0] == actions[op][0]}
        if not any(explains(order, own, actions) for order in orders(past(op))):
            return False
    return True


@thorough
@given(st.integers(0, 2**63), st.sampled_from([DEFAULT_MODEL, "causal"]))
def test_causal_is_what_the_definition_says(seed: int, model: str) -> None:
    ops = made(seed, infos=False, most=7)
    columns = History.from_ops(ops)
    ops = [op for i, op in enumerate(ops) if columns.pair[i] >= 0]
    written = {(op.value[0], op.value[1] if op.f == "write" else op.value[1][1]) for op in ops if op.f != "read"}
    found = [(op.value[0], op.value[1] if op.f == "read" else op.value[1][0]) for op in ops if op.f != "write"]
    if any(value is not None and (key, value) not in written for key, value in found):
        return
    ops = [op.replace(index=i) for i, op in enumerate(ops)]
    judged = causal(ops, model)
    assert judged.verdict == ("valid" if by_definition(ops, model) else "invalid")
    shown_alone(Causal(), ops, judged, CheckOptions(model=model))


def done(process: int, f: str, value: Any, asked: Any = None) -> list[tuple[Any, ...]]:
    invoked = asked if asked is not None else [value[0], None] if f == "read" else value
    return [("invoke", process, f, invoked), ("ok", process, f, value)]


def test_jepsens_sequential_test_is_understood() -> None:
    records = [*done(0, "write", 5, 5), *done(1, "read", [5, [None, "5_1", "5_0"]], [5, None])]
    assert sequential(history(*records)).verdict == "valid"
    records = [*done(0, "write", 5, 5), *done(1, "read", [5, ["5_2", None, "5_0"]], [5, None])]
    found = sequential(history(*records))
    assert (found.verdict, found.anomaly_types) == ("invalid", ["nonsequential"])
    assert found.anomalies[0].ops == [1, 3] and "no order of all operations" in found.anomalies[0].sentence


def test_jepsens_causal_test_is_understood() -> None:
    steps = [("read-init", 0), ("write", 1), ("read", 1), ("write", 2), ("read", 2)]
    records = [record for f, value in steps for record in done(0, f, [7, value], [7, value if f == "write" else None])]
    assert causal(history(*records)).verdict == "valid"
    records[-1] = ("ok", 0, "read", [7, 1])
    found = causal(history(*records))
    assert (found.verdict, found.anomaly_types) == ("invalid", ["WriteCORead"])


def test_zero_is_what_jepsens_causal_registers_begin_with() -> None:
    begin = done(0, "read-init", [7, 0], [7, None])
    for more in (done(1, "read", [7, 0]), done(1, "read", [7, None]), done(1, "cas", [7, [0, 1]])):
        assert causal(history(*begin, *more)).verdict == sequential(history(*begin, *more)).verdict == "valid"
    late = [*begin, *done(0, "write", [7, 1]), *done(0, "read", [7, 0])]
    assert causal(history(*late)).anomaly_types == ["WriteCOInitRead"]
    again = [*begin, *done(0, "write", [7, 0]), *done(0, "read", [7, 0])]
    assert causal(history(*again)).verdict == "unknown"
    assert causal(history(*done(1, "read", [7, 0]))).anomaly_types == ["garbage-read"]
    assert causal(history(*begin, *done(1, "read", [7, False]))).anomaly_types == ["garbage-read"]


def test_an_effect_without_its_cause() -> None:
    records = [
        *done(0, "write", [1, 10]),
        *done(1, "read", [1, 10]),
        *done(1, "write", [2, 20]),
        *done(2, "read", [2, 20]),
        *done(2, "read", [1, None]),
    ]
    found = causal(history(*records))
    assert (found.verdict, found.anomaly_types, found.anomalies[0].ops) == ("invalid", ["WriteCOInitRead"], [1, 9])
    assert "seen without its cause" in found.anomalies[0].sentence
    assert sequential(history(*records)).verdict == "invalid"
    garbage = causal(history(*done(0, "read", [1, 3])))
    assert garbage.anomaly_types == ["garbage-read"]


def test_a_value_written_twice_is_unknown() -> None:
    records = [*done(0, "write", [1, 10]), *done(1, "write", [1, 10])]
    assert sequential(history(*records)).verdict == causal(history(*records)).verdict == "unknown"


@pytest.mark.parametrize("value", [3, [1, 2, 3]])
def test_values_of_another_shape_are_named(value: Any) -> None:
    with pytest.raises(HistoryError, match="index"):
        sequential(history(*done(0, "read", [1, None]), ("invoke", 1, "write", value), ("ok", 1, "write", value)))


def test_a_completion_that_tells_of_another_write_is_named() -> None:
    for f, told, argument in (
        ("write", [1, 3], [1, 2]),
        ("write", [1, 3], [1, None]),
        ("cas", [1, [2, 4]], [1, [2, 3]]),
        ("write", [2, 2], [1, 2]),
        ("read", [2, None], [1, None]),
    ):
        with pytest.raises(HistoryError, match="index 3: completes"):
            causal(history(*done(0, "read", [1, None]), *done(0, f, told, argument)))
