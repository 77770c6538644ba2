"""The long-fork workload's writes and group reads in the simulated store."""

from __future__ import annotations

from collections.abc import Generator

from harness.op import Op
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction


def write(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[["w", k, v]]."""
    for _, key, value in op.value:
        yield
        transaction.write(key, value)
    return op.replace(type="ok")


def read(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[["r", k, null], ...] → the values filled in."""
    results = []
    for f, key, _ in op.value:
        yield
        results.append([f, key, transaction.read(key)])
    return op.replace(type="ok", value=results)


LONG_FORK = Programs(
    by_f={"write": write, "read": read},
    writes_nothing=only_reads("read"),
    named_as={
        "dirty-read": "G1a",
        "read-skew": "long-fork",
        "stale-read": "G-single-item-realtime",
        "non-monotonic-read": "G-single-item-process",
        "diverged-replicas": "long-fork",
    },
)
