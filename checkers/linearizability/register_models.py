"""Registers under the model that is asked: linearizability first, then what the weaker model's own checker says.

A history that is linearizable is sequentially and causally consistent too, and that is decided fastest. Where it is
not, or nobody knows, `sequential` (for single operations the same as strong session serializability) is decided by
`sequential`, causal consistency by `causal`. What linearizability missed is shown all the same; it
does not count. Other models that are weaker than linearizability stay `unknown` there.

Cost: that of `linearizable`, and of the weaker model's checker where the history is not linearizable.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from checkers import models
from checkers.client_calls import calls_of
from checkers.linearizability.linearizable import Linearizable
from checkers.linearizability.linearizable_model import State
from checkers.linearizability.register_model import Register
from checkers.ordering.causal import DEFAULT_MODEL, Causal
from checkers.ordering.register_ops import is_composite
from checkers.ordering.sequential import Sequential
from harness.checker import Checker, CheckOptions
from harness.compiled import working_time
from harness.history import History
from harness.verdict import Verdict

_WEAKER: dict[str, Checker] = {
    models.canonical("sequential"): Sequential(),
    models.canonical("causal"): Causal(),
    models.canonical(DEFAULT_MODEL): Causal(),
}


def _as_it_is(initial: State) -> State:
    return initial


class Registers:
    """See the module's docstring. initial_value: what the option `initial` stands for."""

    name = Linearizable.name

    def __init__(self, initial_value: Callable[[State], State] = _as_it_is) -> None:
        self._initial_value = initial_value
        self._linearizable = Linearizable(lambda initial: Register(initial_value(initial)))

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge against `options.model`, linearizable by default. Raises HistoryError for ops of another kind."""
        began = working_time()
        strict = self._linearizable.check(history, options)
        weaker = _WEAKER.get(models.canonical(options.model or "linearizable"))
        if weaker is None or strict.verdict != "unknown" or _has_composites(history):
            return strict
        left_s = max(options.time_budget_s - (working_time() - began), 1.0)
        initial = self._initial_value(options.workload.get("initial"))
        workload = {**options.workload, "initial": initial}
        decided = weaker.check(history, msgspec.structs.replace(options, time_budget_s=left_s, workload=workload))
        return _together(strict, decided)


def _together(strict: Verdict, decided: Verdict) -> Verdict:
    """The weaker model's verdict, with what else was found. An anomaly that both have is told once."""
    known = set(decided.anomaly_types)
    more = [anomaly for anomaly in strict.anomalies if anomaly.type not in known]
    counts = {**strict.anomaly_counts, **decided.anomaly_counts}
    ruled_out = decided.not_ or ([decided.model] if decided.verdict == "invalid" and decided.model else strict.not_)
    stronger = {*decided.also_not, *strict.not_} - set(ruled_out)
    return msgspec.structs.replace(
        decided,
        checker=strict.checker,
        anomaly_types=sorted(counts),
        anomaly_counts=dict(sorted(counts.items())),
        not_=ruled_out,
        also_not=sorted(stronger),
        anomalies=[*decided.anomalies, *more],
        reasons=[*decided.reasons, *strict.reasons] if decided.verdict == "unknown" else decided.reasons,
        stats={**decided.stats, **strict.stats},
    )


def _has_composites(history: History) -> bool:
    """Whether a read's answer could be taken for Jepsen's `sequential` reads of several subkeys."""
    return any(is_composite(call) for call in calls_of(history, ("read",)))
