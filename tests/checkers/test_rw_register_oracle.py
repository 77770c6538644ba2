"""The rw-register checker against brute force by definition, on random small histories.

Every verdict for eight models must be that of `rw_oracle`, whatever options are given; every cycle that is named must
be there in every order of the versions. FAULTLINE_EXAMPLES sets how many histories are tried (nightly: 20000).
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers import models
from checkers.transactions import rw_register
from checkers.transactions.rw_register import RwRegister
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict
from tests.checkers import rw_oracle
from tests.checkers.rw_graph_oracle import names_by_order
from tests.checkers.rw_histories import Op, corrupted, random_register_history, register_histories

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
CYCLES = ("G0", "G1c", "G-", "G2")
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
assumptions = st.fixed_dictionaries(
    {name: st.booleans() for name in ("wfr_keys", "sequential_keys", "linearizable_keys")}
)


def check(ops: list[Op], model: str | None = None, workload: dict[str, Any] | None = None) -> Verdict:
    return RwRegister().check(History.from_ops(ops), CheckOptions(model=model, workload=workload or {}))


def agree(ops: list[Op], workload: dict[str, Any] | None = None) -> None:
    for model in rw_oracle.MODELS:
        expected = "valid" if rw_oracle.legal(ops, model) else "invalid"
        verdict = check(ops, model, workload)
        assert verdict.verdict == expected, (model, verdict.anomaly_counts, verdict.reasons)


@thorough
@given(register_histories(txns=6, keys=2, mops=3), assumptions)
def test_verdicts_are_those_of_the_definitions(ops: list[Op], workload: dict[str, Any]) -> None:
    agree(ops, workload)


@thorough
@given(register_histories(txns=5, keys=3, mops=4, corrupt=False))
def test_verdicts_on_uncorrupted_histories(ops: list[Op]) -> None:
    agree(ops)


@settings(thorough, max_examples=max(50, EXAMPLES // 6))
@given(register_histories(txns=8, keys=2, mops=2, corrupt=False))
def test_verdicts_on_longer_histories(ops: list[Op]) -> None:
    agree(ops)


@settings(thorough, max_examples=max(50, EXAMPLES // 6))
@given(st.integers(0, 2**32 - 1))
def test_mutated_valid_histories(seed: int) -> None:
    """Flip a read, drop a write or swap two completions of a valid history: oracle and checker still agree."""
    rng = random.Random(seed)
    ops = random_register_history(rng, 6, 2, 3, corrupt=False)
    way = rng.randrange(3)
    if way == 0:
        corrupted(rng, ops)
    elif way == 1:
        drop_a_write(rng, ops)
    else:
        swap_completions(rng, ops)
    agree([{**op, "index": i, "time": i} for i, op in enumerate(ops)])


def drop_a_write(rng: random.Random, ops: list[Op]) -> None:
    """A transaction whose write never was: its readers read what nobody wrote."""
    places = [
        (i, j) for i, op in enumerate(ops) if op["type"] == "ok" for j, m in enumerate(op["value"]) if m[0] == "w"
    ]
    if places:
        i, j = rng.choice(places)
        ops[i] = {**ops[i], "value": [m for place, m in enumerate(ops[i]["value"]) if place != j]}


def swap_completions(rng: random.Random, ops: list[Op]) -> None:
    """Two completions change places, where each still comes after its invocation."""
    ends = [i for i, op in enumerate(ops) if op["type"] != "invoke"]
    if len(ends) < 2:
        return
    one, other = sorted(rng.sample(ends, 2))
    begins = [i for i in range(one, other) if ops[i]["type"] == "invoke" and ops[i]["process"] == ops[other]["process"]]
    again = [i for i in range(one, other) if ops[i]["process"] == ops[one]["process"] and i != one]
    if not begins and not again:
        ops[one], ops[other] = ops[other], ops[one]


@pytest.mark.parametrize("txns, keys, mops", [(6, 2, 3), (8, 2, 2), (5, 3, 4)])
@settings(thorough, max_examples=max(50, EXAMPLES // 3))
@given(data=st.data())
def test_verdicts_where_only_the_knots_are_searched(data: st.DataObject, txns: int, keys: int, mops: int) -> None:
    """What is done for large histories, done for small ones."""
    ops = data.draw(register_histories(txns=txns, keys=keys, mops=mops, corrupt=txns == 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rw_register, "SMALL", 0)
        agree(ops)


def no_worse_than(name: str) -> set[str]:
    """What a cycle implies. One without any rw edge is also worse than one with a single rw edge."""
    implied = set(models.implied_anomalies(name))
    for strength in ("", "-process", "-realtime"):
        if "G1c" + strength in implied:
            implied |= models.implied_anomalies("G-single-item" + strength)
    return implied


@thorough
@given(register_histories(txns=5, keys=2, mops=3))
def test_named_cycles_are_there_in_every_order_and_none_is_missed(ops: list[Op]) -> None:
    by_order = names_by_order(ops)
    if by_order is None:
        return
    verdict = check(ops)
    # the oracle does not look at keys: of a G-cursor it knows the G-single-item
    named = {name.replace("G-cursor", "G-single-item") for name in verdict.anomaly_types if name.startswith(CYCLES)}
    for there in by_order:
        assert named <= {weaker for name in there for weaker in no_worse_than(name)}
    broken = {*verdict.not_, *verdict.also_not}
    for model in models.REPORTED:
        if all(any(models.counts_against(name, model) for name in there) for there in by_order):
            assert model in broken, (model, by_order)


@settings(thorough, max_examples=max(50, EXAMPLES // 6))
@given(register_histories(txns=6, keys=2, mops=3))
def test_findings_show_again_in_their_sub_history(ops: list[Op]) -> None:
    verdict = check(ops)
    for anomaly in verdict.anomalies:
        assert set(anomaly.ops) <= set(anomaly.sub_history)
        kept = [op for op in ops if op["index"] in set(anomaly.sub_history)]
        assert check(kept).verdict == "invalid", anomaly
