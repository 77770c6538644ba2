"""Which of the weaker isolation levels a list-append history breaks, beyond what the names of its cycles say.

Problem: a cycle with one rw edge (G-single) breaks consistent view. Whether it also breaks monotonic atomic view, read
atomic, causal consistency or prefix, and which promises to a single client, depends on what exactly was seen.

Idea: each of these levels by its own definition (see the modules below), asked only where a cycle can break it at all,
and only if nothing found so far breaks it already. The cheap questions come first.

Cost: nothing for a history without cycles; else O(micro-ops), and further searches for cycles among the transactions
that are on some.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from checkers import models
from checkers.transactions.cycle_kinds import G0, G1C, NONADJACENT, SINGLE, SUFFIXES, Timing, name_of
from checkers.transactions.cycles import CycleSearch
from checkers.transactions.dependency_graph import Graph
from checkers.transactions.list_append_causality import CAUSALITY, causality_violations
from checkers.transactions.list_append_explain import Explainer
from checkers.transactions.list_append_forks import long_forks
from checkers.transactions.list_append_sessions import session_breaks
from checkers.transactions.list_append_versions import Versions
from checkers.transactions.list_append_views import Views
from checkers.transactions.list_append_visibility import overtaken_updates, stale_reads, torn_reads
from checkers.transactions.prefix_cycles import LONG_FORK, find_prefix_cycles
from checkers.transactions.txn_columns import TxnColumns
from checkers.transactions.value_findings import Found
from harness.compiled import working_time

PRAM, SESSION_CAUSALITY = "PRAM-violation", "session-causality"
SMALL = 2000
IN_PASSING_S = (10.0, 0.2)
"""For PRAM and causal memory where something else is asked: in a small history, and in a larger one."""
_STRENGTHS = ("", "strong-session-", "strong-")


@dataclass
class Levels:
    """What was found. undecided: type of anomaly → why it is not known whether there is one."""

    found: list[Found] = field(default_factory=list)
    undecided: dict[str, str] = field(default_factory=dict)


class LevelJudge:
    """Asks one question after the other; see the module. deadline: of working_time(), for PRAM and causal."""

    def __init__(
        self,
        columns: TxnColumns,
        txn: np.ndarray,
        versions: Versions,
        graph: Graph,
        cycles: CycleSearch,
        timing: Timing,
        limit: int,
        deadline: float,
    ) -> None:
        self._columns = columns
        self._txn = txn
        self._versions = versions
        self._graph = graph
        self._cycles = cycles
        self._timing = timing
        self._limit = limit
        self._deadline = deadline
        self._explainer = Explainer(columns, versions)
        self._on_cycles = np.zeros(len(columns), bool)
        if cycles.knots is not None:
            self._on_cycles[cycles.knots.names[: cycles.knots.txns]] = True

    def judged(self, evidence: set[str], asked: str) -> Levels:
        """All questions. evidence: what was found already (types of anomalies). asked: the model that is judged.

        What needs sessions or realtime, and only breaks models that nobody reports of himself, is worked out where the
        model asked is one of them.
        """
        result = Levels()
        if not self._cycles.kinds and not evidence:
            return result
        known = evidence.difference(models.NO_EXECUTION)

        def add(found: Found) -> None:
            if found.count:
                result.found.append(found)
                known.update(found.evidence)

        for found in session_breaks(self._columns, self._txn, self._versions, self._limit):
            add(found)
        if self._has(0, G0, G1C, SINGLE):
            for found in torn_reads(self._columns, self._txn, self._versions, self._limit):
                add(found)
            if "lost-update" not in known:
                add(overtaken_updates(self._columns, self._txn, self._versions, self._limit))
        if _matters("stale-read", asked, known):
            add(stale_reads(self._columns, self._txn, self._versions, self._limit))
        for strength in range(3):
            if not strength or _matters(LONG_FORK + SUFFIXES[strength], asked, known):
                for found in self._prefix(strength, known):
                    add(found)
        self._causality(asked, known, add, result)
        if evidence.isdisjoint(models.NO_EXECUTION):
            self._views(asked, known, add, result)
        return result

    def _has(self, strength: int, *kinds: int) -> bool:
        """Whether there may be such cycles: where a weaker one was found, stronger ones of its knot are not sought."""
        names = (name_of(kind, weaker) for kind in kinds for weaker in range(strength + 1))
        return any(name in self._cycles.kinds for name in names)

    def _prefix(self, strength: int, known: set[str]) -> list[Found]:
        """Prefix: long forks by their definition; and if nothing has broken it so far, whatever cycle does."""
        knots = self._cycles.knots
        if knots is None or not self._has(strength, G0, G1C, SINGLE, NONADJACENT):
            return []
        found: list[Found] = []
        if strength == 0:
            count, forks = long_forks(self._columns, self._txn, self._versions, self._on_cycles, self._limit)
            shown = [self._explainer.anomaly(cycle, LONG_FORK) for cycle in forks]
            found.append(Found(LONG_FORK, count, shown, {LONG_FORK} if count else set()))
        if not _broken(_STRENGTHS[strength] + "prefix", known):
            found += [
                Found(kind.type, kind.count, [self._explainer.anomaly(c, kind.type) for c in kind.cycles], {kind.type})
                for kind in find_prefix_cycles(knots.with_reads(self._graph), strength, self._limit)
                if not (kind.type == LONG_FORK and found[0].count)
            ]
        return found

    def _causality(self, model: str, known: set[str], add: Callable[[Found], None], result: Levels) -> None:
        if self._cycles.knots is None:
            return
        asked = [
            s
            for s in range(3)
            if self._has(s, G0, G1C, SINGLE)
            and not _broken(_STRENGTHS[s] + "causal-cerone", known)
            and (s == 0 or _matters(CAUSALITY + SUFFIXES[s], model, known))
        ]
        if asked:
            found, open_types = causality_violations(
                self._columns,
                self._txn,
                self._versions,
                self._graph,
                self._on_cycles & self._versions.committed,
                self._timing,
                self._limit,
            )
            for type_, (count, cycles) in found.items():
                if type_ in [CAUSALITY + SUFFIXES[s] for s in asked]:
                    add(Found(type_, count, [self._explainer.anomaly(c, type_) for c in cycles], {type_}))
            result.undecided |= open_types

    def _views(self, asked: str, known: set[str], add: Callable[[Found], None], result: Levels) -> None:
        """PRAM and causal memory."""
        contradicted = bool(np.any(self._versions.usable & ~self._versions.agreed))
        if not contradicted and not any(self._has(s, G0, G1C, SINGLE) for s in (0, 1)):
            return
        everywhere = contradicted or self._cycles.knots is None
        wanted = np.ones(len(self._columns), bool) if everywhere else self._on_cycles
        views: Views | None = None
        now = working_time()
        patience_s = IN_PASSING_S[len(self._columns) > SMALL]
        until = self._deadline if asked in ("PRAM", "causal") else min(self._deadline, now + patience_s)
        for model, type_ in (("PRAM", PRAM), ("causal", SESSION_CAUSALITY)):
            if _broken(model, known):
                continue
            views = views or Views(self._columns, self._txn, self._versions, wanted)
            broken = views.broken(causal=model == "causal", limit=self._limit, deadline=until)
            shown = [self._explainer.by_micro_op(cycle, type_, process) for process, cycle in broken.cycles]
            add(Found(type_, broken.count, shown, {type_}))
            if broken.undecided and not broken.count:
                result.undecided[type_] = broken.undecided


def _matters(anomaly: str, model: str, evidence: set[str]) -> bool:
    """Whether one such anomaly would break a model that is not broken yet."""
    return models.counts_against(anomaly, model) and not _broken(model, evidence)


def _broken(model: str, evidence: set[str]) -> bool:
    return any(models.counts_against(name, model) for name in evidence)
