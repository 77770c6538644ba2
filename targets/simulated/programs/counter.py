"""A counter in the simulated store: a few parts, so that clients seldom meet at one; a read adds them up."""

from __future__ import annotations

from collections.abc import Generator

from harness.op import Op
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction

PARTS = 4


def add(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """n."""
    assert isinstance(op.process, int)
    key = ("count", op.process % PARTS)
    yield
    total = transaction.read(key) or 0
    yield
    transaction.write(key, total + op.value)
    return op.replace(type="ok")


def read(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """null → the total."""
    yield
    return op.replace(type="ok", value=sum(transaction.read(("count", part)) or 0 for part in range(PARTS)))


COUNTER = Programs(
    by_f={"add": add, "read": read},
    writes_nothing=only_reads("read"),
    named_as={
        "lost-update": "wrong-count",
        "stale-read": "wrong-count",
        "lost-write": "wrong-count",
        "split-brain": "wrong-count",
        "duplicate": "wrong-count",
        "non-monotonic-read": "wrong-count",
        "diverged-replicas": "wrong-count",
        "lost-element": "wrong-count",
    },
    claim="linearizable",
)
