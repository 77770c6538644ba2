"""The rw-register workload's transactions in the simulated store."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from harness.op import Op
from targets.simulated.programs.append import APPEND
from targets.simulated.programs.base import Programs
from targets.simulated.store import Store, Transaction


def txn(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[["w", k, v], ["r", k, null]] → the reads filled in."""
    results: list[list[Any]] = []
    for f, key, value in op.value:
        yield
        if f == "w":
            transaction.write(key, value)
            results.append([f, key, value])
        else:
            results.append([f, key, transaction.read(key)])
    return op.replace(type="ok", value=results)


RW_REGISTER = Programs(
    by_f={"txn": txn},
    writes_nothing=APPEND.writes_nothing,
    named_as={
        "dirty-read": "G1a",
        "lost-update": "lost-update",
        "write-skew": "G2-item",
        "read-skew": "G-single-item",
        "stale-read": "G-single-item-realtime",
        "lost-write": "G-single-item-realtime",
    },
)
"""A lost write is a read that misses it from then on: among registers, nothing tells it from reads that are late."""
