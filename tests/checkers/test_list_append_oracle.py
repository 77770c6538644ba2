"""The list-append checker against brute force by definition, on random small histories.

Every verdict for eight models must be that of `txn_oracle`; every cycle that is named must be there in every order of
the open appends. FAULTLINE_EXAMPLES sets how many histories are tried (the nightly profile: 20000).
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers import models
from checkers.transactions.list_append import ListAppend
from harness.checker import CheckOptions
from harness.history import History
from tests.checkers import txn_oracle
from tests.checkers.txn_graph_oracle import names_by_order
from tests.checkers.txn_histories import Op, append_histories

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
CYCLES = ("G0", "G1c", "G-", "G2")
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def judged(ops: list[Op], model: str) -> str:
    return ListAppend().check(History.from_ops(ops), CheckOptions(model=model)).verdict


@thorough
@given(append_histories(txns=6, keys=2, mops=3))
def test_verdicts_are_those_of_the_definitions(ops: list[Op]) -> None:
    for model in txn_oracle.MODELS:
        expected = "valid" if txn_oracle.legal(ops, model) else "invalid"
        assert judged(ops, model) == expected, model


@thorough
@given(append_histories(txns=4, keys=3, mops=4, corrupt=False))
def test_verdicts_on_uncorrupted_histories(ops: list[Op]) -> None:
    for model in txn_oracle.MODELS:
        expected = "valid" if txn_oracle.legal(ops, model) else "invalid"
        assert judged(ops, model) == expected, model


def no_worse_than(name: str) -> set[str]:
    """What a cycle implies. One without any rw edge is also worse than one with a single rw edge: of a transaction that
    read the last version and wrote, and another open write, one order has the rw edge and the other a ww edge.
    """
    implied = set(models.implied_anomalies(name))
    for strength in ("", "-process", "-realtime"):
        if "G1c" + strength in implied:
            implied |= models.implied_anomalies("G-single-item" + strength)
    return implied


@thorough
@given(append_histories(txns=5, keys=2, mops=3))
def test_named_cycles_are_there_in_every_order_and_none_is_missed(ops: list[Op]) -> None:
    by_order = names_by_order(ops)
    if by_order is None:
        return
    verdict = ListAppend().check(History.from_ops(ops), CheckOptions())
    # the oracle does not look at keys: of a G-cursor it knows the G-single-item
    named = {name.replace("G-cursor", "G-single-item") for name in verdict.anomaly_types if name.startswith(CYCLES)}
    for there in by_order:
        assert named <= {weaker for name in there for weaker in no_worse_than(name)}
    broken = {*verdict.not_, *verdict.also_not}
    for model in models.REPORTED:
        if all(any(models.counts_against(name, model) for name in there) for there in by_order):
            assert model in broken, (model, by_order)


@settings(max_examples=60, deadline=None, database=None)
@given(append_histories(txns=6, keys=2, mops=3), st.booleans())
def test_findings_show_again_in_their_sub_history(ops: list[Op], _again: bool) -> None:
    verdict = ListAppend().check(History.from_ops(ops), CheckOptions())
    for anomaly in verdict.anomalies:
        assert set(anomaly.ops) <= set(anomaly.sub_history)
        kept = [op for op in ops if op["index"] in set(anomaly.sub_history)]
        again = ListAppend().check(History.from_ops(kept), CheckOptions())
        assert again.verdict == "invalid", (anomaly, again)
