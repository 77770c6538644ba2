"""The monotonic workload's counters in the simulated store."""

from __future__ import annotations

from collections.abc import Generator

from harness.op import Op
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.programs.register import read
from targets.simulated.store import Store, Transaction


def inc(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[k, null] → [k, the value after it]."""
    key, _ = op.value
    yield
    value = (transaction.read(key) or 0) + 1
    yield
    transaction.write(key, value)
    return op.replace(type="ok", value=[key, value])


MONOTONIC = Programs(
    by_f={"inc": inc, "read": read},
    writes_nothing=only_reads("read"),
    named_as={
        "lost-update": "lost-update",
        "stale-read": "non-monotonic-read",
        "non-monotonic-read": "non-monotonic-read",
        "diverged-replicas": "non-monotonic-read",
    },
)
