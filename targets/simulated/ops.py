"""What each workload's ops do in the store, as programs: every `yield` is the gap between two statements.

A program takes the op and its transaction and returns the op as `ok`; it raises DidNotHappen to give up.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from harness.op import Op
from harness.target import DidNotHappen
from targets.simulated.store import Store, Transaction

Program = Callable[[Op, Transaction, Store], Generator[None, None, Op]]


def txn(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[["append", k, v], ["r", k, null]] → the reads filled in."""
    results: list[list[Any]] = []
    for f, key, element in op.value:
        yield
        if f == "append":
            transaction.append(key, element)
            results.append([f, key, element])
        else:
            results.append([f, key, list(transaction.read(key) or ())])
    return op.replace(type="ok", value=results)


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


PROGRAMS: dict[str, Program] = {
    "txn": txn,
    "read": read,
    "write": write,
    "cas": cas,
    "leave": leave,
    "read-all": read_all,
}


def writes_nothing(op: Op) -> bool:
    """Whether an op can't change anything, whatever it finds."""
    if op.f == "txn":
        return all(micro_op[0] == "r" for micro_op in op.value)
    return op.f in ("read", "read-all")
