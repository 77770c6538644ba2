"""Registers of a history, judged as columns: by zones where every value was put once, else by the compiled search.

Only the registers that are not known to be linearizable become objects, and only those that are shown are explained.
Cost: see `register_columns`, `register_zones` and `register_search`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from checkers import register_columns, register_shrink, register_zones
from checkers.linearizable_calls import Call, calls_at, nodes_of
from checkers.linearizable_model import Budget, Outcome, State
from checkers.linearizable_trouble import Objects, Trouble
from checkers.register_columns import READ, RegisterColumns
from checkers.register_model import Register
from checkers.register_search import UNDECIDED, VALID, Found, RegisterSearch
from checkers.register_zones_wording import violation_of
from harness.history import FAIL, INFO, History

EXPLAIN_S, EXPLAIN_MB = 2.0, 256
"""What finding out how far an order of one register exists may cost, at most."""


def judge(history: History, model: Register, budget: Budget) -> Objects | None:
    """Judge every register; None for values that have no columns."""
    columns = register_columns.columns_of(history, model.initial)
    if columns is None:
        return None
    judged = _Registers(history, model, columns, budget)
    happened = columns.outcome != FAIL
    return Objects(
        count=len(columns),
        operations=int(np.count_nonzero(happened)),
        crashed=int(np.count_nonzero(columns.outcome == INFO)),
        troubles=judged.troubles(),
        configurations_max=judged.search.configurations_max,
    )


class _Registers:
    """All registers, judged."""

    def __init__(self, history: History, model: Register, columns: RegisterColumns, budget: Budget) -> None:
        self.history, self.model, self.columns, self.budget = history, model, columns, budget
        self.zones = register_zones.judge(columns)
        self.search = RegisterSearch(columns)
        self.search.judge(self.zones.verdict == register_zones.UNDECIDED, budget)

    @cached_property
    def nodes(self) -> frozenset[str]:
        return nodes_of(self.history)

    def troubles(self) -> Iterator[Trouble]:
        """Those that are not known to be linearizable, the ones with the fewest crashed calls first."""
        by_zones = self.zones.verdict
        broken = (by_zones == register_zones.BROKEN) | (
            (by_zones == register_zones.UNDECIDED) & self.by_search_not_valid
        )
        start, crashed = self.columns.start, np.cumsum(np.append(0, self.columns.outcome == INFO))
        unknown = crashed[start[1:]] - crashed[start[:-1]]
        which = np.flatnonzero(broken)
        for register in which[np.lexsort((np.diff(start)[which], unknown[which]))].tolist():
            yield _Register(self, register)

    @property
    def by_search_not_valid(self) -> np.ndarray:
        return self.search.judged != VALID


class _Register(Trouble):
    """One register. calls: in the order of the columns, from `first` on."""

    def __init__(self, registers: _Registers, register: int) -> None:
        columns = registers.columns
        self._registers, self._register = registers, register
        self._first = int(columns.start[register])
        places = columns.invoked[self._first : columns.start[register + 1]].tolist()
        key = columns.key[register]
        super().__init__(
            calls_at(registers.history, registers.model, places, key, columns.keyed, registers.nodes),
            None if self._is_undecided else False,
        )

    @property
    def _is_by_zones(self) -> bool:
        return bool(self._registers.zones.verdict[self._register] == register_zones.BROKEN)

    @property
    def _is_undecided(self) -> bool:
        return not self._is_by_zones and bool(self._registers.search.judged[self._register] == UNDECIDED)

    def explained(self) -> Outcome:
        """See Trouble."""
        search, register = self._registers.search, self._register
        if self._is_undecided:
            return self._outcome(search.gave_up(register), None)
        outcome = self._outcome(search.explain(register, Budget.of(EXPLAIN_S, EXPLAIN_MB)), False)
        if self._is_by_zones:
            calls, outcome.violation = violation_of(self._registers.columns, self._registers.zones, register, self._did)
            outcome.proof = [self._call(call).operation for call in calls]
        return outcome

    def _outcome(self, found: Found, linearizable: bool | None) -> Outcome:
        return Outcome(
            linearizable=linearizable,
            completed=found.completed,
            completions=self._registers.search.completions(self._register),
            stuck=self._call(found.stuck).operation if found.stuck >= 0 else None,
            states=[self._values[number] for number in found.states],
            ordered=found.ordered,
            complete=found.complete,
        )

    def _call(self, place: int) -> Call:
        return self.calls.calls[place - self._first]

    def _did(self, place: int) -> str:
        call = self._call(place)
        return f"client {call.process} {self._registers.model.describe(call.action)}"

    @cached_property
    def _values(self) -> dict[int, State]:
        """The values by their numbers in the columns."""
        columns = self._registers.columns
        values: dict[int, State] = {0: self._registers.model.initial}
        for place, call in enumerate(self.calls.calls, self._first):
            action: Any = call.action
            if columns.kind[place] != READ:
                values[int(columns.new[place])] = action[-1]
            if columns.old[place] >= 0:
                values[int(columns.old[place])] = action[1]
        return values

    def shrunk(self, stuck: Call) -> list[Call]:
        """See Trouble."""
        columns = self._registers.columns
        part = slice(self._first, int(columns.start[self._register + 1]))
        needed = register_shrink.needed(columns, part, self.calls.calls.index(stuck))
        return [self.calls.calls[place] for place in needed]
