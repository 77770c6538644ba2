"""Orders that are looked for where a sound database would have put them: decided, and never wrongly."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.polygraph import history_of
from checkers.transactions.polygraph import Must, decide
from checkers.transactions.rw_register import RwRegister
from checkers.transactions.rw_register_edges import known_dependencies, open_keys
from checkers.transactions.rw_register_guess import order_that_fits
from checkers.transactions.rw_register_versions import versions_of
from checkers.transactions.txn_columns import Form, TxnColumns, columns_of
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict


def columns(txns: int, ops: int, keys: int, lag: int, flaw: str = "none", seed: int = 3) -> TxnColumns:
    made = history_of(txns, ops, keys, 20, zipf=False, rmw=0.1, flaw=flaw, seed=seed, lag=lag)
    return columns_of(History.from_ops(made), Form.RW_REGISTER)


def judged(some: TxnColumns, model: str) -> Verdict:
    return RwRegister().check_columns(some, CheckOptions(model=model, time_budget_s=30))


@pytest.mark.parametrize("keys", [30, 1000])
@pytest.mark.parametrize("lag", [0, 20, 300])
def test_runs_of_a_store_with_snapshot_isolation_are_valid(keys: int, lag: int) -> None:
    verdict = judged(columns(4000, 6, keys, lag), "snapshot-isolation")
    assert (verdict.verdict, verdict.reasons) == ("valid", [])


def test_old_snapshots_break_what_needs_sessions_or_realtime() -> None:
    some = columns(4000, 6, 1000, 300)
    assert judged(some, "strong-session-snapshot-isolation").verdict == "invalid"
    assert judged(some, "strong-snapshot-isolation").verdict == "invalid"


@pytest.mark.parametrize("lag", [0, 300])
@pytest.mark.parametrize("flaw", ["lost-update", "long-fork", "causality"])
def test_a_flaw_among_thousands_of_transactions_is_found(flaw: str, lag: int) -> None:
    assert judged(columns(4000, 6, 1000, lag, flaw), "snapshot-isolation").verdict == "invalid"


@pytest.mark.parametrize("must", [Must.VIEW, Must.SNAPSHOT, Must.SERIALIZABLE])
def test_demanding_more_first_changes_no_answer(must: Must) -> None:
    seen = set()
    for seed in range(60):
        some = columns(6, 3, 2, (0, 2, 5)[seed % 3], seed=seed)
        txn = some.txn_of_mop()
        versions = versions_of(some, txn)
        known, keys = known_dependencies(some, txn, versions), open_keys(some, txn, versions)
        hint = np.stack((some.completed, some.began))
        deadline = time.monotonic() + 60
        answers = [order_that_fits(known, keys, must, s, deadline=deadline, hint=hint).possible for s in range(3)]
        plain = [decide(known.subset(known.kind <= 3 + s), keys, must, deadline=deadline).possible for s in range(3)]
        assert answers == plain
        seen |= set(answers)
    assert seen == {True, False}
