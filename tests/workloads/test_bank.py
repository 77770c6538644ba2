"""Goal: transfers between all accounts, and the end is read through every node. Method: simulated time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.op import Op
from harness.target import DidNotHappen
from tests.workloads.one_copy import every_node_answered, judged, of_jepsen, run
from workloads.bank import BANK


def honest(leaks_every: int = 0) -> Any:
    balances = dict.fromkeys(range(4), 10)
    done = {"transfers": 0}

    def apply(op: Op) -> Any:
        if op.f == "read":
            return [[account, balance] for account, balance in balances.items()]
        value = op.value
        if balances[value["from"]] < value["amount"]:
            raise DidNotHappen("not enough")
        done["transfers"] += 1
        balances[value["from"]] -= value["amount"]
        if not leaks_every or done["transfers"] % leaks_every:
            balances[value["to"]] += value["amount"]
        return value

    return apply


def test_a_right_bank_is_valid_and_the_end_is_read_through_every_node() -> None:
    main, final = run(BANK, honest(), failing_finals=3, accounts=4, most=3)
    transfers = [op.value for op in main if op.f == "transfer" and op.type == "invoke"]
    pairs = {(value["from"], value["to"]) for value in transfers}
    assert pairs == {(a, b) for a in range(4) for b in range(4) if a != b}
    assert {value["amount"] for value in transfers} == {1, 2, 3}
    assert every_node_answered(final)
    verdict = judged(BANK, [*main, *final], {"accounts": 4})
    assert (verdict.verdict, verdict.anomaly_counts) == ("valid", {})
    assert verdict.stats["bank"]["reads_explained_or_not"] == verdict.stats["bank"]["reads"] > 50


def test_money_that_vanishes_is_found() -> None:
    main, final = run(BANK, honest(leaks_every=40), accounts=4)
    assert "wrong-total" in judged(BANK, [*main, *final], {"accounts": 4}).anomaly_types


JEPSEN = """{:type :invoke, :f :transfer, :value {:from 0, :to 1, :amount 5}, :process 0, :time 1, :index 0}
{:type :ok, :f :transfer, :value {:from 0, :to 1, :amount 5}, :process 0, :time 2, :index 1}
{:type :invoke, :f :read, :value nil, :process 2, :time 5, :index 2}
{:type :ok, :f :read, :value READ, :process 2, :time 6, :index 3}
"""


@pytest.mark.parametrize(
    ("read", "verdict"),
    [
        ("{0 95, 1 5}", "valid"),
        ("[[0 95] [1 5]]", "valid"),
        ("[95 5]", "valid"),
        ("{0 95, 1 0}", "invalid"),
        ("{0 105, 1 -5}", "invalid"),
    ],
)
def test_jepsens_histories_are_judged(read: str, verdict: str, tmp_path: Path) -> None:
    assert of_jepsen(BANK, tmp_path, JEPSEN.replace("READ", read), total="100").verdict == verdict
    if read == "{0 105, 1 -5}":
        allowed = {"total": "100", "negative-balances": "allowed"}
        assert of_jepsen(BANK, tmp_path, JEPSEN.replace("READ", read), **allowed).verdict == "valid"
