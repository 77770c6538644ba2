"""Goal: two in charge at once are found; a node that has not heard yet, or one copy that loses updates, is not."""

from __future__ import annotations

import itertools
import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.replicas.split_brain import SplitBrain, has_polls
from harness.checker import CheckOptions
from harness.history import History, HistoryError
from harness.op import Op
from tests.checkers.histories import asked, history

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def verdict(*records: Any) -> Any:
    return SplitBrain().check(history(*records), asked())


def report(node: str, primary: str | None, term: int | None) -> dict[str, Any]:
    return {"node": node, "primary": primary, "term": term}


def poll(*reports: Any, process: Any = "nemesis") -> list[tuple[Any, ...]]:
    return [("info", process, "primaries", None), ("info", process, "primaries", list(reports))]


def test_two_in_one_term_in_one_poll() -> None:
    found = verdict(*poll(report("n1", "n1", 7), report("n2", "n2", 7), report("n3", "n1", 7)))
    assert (found.verdict, found.anomaly_counts, found.anomalies[0].ops) == ("invalid", {"split-brain": 1}, [1])
    assert "n1 and n2 both acted as primary in term 7" in found.anomalies[0].sentence


def test_a_primary_of_an_older_term_is_a_warning() -> None:
    for terms in ((6, 7), (None, None), (7, None)):
        found = verdict(*poll(report("n1", "n1", terms[0]), report("n2", "n2", terms[1])))
        assert (found.verdict, found.anomaly_types, found.stats["stale_primaries"]) == ("valid", [], 1)
    alone = verdict(*poll(report("n1", "n1", 6)), *poll(report("n2", "n2", 7)))
    assert (alone.stats["polls"], alone.stats["claims"], alone.stats["stale_primaries"]) == (2, 2, 0)


def test_one_after_the_other_in_one_term_is_not_at_once_but_around_it_is() -> None:
    one, other = poll(report("n1", "n1", 7)), poll(report("n2", "n2", 7))
    assert verdict(*one, *other).anomaly_types == []
    assert verdict(*one, *other, *one).anomaly_types == ["split-brain"]


def test_what_others_believe_proves_nothing() -> None:
    assert verdict(*poll(report("n1", "n1", 7), report("n2", "n3", 7), report("n3", None, 7))).anomaly_types == []


def test_a_poll_of_other_harnesses_is_not_ours() -> None:
    assert has_polls(history(*poll(report("n1", "n1", 7))))
    for value in ("n1", ["n1", "n2"], {"n1": 3}, [{"node": "n1", "primary": "n1", "term": [7]}]):
        assert not has_polls(history(("info", "nemesis", "primaries", value)))
    own = poll(report("n1", "n1", 7), report("n2", "n2", 7), process=3)[1:]
    assert not has_polls(history(*own)) and verdict(*own).anomaly_types == []


@pytest.mark.parametrize("value", [3, True, [3], [{"node": "n1"}], [{"node": "n1", "primary": "n1", "term": {}}]])
def test_a_poll_of_another_shape_is_named(value: Any) -> None:
    with pytest.raises(HistoryError, match="index 0"):
        verdict(("ok", "nemesis", "primaries", value))


@thorough
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 2)), max_size=6))
def test_polls_against_the_definition(claims: list[tuple[int, int]]) -> None:
    records = [record for node, term in claims for record in poll(report(f"n{node}", f"n{node}", term))]
    expected = set()
    for i, (node, term) in enumerate(claims):
        for j, (other, same) in enumerate(claims):
            if node == other or term != same:
                continue
            mine = [k for k in range(i + 1, len(claims)) if claims[k][0] == node]
            left = next((k for k in mine if claims[k][1] != term), len(claims))
            if i < j < max((k for k in mine if k < left), default=-1):
                expected.add((term, *sorted((node, other))))
    assert verdict(*records).anomaly_counts.get("split-brain", 0) == len(expected)


words = st.tuples(
    st.sampled_from(["n1", "n2", "n3"]), st.sampled_from(["n1", "n2", None]), st.sampled_from([1, 1, 2, None])
)


