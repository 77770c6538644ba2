"""Which of the weaker isolation levels a register history breaks, beyond what the names of its cycles say.

Problem: a cycle with one rw edge breaks consistent view in every order of the versions. Whether there is an order that
keeps monotonic atomic view, read atomic, causal consistency, prefix or cursor stability is a question for each of them.

Idea: each by its own definition (rw_register_forced, rw_register_questions), asked only where something was found that
may break it, and not if something breaks it already. In a large history only a part is asked: what breaks a level under
*some* order of the versions lies in the knots of that order (see rw_register_knots). If the part has no order that
fits, neither has the whole; if it has one, and that leaves no knots outside of the part, the whole keeps the level.

Cost: that of the questions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from checkers import models
from checkers.transactions.cycle_kinds import SUFFIXES, Cycle, CycleKind, Step, Timing
from checkers.transactions.cycles import find_cycles
from checkers.transactions.dependency_graph import PASS, PROCESS, REALTIME, RW, WW, Graph, edges_between, graph_of
from checkers.transactions.graph_kernels import rows
from checkers.transactions.list_append_wording import Names
from checkers.transactions.polygraph import Answer
from checkers.transactions.polygraph_clauses import Undecided
from checkers.transactions.polygraph_kernels import topological
from checkers.transactions.rw_register_edges import known_dependencies, open_keys
from checkers.transactions.rw_register_explain import Explainer
from checkers.transactions.rw_register_forced import Demands, Visible, demands
from checkers.transactions.rw_register_knots import graph_of_order, knotted, order_of, part_of, put_into, with_sources
from checkers.transactions.rw_register_questions import cursor_answer, prefix_answer
from checkers.transactions.rw_register_versions import Versions, versions_of
from checkers.transactions.rw_register_witness import NEVER
from checkers.transactions.txn_columns import TxnColumns
from checkers.transactions.value_findings import Found
from harness.history import FAIL
from harness.verdict import Anomaly

ROUNDS_MAX = 5
_STRENGTHS = ("", "strong-session-", "strong-")
_VISIBLE = {
    "monotonic-atomic-view": (Visible.OBSERVED_BEFORE, "OTV"),
    "read-atomic": (Visible.OBSERVED, "fractured-read"),
    "causal-cerone": (Visible.CAUSAL, "causality-violation"),
}
"""Levels that an axiom gives at once, and the anomaly that breaks each."""
CURSOR, PREFIX = "cursor-stability", "prefix"
LEVELS = ("monotonic-atomic-view", CURSOR, "read-atomic", "causal-cerone", PREFIX)
"""What is decided here, the weaker first."""


@dataclass(frozen=True)
class _Outcome:
    """possible: None for the `reason`. found: why not. order: int64[open versions], places in their keys, if so."""

    possible: bool | None
    found: Found | None = None
    reason: str = ""
    order: np.ndarray | None = None


@dataclass
class Levels:
    """found: what breaks levels. reasons: why the level asked for is not decided. kept: whether it certainly is."""

    found: list[Found] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    kept: bool = False


def level_of(model: str) -> tuple[str, int] | None:
    """The level and strength that a model asks for, if it is one that is decided here."""
    name = models.canonical(model)
    for strength, prefix in reversed(list(enumerate(_STRENGTHS))):
        if name.startswith(prefix) and name.removeprefix(prefix) in LEVELS:
            return name.removeprefix(prefix), strength
    return None


class LevelJudge:
    """Asks one question after the other; see the module.

    serial: int64[], transactions in an order that is likely. whole: whether to look at everything at once.
    """

    def __init__(
        self,
        columns: TxnColumns,
        txn: np.ndarray,
        versions: Versions,
        serial: np.ndarray,
        limit: int,
        *,
        whole: bool,
        unwritten_is_initial: bool,
    ) -> None:
        self._columns, self._txn, self._versions = columns, txn, versions
        self._serial = serial
        self._limit = limit
        self._whole = whole
        self._unwritten = unwritten_is_initial

    def judged(self, evidence: set[str], asked: str, *, doubted: bool, deadline: float, in_passing: float) -> Levels:
        """All questions that something found leaves open.

        evidence: what was found already (types of anomalies). asked: the model that is judged. doubted: whether the
        search for cycles that may break it did not end. deadline, in_passing: of working_time(), for what is asked
        and for other levels.
        """
        result = Levels()
        known = set(evidence)
        target = level_of(asked)
        questions = [(level, 0) for level in LEVELS]
        if target is not None:
            questions = [q for q in questions if q[0] != target[0]] + [(target[0], s) for s in range(target[1] + 1)]
        elif models.stand_in(asked, registers=True) != asked:
            implied = models.weaker(asked)
            questions += [(level, s) for s in (1, 2) for level in LEVELS if _STRENGTHS[s] + level in implied]
        for level, strength in questions:
            model = _STRENGTHS[strength] + level
            wanted = (level, strength) == target
            may_be_broken = _broken(models.stand_in(model, registers=True), known) or (wanted and doubted)
            if _broken(model, known) or not may_be_broken:
                continue
            own = target is not None and level == target[0]
            outcome = self._asked(level, strength, deadline if own else in_passing, to_the_end=wanted)
            if outcome.found is not None:
                result.found.append(outcome.found)
                known |= outcome.found.evidence
            if wanted and outcome.possible is None:
                result.reasons.append(outcome.reason)
            if wanted and outcome.possible:
                result.kept = True
        return result

    def _asked(self, level: str, strength: int, deadline: float, *, to_the_end: bool) -> _Outcome:
        """The answer for the whole. to_the_end: also where that takes more than a look at one part."""
        columns, txn, versions = self._columns, self._txn, self._versions
        everything = np.ones(len(columns), bool)
        wanted = np.zeros(len(columns), bool)
        order = order_of(self._serial, len(columns), versions)
        for _ in range(0 if self._whole else ROUNDS_MAX):
            graph = _of_strength(graph_of_order(columns, txn, versions, order), strength)
            fresh = knotted(graph) & ~wanted
            if not np.any(fresh):
                return _Outcome(True)
            wanted = with_sources(columns, txn, versions, wanted | fresh)
            if np.count_nonzero(wanted) > len(columns) // 2:
                break
            part = part_of(columns, txn, wanted, versions.usable)
            outcome = _Question(part, self._limit, self._unwritten).answer(level, strength, deadline)
            if outcome.order is None or not to_the_end:
                return outcome
            order = put_into(order, versions, wanted, open_keys(*_with_versions(part, self._unwritten)), outcome.order)
        if not to_the_end and not self._whole:
            return _Outcome(None)
        whole = part_of(columns, txn, everything, versions.usable)
        return _Question(whole, self._limit, self._unwritten).answer(level, strength, deadline)


def _broken(model: str, evidence: set[str]) -> bool:
    return any(models.counts_against(name, model) for name in evidence)


def _with_versions(columns: TxnColumns, unwritten_is_initial: bool) -> tuple[TxnColumns, np.ndarray, Versions]:
    txn = columns.txn_of_mop()
    return columns, txn, versions_of(columns, txn, unwritten_is_initial)


class _Question:
    """One history, and the levels asked of it."""

    def __init__(self, columns: TxnColumns, limit: int, unwritten_is_initial: bool) -> None:
        self._columns, self._txn, self._versions = _with_versions(columns, unwritten_is_initial)
        self._limit = limit
        self._known = known_dependencies(self._columns, self._txn, self._versions)

    def answer(self, level: str, strength: int, deadline: float) -> _Outcome:
        """Whether this history keeps a level."""
        try:
            if level in _VISIBLE:
                return self._by_axiom(level, strength, deadline)
            return self._by_search(level, strength, deadline)
        except Undecided as error:
            return _Outcome(None, reason=str(error))

    def _by_axiom(self, level: str, strength: int, deadline: float) -> _Outcome:
        columns, txn, versions = self._columns, self._txn, self._versions
        visible, type_ = _VISIBLE[level]
        known = _of_strength(self._known, strength)
        demanded = demands(columns, txn, versions, known, visible, strength, deadline)
        base = known.subset((known.kind != RW) & (known.kind != PASS))
        type_ += SUFFIXES[strength]
        explain = _ByAxiom(columns, txn, versions, demanded)
        never = demanded.impossible()
        if len(never):
            shown = [explain.impossible(type_, i, base) for i in range(min(len(never), self._limit))]
            return _Outcome(False, Found(type_, len(never), shown, {type_}))
        order = edges_between(len(columns), WW, demanded.write, demanded.over, txn)
        graph = graph_of(len(columns), [base, order])
        first, by_source = rows(graph.source, graph.nodes)
        place = topological(first, by_source, graph.target, graph.nodes)
        if len(place) == graph.nodes:
            turn = np.empty(graph.nodes, np.int64)
            turn[place] = np.arange(graph.nodes)
            return _Outcome(True, order=turn[open_keys(columns, txn, versions).writer])
        kinds = _plain_cycles(graph, self._limit)
        cycles = [cycle for kind in kinds for cycle in kind.cycles]
        shown = [explain.circle(type_, cycle) for cycle in cycles[: self._limit]]
        return _Outcome(False, Found(type_, sum(kind.count for kind in kinds), shown, {type_}))

    def _by_search(self, level: str, strength: int, deadline: float) -> _Outcome:
        columns, txn, versions = self._columns, self._txn, self._versions
        keys = open_keys(columns, txn, versions)
        hint = np.stack((np.where(columns.completed >= 0, columns.completed, NEVER), columns.began))
        if level == CURSOR:
            answer = cursor_answer(columns, txn, versions, self._known, keys, strength, deadline=deadline, hint=hint)
            type_ = "G-cursor"
        else:
            answer = prefix_answer(self._known, keys, strength, deadline=deadline, hint=hint)
            type_ = _type_of_prefix(answer)
        if answer.conflict is None:
            return _Outcome(answer.possible, reason=answer.reason, order=answer.order)
        type_ += SUFFIXES[strength]
        explainer = Explainer(columns, txn, versions)
        if answer.conflict.choices:
            shown = explainer.open_order(type_, answer.conflict)
        else:
            shown = explainer.anomaly(list(answer.conflict.cycles[0]), type_)
        return _Outcome(False, Found(type_, 1, [shown], {type_}))


def _type_of_prefix(answer: Answer) -> str:
    """Every order has one of the conflict's cycles: a long fork, or always one with a single rw edge."""
    if answer.conflict is None:
        return ""
    against = [sum(link.kind == RW for link in cycle) for cycle in answer.conflict.cycles]
    return "prefix-violation" if max(against) <= 1 else "long-fork"


