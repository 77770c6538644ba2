"""The register workload's reads, writes and compare-and-sets in the simulated store."""

from __future__ import annotations

from collections.abc import Generator

from harness.op import Op
from harness.target import DidNotHappen
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction


def read(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[k, null] → [k, v]."""
    yield
    return op.replace(type="ok", value=[op.value[0], transaction.read(op.value[0])])


def write(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[k, v]."""
    yield
    transaction.write(*op.value)
    return op.replace(type="ok")


def cas(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[k, [old, new]]."""
    key, (old, new) = op.value
    yield
    found = transaction.read(key)
    if found != old:
        raise DidNotHappen(f"compare failed: found {found}")
    yield
    transaction.write(key, new)
    return op.replace(type="ok")


REGISTER = Programs(
    by_f={"read": read, "local-read": read, "write": write, "cas": cas},
    writes_nothing=only_reads("read", "local-read"),
    named_as={
        "dirty-read": "G1a",
        "lost-update": "lost-update",
        "stale-read": "stale-read",
        "lost-write": "lost-write",
        "split-brain": "lost-write",
        "duplicate": "nonlinearizable",
        "non-monotonic-read": "stale-read",
        "diverged-replicas": "stale-read",
        "lost-element": "nonlinearizable",
    },
    claim="linearizable",
)