@thorough
@given(st.lists(st.tuples(st.lists(words, max_size=3), st.booleans()), max_size=7))
def test_polls_of_many_words_against_the_definition(polls: list[tuple[list[tuple[str, Any, Any]], bool]]) -> None:
    """Two stretches of polls that meet, at the ends of which each of two nodes leads, and never says otherwise."""
    records: list[tuple[Any, ...]] = []
    for said, begun in polls:
        if begun:
            records.append(("invoke", "nemesis", "primaries", None))
        records += [("info", "nemesis", "primaries", [report(*word) for word in said])]

    def stretches(node: str, term: int) -> set[tuple[int, int]]:
        leads: list[bool | None] = []
        otherwise: list[bool] = []
        for said, _ in polls:
            own = [(primary == node, spoken) for name, primary, spoken in said if name == node]
            leads.append((True, term) in own)
            otherwise.append(bool(own) and (True, term) not in own and (True, None) not in own)
        at = [place for place, there in enumerate(leads) if there]
        return {(i, j) for i in at for j in at if i <= j and not any(otherwise[i:j])}

    expected = set()
    for one, other, term in itertools.product(["n1", "n2", "n3"], ["n1", "n2", "n3"], [1, 2]):
        pairs = itertools.product(stretches(one, term), stretches(other, term))
        if one < other and any(i <= m and k <= j for (i, j), (k, m) in pairs):
            expected.add((term, f"Nodes {one} and {other}"))
    found = SplitBrain().check(history(*records), CheckOptions(max_shown=100))
    told = {(anomaly.key, " ".join(sorted(anomaly.sentence.split()[1:4:2]))) for anomaly in found.anomalies}
    assert told == {(term, nodes.removeprefix("Nodes ").replace(" and", "")) for term, nodes in expected}
    for anomaly in found.anomalies:
        alone = [records[index] for index in anomaly.sub_history]
        assert SplitBrain().check(history(*alone), asked()).anomaly_types == ["split-brain"]


def test_a_node_that_said_otherwise_in_between_did_not_lead_all_along() -> None:
    one, other = poll(report("n1", "n1", 7)), poll(report("n2", "n2", 7))
    for between in (report("n1", "n1", 8), report("n1", "n2", 7), report("n1", None, None)):
        assert verdict(*one, *poll(between), *other, *one).anomaly_types == []
    for between in (report("n1", "n1", None), report("n3", "n2", 7)):
        assert verdict(*one, *poll(between), *other, *one).anomaly_types == ["split-brain"]
    overlapping = poll(report("n1", "n2", 7), report("n1", "n1", 7), report("n2", "n2", 7))
    assert verdict(*overlapping).anomaly_types == ["split-brain"]


FORK = [
    ("invoke", 0, "write", [1, 1], None, "n1"),
    ("ok", 0, "write", [1, 1], None, "n1"),
    ("invoke", 0, "cas", [1, [1, 2]], None, "n1"),
    ("ok", 0, "cas", [1, [1, 2]], None, "n1"),
    ("invoke", 1, "cas", [1, [1, 3]], None, "n2"),
    ("ok", 1, "cas", [1, [1, 3]], None, "n2"),
]


def test_two_updates_of_one_version_that_both_live_on() -> None:
    assert verdict(*FORK).verdict == "valid", "a lost update alone"
    second = [("invoke", 3, "cas", [1, [3, 4]], None, "n2"), ("ok", 3, "cas", [1, [3, 4]], None, "n2")]
    assert verdict(*FORK, *second).verdict == "valid", "the first was lost"
    first = [("invoke", 2, "read", [1, None], None, "n1"), ("ok", 2, "read", [1, 2], None, "n1")]
    found = verdict(*FORK, *second, *first)
    assert (found.verdict, found.anomaly_types) == ("invalid", ["split-brain"])
    assert "both on top of 1" in found.anomalies[0].sentence and found.anomalies[0].ops == [3, 5, 9]


def test_lists_of_transactions_fork_too() -> None:
    def txn(process: int, *mops: Any) -> list[tuple[Any, ...]]:
        return [
            ("invoke", process, "txn", [[f, k, None if f == "r" else v] for f, k, v in mops]),
            ("ok", process, "txn", list(mops)),
        ]

    fork = [
        *txn(0, ["append", 1, 1]),
        *txn(0, ["r", 1, [1]], ["append", 1, 2]),
        *txn(1, ["r", 1, [1]], ["append", 1, 3]),
    ]
    assert verdict(*fork).verdict == "valid"
    found = verdict(*fork, *txn(2, ["r", 1, [1, 2]]), *txn(3, ["r", 1, [1, 3]]))
    assert (found.verdict, found.anomaly_types) == ("invalid", ["split-brain"])


