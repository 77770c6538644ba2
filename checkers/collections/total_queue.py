"""Total queues: what was enqueued comes out, once, when the queue has been drained. In which order is not asked.

    enqueue  v     → ok v
    dequeue  null  → ok v                 null: it was empty
    drain    null  → ok [v, ...]          dequeues until it finds the queue empty (null: it found it so)

Null is no value: an enqueue of it is refused, as is one that completes with another value than was asked for. Values
may be equal; all of these are counted value by value:

    garbage-read        came out, and nobody had enqueued it
    G1a                 came out, though every enqueue of it failed
    future-read         came out before its enqueue began
    duplicate-elements  came out more often than it may have gone in; counts unless `duplicates=allowed` (at-least-once)
    lost-write          acknowledged before a drain began, and never came out

A dequeue with an unknown outcome may have taken one value, which nobody will ever see. So with u of them, m values that
never came out are proof of m - u lost ones, and it can't be said which. A drain with an unknown outcome may have taken
any number; without a drain that succeeded nothing is proven lost. Both make a history with missing values `unknown`. An
enqueue with an unknown outcome may have happened: its value may come out (`recovered`) or not.

Where Jepsen's total-queue differs: duplicates are valid there, a missing value is lost whatever dequeues had an unknown
outcome, and a crashed drain is an error. Source: Jepsen's total-queue. Cost: O(n log n).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from checkers.client_calls import ClientCall, calls_of, parts_of
from checkers.findings import ALWAYS, NEVER_COUNTS, Finding, verdict_of
from checkers.linearizability.linearizable_calls import contradicts
from checkers.values import freeze, is_pair, show
from harness.checker import CheckOptions
from harness.history import FAIL, INFO, History, HistoryError
from harness.verdict import Anomaly, Verdict


@dataclass
class Value:
    """What happened to one value. attempts: every enqueue. outs: the calls that took it, once for each time."""

    label: Any
    attempts: list[ClientCall] = field(default_factory=list)
    outs: list[ClientCall] = field(default_factory=list)

    @property
    def possible(self) -> list[ClientCall]:
        return [call for call in self.attempts if call.outcome != FAIL]

    @property
    def acknowledged(self) -> list[ClientCall]:
        return [call for call in self.attempts if call.ok]


class TotalQueue:
    """See the module's docstring."""

    name = "total-queue"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every value. Raises HistoryError for a drain that is no list, and for enqueues of null."""
        calls = calls_of(history, ("enqueue", "dequeue", "drain"), only=True)
        values = _values(calls)
        drained = max((call.place for call in calls if call.f == "drain" and call.ok), default=-1)
        timed = history.has_invocations
        duplicates = NEVER_COUNTS if options.workload.get("duplicates") == "allowed" else ALWAYS
        findings = [finding for value in values.values() for finding in _wrong(value, duplicates, timed)]
        due: list[ClientCall] = []
        undrained = 0
        for value in values.values():
            absent = max(0, len(value.acknowledged) - len(value.outs))
            ripe = sorted((call for call in value.acknowledged if timed and call.end < drained), key=lambda c: c.end)
            owed = min(absent, max(0, len(ripe) - len(value.outs)))
            due += ripe[:owed]
            undrained += absent - owed
        unknown = [call for call in calls if call.f == "dequeue" and call.outcome == INFO]
        crashed = any(call.f == "drain" and call.outcome == INFO for call in calls)
        lost = 0 if crashed else max(0, len(due) - len(unknown))
        findings += _lost(due, unknown, lost, values, calls)
        undecided = []
        if crashed and due:
            undecided.append(f"a drain of unknown outcome may have taken the {len(due)} values that never came out")
        if undrained:
            undecided.append(f"{undrained} acknowledged values never came out, and no drain began after them")
        return verdict_of(
            self.name,
            findings,
            options,
            model=options.model or "linearizable",
            undecided=undecided,
            stats=_stats(calls, values, due, undrained, lost),
            more=Counter({"lost-write": lost - 1}) if lost and unknown else None,
        )


def _values(calls: list[ClientCall]) -> dict[Hashable, Value]:
    values: dict[Hashable, Value] = {}
    for call in calls:
        if call.f == "enqueue":
            _refuse(call)
            values.setdefault(freeze(call.argument, call.index), Value(call.argument)).attempts.append(call)
    for call in calls:
        if call.f != "enqueue":
            _refuse_keys(call)
        if not call.ok or call.f == "enqueue":
            continue
        taken = [call.result] if call.f == "dequeue" else _drained(call)
        for each in taken:
            if each is not None or call.f == "drain":
                values.setdefault(freeze(each, call.record), Value(each)).outs.append(call)
    return values


def _refuse(call: ClientCall) -> None:
    if call.argument is None:
        raise HistoryError(f"index {call.index}: an enqueue of null, which is what a dequeue finds in an empty queue")
    if contradicts(call.argument, call.result):
        raise HistoryError(
            f"index {call.record}: completes an enqueue of {show(call.result)}, but its invocation ({call.index}) was "
            f"of {show(call.argument)}"
        )


def _refuse_keys(call: ClientCall) -> None:
    asked = call.argument
    if call.index != call.record and is_pair(asked) and asked[1] is None:
        raise HistoryError(
            f"index {call.index}: a {call.f} of {show(asked)} asks for one queue of many, and this checker judges one: "
            "give it the history of each key by itself, or judge with queue-linearizable, keyed=yes"
        )


def _drained(call: ClientCall) -> Sequence[Any]:
    return () if call.result is None else parts_of(call.result, call.record, "a drain's [v, ...]")


def _wrong(value: Value, duplicates: str, timed: bool) -> Iterator[Finding]:
    """What came out and should not have."""
    possible, outs, label = value.possible, value.outs, show(value.label)
    if not outs:
        return
    if not value.attempts:
        yield _finding("garbage-read", value, outs, f"Value {label} came out, but nobody ever enqueued it.")
        return
    if not possible:
        yield _finding("G1a", value, outs, f"Value {label} came out, but every enqueue of it failed.")
        return
    if len(outs) > len(possible):
        clients = ", ".join(str(call.process) for call in outs[:10])
        sentence = (
            f"Value {label} went in {_times(len(possible))} at most and came out {_times(len(outs))}: to clients "
            f"{clients}."
        )
        yield _finding("duplicate-elements", value, outs, sentence, duplicates)
    if timed:
        begins = sorted(call.place for call in possible)
        in_order = sorted(outs, key=lambda call: call.end)
        for number, call in enumerate(in_order):
            if number >= len(begins) or call.end < begins[number]:
                if number < len(begins):
                    again = (
                        f" for the {number + 1}. time, when only {number} of its enqueues had begun" if number else ""
                    )
                    sentence = f"Client {call.process} took value {label}{again or ' before its enqueue began'}."
                    yield _finding("future-read", value, in_order[: number + 1], sentence)
                return


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _finding(kind: str, value: Value, outs: list[ClientCall], sentence: str, evidence: str = ALWAYS) -> Finding:
    records = sorted({record for call in (*value.attempts, *outs) for record in call.records})
    return Finding(Anomaly(kind, records, sentence, key=value.label, sub_history=records), evidence)


def _lost(
    due: list[ClientCall],
    unknown: list[ClientCall],
    lost: int,
    values: dict[Hashable, Value],
    calls: list[ClientCall],
) -> Iterator[Finding]:
    if not lost:
        return

    def proof(enqueues: list[ClientCall]) -> list[int]:
        """The records of all that happened to these values, and of a drain after them, the shortest."""
        about = [values[freeze(call.argument, call.index)] for call in enqueues]
        after = max(call.end for call in enqueues)
        drains = [call for call in calls if call.f == "drain" and call.ok and call.place > after]
        found = min(drains, key=lambda call: len(_drained(call)))
        told = {id(call): call for value in about for call in (*value.attempts, *value.outs)}.values()
        return sorted({record for call in (*told, found, *unknown) for record in call.records})

    if not unknown:
        for call in due:
            sentence = (
                f"Client {call.process} was told that value {show(call.argument)} is enqueued, a drain began later and "
                "found the queue empty, and nobody ever got it."
            )
            yield Finding(
                Anomaly("lost-write", call.records, sentence, key=call.argument, sub_history=proof([call])), ALWAYS
            )
        return
    names = ", ".join(show(call.argument) for call in due[:10]) + (" ..." if len(due) > 10 else "")
    records = sorted({record for call in due for record in call.records})
    sentence = (
        f"{len(due)} acknowledged values never came out, though a drain began later ({names}). The {len(unknown)} "
        f"dequeues of unknown outcome can have taken one each: at least {lost} of them {'is' if lost == 1 else 'are'} "
        "lost."
    )
    yield Finding(Anomaly("lost-write", records, sentence, sub_history=proof(due)), ALWAYS)


def _stats(
    calls: list[ClientCall], values: dict[Hashable, Value], due: list[ClientCall], undrained: int, lost: int
) -> dict[str, Any]:
    of_kind: defaultdict[str, int] = defaultdict(int)
    for value in values.values():
        of_kind["attempted"] += len(value.attempts)
        of_kind["acknowledged"] += len(value.acknowledged)
        of_kind["taken"] += len(value.outs)
        of_kind["recovered"] += max(0, min(len(value.outs), len(value.possible)) - len(value.acknowledged))
        of_kind["duplicated"] += max(0, len(value.outs) - len(value.possible)) if value.possible else 0
        of_kind["unexpected"] += len(value.outs) if not value.possible else 0
    return {
        **of_kind,
        "missing": len(due) + undrained,
        "lost": lost,
        "unknown_dequeues": sum(call.f == "dequeue" and call.outcome == INFO for call in calls),
        "drains": sum(call.f == "drain" and call.ok for call in calls),
    }
