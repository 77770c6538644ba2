"""Objects of any model, judged one by one: by the model's own algorithm, or by the search for an order.

Those with the fewest operations of unknown outcome come first. Cost: see `linearizable_search`.
"""

from __future__ import annotations

from collections.abc import Sequence

from checkers.linearizability.linearizable_calls import Call, Calls, calls_by_object
from checkers.linearizability.linearizable_model import NEVER, Budget, HasOwnAlgorithm, Model, Operation, Outcome
from checkers.linearizability.linearizable_search import how_far, search
from checkers.linearizability.linearizable_trouble import Objects, Trouble
from harness.history import FAIL, History

SHRINK_MAX = 64
"""Reads that a counterexample is tried without, one by one; with more of them all are shown."""
SHRINK_S, SHRINK_MB = 0.5, 64
"""What shrinking one counterexample may cost. The etcd histories of a hundred ops take 0.02 s."""


def decide(model: Model, operations: Sequence[Operation], budget: Budget) -> Outcome:
    """Judge one object (operations by invocation, failed ones left out): by its model's own algorithm, or by search."""
    if isinstance(model, HasOwnAlgorithm):
        outcome = model.decide(operations, budget)
        if outcome is not None:
            return outcome
    return search(model, operations, budget)


def judge(history: History, model: Model, budget: Budget) -> Objects:
    """Judge every object. Raises HistoryError for ops that the model does not know."""
    objects = calls_by_object(history, model)
    objects.sort(key=lambda each: (sum(call.returned == NEVER for call in each.calls), len(each.calls)))
    troubles: list[Trouble] = []
    configurations_max = 0
    for each in objects:
        outcome = decide(model, each.operations, budget)
        configurations_max = max(configurations_max, outcome.configurations_max)
        if not outcome.linearizable:
            troubles.append(_Object(model, each, outcome))
    return Objects(
        count=len(objects),
        operations=sum(len(each.operations) for each in objects),
        crashed=sum(call.returned == NEVER for each in objects for call in each.calls),
        troubles=iter(troubles),
        configurations_max=configurations_max,
    )


class _Object(Trouble):
    def __init__(self, model: Model, calls: Calls, outcome: Outcome) -> None:
        super().__init__(outcome.linearizable)
        self._model, self._calls, self._outcome = model, calls, outcome

    @property
    def calls(self) -> Calls:
        """See Trouble."""
        return self._calls

    def explained(self) -> Outcome:
        """See Trouble."""
        return how_far(self._model, self.calls.operations, self._outcome)

    def records(self, calls: Sequence[Call]) -> list[int]:
        """See Trouble."""
        return self.calls.records(calls)

    def shrunk(self, stuck: Call) -> list[int]:
        """See Trouble."""
        return self.calls.records(_shrunk(self._model, self.calls, stuck), until=stuck.end)


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
