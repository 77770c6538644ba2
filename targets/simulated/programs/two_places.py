"""Batches of two rows, and rows with a view of them, in the simulated store."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from harness.op import Op
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction

PLACES = ("here", "there")


def write_batch(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """n: a row in each place."""
    for place in PLACES:
        yield
        transaction.write((place, op.value), True)
    return op.replace(type="ok")


def read_batches(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """null → [[n, ...], [n, ...]]."""
    yield
    places: dict[str, list[Any]] = {place: [] for place in PLACES}
    for key in store.written():
        if isinstance(key, tuple) and transaction.read(key) is not None:
            places[key[0]].append(key[1])
    return op.replace(type="ok", value=[sorted(places[place]) for place in PLACES])


def write_row(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[k, v]: the row, and the view of it."""
    row, value = op.value
    for place in PLACES:
        yield
        transaction.write((place, row), value)
    return op.replace(type="ok")


def read_rows(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """null → [[[k, v], ...], [[k, v], ...]]."""
    yield
    places: dict[str, list[Any]] = {place: [] for place in PLACES}
    for key in store.written():
        if isinstance(key, tuple) and (value := transaction.read(key)) is not None:
            places[key[0]].append([key[1], value])
    return op.replace(type="ok", value=[sorted(places[place]) for place in PLACES])


BATCH = Programs(
    by_f={"write": write_batch, "read": read_batches},
    writes_nothing=only_reads("read"),
    named_as={"lost-write": "not-durable", "split-brain": "not-durable", "lost-element": "torn-batch"},
)

VIEW = Programs(
    by_f={"write": write_row, "read": read_rows},
    writes_nothing=only_reads("read"),
    named_as={"lost-element": "diverged-view"},
)
