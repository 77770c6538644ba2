"""Is there an order of transactions with searches that explains every read? By trying one, then by SAT.

Problem: a search that did not return a row does not say which version of it it saw, and nobody says in which order two
blind writes took effect. Idea: variables for the order of each pair of transactions (for snapshot isolation: of their
starts and commits), for which unknown ones happened, and for which writer each read saw; the definitions of the models
as clauses (Biswas and Enea, "On the Complexity of Checking Transactional Consistency", OOPSLA 2019; PolySI, VLDB 2023):

    serializable        the writer that a read saw comes before it, every other writer before that one or after the read
    snapshot-isolation  the same for commits before starts; of two that write the same key one commits before the other
                        starts
    repeatable-read     as serializable for reads of single rows; searches only come after what they saw
    read-committed      every read comes after what it saw

and session or realtime order for the stronger variants. Initial states come first.

Cost: p³/3 clauses for p points, so at most `POINTS_MAX`; first one order is tried in O(n²), which decides sound
histories of any size.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from typing import Final

from checkers.client_calls import ClientCall
from checkers.transactions.predicate_txns import UNBORN, PredicateTxns, Read

POINTS_MAX: Final = 90
"""How many transactions a SAT problem may have (half as many for snapshot isolation): 230,000 clauses, a second."""
WINDOW: Final = 64
"""How many of the transactions that ended first are looked at for the next place in an order."""
LEVELS: Final = ("read-committed", "repeatable-read", "snapshot-isolation", "serializable")


def before(first: ClientCall, second: ClientCall, order: str) -> bool:
    """Whether `second` began after `first` had ended. order: `none`, `session` or `strict`."""
    if not first.ok or first.end >= second.place:
        return False
    return order == "strict" or (order == "session" and first.process == second.process)


def some_order_replays(txns: PredicateTxns, order: str) -> bool:
    """Whether a greedy attempt finds a serial order. False says nothing."""
    calls = txns.calls
    left = [txn for txn in range(len(calls)) if txns.committed[txn]]
    left.sort(key=lambda txn: (txn not in txns.inits, calls[txn].end))
    by_txn: dict[int, list[Read]] = {}
    for read in txns.reads:
        by_txn.setdefault(read.txn, []).append(read)
    written: dict[int, list[Hashable]] = {}
    for key, writers in txns.writers.items():
        for txn in writers:
            written.setdefault(txn, []).append(key)
    last: dict[Hashable, int] = {}
    while left:
        for place, txn in enumerate(left[:WINDOW]):
            if any(last.get(read.key, UNBORN) not in read.candidates for read in by_txn.get(txn, ())):
                continue
            waits_for = left[:place] if order == "strict" else left if order == "session" else ()
            if any(before(calls[other], calls[txn], order) for other in waits_for):
                continue
            for key in written.get(txn, ()):
                last[key] = txn
            del left[place]
            break
        else:
            return False
    return True


class Orders:
    """Decides level by level, each once. Raises nothing; `None` stands for too large."""

    def __init__(self, txns: PredicateTxns) -> None:
        self._txns = txns
        self._known: dict[tuple[str, str], bool | None] = {}

    def exists(self, level: str, order: str) -> bool | None:
        """Whether some execution of the level, bound by the order, explains the reads."""
        if (level, order) not in self._known:
            self._known[level, order] = self._decide(level, order)
        return self._known[level, order]

    def _decide(self, level: str, order: str) -> bool | None:
        if self._known.get(("serializable", order)) or some_order_replays(self._txns, order):
            self._known["serializable", order] = True
            return True
        nodes = [txn for txn, possible in enumerate(self._txns.possible) if possible]
        if len(nodes) * (2 if level == "snapshot-isolation" else 1) > POINTS_MAX:
            return None
        return _Problem(self._txns, nodes, level, order).satisfiable()


class _Problem:
    """One SAT problem. Points: a transaction's commit, and its start, which is the same but for snapshot isolation."""

    def __init__(self, txns: PredicateTxns, nodes: list[int], level: str, order: str) -> None:
        self._txns, self._nodes, self._level, self._order = txns, nodes, level, order
        self._split = level == "snapshot-isolation"
        self._number = {txn: place for place, txn in enumerate(nodes)}
        self._points = len(nodes) * (2 if self._split else 1)
        self._variables = self._points * (self._points - 1) // 2
        self._happened: dict[int, int] = {}
        self._clauses: list[list[int]] = []

    def satisfiable(self) -> bool:
        """Build it and solve it."""
        from pysat.solvers import Cadical153

        self._order_points()
        for txn in self._nodes:
            if not self._txns.committed[txn]:
                self._variables += 1
                self._happened[txn] = self._variables
        self._order_transactions()
        for read in self._txns.reads:
            self._explain(read)
        if self._split:
            self._first_committer_wins()
        with Cadical153(bootstrap_with=self._clauses) as solver:
            return bool(solver.solve())

    def _commit(self, txn: int) -> int:
        return self._number[txn]

    def _start(self, txn: int) -> int:
        return self._number[txn] + (len(self._nodes) if self._split else 0)

    def _before(self, one: int, other: int) -> int:
        """The literal for one point before another."""
        low, high = min(one, other), max(one, other)
        variable = high * (high - 1) // 2 + low + 1
        return variable if one < other else -variable

    def _order_points(self) -> None:
        for a, b, c in itertools.combinations(range(self._points), 3):
            ab, bc, ac = self._before(a, b), self._before(b, c), self._before(a, c)
            self._clauses += [[-ab, -bc, ac], [ab, bc, -ac]]

    def _order_transactions(self) -> None:
        calls, inits = self._txns.calls, set(self._txns.inits)
        for txn in self._nodes:
            if self._split:
                self._clauses.append([self._before(self._start(txn), self._commit(txn))])
        for one in self._nodes:
            for other in self._nodes:
                if one == other:
                    continue
                first = one in inits and other not in inits
                if first or before(calls[one], calls[other], self._order):
                    self._clauses.append([self._before(self._commit(one), self._start(other))])

    def _explain(self, read: Read) -> None:
        """Some candidate is what the read saw."""
        saw: list[int] = []
        start = self._start(read.txn)
        writers = [writer for writer in self._txns.writers.get(read.key, {}) if writer != read.txn]
        only_after = self._level == "read-committed" or (self._level == "repeatable-read" and read.by_search)
        for candidate in read.candidates:
            self._variables += 1
            chosen = self._variables
            saw.append(chosen)
            if candidate != UNBORN:
                self._clauses.append([-chosen, self._before(self._commit(candidate), start)])
                if candidate in self._happened:
                    self._clauses.append([-chosen, self._happened[candidate]])
            if only_after:
                continue
            for other in writers:
                if other == candidate:
                    continue
                clause = [-chosen, self._before(start, self._commit(other))]
                if candidate != UNBORN:
                    clause.append(self._before(self._commit(other), self._commit(candidate)))
                if other in self._happened:
                    clause.append(-self._happened[other])
                self._clauses.append(clause)
        self._clauses.append(saw)

    def _first_committer_wins(self) -> None:
        for writers in self._txns.writers.values():
            for one, other in itertools.combinations(writers, 2):
                clause = [
                    self._before(self._commit(one), self._start(other)),
                    self._before(self._commit(other), self._start(one)),
                ]
                clause += [-self._happened[txn] for txn in (one, other) if txn in self._happened]
                self._clauses.append(clause)
