"""The predicate workload's searches and inserts in the simulated store: a cell for each key and table."""

from __future__ import annotations

from collections.abc import Generator

from harness.op import Op
from harness.target import DidNotHappen
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction


def insert(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[key, [row, null]] or [key, [null, row]]: only where neither table has a row with the key."""
    key, rows = op.value
    for table in (0, 1):
        yield
        if transaction.read((key, table)) is not None:
            raise DidNotHappen("too late: a row was there")
    yield
    table = 0 if rows[0] is not None else 1
    transaction.write((key, table), rows[table])
    return op.replace(type="ok")


def read(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[key, null] → [key, [rows]]."""
    key, _ = op.value
    rows = []
    for table in (0, 1):
        yield
        row = transaction.read((key, table))
        if row is not None:
            rows.append(row)
    return op.replace(type="ok", value=[key, rows])


PREDICATE = Programs(
    by_f={"insert": insert, "read": read},
    writes_nothing=only_reads("read"),
    named_as={
        "dirty-read": "G1a",
        "lost-update": "G2",
        "write-skew": "G2",
        "stale-read": "G-single-realtime",
    },
)
"""Nothing is checked with `lost-update` either, so both inserts succeed."""
