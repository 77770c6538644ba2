"""The write-skew workload's pairs on call in the simulated store."""

from __future__ import annotations

from collections.abc import Generator

from harness.op import Op
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction


def leave(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[pair, member, null] → [pair, member, "left" | "stayed"]; who was never written is on call."""
    pair, member, _ = op.value
    on_call = 0
    for other in (0, 1):
        yield
        on_call += transaction.read((pair, other)) is not False
    yield
    if on_call == 2:
        transaction.write((pair, member), False)
    return op.replace(type="ok", value=[pair, member, "left" if on_call == 2 else "stayed"])


def read_all(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """null → [[pair, is 0 on call, is 1 on call], ...] of the pairs with somebody off call."""
    yield
    pairs = sorted({key[0] for key in store.written() if isinstance(key, tuple)})
    rows = [[pair, *(transaction.read((pair, member)) is not False for member in (0, 1))] for pair in pairs]
    return op.replace(type="ok", value=[row for row in rows if not (row[1] and row[2])])


WRITE_SKEW = Programs(
    by_f={"leave": leave, "read-all": read_all},
    writes_nothing=only_reads("read-all"),
    named_as={"write-skew": "G2-item"},
)
