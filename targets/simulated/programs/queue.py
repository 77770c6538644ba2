"""A queue in the simulated store: a few lists, so that clients seldom meet at one; each looks into its own first."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from harness.op import Op
from harness.target import DidNotHappen
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction

PARTS = 8


def enqueue(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """v."""
    yield
    transaction.append(("queue", _own(op)), op.value)
    return op.replace(type="ok")


def dequeue(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """null → v; fails when nothing is there."""
    yield
    for offset in range(PARTS):
        key = ("queue", (_own(op) + offset) % PARTS)
        values = transaction.read(key)
        if values:
            yield
            transaction.write(key, tuple(values[1:]))
            return op.replace(type="ok", value=values[0])
    raise DidNotHappen("empty")


def drain(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """null → everything that is there."""
    taken: list[Any] = []
    for part in range(PARTS):
        yield
        values = transaction.read(("queue", part))
        if values:
            taken.extend(values)
            transaction.write(("queue", part), ())
    return op.replace(type="ok", value=taken)


def _own(op: Op) -> int:
    assert isinstance(op.process, int)
    return op.process % PARTS


QUEUE = Programs(
    by_f={"enqueue": enqueue, "dequeue": dequeue, "drain": drain},
    writes_nothing=only_reads(),
    named_as={
        "lost-update": "duplicate-elements",
        "lost-write": "duplicate-elements",
        "split-brain": "duplicate-elements",
        "duplicate": "duplicate-elements",
        "lost-element": "lost-write",
    },
    claim="linearizable",
    gives_out=("dequeue", "drain"),
)