@thorough
@given(st.integers(0, 2**63))
def test_one_copy_never_forks_whatever_it_loses(seed: int) -> None:
    """One register whose compare-and-sets check nothing any more when they take effect, so that updates get lost."""
    chance = random.Random(seed)
    store = [0]
    ops: list[Op] = []
    open_: dict[int, Op] = {}
    for fresh in range(1, 61):
        process = chance.randrange(4)
        op = open_.pop(process, None)
        if op is None:
            value = [store[-1], fresh] if chance.random() < 0.5 else None
            open_[process] = Op("invoke", "cas" if value else "read", [1, value], process)
            ops.append(open_[process])
        elif op.f == "read":
            ops.append(op.replace(type="ok", value=[1, store[-1]]))
        else:
            store.append(op.value[1][1])
            ops.append(op.replace(type="ok"))
    columns = History.from_ops([op.replace(index=i) for i, op in enumerate(ops)])
    found = SplitBrain().check(columns, asked())
    assert found.verdict == "valid", found.anomalies[:1]


def copies(seed: int, *, timed: bool = True, number: int = 1) -> list[Op]:
    """Copies of registers and lists, which from some moment on do not hear of each other.

    Updates read and write at two moments of their own, so that each may undo what came between; the unknown ones may do
    so long after they were given up, or never.
    """
    chance = random.Random(seed)
    lists = chance.random() < 0.5
    name = chance.choice([lambda n: n, lambda n: f"v{n}", lambda n: [n, [n]], lambda n: 2**70 + n])
    keys: list[Any] = [1] if chance.random() < 0.5 else [1, "1", True]
    stores: list[dict[str, Any]] = [{} for _ in range(number)]
    split = chance.randint(0, 60)
    clock = [0]
    ops: list[Op] = []
    todo: dict[int, list[Any]] = {}
    """process → what its op has still to do; the last is its completion."""
    late: list[Any] = []
    fresh = 0
    empty: Any = () if lists else None

    def get(process: int, key: Any, into: list[Any]) -> Any:
        return lambda: into.append(stores[process % number].get(repr(key), empty))

    def put(process: int, key: Any, old: list[Any], new: Any) -> Any:
        def effect() -> None:
            for side, store in enumerate(stores):
                if clock[0] < split or side == process % number:
                    store[repr(key)] = (*old[-1], new) if lists else new

        return effect

    def told(type_: str, f: str, process: int, key: Any, old: list[Any], new: Any) -> Any:
        found = list(old[-1]) if lists and old else old[-1] if old else None
        append = [["r", key, found], ["append", key, new]] if f == "txn" else [["r", key, found]]
        value = append if lists else [key, found if f == "read" else [found, new] if f == "cas" else new]
        return lambda: ops.append(Op(type_, "txn" if lists else f, value, process))  # type: ignore[arg-type]

    next_process = 4
    free = [0, 1, 2, 3]
    for clock[0] in range(150):
        if late and chance.random() < 0.1:
            late.pop(0)()
        process = chance.choice(free)
        if todo.get(process):
            todo[process].pop(0)()
            continue
        key = chance.choice(keys)
        old: list[Any] = []
        fresh += 1
        new = name(chance.randint(1, 30) if chance.random() < 0.02 else fresh)
        f = chance.choice(["read", "txn"] if lists else ["read", "read", "cas", "cas", "write"])
        if f != "write":
            get(process, key, old)()
        outcome = chance.choice(["ok"] * 6 + ["fail", "info"])
        if f == "read":
            asked: Any = [["r", key, None]] if lists else [key, None]
            steps = [told("ok", f, process, key, old, None)]
        else:
            asked = [["r", key, None], ["append", key, new]] if lists else [key, [old[-1], new] if old else new]
            effect = put(process, key, old, new)
            steps = [effect] if outcome != "fail" else []
            steps.append(told("ok", f, process, key, old, new))
        ops.append(Op("invoke", "txn" if lists else f, asked, process))
        if outcome != "ok" and f != "read":
            given_up = ops[-1].replace(type=outcome)
            steps[-1] = lambda op=given_up: ops.append(op)
        if outcome == "info" and f != "read":
            late.append(steps[0])
            steps = steps[1:] if chance.random() < 0.7 else []
            free.remove(process)
            free.append(next_process)
            for step in steps:
                step()
            next_process += 1
            continue
        todo[process] = steps
    ops = [op for op in ops if timed or op.type != "invoke"]
    return [op.replace(index=i) for i, op in enumerate(ops)]


