"""How the list-append checker names transactions, keys and values in its sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from checkers.transactions.txn_columns import TxnColumns

LIST_SHOWN_MAX = 12


def shown(value: Any) -> str:
    """A key or value as the reader knows it from the history."""
    if type(value) is int:
        text = str(value)
    elif isinstance(value, str):
        return value if value and value.isprintable() and " " not in value and len(value) <= 40 else repr(value[:60])
    else:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def shown_list(values: Sequence[Any]) -> str:
    """A list as Jepsen writes it, with the middle left out where it is long."""
    return _listed(values, shown)


def _listed(values: Sequence[Any], show: Callable[[Any], str]) -> str:
    if len(values) <= LIST_SHOWN_MAX:
        return "[" + " ".join(map(show, values)) + "]"
    head, tail = values[:3], values[-(LIST_SHOWN_MAX - 4) :]
    return f"[{' '.join(map(show, head))} … {' '.join(map(show, tail))}] ({len(values)} elements)"


class Names:
    """Short names, T1, T2 ..., of the transactions of one anomaly, in the order of their first mention."""

    def __init__(self, columns: TxnColumns, txns: Sequence[int] = ()) -> None:
        self._columns = columns
        self._names: dict[int, str] = {}
        for txn in txns:
            self.short(txn)

    def short(self, txn: int) -> str:
        """`T1`."""
        name = self._names.get(txn)
        if name is None:
            name = self._names[int(txn)] = f"T{len(self._names) + 1}"
        return name

    def full(self, txn: int) -> str:
        """`T1 (op 17)`: with its place in the history."""
        return f"{self.short(txn)} (op {self._columns.op.item(txn)})"

    def key(self, mop: int) -> str:
        """The key of a micro-op."""
        return shown(self._columns.keys[self._columns.key.item(mop)])

    def value(self, mop: int) -> str:
        """What a micro-op appended."""
        return shown(self._columns.shown_value(self._columns.value.item(mop)))

    def read(self, mop: int) -> str:
        """`x = [1 2]`."""
        columns = self._columns
        show = str if columns.values is None else shown
        return f"{self.key(mop)} = {_listed(columns.read_list(mop), show)}"
