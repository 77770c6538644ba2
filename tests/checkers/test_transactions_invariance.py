"""Goal: what is concluded from a history does not depend on what can't matter, in sizes that no brute force reaches.

Method: random histories of up to forty transactions, and the same ones with other names of keys, values and processes,
with completions or invocations that follow each other in another order, with writes that nobody read or that failed,
with faults between, from files; asked for all models, with few findings shown. What must not change is compared.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers import models
from checkers.transactions.list_append import ListAppend
from checkers.transactions.rw_register import RwRegister
from harness.checker import Checker, CheckOptions
from harness.history import History
from harness.reading import read_history
from harness.verdict import Verdict
from tests.checkers.rw_histories import random_register_history
from tests.checkers.txn_histories import Op, random_append_history

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
rarely = settings(
    max_examples=max(20, EXAMPLES // 30), deadline=None, suppress_health_check=list(HealthCheck), database=None
)
both = pytest.mark.parametrize(
    ("checker", "random_history"),
    [(ListAppend(), random_append_history), (RwRegister(), random_register_history)],
    ids=["lists", "registers"],
)
KEYS = ["a", ":b", -1, 2**70, -(2**64), [1, 2], True, 1.5, "é", 2**63, 2**63 - 1]


def check(checker: Checker, ops: list[Op], model: str | None = None) -> Verdict:
    return checker.check(History.from_ops(ops), CheckOptions(model=model, time_budget_s=600))


def conclusion(verdict: Verdict) -> Any:
    return verdict.verdict, verdict.anomaly_counts, verdict.not_, verdict.also_not


def numbered(ops: list[Op]) -> list[Op]:
    return [{**op, "index": i, "time": i} for i, op in enumerate(ops)]


def renamed(ops: list[Op], key: Callable[[Any], Any], value: Callable[[Any], Any]) -> list[Op]:
    def of(name: str, k: Any, v: Any) -> list[Any]:
        return [name, key(k), [value(each) for each in v] if isinstance(v, list) else None if v is None else value(v)]

    return [{**op, "value": [of(*mop) for mop in op["value"]]} for op in ops]


def strange(value: int) -> Any:
    return [2**70 + value, -value, [value, "x"], value + 0.5, f"v{value}"][value % 5]


def reordered(chance: random.Random, ops: list[Op]) -> list[Op]:
    """Completions that follow each other, or invocations, in another order: realtime is the same."""
    ops = list(ops)
    for _ in range(3 * len(ops) if len(ops) > 1 else 0):
        i = chance.randrange(len(ops) - 1)
        one, other = ops[i], ops[i + 1]
        if one["process"] != other["process"] and (one["type"] == "invoke") == (other["type"] == "invoke"):
            ops[i], ops[i + 1] = other, one
    return numbered(ops)


def without_unobserved(ops: list[Op]) -> list[Op]:
    """Without the transactions of unknown outcome of which nobody read a write."""
    reads = [m for op in ops if op["type"] == "ok" for m in op["value"] if m[0] == "r" and m[2] is not None]
    seen = {(key, value) for _, key, found in reads for value in (found if isinstance(found, list) else [found])}
    begun: dict[int, int] = {}
    unknown: dict[int, list[int]] = {}
    for place, op in enumerate(ops):
        if op["type"] == "invoke":
            begun[op["process"]] = place
            unknown[place] = [place]
        elif op["type"] == "info":
            unknown[begun[op["process"]]].append(place)
        else:
            del unknown[begun[op["process"]]]
    gone = {
        place
        for begin, places in unknown.items()
        if not any(m[0] != "r" and (m[1], m[2]) in seen for m in ops[begin]["value"])
        for place in places
    }
    return numbered([op for place, op in enumerate(ops) if place not in gone])


def with_more(chance: random.Random, ops: list[Op], write: str) -> list[Op]:
    """With faults, and with transactions that failed or whose outcome is unknown, and that nobody saw."""
    ops = list(ops)
    for new in range(chance.randint(1, 4)):
        body = [[write, chance.choice([0, 1, 99]), 10**6 + new], ["r", 0, None], [write, 0, 10**7 + new]]
        mine = {"process": 10**8 + new, "f": "txn", "value": body}
        begin, end = sorted(chance.choices(range(len(ops) + 1), k=2))
        ops.insert(end, {**mine, "type": chance.choice(["fail", "info"])})
        ops.insert(begin, {**mine, "type": "invoke"})
        fault = {"process": "nemesis", "type": "info", "f": chance.choice(["txn", "kill"]), "value": [["r", 0, [99]]]}
        ops.insert(chance.randint(0, len(ops)), fault)
    return numbered(ops)


def edn(value: Any) -> str:
    if isinstance(value, list):
        return "[" + " ".join(map(edn, value)) + "]"
    return "nil" if value is None else f":{value}" if isinstance(value, str) else str(value)


def written(ops: list[Op], path: Path) -> Path:
    fields = ("type", "process", "f", "value")
    if path.suffix == ".edn":
        lines = ["{" + ", ".join(f":{field} {edn(op[field])}" for field in fields) + "}" for op in ops]
    else:
        lines = [json.dumps({field: op[field] for field in fields}) for op in ops]
    path.write_text("\n".join(lines) + "\n")
    return path


@both
@rarely
@given(seed=st.integers(0, 2**63))
def test_what_cannot_matter_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, checker: Checker, random_history: Any, seed: int
) -> None:
    chance = random.Random(seed)
    size, keys, mops = chance.randint(1, 40), chance.randint(1, 10), chance.randint(1, 4)
    ops = random_history(chance, size, keys, mops, chance.random() < 0.5)
    expected = check(checker, ops)
    names = dict(zip(range(keys), chance.sample(KEYS, keys), strict=True))
    clients = {op["process"] for op in ops}
    process = dict(zip(clients, chance.sample(range(10**6), len(clients)), strict=True))
    write = "append" if isinstance(checker, ListAppend) else "w"
    same = {
        "keys": renamed(ops, names.__getitem__, lambda value: value),
        "values": renamed(ops, lambda key: key, strange),
        "numbers": renamed(ops, lambda key: -key * 1_000_003, lambda value: -value * 2**40),
        "processes": [{**op, "process": process[op["process"]]} for op in ops],
        "unobserved": without_unobserved(ops),
        "more": with_more(chance, ops, write),
        "no end": numbered([op for op in ops if op["type"] != "info"]),
    }
    for what, changed in same.items():
        assert conclusion(check(checker, changed)) == conclusion(expected), what
    folder = tmp_path_factory.mktemp("files")
    for name in ("h.edn", "h.jsonl"):
        recorded = read_history(written(ops, folder / name))
        assert conclusion(checker.check(recorded, CheckOptions())) == conclusion(expected), name
    moved = check(checker, reordered(chance, ops))
    for field in ("verdict", "anomaly_types", "not_", "also_not"):
        assert getattr(moved, field) == getattr(expected, field), field


@both
@rarely
@given(seed=st.integers(0, 2**63), whole=st.booleans())
def test_the_answers_for_all_models_hang_together(
    checker: Checker, random_history: Any, seed: int, whole: bool
) -> None:
    """whole: with invocations."""
    chance = random.Random(seed)
    ops = random_history(
        chance, chance.randint(1, 9), chance.randint(1, 3), chance.randint(1, 4), chance.random() < 0.5
    )
    ops = numbered([op for op in ops if whole or op["type"] != "invoke"])
    verdicts = {model: check(checker, ops, model) for model in models.MODELS}
    for model, verdict in verdicts.items():
        broken = {*verdict.not_, *verdict.also_not}
        if model in models.REPORTED:
            assert (verdict.verdict == "invalid") is (model in broken), model
        for other in models.MODELS:
            if other in broken or (verdict.verdict == "invalid" and model in models.weaker(other)):
                assert verdicts[other].verdict == "invalid", (model, other, verdict.anomaly_counts)
        if ops and not whole and models.needs_realtime(model):
            assert verdict.verdict != "valid", model


@both
@rarely
@given(seed=st.integers(0, 2**63))
def test_without_invocations_what_failed_unseen_does_not_end_a_session(
    checker: Checker, random_history: Any, seed: int
) -> None:
    chance = random.Random(seed)
    ops = random_history(
        chance, chance.randint(1, 12), chance.randint(1, 3), chance.randint(1, 4), chance.random() < 0.5
    )
    ops = [op for op in ops if op["type"] != "invoke"]
    expected = check(checker, numbered(ops))
    write = "append" if isinstance(checker, ListAppend) else "w"
    for new in range(chance.randint(1, 6) if ops else 0):
        place = chance.randrange(len(ops) + 1)
        client = chance.choice(ops)["process"]
        body = [[write, 0, 10**6 + new]]
        ops.insert(place, {"type": chance.choice(["fail", "info"]), "process": client, "f": "txn", "value": body})
    assert conclusion(check(checker, numbered(ops))) == conclusion(expected)


@rarely
@given(seed=st.integers(0, 2**63))
def test_registers_written_back_to_an_earlier_value_break_nothing_more(seed: int) -> None:
    """What explains a history also explains the one where different values of a key became the same."""
    chance = random.Random(seed)
    ops = random_register_history(
        chance, chance.randint(2, 8), chance.randint(1, 2), chance.randint(1, 4), chance.random() < 0.3
    )
    merged = renamed(ops, lambda key: key, lambda value: value // 2)
    for model in (None, "read-uncommitted", "read-committed", "snapshot-isolation", "serializable"):
        before, after = check(RwRegister(), ops, model), check(RwRegister(), merged, model)
        assert before.verdict == "invalid" or after.verdict != "invalid", (model, after.anomaly_counts)
        assert {*after.not_, *after.also_not} <= {*before.not_, *before.also_not}, (model, after.anomaly_counts)


@pytest.mark.parametrize("between", [[], ["fail"], ["info"], ["fail", "info", "fail"]])
@pytest.mark.parametrize(
    ("checker", "old", "new", "read"),
    [
        (ListAppend(), ["append", "x", 1], ["append", "x", 2], ["r", "x", [1]]),
        (RwRegister(), ["w", "x", 1], ["w", "x", 2], ["r", "x", 1]),
    ],
    ids=["lists", "registers"],
)
def test_without_invocations_a_client_still_must_see_its_last_write_after_a_failure(
    checker: Checker, old: Any, new: Any, read: Any, between: list[str]
) -> None:
    rows = [("ok", [old]), ("ok", [new]), *((type_, [["r", "y", None]]) for type_ in between), ("ok", [read])]
    ops = numbered([{"type": type_, "process": 0, "f": "txn", "value": body} for type_, body in rows])
    assert check(checker, ops, "serializable").verdict == "valid"
    for model in ("strong-session-serializable", "strict-serializable"):
        assert check(checker, ops, model).verdict == "invalid", model


def test_a_register_may_be_read_and_then_written_with_what_was_read() -> None:
    rows = [[["w", "x", 1]], [["r", "x", 1], ["w", "x", 1]]]
    ops = numbered([{"type": "ok", "process": i, "f": "txn", "value": body} for i, body in enumerate(rows)])
    verdict = check(RwRegister(), ops, "serializable")
    assert (verdict.verdict, verdict.anomaly_types) == ("unknown", [])
    ops[0]["type"] = "fail"
    assert check(RwRegister(), ops, "read-uncommitted").anomaly_types == ["G1a"]


def test_a_read_of_what_another_may_have_appended_too_is_no_future_read() -> None:
    rows = [("info", [["append", "x", 1]]), ("ok", [["r", "x", [1]], ["append", "x", 1]])]
    ops = numbered([{"type": type_, "process": i, "f": "txn", "value": body} for i, (type_, body) in enumerate(rows)])
    verdict = check(ListAppend(), ops, "serializable")
    assert (verdict.verdict, verdict.anomaly_types) == ("unknown", [])
    ops[0]["value"] = [["append", "x", 2]]
    assert check(ListAppend(), ops, "read-uncommitted").anomaly_types == ["future-read"]
