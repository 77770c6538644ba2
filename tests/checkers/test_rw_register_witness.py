"""The search for a serial order of registers ends: where there is none, and when its time is up."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pytest

from checkers.transactions.rw_register import RwRegister
from checkers.transactions.rw_register_versions import versions_of
from checkers.transactions.rw_register_witness import Witness, find_witness
from checkers.transactions.txn_columns import WRITE, Form, TxnColumns, columns_of
from harness.checker import CheckOptions
from harness.compiled import working_time
from harness.history import OK, History

Op = dict[str, Any]
SHARES = [2**i for i in range(10)]
"""Keys are chosen as often as this: few of them are hot."""


def snapshot_history(seed: int, txns: int, clients: int = 10, writes_max: int = 32) -> list[Op]:
    """A store with snapshot isolation: each transaction takes a snapshot, reads it, and commits if nobody else had
    written what it writes; write skew is common. Keys retire after `writes_max` writes.
    """
    rng = random.Random(seed)
    keys = list(range(len(SHARES)))
    count = dict.fromkeys(keys, 0)
    versions: dict[int, list[tuple[int, int]]] = {}
    ops: list[Op] = []
    running: dict[int, dict[str, Any]] = {}
    begun = commits = 0

    def fresh_body() -> list[list[Any]]:
        body: list[list[Any]] = []
        for _ in range(rng.randint(1, 4)):
            place = rng.choices(range(len(keys)), SHARES)[0]
            if rng.random() < 0.5:
                body.append(["r", keys[place], None])
                continue
            if count[keys[place]] >= writes_max:
                keys[place] = len(count)
                count[keys[place]] = 0
            count[keys[place]] += 1
            body.append(["w", keys[place], count[keys[place]]])
        return body

    def seen(key: int, at: int) -> int | None:
        return next((value for commit, value in reversed(versions.get(key, [])) if commit <= at), None)

    def record(type_: str, process: int, body: list[list[Any]]) -> None:
        ops.append({"index": len(ops), "type": type_, "process": process, "f": "txn", "value": body})

    while begun < txns or running:
        process = rng.randrange(clients)
        if process not in running:
            if begun < txns:
                begun += 1
                running[process] = {"body": fresh_body(), "step": 0}
                record("invoke", process, running[process]["body"])
            continue
        txn = running[process]
        txn["step"] += 1
        if txn["step"] == 1:
            txn["snapshot"] = commits
        elif txn["step"] == 2:
            own: dict[int, int] = {}
            body = []
            for name, key, value in txn["body"]:
                body.append([name, key, own.get(key, seen(key, txn["snapshot"])) if name == "r" else value])
                if name == "w":
                    own[key] = value
            clash = any(versions.get(key, [(0, 0)])[-1][0] > txn["snapshot"] for key in own)
            txn["type"] = "fail" if clash else "ok"
            txn["done"] = txn["body"] if clash else body
            if own and not clash:
                commits += 1
                for key, value in own.items():
                    versions.setdefault(key, []).append((commits, value))
        else:
            record(txn["type"], process, txn["done"])
            del running[process]
    return ops


def searched(ops: list[Op], time_s: float) -> Witness:
    columns = columns_of(History.from_ops(ops), Form.RW_REGISTER)
    txn = columns.txn_of_mop()
    none = np.empty(0, np.int64)
    return find_witness(columns, txn, versions_of(columns, txn), none, none, working_time() + time_s)


@pytest.mark.parametrize("seed", [24, 25])
def test_histories_with_much_write_skew_come_to_an_end(seed: int) -> None:
    """Who asked for whom, and what was built upon what, may go in circles; the search once followed these for ever
    (in the first of these histories).
    """
    ops = snapshot_history(seed, 2000)
    assert not searched(ops, 600).explains
    verdict = RwRegister().check(History.from_ops(ops), CheckOptions(model="serializable", time_budget_s=600))
    assert verdict.verdict == "invalid"
    assert "G2-item" in verdict.anomaly_types


def test_the_search_ends_when_its_time_is_up() -> None:
    ops = snapshot_history(1, 3000)
    assert len(searched(ops, 0).serial) < len(searched(ops, 600).serial)
    verdict = RwRegister().check(History.from_ops(ops), CheckOptions(model="serializable", time_budget_s=0))
    assert verdict.verdict in ("invalid", "unknown")


def test_the_search_ends_when_its_time_is_up_while_it_works() -> None:
    """The clock goes on beside the loop: it must not wait for the interpreter's lock."""
    n = 500_000
    at, none = np.arange(n), np.empty(0, np.int64)
    columns = TxnColumns(
        status=np.full(n, OK, np.int8),
        process=np.zeros(n, np.int64),
        op=2 * at + 1,
        invoked=2 * at,
        completed=2 * at + 1,
        began=2 * at,
        timed=True,
        mop_start=np.arange(n + 1),
        function=np.full(n, WRITE, np.int8),
        key=(at // 500).astype(np.int32),
        value=at % 500,
        list_start=np.zeros(n + 1, np.int64),
        element=none,
        keys=range(n // 500),
        values=None,
        history=History.from_ops([]),
    )
    txn = columns.txn_of_mop()
    versions = versions_of(columns, txn)
    find_witness(columns, txn, versions, none, none, working_time() + 600)
    begun = time.monotonic()
    assert find_witness(columns, txn, versions, none, none, working_time() + 600).explains
    whole_s = time.monotonic() - begun
    assert any(
        0 < len(find_witness(columns, txn, versions, none, none, working_time() + whole_s * part / 20).serial) < n
        for part in range(1, 21)
        for _ in range(10)
    )


def test_without_time_a_valid_history_is_not_called_invalid() -> None:
    ops = snapshot_history(2, 400, clients=1)
    assert searched(ops, 600).explains
    verdict = RwRegister().check(History.from_ops(ops), CheckOptions(time_budget_s=0))
    assert verdict.verdict in ("valid", "unknown")
