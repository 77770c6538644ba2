"""temporary"""
from dataclasses import dataclass, field
from checkers.list_append_values import Found

@dataclass
class Opened:
    found: list = field(default_factory=list)
    def undecided(self, model):
        return []

def open_order_cycles(columns, txn, depends, found, deadline):
    return Opened()
