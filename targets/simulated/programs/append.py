"""The append workload's transactions in the simulated store."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from harness.op import Op
from targets.simulated.programs.base import Programs
from targets.simulated.store import Store, Transaction


def txn(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[["append", k, v], ["r", k, null]] → the reads filled in."""
    results: list[list[Any]] = []
    for f, key, element in op.value:
        yield
        if f == "append":
            transaction.append(key, element)
            results.append([f, key, element])
        else:
            results.append([f, key, list(transaction.read(key) or ())])
    return op.replace(type="ok", value=results)


APPEND = Programs(
    by_f={"txn": txn},
    writes_nothing=lambda op: all(micro_op[0] == "r" for micro_op in op.value),
    named_as={
        "dirty-read": "G1a",
        "lost-update": "lost-update",
        "write-skew": "G2-item",
        "read-skew": "G-single-item",
        "stale-read": "G-single-item-realtime",
        "lost-write": "lost-write",
        "split-brain": "incompatible-order",
        "duplicate": "duplicate-elements",
        "non-monotonic-read": "G-single-item-process",
        "diverged-replicas": "incompatible-order",
        "lost-element": "lost-write",
    },
)
"""A read-only transaction that misses a write acknowledged before it began is what a stale read is among
transactions: G-single-item-realtime."""
