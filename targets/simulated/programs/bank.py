"""The bank workload's transfers and reads in the simulated store."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping
from typing import Any

from harness.op import Op
from harness.target import DidNotHappen
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction


def accounts(options: Mapping[str, Any]) -> dict[Hashable, int]:
    """Every account with what it holds at the beginning."""
    return {("account", number): options["balance"] for number in range(options["accounts"])}


def transfer(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """{from, to, amount}; fails when there is not enough."""
    source, goal, amount = op.value["from"], op.value["to"], op.value["amount"]
    yield
    left = transaction.read(("account", source)) - amount
    if left < 0:
        raise DidNotHappen(f"not enough in {source}")
    yield
    there = transaction.read(("account", goal))
    yield
    transaction.write(("account", source), left)
    yield
    transaction.write(("account", goal), there + amount)
    return op.replace(type="ok")


def read(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """null → [[account, balance], ...]."""
    balances: list[list[Any]] = []
    for key in store.written():
        if isinstance(key, tuple) and key[0] == "account":
            yield
            balances.append([key[1], transaction.read(key)])
    return op.replace(type="ok", value=balances)


BANK = Programs(
    by_f={"transfer": transfer, "read": read},
    writes_nothing=only_reads("read"),
    named_as={
        "dirty-read": "wrong-total",
        "lost-update": "wrong-total",
        "read-skew": "wrong-total",
        "stale-read": "impossible-balances",
        "lost-write": "impossible-balances",
        "split-brain": "impossible-balances",
        "duplicate": "impossible-balances",
        "non-monotonic-read": "impossible-balances",
        "diverged-replicas": "wrong-total",
        "lost-element": "wrong-total",
    },
    initial=accounts,
)
