"""How the rw-register checker names transactions, keys and values in its sentences."""

from __future__ import annotations

from checkers.transactions import list_append_wording
from checkers.transactions.list_append_wording import shown

__all__ = ["Names", "shown"]


class Names(list_append_wording.Names):
    """Names where a read returned one value."""

    def read(self, mop: int) -> str:
        """`x = 7`, or `x = nil` for what nobody had written yet."""
        seen = self._columns.read_list(mop)
        return f"{self.key(mop)} = {shown(seen[0]) if seen else 'nil'}"
