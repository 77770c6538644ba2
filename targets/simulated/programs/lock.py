"""The lock workload's locks, with fencing tokens, in the simulated store."""

from __future__ import annotations

from collections.abc import Generator

from harness.op import Op
from harness.target import DidNotHappen
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction


def acquire(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[lock, null] → [lock, token]. In the store: (token, whether somebody holds it)."""
    lock, _ = op.value
    yield
    token, held = transaction.read(("lock", lock)) or (0, False)
    if held:
        raise DidNotHappen("held by somebody else")
    yield
    transaction.write(("lock", lock), (token + 1, True))
    return op.replace(type="ok", value=[lock, token + 1])


def update(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[lock, token] → [lock, [token, seen, wrote]], only for who holds it."""
    lock, token = op.value
    yield
    if transaction.read(("lock", lock)) != (token, True):
        raise DidNotHappen("not the holder")
    yield
    seen = transaction.read(("value", lock)) or 0
    yield
    transaction.write(("value", lock), seen + 1)
    return op.replace(type="ok", value=[lock, [token, seen, seen + 1]])


def release(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[lock, token], only by who holds it."""
    lock, token = op.value
    yield
    if transaction.read(("lock", lock)) != (token, True):
        raise DidNotHappen("not the holder")
    yield
    transaction.write(("lock", lock), (token, False))
    return op.replace(type="ok")


LOCK = Programs(
    by_f={"acquire": acquire, "update": update, "release": release},
    writes_nothing=only_reads(),
    named_as={"lost-update": "two-holders", "duplicate": "two-holders"},
    claim="linearizable",
    gives_out=("acquire",),
)