@thorough
@given(st.integers(0, 2**63), st.booleans())
def test_one_copy_never_forks_whatever_is_unknown(seed: int, timed: bool) -> None:
    found = SplitBrain().check(History.from_ops(copies(seed, timed=timed)), asked())
    assert found.verdict == "valid", found.anomalies[:1]


@thorough
@given(st.integers(0, 2**63))
def test_the_records_of_a_fork_show_it_by_themselves(seed: int) -> None:
    ops = copies(seed, number=2)
    for anomaly in SplitBrain().check(History.from_ops(ops), asked()).anomalies:
        alone = SplitBrain().check(History.from_ops([ops[index] for index in anomaly.sub_history]), asked())
        assert alone.anomaly_types == ["split-brain"], anomaly


def test_two_copies_mostly_fork() -> None:
    forked = [SplitBrain().check(History.from_ops(copies(seed, number=2)), asked()).anomalies for seed in range(60)]
    assert sum(map(bool, forked)) > 20


def test_a_lost_element_that_another_append_brings_back_is_no_fork() -> None:
    """Both read [1] and one overwrites the other; a third, which had read [1, 2], then overwrites that."""

    def begin(process: int, base: list[int], new: int) -> tuple[Any, ...]:
        return ("invoke", process, "txn", [["r", 1, None], ["append", 1, new]])

    def end(process: int, base: list[int], new: int) -> tuple[Any, ...]:
        return ("ok", process, "txn", [["r", 1, base], ["append", 1, new]])

    def read(process: int, found: list[int]) -> list[tuple[Any, ...]]:
        return [("invoke", process, "txn", [["r", 1, None]]), ("ok", process, "txn", [["r", 1, found]])]

    one, other, third = (0, [1], 2), (1, [1], 3), (2, [1, 2], 4)
    start = [("invoke", 9, "txn", [["append", 1, 1]]), ("ok", 9, "txn", [["append", 1, 1]])]
    records = [*start, begin(*one), begin(*other), end(*one), begin(*third), end(*other), *read(3, [1, 3])]
    assert verdict(*records, end(*third), *read(3, [1, 2, 4])).verdict == "valid"
    forked = verdict(*records, end(*third), *read(3, [1, 2, 4]), *read(4, [1, 3]))
    assert forked.verdict == "invalid" and "appended 3" in forked.anomalies[0].sentence
    assert "on top of [1]" in forked.anomalies[0].sentence


def test_values_that_are_lists_are_values_of_registers() -> None:
    values: dict[Any, Any] = {1: [1], 2: [[2], 2], 3: [3, 1]}
    records: list[Any] = FORK
    fork = [
        (type_, process, f, [1, [values[part] for part in value[1]] if f == "cas" else values[value[1]]], None, node)
        for type_, process, f, value, _, node in records
    ]
    second = [("invoke", 3, "read", [1, None]), ("ok", 3, "read", [1, values[3]])]
    first = [("invoke", 2, "read", [1, None]), ("ok", 2, "read", [1, values[2]])]
    assert verdict(*fork, *second).verdict == "valid"
    assert verdict(*fork, *second, *first).anomaly_types == ["split-brain"]


def test_completions_alone_do_not_say_what_was_there_first() -> None:
    records = [record for record in FORK if record[0] == "ok"]
    assert verdict(*records, ("ok", 3, "cas", [1, [3, 4]]), ("ok", 2, "cas", [1, [2, 5]])).verdict == "valid"


def test_two_copies_are_found() -> None:
    """Two halves of the clients, each with a copy of its own, from one version on."""
    records: list[Any] = [("invoke", 0, "write", [1, 1]), ("ok", 0, "write", [1, 1])]
    for side, (old, new) in enumerate([(1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)]):
        records += [("invoke", side % 2, "cas", [1, [old, new]]), ("ok", side % 2, "cas", [1, [old, new]])]
    assert verdict(*records).anomaly_counts == {"split-brain": 1}
