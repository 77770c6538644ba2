"""Transactions with searches over a closed set of keys, as Jepsen's and Elle's `closed-predicate` tests record them.

    ok  init  {1: 10, 2: 20}
    ok  txn   [["rp", ["mod", 2, 0], {1: 10, 2: 20}], ["r", 1, 10], ["w", 1, 11], ["insert", 3, 5], ["delete", 2]]

The runnable workload that finds write skew over a search is `predicate`.
"""

from __future__ import annotations

from checkers.transactions.predicate_closed import ClosedPredicate
from harness.workload import Workload

CLOSED_PREDICATE = Workload(
    name="closed-predicate",
    doc=(
        "Transactions of reads, writes and searches (`rp` with the predicates true, = and mod) over a closed set of"
        " keys. Finds phantoms, searches that missed a row, and write skew over a search."
    ),
    fs=("txn",),
    checkers={"closed-predicate": ClosedPredicate()},
    own_model="serializable",
)
