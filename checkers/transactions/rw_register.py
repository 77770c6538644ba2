"""The transactional checker for registers: which consistency models a history rules out, and the proof.

Problem: clients ran transactions of reads and writes of registers; each write puts a value that is unique for its key.
Could a database of the asked consistency model have answered so?

Idea: a read names the one write that it saw, but nothing names the order in which writes of a key took effect. What
holds in every order makes edges of a graph of dependencies (rw_register_edges), whose cycles are anomalies
(Adya, Weak Consistency, 1999; Kingsbury & Alvaro, Elle, VLDB 2020). Whether there is any order that fits the rest is a
search (checkers.transactions.polygraph). Nothing is assumed that the judged model does not itself imply.

Ops: `f` is `txn`; `value` is a list of `["w", k, v]` and `["r", k, v or None]` (None where nobody had written yet).
`ok`: committed. `fail`: aborted. `info` or no completion: may have committed; its reads say nothing, and it has no end.

Options (of the workload): `initial`: "nil", or "unknown": a value that nobody wrote may be the state before any write.
`wfr_keys`, `sequential_keys`, `linearizable_keys`: Elle's assumptions.

What it can't: anomalies that need predicates.

Cost: O(n log n) in micro-ops where an order is found at once; the search for one is exponential at worst, and bounded.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from checkers import models
from checkers.transactions.cycle_kinds import Timing, name_of
from checkers.transactions.cycles import CycleSearch, find_cycles
from checkers.transactions.dependency_graph import Graph
from checkers.transactions.open_orders import LEVELS, judge_open_orders
from checkers.transactions.rw_register_edges import known_dependencies, open_keys
from checkers.transactions.rw_register_explain import Explainer
from checkers.transactions.rw_register_guess import order_that_fits
from checkers.transactions.rw_register_knots import (
    explained,
    graph_of_order,
    knotted,
    order_of,
    part_of,
    put_into,
    with_sources,
)
from checkers.transactions.rw_register_levels import LevelJudge
from checkers.transactions.rw_register_sessions import SessionJudge
from checkers.transactions.rw_register_values import ValueAnomalies
from checkers.transactions.rw_register_versions import Versions, versions_of
from checkers.transactions.rw_register_witness import NEVER, ODD_PART_MAX
from checkers.transactions.txn_columns import Form, TxnColumns, columns_of
from checkers.transactions.txn_verdict import txn_verdict, without_realtime
from checkers.transactions.value_findings import Found
from harness.checker import CheckOptions
from harness.compiled import working_time
from harness.history import History
from harness.verdict import Verdict

DEFAULT_MODEL = "strict-serializable"
SMALL = 200
ROUNDS_MAX = 5
IN_PASSING_S = (5.0, 0.2)
"""For what else is wrong with a history that is invalid anyway: a small one, another; or as long as all before took."""


class _Search:
    """Cycles, and what no order of the versions avoids: in everything, or in the knots of an order only.

    found, cycles, reasons: what came out.
    """

    def __init__(
        self,
        columns: TxnColumns,
        txn: np.ndarray,
        versions: Versions,
        model: str,
        options: CheckOptions,
        deadline: float,
    ) -> None:
        self._columns, self._txn, self._versions = columns, txn, versions
        self._model = model
        self._options = options
        self._begun = working_time()
        self._deadline = deadline
        self.found: list[Found] = []
        self.cycles = CycleSearch()
        self.reasons: list[str] = []

    def everything(self, columns: TxnColumns, txn: np.ndarray, versions: Versions, evidence: set[str]) -> None:
        """Look for all kinds in a history, the whole or a part of it. evidence: of what was found before."""
        limit = self._options.max_shown
        graph = known_dependencies(columns, txn, versions)
        self.cycles = find_cycles(graph, _timing(columns), limit)
        explainer = Explainer(columns, txn, versions)
        self.found = [
            Found(kind.type, kind.count, [explainer.anomaly(cycle) for cycle in kind.cycles], {kind.type})
            for kind in self.cycles.kinds.values()
        ]
        evidence = evidence | {kind.type for kind in self.cycles.kinds.values()}
        opened = judge_open_orders(
            graph,
            partial(open_keys, columns, txn, versions),
            evidence,
            asked=self._model,
            deadline=self._time_for(columns, evidence),
            memory_budget_mb=self._options.memory_budget_mb,
            hint=_places(columns),
        )
        for type_, conflicts in opened.found:
            shown = [explainer.open_order(type_, conflict) for conflict in conflicts[:limit]]
            self.found.append(Found(type_, len(conflicts), shown, {type_}))
        self.reasons = self.cycles.undecided + opened.reasons(self._model)

    def knots(self, evidence: set[str], order: np.ndarray) -> bool:
        """The same where an order fails only. False if that does not settle it: then everything must be looked at."""
        columns, txn, versions = self._columns, self._txn, self._versions
        wanted = np.zeros(len(columns), bool)
        for _ in range(ROUNDS_MAX):
            graph = graph_of_order(columns, txn, versions, order)
            fresh = knotted(graph) & ~wanted
            if not np.any(fresh) and self._fits(graph, evidence):
                return True
            wanted = with_sources(columns, txn, versions, wanted | fresh)
            if np.count_nonzero(wanted) > len(columns) // 2:
                return False
            part = part_of(columns, txn, wanted, versions.usable)
            part_txn = part.txn_of_mop()
            part_versions = versions_of(part, part_txn)
            self.everything(part, part_txn, part_versions, evidence)
            seen = evidence | {name for one in self.found for name in one.evidence}
            if any(models.counts_against(name, self._model) for name in seen):
                self.reasons = []
                return True
            keys = open_keys(part, part_txn, part_versions)
            strength = 2 if models.counts_against("G1c-realtime", self._model) else 1
            strength = strength if models.counts_against("G1c-process", self._model) else 0
            kinds = [kind for kind in LEVELS if models.counts_against(name_of(kind, strength), self._model)]
            if not kinds:
                return not self.reasons
            known = known_dependencies(part, part_txn, part_versions)
            must = LEVELS[max(kinds)]
            answer = order_that_fits(known, keys, must, strength, deadline=self._deadline, hint=_places(part))
            if not answer.possible or answer.order is None:
                return False
            order = put_into(order, versions, wanted, keys, answer.order)
            if self._fits(graph_of_order(columns, txn, versions, order), evidence):
                return True
        return False

    def _fits(self, graph: Graph, evidence: set[str]) -> bool:
        """Whether an order leaves no cycle that counts against the model."""
        cycles = find_cycles(graph, _timing(self._columns), 0)
        fits = not cycles.undecided and not any(models.counts_against(name, self._model) for name in cycles.kinds)
        if fits:
            self.reasons = []
        return fits

    def _time_for(self, columns: TxnColumns, evidence: set[str]) -> float:
        """Until when to search: for long only where it decides the verdict."""
        if any(models.counts_against(name, self._model) for name in evidence):
            return self.in_passing(columns)
        return self._deadline

    def in_passing(self, columns: TxnColumns) -> float:
        """Until when to search for what does not decide the verdict."""
        now = working_time()
        return min(self._deadline, now + max(IN_PASSING_S[len(columns) > SMALL], now - self._begun))


class _Weaker:
    """The levels and promises that cycles don't name.

    found: what breaks them. reasons: why the model that is asked for is not decided.
    """

    def __init__(
        self,
        columns: TxnColumns,
        txn: np.ndarray,
        versions: Versions,
        options: CheckOptions,
        deadline: float,
        search: _Search,
    ) -> None:
        self._columns, self._txn, self._versions = columns, txn, versions
        self._limit = options.max_shown
        self._deadline = deadline
        self._search = search
        self.found: list[Found] = []
        self.reasons: list[str] = []

    def judge(self, model: str, evidence: set[str], serial: np.ndarray, unwritten_is_initial: bool) -> None:
        """Ask all that is open. evidence: what was found before. serial: transactions, in an order that is likely."""
        small = len(self._columns) <= SMALL
        in_passing = self._search.in_passing(self._columns)
        judge = LevelJudge(
            self._columns,
            self._txn,
            self._versions,
            serial,
            self._limit,
            whole=small,
            unwritten_is_initial=unwritten_is_initial,
        )
        doubted = bool(self._search.reasons)
        levels = judge.judged(evidence, model, doubted=doubted, deadline=self._deadline, in_passing=in_passing)
        self.found += levels.found
        evidence = evidence | {name for part in levels.found for name in part.evidence}
        asked = model in models.GUARANTEES
        weakest = models.stand_in("causal", registers=True)
        if (asked and doubted) or ((small or asked) and any(models.counts_against(name, weakest) for name in evidence)):
            until = self._deadline if asked else in_passing
            sessions = SessionJudge(self._columns, self._txn, self._versions, self._limit).judged(evidence, until)
            self.found += sessions.found
            if asked:
                self.reasons = [why for name, why in sessions.undecided.items() if name in models.weaker(model)]
                return
        if levels.kept:
            return
        left_open = models.left_open(model, evidence, registers=True)
        self.reasons = levels.reasons or [*self._search.reasons, *([left_open] if left_open else [])]


def _timing(columns: TxnColumns) -> Timing:
    return Timing(columns.status, columns.process, columns.began, columns.completed, columns.timed)


def _places(columns: TxnColumns) -> np.ndarray:
    """A guess at the order of commits: int64[2, n], the places of completions and invocations."""
    return np.stack((np.where(columns.completed >= 0, columns.completed, NEVER), columns.began))


class RwRegister:
    """Judges rw-register histories; see the module. Raises HistoryError, and UsageError for an unknown model."""

    name = "rw-register"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """The verdict against `options.model` (strict-serializable by default)."""
        return self.check_columns(columns_of(history, Form.RW_REGISTER), options)

    def check_columns(self, columns: TxnColumns, options: CheckOptions) -> Verdict:
        """The same from columns."""
        model = models.canonical(options.model or DEFAULT_MODEL)
        deadline = working_time() + options.time_budget_s
        txn = columns.txn_of_mop()
        unwritten_is_initial = options.workload.get("initial", "nil") == "unknown"
        versions = versions_of(columns, txn, unwritten_is_initial)
        found = ValueAnomalies(columns, txn, versions, options.max_shown).found()
        reasons = self._reasons(columns, versions, model)
        witness = explained(columns, txn, versions, deadline)
        if witness.explains and not any(part.type == "G1b" for part in found):
            return txn_verdict(self.name, columns, model, found, CycleSearch(), reasons)
        evidence = {name for part in found for name in part.evidence}
        exact = models.stand_in(model, registers=True)
        search = _Search(columns, txn, versions, exact, options, deadline)
        few = len(columns) > SMALL and len(witness.odd) <= ODD_PART_MAX * len(columns)
        if not few or not search.knots(evidence, order_of(witness.serial, len(columns), versions)):
            search = _Search(columns, txn, versions, exact, options, deadline)
            search.everything(columns, txn, versions, evidence)
        found += search.found
        weaker = _Weaker(columns, txn, versions, options, deadline, search)
        weaker.judge(model, {name for part in found for name in part.evidence}, witness.serial, unwritten_is_initial)
        found += weaker.found
        return txn_verdict(self.name, columns, model, found, search.cycles, reasons + weaker.reasons)

    @staticmethod
    def _reasons(columns: TxnColumns, versions: Versions, model: str) -> list[str]:
        reasons = without_realtime(columns, model)
        unclear = versions.repeated + versions.ambiguous
        if unclear:
            keys = ", ".join(repr(columns.keys[k]) for k in unclear[:5])
            reasons.append(
                f"the same value was, or may have been, written twice to {len(unclear)} keys (such as {keys}): "
                "nothing can be said about them, because values must be unique for their key"
            )
        return reasons
