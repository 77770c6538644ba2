"""Registers of a history, judged as columns: by zones where every value was put once, else by the compiled search.

Only the registers that are not known to be linearizable become objects, and only those that are shown are explained.
Cost: see `register_columns`, `register_zones` and `register_search`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from checkers.linearizability import register_columns, register_shrink, register_zones
from checkers.linearizability.linearizable_calls import Call, Calls, calls_at, nodes_of, records_at, without_keys
from checkers.linearizability.linearizable_model import NEVER, Budget, Outcome, State
from checkers.linearizability.linearizable_trouble import Objects, Trouble
from checkers.linearizability.register_anomalies import Named, find, find_among
from checkers.linearizability.register_columns import READ, RegisterColumns
from checkers.linearizability.register_model import Register
from checkers.linearizability.register_search import INVALID, UNDECIDED, VALID, Found, RegisterSearch
from checkers.linearizability.register_suspects import suspects
from checkers.linearizability.register_zones_wording import violation_of
from harness.history import FAIL, INFO, OK, History

EXPLAIN_S, EXPLAIN_MB = 2.0, 256
"""What finding out how far an order of one register exists may cost, at most."""


def judge(history: History, model: Register, budget: Budget) -> Objects | None:
    """Judge every register; None for values that have no columns."""
    columns = register_columns.columns_of(history, model.initial)
    if columns is None:
        return None
    judged = _Registers(history, model, columns, budget)
    return Objects(
        count=len(columns),
        operations=int(np.count_nonzero(columns.outcome != FAIL)),
        crashed=int(np.count_nonzero(columns.outcome == INFO)),
        troubles=judged.troubles(),
        configurations_max=judged.search.configurations_max if judged.search else min(len(columns), 1),
    )


class _Registers:
    """All registers, judged. judged: int8[k], as the search has it."""

    def __init__(self, history: History, model: Register, columns: RegisterColumns, budget: Budget) -> None:
        self.history, self.model, self.columns = history, model, columns
        self.zones = register_zones.judge(columns)
        self.judged = np.where(self.zones.verdict == register_zones.BROKEN, INVALID, VALID)
        self.searched = self.zones.verdict == register_zones.UNDECIDED
        self.search: RegisterSearch | None = None
        if self.searched.any():
            self.search = RegisterSearch(columns)
            self.search.judge(self.searched, budget)
            self.judged[self.searched] = self.search.judged[self.searched]

    @cached_property
    def nodes(self) -> frozenset[str]:
        return nodes_of(self.history)

    def troubles(self) -> Iterator[Trouble]:
        """Those that are not known to be linearizable, the ones with the fewest crashed calls first."""
        which = np.flatnonzero(self.judged != VALID)
        if not len(which):
            return
        start, unknown = self.columns.start, np.append(0, np.cumsum(self.columns.outcome == INFO))
        crashed = unknown[start[1:]] - unknown[start[:-1]]
        for register in which[np.lexsort((np.diff(start)[which], crashed[which]))].tolist():
            yield _Register(self, register)


class _Register(Trouble):
    """One register. Its calls are those of the columns from `first` on, in their order."""

    def __init__(self, registers: _Registers, register: int) -> None:
        super().__init__(False if registers.judged[register] == INVALID else None)
        self._registers, self._register = registers, register
        self._first = int(registers.columns.start[register])
        self._alone = registers.columns.only(register)

    @cached_property
    def calls(self) -> Calls:
        """See Trouble."""
        return self._some(self._alone.invoked, self._registers.nodes)

    @cached_property
    def about(self) -> Calls:
        """See Trouble."""
        return self._some(self._alone.invoked[:0])

    def _some(self, places: np.ndarray, nodes: frozenset[str] = frozenset()) -> Calls:
        """The calls that were invoked at these places."""
        registers, alone = self._registers, self._alone
        return calls_at(registers.history, registers.model, places.tolist(), alone.key[0], alone.keyed, nodes)

    def named(self, initial: State) -> Iterator[Named]:
        """See Trouble."""
        found = suspects(self._alone)
        if found.others or 2 * len(found.needed) > len(self._alone.kind):
            return find(self.calls, initial)
        if not len(found.wrong):
            return iter(())
        wrong = set(self._alone.invoked[found.wrong].tolist())
        return find_among(self._some(self._alone.invoked[found.needed]), initial, wrong)

    def call_at(self, place: int) -> Call:
        """See Trouble."""
        return self._call(int(np.searchsorted(self._alone.invoked, place)))

    def _call(self, number: int) -> Call:
        """One call of the register, by its number from 0."""
        return self._some(self._alone.invoked[number : number + 1]).calls[0]

    def in_flight(self, stuck: Call) -> int:
        """See Trouble."""
        alone = self._alone
        others = (alone.invoked < stuck.end) & (alone.returned > stuck.end) & (alone.outcome != FAIL)
        return int(np.count_nonzero(others & (alone.invoked != stuck.place)))

    def explained(self) -> Outcome:
        """See Trouble."""
        registers = self._registers
        searched = bool(registers.searched[self._register])
        hard = registers.search.hard(self._register) if registers.search and searched else None
        if hard is not None and (hard.judged == UNDECIDED or hard.complete):
            return self._outcome(hard, self._first)
        alone = RegisterSearch(registers.columns.only(self._register))
        outcome = self._outcome(alone.explain(0, Budget.of(EXPLAIN_S, EXPLAIN_MB)), 0)
        if not searched:
            proof, outcome.violation = violation_of(registers.columns, registers.zones, self._register, self._did)
            outcome.proof = [self._call(place - self._first).operation for place in proof]
        return outcome

    def _outcome(self, found: Found, first: int) -> Outcome:
        """first: the number of the register's first call in the columns that were searched."""
        stuck = found.stuck - first if found.judged == INVALID else -1
        return Outcome(
            linearizable=self.linearizable,
            completed=found.completed,
            completions=int(np.count_nonzero(self._alone.outcome == OK)),
            stuck=self._call(stuck).operation if stuck >= 0 else None,
            states=[self._value(number) for number in found.states],
            ordered=found.ordered,
            complete=found.complete,
        )

    def _did(self, place: int) -> str:
        call = self._call(place - self._first)
        return f"client {call.process} {self._registers.model.describe(call.action)}"

    def _value(self, number: int) -> State:
        """The value with a number in the columns."""
        if number == 0:
            return self._registers.model.initial
        puts = np.flatnonzero(self._alone.new == number)
        place = puts[0] if len(puts) else np.flatnonzero(self._alone.old == number)[0]
        action: Any = self._call(int(place)).action
        return action[-1] if len(puts) else action[1]

    def shrunk(self, stuck: Call) -> list[int]:
        """See Trouble."""
        number = int(np.searchsorted(self._alone.invoked, stuck.place))
        return self._records(register_shrink.needed(self._alone, number), until=stuck.end)

    @cached_property
    def _whole(self) -> register_shrink.Part:
        return register_shrink.Part(self._alone)

    def records(self, calls: Sequence[Call]) -> list[int]:
        """See Trouble."""
        return self._records(self._whole.with_grounds(self._numbers(calls)))

    def _numbers(self, calls: Sequence[Call]) -> list[int]:
        return np.searchsorted(self._alone.invoked, [call.place for call in calls]).tolist()

    def records_of(self, named: Named, initial: State) -> list[int]:
        """See Trouble. Alone, a stale read may look like a lost write: then with who put or found the newer value, too,
        which shows that it was not; else with all."""
        numbers = self._whole.with_grounds(self._numbers(named.calls))
        if named.replacement is not None and not self._is_stale(numbers, named, initial):
            (newer,) = self._numbers([named.replacement])
            numbers = self._whole.with_grounds([*numbers, *self._others_about(newer)])
            if not self._is_stale(numbers, named, initial):
                numbers = list(range(len(self._alone.kind)))
        return self._records(numbers)

    def _is_stale(self, numbers: Sequence[int], named: Named, initial: State) -> bool:
        found = find(self._some(self._alone.invoked[numbers], self._registers.nodes), initial)
        return any(each.type == named.type and each.calls[-1].place == named.calls[-1].place for each in found)

    def _others_about(self, call: int) -> list[int]:
        """Another call that may have put what a call shows, and the last that found it."""
        alone = self._alone
        value = alone.old[call] if alone.kind[call] == READ else alone.new[call]
        puts = np.flatnonzero((alone.new == value) & (alone.outcome != FAIL))
        finds = np.flatnonzero((alone.old == value) & (alone.outcome == OK))
        return [*puts[puts != call][:1].tolist(), *finds[np.argsort(alone.returned[finds])][-1:].tolist()]

    def _records(self, numbers: Sequence[int], until: int = NEVER) -> list[int]:
        """Indexes of both records of these calls, without completions after a place."""
        history, places = self._registers.history, self._alone.invoked[numbers]
        ends = history.pair[places]
        ends = ends[(ends >= 0) & (ends <= until)]
        kept = [*places.tolist(), *ends.tolist()]
        if not self._alone.keyed:
            kept += without_keys(history, self._registers.model, places.tolist())
        return records_at(history, kept)
