"""The lease workload's keys in the simulated store: none runs out, so all that ends one is its revocation."""

from __future__ import annotations

from collections.abc import Generator

from harness.op import Op
from harness.target import DidNotHappen
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction

TTL_S = 2


def grant(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[key, null] → [key, ttl]."""
    key, _ = op.value
    yield
    transaction.write(("there", key), True)
    return op.replace(type="ok", value=[key, TTL_S])


def keep(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[key, null] → [key, ttl], while it is there."""
    key, _ = op.value
    yield
    if not transaction.read(("there", key)):
        raise DidNotHappen("the lease has ended")
    yield
    transaction.write(("renewed", key), True)
    return op.replace(type="ok", value=[key, TTL_S])


def revoke(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[key, null]; the key is gone."""
    key, _ = op.value
    yield
    transaction.write(("there", key), False)
    return op.replace(type="ok")


def read(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[key, null] → [key, whether it is there]."""
    key, _ = op.value
    yield
    return op.replace(type="ok", value=[key, bool(transaction.read(("there", key)))])


LEASE = Programs(
    by_f={"grant": grant, "keep": keep, "revoke": revoke, "read": read},
    writes_nothing=only_reads("read"),
    named_as={
        "stale-read": "expired-early",
        "lost-write": "expired-early",
        "split-brain": "expired-early",
        "non-monotonic-read": "expired-early",
        "diverged-replicas": "expired-early",
        "lost-element": "expired-early",
    },
    claim="linearizable",
)