def _of_strength(graph: Graph, strength: int) -> Graph:
    return graph.subset(
        (graph.kind <= PASS)
        | ((graph.kind == PROCESS) & (strength >= 1))
        | ((graph.kind == REALTIME) & (strength == 2))
    )


def _plain_cycles(graph: Graph, limit: int) -> list[CycleKind]:
    """By kind, from the edges alone: nothing is said of when transactions ran but what the edges say."""
    nobody = np.zeros(graph.txns, np.int64)
    timing = Timing(np.full(graph.txns, FAIL, np.int8), nobody, nobody, nobody - 1, timed=False)
    return list(find_cycles(graph, timing, limit).kinds.values())


_RULES = {
    "OTV": "whom a transaction has read from, it sees from then on",
    "fractured-read": "whom a transaction reads from, it sees as a whole",
    "causality-violation": "whoever sees a transaction sees what that one had seen",
}


class _ByAxiom(Explainer):
    """Circles of what is known and what a model demands."""

    _overwrote = "{who} overwrote each other"

    def __init__(self, columns: TxnColumns, txn: np.ndarray, versions: Versions, demanded: Demands) -> None:
        super().__init__(columns, txn, versions)
        met = demanded.possible()
        self._never = demanded.impossible()
        self._read_of: dict[tuple[int, int], int] = dict(
            zip(zip(met.write.tolist(), met.over.tolist()), met.read.tolist())
        )

    def circle(self, type_: str, cycle: Cycle) -> Anomaly:
        """A circle, with the reads that demand the orders."""
        reads = [self._read_of[s.source_mop, s.target_mop] for s in cycle if s.kind == WW]
        txns = list(dict.fromkeys([*(s.source for s in cycle), *(int(self._txn[read]) for read in reads)]))
        names = self._names(self._columns, txns)
        steps = "; ".join(self._why(step, names) for step in cycle)
        return self._told(type_, txns, names, f"each of these would have come before the next, in a circle: {steps}")

    def impossible(self, type_: str, number: int, base: Graph) -> Anomaly:
        """A read of the state before any write, by a transaction that sees a write."""
        write, read = int(self._never.write[number]), int(self._never.read[number])
        missed = edges_between(len(self._columns), RW, np.array([read]), np.array([write]), self._txn)
        cycles = [c for kind in _plain_cycles(graph_of(len(self._columns), [base, missed]), 1) for c in kind.cycles]
        cycle = next((c for c in cycles if any(step.kind == RW for step in c)), [])
        txns = [step.source for step in self._turned(cycle)] or [int(self._txn[read]), int(self._txn[write])]
        names = self._names(self._columns, txns)
        steps = "; ".join(self._why(step, names) for step in self._turned(cycle))
        return self._told(type_, txns, names, f"but {steps}")

    def _told(self, type_: str, txns: list[int], names: Names, what: str) -> Anomaly:
        rule = _RULES[type_.removesuffix("-process").removesuffix("-realtime")]
        who = ", ".join(names.full(txn) for txn in txns)
        return Anomaly(
            type=type_,
            ops=sorted(int(self._columns.op[txn]) for txn in txns),
            sentence=f"{who}: {rule}; {what}.",
            sub_history=self._records(set(txns), []),
        )

    def _why(self, step: Step, names: Names) -> str:
        read = self._read_of.get((step.source_mop, step.target_mop)) if step.kind == WW else None
        if read is None:
            return super()._why(step, names)
        first, second, reader = names.short(step.source), names.short(step.target), names.short(int(self._txn[read]))
        return (
            f"{reader} sees {first}, which wrote {self._written(names, step.source_mop)}, and read "
            f"{names.read(read)}, so {second} wrote that after {first}"
        )
