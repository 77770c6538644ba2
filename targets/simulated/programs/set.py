"""The set workload's adds and reads in the simulated store: a key for each element."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from harness.op import Op
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction


def add(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """v. An element that is added twice is there twice."""
    yield
    transaction.append(("element", op.value), op.value)
    return op.replace(type="ok")


def read(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """null → [v, ...]."""
    yield
    elements: list[Any] = []
    for key in store.written():
        if isinstance(key, tuple) and key[0] == "element":
            elements.extend(transaction.read(key) or ())
    return op.replace(type="ok", value=elements)


SET = Programs(
    by_f={"add": add, "read": read, "local-read": read},
    writes_nothing=only_reads("read", "local-read"),
    named_as={
        "stale-read": "stale-read",
        "lost-write": "lost-write",
        "split-brain": "lost-write",
        "duplicate": "duplicate-elements",
        "non-monotonic-read": "non-monotonic-read",
        "diverged-replicas": "stale-read",
        "lost-element": "not-durable",
    },
    claim="linearizable",
)

SET_FINAL = Programs(
    by_f={"add": add, "read": read, "local-read": read},
    writes_nothing=only_reads("read", "local-read"),
    named_as={
        "lost-write": "not-durable",
        "split-brain": "not-durable",
        "duplicate": "duplicate-elements",
        "diverged-replicas": "stale-read",
        "lost-element": "lost-write",
    },
    claim="linearizable",
)
