"""Goal: what findings about transactions tell is true: every read, write and order that a sentence or an edge names.

Method: sentences are taken apart again, and looked up in the history that they are about. A finding need not be a proof
by itself here; that its sub-history shows it again is tested with the oracles.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.transactions.list_append import ListAppend
from checkers.transactions.rw_register import RwRegister
from harness.checker import Checker, CheckOptions
from harness.history import History
from harness.verdict import Anomaly
from tests.checkers.rw_histories import random_register_history
from tests.checkers.txn_histories import Op, random_append_history

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600")) // 6
MODELS = [
    None,
    "PRAM",
    "causal",
    "strong-read-atomic",
    "strong-prefix",
    "strong-causal-cerone",
    "strong-session-cursor-stability",
]
NAME = r"(T\d+)(?: \(op \d+\))?(?: of process \d+)?"
AFTER = r"appended (\d+) to \d+, and (?:T\d+ appended|then) (\d+) after it \(T\d+ \(op \d+\) read \d+ = \[([\d ]*)\]"
CIRCLES = ("G0", "G1c", "G-single", "G-nonadjacent", "G2")


@dataclass(frozen=True)
class Txn:
    begin: int
    end: int | None
    type: str
    process: int
    mops: list[Any]

    def read(self, key: int, value: Any) -> bool:
        return self.type == "ok" and any(m[0] == "r" and m[1] == key and (m[2] or None) == value for m in self.mops)

    def looked_at(self, key: int) -> bool:
        return self.type == "ok" and any(m[:2] == ["r", key] for m in self.mops)

    def wrote(self, key: int, value: int | None = None) -> bool:
        return any(m[0] != "r" and m[1] == key and value in (None, m[2]) for m in self.mops)

    def before(self, other: Txn) -> bool:
        return self.end is not None and self.end < other.begin


def transactions(ops: list[Op]) -> dict[int, Txn]:
    """By the index that stands for them."""
    begun: dict[int, int] = {}
    txns = {}
    for place, op in enumerate(ops):
        if op["type"] == "invoke":
            begun[op["process"]] = place
            continue
        begin = begun.pop(op["process"])
        mops = op["value"] if op["type"] == "ok" else ops[begin]["value"]
        txns[place] = Txn(begin, place, op["type"], op["process"], mops)
    return txns | {b: Txn(b, None, "info", process, ops[b]["value"]) for process, b in begun.items()}


def lies(anomaly: Anomaly, txns: dict[int, Txn]) -> Iterator[str]:
    told = anomaly.sentence
    ops = {name: int(op) for name, op in re.findall(r"\b(T\d+) \(op (\d+)\)", told)}
    if set(re.findall(r"\bT\d+\b", told)) != set(ops):
        yield "a transaction is named and not said which it is"
        return
    txn = {name: txns[op] for name, op in ops.items()}
    for name, key, seen in re.findall(NAME + r" (?:both |all )?read (\d+) = \[([\d ]*)\](?! \()", told):
        if not txn[name].read(int(key), [int(value) for value in seen.split()] or None):
            yield f"{name} did not read {key} = [{seen}]"
    for name, key, value in re.findall(NAME + r" (?:both |all )?read (\d+) = (\d+|nil)", told):
        if not txn[name].read(int(key), None if value == "nil" else int(value)):
            yield f"{name} did not read {key} = {value}"
    for name, value, key in re.findall(NAME + r" appended (\d+) to (\d+)", told):
        if not txn[name].wrote(int(key), int(value)):
            yield f"{name} did not append {value} to {key}"
    for name, key, value in re.findall(NAME + r" wrote (\d+) = (\d+)", told):
        if not txn[name].wrote(int(key), int(value)):
            yield f"{name} did not write {key} = {value}"
    for seen, value in re.findall(r"read \d+ = \[([\d ]*)\] without the (\d+)", told):
        if value in seen.split():
            yield f"[{seen}] has {value}"
    for first, second, seen in re.findall(
        r"appended (\d+) to \d+, and (?:T\d+ appended|then) (\d+) after it \(T\d+ \(op \d+\) read \d+ = \[([\d ]*)\]",
        told,
    ):
        if [value for value in seen.split() if value in (first, second)] != [first, second]:
            yield f"[{seen}] does not show {first} before {second}"
    for process, first, second in re.findall(r"process (\d+) did (T\d+) before it did (T\d+)", told):
        if not txn[first].before(txn[second]) or {txn[first].process, txn[second].process} != {int(process)}:
            yield f"process {process} did not do {first} before {second}"
    for first, end, second, begin in re.findall(r"(T\d+) was done \(op (\d+)\) before (T\d+) began \(op (\d+)\)", told):
        if (txn[first].end, txn[second].begin) != (int(end), int(begin)) or not txn[first].before(txn[second]):
            yield f"{first} was not done before {second} began"


def wrong_edges(anomaly: Anomaly, txns: dict[int, Txn]) -> Iterator[str]:
    edges = anomaly.cycle
    for edge, following in zip(edges, edges[1:] + edges[:1], strict=True):
        source, target = txns[edge.source], txns[edge.target]
        ordered = source.before(target) and (edge.kind == "realtime" or source.process == target.process)
        parts = {"ww": ("wrote", "wrote"), "wr": ("wrote", "looked_at"), "rw": ("looked_at", "wrote")}.get(edge.kind)
        good = ordered if parts is None else getattr(source, parts[0])(edge.key) and getattr(target, parts[1])(edge.key)
        if edge.target != following.source or not good:
            yield f"{edge} followed by {following}"
    if not anomaly.type.startswith(CIRCLES) or not edges:
        return
    kinds = [edge.kind for edge in edges]
    against = kinds.count("rw")
    adjacent = against > 1 and ("rw", "rw") in zip(kinds, kinds[1:] + kinds[:1], strict=True)
    few = "G1c" if "wr" in kinds else "G0"
    name = (few, "G-single-item")[against] if against < 2 else "G2-item" if adjacent else "G-nonadjacent-item"
    strength = "-realtime" if "realtime" in kinds else "-process" if "process" in kinds else ""
    if anomaly.type != name + strength:
        yield f"{anomaly.type} is {name + strength}"


@pytest.mark.parametrize(
    ("checker", "random_history"),
    [(ListAppend(), random_append_history), (RwRegister(), random_register_history)],
    ids=["lists", "registers"],
)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(seed=st.integers(0, 2**63), model=st.sampled_from(MODELS))
def test_what_is_told_is_true(checker: Checker, random_history: Any, seed: int, model: str | None) -> None:
    chance = random.Random(seed)
    keys, mops, corrupt = chance.randint(1, 4), chance.randint(1, 4), chance.random() < 0.5
    ops = random_history(chance, chance.randint(2, 10), keys, mops, corrupt)
    txns = transactions(ops)
    verdict = checker.check(History.from_ops(ops), CheckOptions(model=model))
    for anomaly in verdict.anomalies:
        assert set(anomaly.ops) <= set(txns) and set(anomaly.ops) <= set(anomaly.sub_history), anomaly
        assert not [*lies(anomaly, txns), *wrong_edges(anomaly, txns)], anomaly
