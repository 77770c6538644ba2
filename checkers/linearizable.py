"""Linearizability: is there one order of all operations, each at an instant between its call and its return?

The checker for registers with read, write and compare-and-set, one per key (linearizability is local: a history is
linearizable if it is for each object; Herlihy and Wing 1990). Each object is searched on its own
(`linearizable_search`), those with the fewest operations of unknown outcome first. Where there is no such order, the
verdict tells how far one exists, which operation breaks it, and which values were possible there; and, where it can
be proven, what kind of violation it is (`register_anomalies`).

`ok` happened between call and return; `fail` never did; `info`, or no completion, at any later time or never.
A history without invocations says nothing about realtime: `unknown`. Options: `initial`, the value before any write.
Cost: see `linearizable_search`; some 40,000 operations a second without crashed ones.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from checkers import models, register_anomalies
from checkers.linearizable_calls import Call, Calls, calls_by_object
from checkers.linearizable_model import NEVER, Budget, HasOwnAlgorithm, Model, Operation, Outcome, State
from checkers.linearizable_search import search
from checkers.register_model import Register
from checkers.values import freeze
from harness.checker import CheckOptions
from harness.history import FAIL, OK, History
from harness.verdict import Anomaly, Judgement, Verdict

TYPE = "nonlinearizable"
_EVERY_MODEL = ("garbage-read", "future-read")
SHRINK_MAX = 64
"""Reads that a counterexample is tried without, one by one; with more of them all are shown."""
SHRINK_S, SHRINK_MB = 0.5, 64
"""What shrinking one counterexample may cost. The etcd histories of a hundred ops take 0.02 s."""


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
        began = time.monotonic()
        objects = calls_by_object(history, model)
        budget = Budget.of(options.time_budget_s, options.memory_budget_mb)
        objects.sort(key=lambda each: (sum(call.returned == NEVER for call in each.calls), len(each.calls)))
        anomalies: list[Anomaly] = []
        counts: Counter[str] = Counter()
        reasons: list[str] = []
        undecided = broken = configurations_max = 0
        counting = False
        for each in objects:
            outcome = decide(model, each.operations, budget)
            configurations_max = max(configurations_max, outcome.configurations_max)
            if outcome.linearizable:
                continue
            named = list(register_anomalies.find(each, model.initial)) if isinstance(model, Register) else []
            for violation in named:
                counts[violation.type] += 1
                counting = counting or _counts(violation, asked)
                if counts[violation.type] <= options.max_shown:
                    anomalies.append(_named_anomaly(each, violation, asked))
            if outcome.linearizable is False or named:
                broken += 1
                counts[TYPE] += 1
                counting = counting or strict
                if outcome.linearizable is False and counts[TYPE] <= options.max_shown:
                    anomalies.append(_explained(model, each, outcome, strict))
            else:
                undecided += 1
                reasons.append(_gave_up(each, outcome))
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
                "keys": len(objects),
                "keys_nonlinearizable": broken,
                "keys_undecided": undecided,
                "operations": sum(len(each.operations) for each in objects),
                "operations_unknown": sum(call.returned == NEVER for each in objects for call in each.calls),
                "configurations_max": configurations_max,
                "check_s": round(time.monotonic() - began, 3),
            },
        )

    def _without_invocations(self, history: History, asked: str) -> Verdict:
        judgement: Judgement = "unknown" if bool(history.client.any()) else "valid"
        reason = "the history holds no invocation: nothing is known about which operations came after which"
        return Verdict(judgement, self.name, asked, reasons=[reason] if judgement == "unknown" else [])


def decide(model: Model, operations: Sequence[Operation], budget: Budget) -> Outcome:
    """Judge one object (operations by invocation, failed ones left out): by its model's own algorithm, or by search."""
    if isinstance(model, HasOwnAlgorithm):
        outcome = model.decide(operations, budget)
        if outcome is not None:
            return outcome
    return search(model, operations, budget)


