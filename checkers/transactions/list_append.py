"""The transactional checker for list-append: which consistency models a history rules out, and the proof.

Problem: clients ran transactions of reads and appends to lists; each append adds a value that is unique for its key.
Could a database of the asked consistency model have answered so?

Idea (Kingsbury & Alvaro, Elle: Inferring Isolation Anomalies from Experimental Observations, VLDB 2020): a list that
was read names all appends before it in their order, so that nearly all dependencies between transactions can be read
off the values. Anomalies are then single reads that no execution allows, and cycles in the graph of dependencies
(Adya, Weak Consistency, 1999). Nothing is assumed that the history does not prove: an edge holds in every completion
of the unknown transactions and in every version order that the reads allow.

Ops: `f` is `txn`; `value` is a list of `["append", k, v]` and `["r", k, list or None]` (None where the read returned
nothing: the empty list). `ok`: committed. `fail`: aborted. `info` or no completion: may have committed; its reads say
nothing, and it has no end.

Options (of the workload): `initial`: "nil", or "unknown": lists may have held something before any append
(list_append_initial).

What it can't: anomalies that need predicates. The order of appends that nobody read is open; whether some order fits is
decided (checkers.transactions.open_orders) where it matters: for snapshot isolation, consistent view and their kin.

Cost: O(n log n) in micro-ops and elements read, about 21 bytes for each dependency beside the columns.
"""

from __future__ import annotations

from functools import partial

from checkers import models
from checkers.transactions.cycle_kinds import SUFFIXES, Timing
from checkers.transactions.cycles import CycleSearch, find_cycles
from checkers.transactions.list_append_cursor import TYPE as CURSOR
from checkers.transactions.list_append_cursor import cursor_circles
from checkers.transactions.list_append_edges import dependencies
from checkers.transactions.list_append_explain import Explainer
from checkers.transactions.list_append_initial import without_initial
from checkers.transactions.list_append_levels import LevelJudge
from checkers.transactions.list_append_lost import lost_appends
from checkers.transactions.list_append_values import ValueAnomalies
from checkers.transactions.list_append_versions import version_orders
from checkers.transactions.open_orders import OpenOrders, judge_open_orders
from checkers.transactions.txn_columns import TxnColumns, columns_of
from checkers.transactions.txn_verdict import txn_verdict, without_realtime
from checkers.transactions.value_findings import Found
from harness.checker import CheckOptions
from harness.compiled import working_time
from harness.history import History
from harness.verdict import Verdict

DEFAULT_MODEL = "strict-serializable"
CURSOR_LEVELS = ("cursor-stability", "strong-session-cursor-stability", "strong-cursor-stability")
BYTES_OF_MICRO_OP, BYTES_OF_EDGE = 64, 48
"""What the search for cycles takes at most beside the columns, for a history in one giant component."""


class ListAppend:
    """Judges list-append histories; see the module. Raises HistoryError, and UsageError for an unknown model."""

    name = "list-append"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """The verdict against `options.model` (strict-serializable by default)."""
        return self.check_columns(columns_of(history), options)

    def check_columns(self, columns: TxnColumns, options: CheckOptions) -> Verdict:
        """The same from columns."""
        model = models.canonical(options.model or DEFAULT_MODEL)
        deadline = working_time() + options.time_budget_s
        if options.workload.get("initial", "nil") == "unknown":
            columns = without_initial(columns)
        txn = columns.txn_of_mop()
        versions = version_orders(columns, txn)
        values = ValueAnomalies(columns, txn, versions, options.max_shown).found()
        lost = lost_appends(columns, txn, versions, options.max_shown)
        values += [lost] if lost.count else []
        over = _over_budget(columns, len(versions.writer), options, deadline)
        if over is not None:
            reasons = [*self._reasons(columns, versions.ambiguous, {}, model), over]
            return txn_verdict(self.name, columns, model, values, CycleSearch(), reasons)
        depends = dependencies(columns, txn, versions)
        timing = Timing(columns.status, columns.process, columns.began, columns.completed, columns.timed)
        cycles = find_cycles(depends.graph, timing, options.max_shown)
        explainer = Explainer(columns, versions)
        found = values + [
            Found(kind.type, kind.count, [explainer.anomaly(cycle) for cycle in kind.cycles], {kind.type})
            for kind in cycles.kinds.values()
        ]
        judge = LevelJudge(columns, txn, versions, depends.graph, cycles, timing, options.max_shown, deadline)
        levels = judge.judged({name for part in found for name in part.evidence}, model)
        found += levels.found
        opened = OpenOrders()
        if cycles.kinds:
            opened = judge_open_orders(
                depends.graph,
                partial(depends.open.keys, txn),
                {name for part in found for name in part.evidence}.difference(models.NO_EXECUTION),
                asked=model,
                deadline=deadline,
                memory_budget_mb=options.memory_budget_mb,
                hint=columns.completed,
            )
            for strength, level in enumerate(CURSOR_LEVELS):
                seen = {name for part in found for name in part.evidence}
                asked = not strength or models.counts_against(CURSOR + SUFFIXES[strength], model)
                if asked and not any(models.counts_against(name, level) for name in seen):
                    cursor = cursor_circles(columns, txn, depends.graph, depends.open, strength, explainer)
                    found += [cursor] if cursor.count else []
        for type_, conflicts in opened.found:
            shown = [explainer.open_order(type_, conflict) for conflict in conflicts[: options.max_shown]]
            found.append(Found(type_, len(conflicts), shown, {type_}))
        undecided = {**cycles.open_types, **levels.undecided}
        stand_in = models.stand_in(model)
        reasons = self._reasons(columns, versions.ambiguous, undecided, model) + opened.reasons(stand_in)
        left_open = models.left_open(model, {name for part in found for name in part.evidence})
        reasons += [left_open] if left_open else []
        return txn_verdict(self.name, columns, model, found, cycles, reasons)

    @staticmethod
    def _reasons(columns: TxnColumns, ambiguous: list[int], undecided: dict[str, str], model: str) -> list[str]:
        reasons = without_realtime(columns, model)
        if ambiguous:
            keys = ", ".join(repr(columns.keys[k]) for k in ambiguous[:5])
            reasons.append(
                f"the same value may have been appended twice to {len(ambiguous)} keys (such as {keys}): "
                "nothing can be said about them, because values must be unique for their key"
            )
        return reasons + [why for name, why in undecided.items() if models.counts_against(name, models.stand_in(model))]


def _over_budget(columns: TxnColumns, versions: int, options: CheckOptions, deadline: float) -> str | None:
    """Why cycles are not sought, if they are not."""
    edges = versions + 2 * len(columns.function) + 6 * len(columns)
    needed_mb = (BYTES_OF_MICRO_OP * len(columns.function) + BYTES_OF_EDGE * edges) // 2**20
    if needed_mb > options.memory_budget_mb:
        return (
            f"cycles were not sought: that takes about {needed_mb} MB, and the budget is {options.memory_budget_mb} MB"
        )
    if working_time() > deadline:
        return f"cycles were not sought: the budget of {options.time_budget_s:g} s ran out while values were compared"
    return None
