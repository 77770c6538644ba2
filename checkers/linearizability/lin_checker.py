"""Linearizability of sets, queues, stacks, locks, counters, logs: is there one order that explains every answer?

The checker for data types other than registers. Every object is judged on its own (linearizability is local: Herlihy
and Wing 1990), by the data type's own algorithm where the history fits its premises, else by the search for an order
(`linearizable_search`). What is found has the name of what happened (an element delivered twice, a lock held twice,
...) where the algorithm knows it, else `nonlinearizable`.

`ok` happened between call and return; `fail` never did; `info`, or no completion, at any later time or never, with
any result. A history without invocations says nothing about realtime: unknown.

Options: `keyed`: values are [key, value], an object for each key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from checkers import models
from checkers.linearizability.lin_calls import DataType, calls_of
from checkers.linearizability.lin_outcome import NONLINEARIZABLE, Judged
from checkers.linearizability.linearizable_calls import Call, Calls
from checkers.linearizability.linearizable_model import NEVER, Budget, HasOwnAlgorithm, Kind, Operation, Outcome
from checkers.linearizability.linearizable_search import how_far, search
from harness.checker import CheckOptions
from harness.compiled import working_time
from harness.history import OK, History
from harness.verdict import Anomaly, Judgement, Verdict

_EVERY_MODEL = ("garbage-read", "future-read")


class LinearizableType:
    """See the module's docstring. make: the data type's model, from the options of the workload."""

    name = "linearizable"

    def __init__(self, make: Callable[[Mapping[str, Any]], DataType]) -> None:
        self._make = make

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every object. Raises HistoryError for ops that the data type does not know."""
        asked = options.model or "linearizable"
        strict = models.needs_realtime(asked)
        if not history.has_invocations:
            return self._without_invocations(history, asked)
        began = working_time()
        model = self._make(options.workload)
        objects = calls_of(history, model, keyed=options.workload.get("keyed") == "yes")
        budget = Budget.of(options.time_budget_s, options.memory_budget_mb)
        anomalies: list[Anomaly] = []
        counts: Counter[str] = Counter()
        reasons: list[str] = []
        searched = 0
        for each in objects:
            outcome = decide(model, each.operations, budget)
            searched += not isinstance(outcome, Judged)
            if outcome.linearizable is None:
                reasons.append(_gave_up(each, outcome))
            elif not outcome.linearizable:
                anomaly = _anomaly(model, each, outcome, strict)
                counts[anomaly.type] += 1
                if counts[anomaly.type] <= options.max_shown:
                    anomalies.append(anomaly)
        counting = any(strict or type_ in _EVERY_MODEL for type_ in counts)
        if counts and not counting:
            reasons.insert(0, f"the history is not linearizable; whether it fits {asked} was not decided")
        verdict: Judgement = "invalid" if counting else "unknown" if reasons else "valid"
        return Verdict(
            verdict=verdict,
            checker=self.name,
            model=asked,
            anomaly_types=sorted(counts),
            anomaly_counts=dict(sorted(counts.items())),
            not_=["linearizable"] if counts else [],
            anomalies=sorted(anomalies, key=lambda anomaly: (anomaly.type == NONLINEARIZABLE, anomaly.type)),
            reasons=reasons[: options.max_shown],
            stats={
                "objects": len(objects),
                "objects_searched": searched,
                "objects_nonlinearizable": sum(counts.values()),
                "operations": sum(len(each.calls) for each in objects),
                "operations_unknown": sum(call.returned == NEVER for each in objects for call in each.calls),
                "check_s": round(working_time() - began, 3),
            },
        )

    def _without_invocations(self, history: History, asked: str) -> Verdict:
        judgement: Judgement = "unknown" if bool(history.client.any()) else "valid"
        reason = "the history holds no invocation: nothing is known about which operations came after which"
        return Verdict(judgement, self.name, asked, reasons=[reason] if judgement == "unknown" else [])


def decide(model: DataType, operations: list[Operation], budget: Budget) -> Outcome:
    """Judge one object's operations: by the data type's own algorithm, else by the search."""
    if isinstance(model, HasOwnAlgorithm):
        outcome = model.decide(operations, budget)
        if outcome is not None:
            return outcome
    return search(model, operations, budget)


def _anomaly(model: DataType, each: Calls, outcome: Outcome, strict: bool) -> Anomaly:
    """An object without an order: what is wrong, and the records that show it again."""
    by_operation = {call.operation: call for call in each.calls}
    if isinstance(outcome, Judged):
        calls = [by_operation[operation] for operation in outcome.proof]
        told = outcome.sentence(lambda operation: f"client {by_operation[operation].process}")
        sentence = f"{each.title}: {told}"
        type_ = outcome.type
        needed, until = [*calls, *(by_operation[operation] for operation in outcome.grounds)], outcome.until
    else:
        outcome = how_far(model, outcome.proof or each.operations, outcome)
        assert outcome.stuck is not None
        stuck = by_operation[outcome.stuck]
        part = set(outcome.proof or each.operations)
        calls, until = [stuck], NEVER
        needed = [
            call
            for call in each.calls
            if call.place < stuck.end
            and call.operation in part
            and (call.end <= stuck.end or model.kind(call.action) is not Kind.READ_ONLY)
        ]
        sentence = f"{each.title}: {_stuck(model, stuck, outcome)}"
        type_ = NONLINEARIZABLE
    return Anomaly(
        type=type_,
        ops=sorted({call.record for call in calls}),
        sentence=sentence,
        counts=strict or type_ in _EVERY_MODEL,
        key=each.key,
        sub_history=each.records(needed, until),
    )


def _stuck(model: DataType, stuck: Call, outcome: Outcome) -> str:
    """Where no order goes on, as a sentence."""
    states = [model.describe_state(state) for state in outcome.states[:8]]
    held = f"held {states[0]}" if len(outcome.states) == 1 else f"held one of {', '.join(states)}"
    tied = " and are tied to it by the registers that they touch" if outcome.proof else ""
    holder = "those registers" if outcome.proof else f"the {model.noun}"
    if not outcome.ordered:
        return (
            f"client {stuck.process} {model.describe(stuck.action)}, and no order of the operations explains it: none "
            f"of those that returned before{tied} leaves a place for it, even if each op of unknown outcome could take "
            "effect many times."
        )
    return (
        f"client {stuck.process} {model.describe(stuck.action)}, and no order of the operations explains it. The "
        f"{outcome.completed} ops that returned before{tied} can be put in an order in which each takes effect at one "
        f"instant between its call and its return; after any such order {holder} {held}"
        f"{' ...' if len(outcome.states) > 8 else ''}, and from there this op has no place."
    )


def _gave_up(each: Calls, outcome: Outcome) -> str:
    unknown = sum(call.outcome != OK for call in each.calls)
    title = each.title[0].lower() + each.title[1:]
    return (
        f"{title}: undecided when the budget of time or memory ran out: {outcome.completed} of {outcome.completions} "
        f"completed ops were placed; {unknown} ops of unknown outcome may have happened at any time"
    )
