"""Linearizability: is there one order of all operations, each at an instant between its call and its return?

The checker for registers with read, write and compare-and-set, one per key (linearizability is local: a history is
linearizable if it is for each object; Herlihy and Wing 1990). Each object is judged on its own, by the algorithm that
is right for it: a register by zones where every value was put once (`register_zones`), else by a compiled search
(`register_search`); any other model by its own algorithm where it has one, else by `linearizable_search`. Where there
is no such order, the verdict tells how far one exists, which operation breaks it, and which values were possible
there; and, where it can be proven, what kind of violation it is (`register_anomalies`).

`ok` happened between call and return; `fail` never did; `info`, or no completion, at any later time or never.
A history without invocations says nothing about realtime: `unknown`. Options: `initial`, the value before any write.
Cost: see those modules; some million operations a second for registers without crashed ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from checkers import models
from checkers.linearizability import linearizable_objects, linearizable_registers, register_anomalies
from checkers.linearizability.linearizable_explain import TYPE, explained, gave_up
from checkers.linearizability.linearizable_model import Budget, Model, State
from checkers.linearizability.linearizable_trouble import Objects, Trouble
from checkers.linearizability.register_model import Register
from checkers.values import freeze
from harness.checker import CheckOptions
from harness.compiled import working_time
from harness.history import History
from harness.verdict import Anomaly, Judgement, Verdict

_EVERY_MODEL = ("garbage-read", "future-read")


class Linearizable:
    """See the module's docstring. model: makes the data type's model from the initial value."""

    name = "linearizable"

    def __init__(self, model: Callable[[State], Model] = Register) -> None:
        self._model = model

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every object. Raises HistoryError for ops that the model does not know."""
        asked = options.model or "linearizable"
        strict = models.needs_realtime(asked)
        model = self._model(freeze(options.workload.get("initial"), -1))
        if not history.has_invocations:
            return self._without_invocations(history, asked)
        began = working_time()
        objects = judged(history, model, Budget.of(options.time_budget_s, options.memory_budget_mb))
        anomalies: list[Anomaly] = []
        counts: Counter[str] = Counter()
        reasons: list[str] = []
        undecided = broken = 0
        counting = False
        for trouble in objects.troubles:
            named = list(trouble.named(model.initial)) if isinstance(model, Register) else []
            for violation in named:
                counts[violation.type] += 1
                counting = counting or _counts(violation, asked)
                if counts[violation.type] <= options.max_shown:
                    anomalies.append(_named_anomaly(trouble, violation, asked, model.initial))
            if trouble.linearizable is False or named:
                broken += 1
                counts[TYPE] += 1
                counting = counting or strict
                if trouble.linearizable is False and counts[TYPE] <= options.max_shown:
                    anomalies.append(explained(model, trouble, strict))
            else:
                undecided += 1
                if len(reasons) < options.max_shown:
                    reasons.append(gave_up(trouble))
        verdict: Judgement = "valid"
        if counting:
            verdict = "invalid"
        elif counts or undecided:
            verdict = "unknown"
        if counts and not counting:
            reasons.insert(0, f"the history is not linearizable; whether it fits {asked} was not decided")
        return Verdict(
            verdict=verdict,
            checker=self.name,
            model=asked,
            anomaly_types=sorted(counts),
            anomaly_counts=dict(sorted(counts.items())),
            not_=["linearizable"] if counts else [],
            anomalies=sorted(anomalies, key=lambda anomaly: (anomaly.type == TYPE, anomaly.type)),
            reasons=reasons[: options.max_shown],
            stats={
                "keys": objects.count,
                "keys_nonlinearizable": broken,
                "keys_undecided": undecided,
                "operations": objects.operations,
                "operations_unknown": objects.crashed,
                "configurations_max": objects.configurations_max,
                "check_s": round(working_time() - began, 3),
            },
        )

    def _without_invocations(self, history: History, asked: str) -> Verdict:
        judgement: Judgement = "unknown" if bool(history.client.any()) else "valid"
        reason = "the history holds no invocation: nothing is known about which operations came after which"
        return Verdict(judgement, self.name, asked, reasons=[reason] if judgement == "unknown" else [])


def judged(history: History, model: Model, budget: Budget) -> Objects:
    """The history's objects, each judged by the algorithm that is right for it. Raises HistoryError."""
    if isinstance(model, Register):
        objects = linearizable_registers.judge(history, model, budget)
        if objects is not None:
            return objects
    return linearizable_objects.judge(history, model, budget)


def _counts(violation: register_anomalies.Named, asked: str) -> bool:
    """Whether the violation shows that the model was not kept."""
    if models.needs_realtime(asked) or violation.type in _EVERY_MODEL:
        return True
    return not violation.needs_realtime and models.counts_against(violation.type, asked)


def _named_anomaly(trouble: Trouble, violation: register_anomalies.Named, asked: str, initial: State) -> Anomaly:
    return Anomaly(
        type=violation.type,
        ops=sorted({call.record for call in violation.calls}),
        sentence=violation.sentence,
        counts=_counts(violation, asked),
        key=trouble.about.key,
        sub_history=trouble.records_of(violation, initial),
    )