def _counts(violation: register_anomalies.Named, asked: str) -> bool:
    """Whether the violation shows that the model was not kept."""
    if models.needs_realtime(asked) or violation.type in _EVERY_MODEL:
        return True
    return not violation.needs_realtime and models.counts_against(violation.type, asked)


def _named_anomaly(each: Calls, violation: register_anomalies.Named, asked: str) -> Anomaly:
    records = sorted({call.record for call in violation.calls})
    return Anomaly(
        type=violation.type,
        ops=records,
        sentence=violation.sentence,
        counts=_counts(violation, asked),
        key=each.key,
        sub_history=records,
    )


def _explained(model: Model, each: Calls, outcome: Outcome, counts: bool) -> Anomaly:
    """The anomaly of an object without an order: how far one exists, what breaks it, what was possible there."""
    if outcome.stuck is None:
        return _proven(each, outcome, counts)
    stuck = next(call for call in each.calls if call.outcome == OK and call.operation == outcome.stuck)
    states = [model.describe_state(state) for state in outcome.states]
    shown = states[0] if len(states) == 1 else f"{', '.join(states[:8])}" + (" ..." if len(states) > 8 else "")
    held = f"held {shown}" if len(states) == 1 else f"held one of {shown}"
    flight = sum(
        call.place < stuck.end and (call.end > stuck.end or call.returned == NEVER)
        for call in each.calls
        if call.outcome != FAIL and call is not stuck
    )
    also = f", even with the {flight} other ops that were in flight or of unknown outcome" if flight else ""
    sentence = (
        f"{each.title}: client {stuck.process} {model.describe(stuck.action)}, and no order of the operations explains "
        f"it. The {outcome.completed} ops that returned before can be put in an order in which each takes effect at "
        f"one instant between its call and its return; after any such order the {model.noun} {held}, and from there "
        f"this op has no place{also}."
    )
    needed = _shrunk(model, each, stuck)
    return Anomaly(
        type=TYPE,
        ops=[stuck.record],
        sentence=sentence,
        counts=counts,
        key=each.key,
        sub_history=sorted(call.record for call in needed),
        details={
            "action": model.describe(stuck.action),
            "states": states,
            "placed": outcome.completed,
            "of": outcome.completions,
        },
    )


def _proven(each: Calls, outcome: Outcome, counts: bool) -> Anomaly:
    """The anomaly of an object whose model's own algorithm found what is wrong."""
    proof = set(outcome.proof)
    records = sorted(call.record for call in each.calls if call.outcome != FAIL and call.operation in proof)
    return Anomaly(
        type=TYPE,
        ops=records,
        sentence=f"{each.title}: {outcome.violation}",
        counts=counts,
        key=each.key,
        sub_history=records,
    )


def _shrunk(model: Model, each: Calls, stuck: Call) -> list[Call]:
    """The calls up to the one that breaks it, without the reads that are not needed for that.

    Leaving out a read never makes a violation, so what is left proves it. With fewer reads a search can take
    much longer: what can't be decided soon is kept.
    """
    budget = Budget.of(SHRINK_S, SHRINK_MB)

    def broken(calls: list[Call]) -> bool:
        operations = [
            Operation(call.action, call.place, call.returned if call.end <= stuck.end else NEVER) for call in calls
        ]
        return decide(model, operations, budget).linearizable is False

    def is_read(call: Call) -> bool:
        return model.kind(call.action) == 0

    calls = [
        call
        for call in each.calls
        if call.outcome != FAIL and call.place < stuck.end and (call.end <= stuck.end or not is_read(call))
    ]
    reads = [call for call in calls if is_read(call) and call is not stuck]
    if len(reads) > SHRINK_MAX:
        return calls
    for read in reads:
        without = [call for call in calls if call is not read]
        if broken(without):
            calls = without
    return calls


def _gave_up(each: Calls, outcome: Outcome) -> str:
    unknown = sum(call.returned == NEVER for call in each.calls)
    title = each.title[0].lower() + each.title[1:]
    return (
        f"{title}: undecided when the budget of time or memory ran out: {outcome.completed} of {outcome.completions} "
        f"completed ops were placed; {unknown} ops of unknown outcome may have happened at any time"
    )
