"""Ids in the simulated store: each client counts on from a number that some others count on from too."""

from __future__ import annotations

from collections.abc import Generator

from harness.op import Op
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction

RANGES = 4
"""Clients share numbers with every fourth other: ids are contended for, and most requests succeed."""


def generate(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """null → id."""
    assert isinstance(op.process, int)
    mine = op.process % RANGES
    yield
    number = transaction.read(("next id", mine)) or 0
    yield
    transaction.write(("next id", mine), number + 1)
    return op.replace(type="ok", value=number * RANGES + mine)


UNIQUE_IDS = Programs(
    by_f={"generate": generate},
    writes_nothing=only_reads(),
    named_as={
        "lost-update": "duplicate-id",
        "lost-write": "duplicate-id",
        "split-brain": "duplicate-id",
        "duplicate": "duplicate-id",
        "lost-element": "duplicate-id",
    },
    claim="linearizable",
    gives_out=("generate",),
)
