"""Monotonic values: counters that only grow must never be seen to shrink.

    inc   [k, null] → ok [k, v]     adds one, and tells the value after it; or [k, [t, v]] with the database's time
    read  [k, null] → ok [k, v]     or [k, [t, v]]; null: nobody has added yet (0)

or as Jepsen's test of TiDB has it, where one read may tell of several counters (`checkers.ordering.monotonic_answers`).

Proven from single pairs of ops, per key:

- `non-monotonic-read`: a client got a smaller value than one that it had got before; for an increment: not a larger
  one.
- `lost-update`: two increments were told the same value, so one of them is gone.
- `garbage-read`: a value larger than all increments, or below zero.
- `future-read`: a value larger than all increments that had begun when the op returned.
- `non-monotonic-timestamp`: of two ops the one with the later database timestamp has the smaller value (Jepsen's
  `monotonic` tests of CockroachDB and Fauna, where timestamps are the order that the database claims).
- `non-monotonic-read-realtime`: a value smaller than one that had been known before the op began; counts where the
  model speaks of realtime.
- `lost-increment`: a value smaller than the number of increments that were acknowledged before the op began, though
  nobody ever was told a larger one. With realtime only.

And of several counters at once, by their circles (`checkers.ordering.monotonic_states`): `G-nonadjacent-item`, also
`-process` and `-realtime`, where reads disagree on which of two counters grew first.

Source: monotonic reads, Terry et al., "Session Guarantees for Weakly Consistent Replicated Data", 1994; Jepsen's
`monotonic`. These are necessary, not sufficient: a history without them need not be linearizable. Cost: O(n log n).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator

from checkers.client_calls import ClientCall
from checkers.findings import ALWAYS, Finding, verdict_of, without_realtime
from checkers.ordering.monotonic_answers import Told, answers_of
from checkers.ordering.monotonic_states import circles
from checkers.values import show
from harness.checker import CheckOptions
from harness.history import FAIL, History, HistoryError
from harness.verdict import Anomaly, Verdict

NON_MONOTONIC, NON_MONOTONIC_REALTIME = "non-monotonic-read", "non-monotonic-read-realtime"
SESSION, REALTIME = "G-single-item-process", "G-single-item-realtime"


class Monotonic:
    """See the module's docstring."""

    name = "monotonic"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge against `options.model` (strong-session-serializable by default).

        Raises HistoryError for an op of another name, or a value of another shape.
        """
        model = options.model or "strong-session-serializable"
        answers = answers_of(history)
        findings: list[Finding] = []
        for key, calls in answers.calls.items():
            told, least = answers.told[key], answers.at_least(key)
            findings += [*_within_clients(key, told), *_same_value(key, told), *_by_timestamp(key, told)]
            findings += _impossible(key, calls, least)
            if history.has_invocations:
                findings += [*_early(key, calls, least), *_by_time(key, told)]
        of_several, reasons = circles(answers, timed=history.has_invocations)
        findings += of_several
        reasons += without_realtime(history, answers.calls, model)
        stats = {"keys": len(answers.calls), "values": sum(map(len, answers.told.values()))}
        return verdict_of(self.name, findings, options, model=model, undecided=reasons, stats=stats)


def _finding(kind: str, evidence: str, key: Hashable, ops: list[ClientCall], sentence: str) -> Finding:
    records = sorted({record for call in ops for record in call.records})
    sentence = f"Key {show(key)}: {sentence}."
    return Finding(Anomaly(kind, sorted({c.record for c in ops}), sentence, key=key, sub_history=records), evidence)


def _within_clients(key: Hashable, told: list[Told]) -> Iterator[Finding]:
    best: dict[int, Told] = {}
    for each in told:
        seen = best.get(each.call.process)
        if seen is not None and (each.value < seen.value or (each.call.f == "inc" and each.value == seen.value)):
            words = f"{seen.text}, and later {each.text}: the counter only grows, but this client saw it go back"
            yield _finding(NON_MONOTONIC, SESSION, key, [seen.call, each.call], words)
        if seen is None or each.value > seen.value:
            best[each.call.process] = each


def _same_value(key: Hashable, told: list[Told]) -> Iterator[Finding]:
    first: dict[int, Told] = {}
    for each in told:
        if each.call.f != "inc":
            continue
        other = first.setdefault(each.value, each)
        if other is not each:
            words = f"{other.text} from its increment and {each.text} from its own: one of the two is lost"
            yield _finding("lost-update", "lost-update", key, [other.call, each.call], words)


def _impossible(key: Hashable, calls: list[ClientCall], told: list[Told]) -> Iterator[Finding]:
    increments = [call for call in calls if call.f == "inc" and call.outcome != FAIL]
    for each in told:
        if each.value > len(increments) or each.value < (1 if each.call.f == "inc" else 0):
            words = f"{each.text}, but only {len(increments)} increments can have happened"
            yield _finding("garbage-read", ALWAYS, key, [each.call], words)


def _early(key: Hashable, calls: list[ClientCall], told: list[Told]) -> Iterator[Finding]:
    begins = sorted(call.place for call in calls if call.f == "inc" and call.outcome != FAIL)
    for each in told:
        begun = bisect_left(begins, each.call.end)
        if begun < each.value <= len(begins):
            words = f"{each.text}, but only {begun} increments that can have happened had begun when it returned"
            yield _finding("future-read", "future-read", key, [each.call], words)


def _by_timestamp(key: Hashable, told: list[Told]) -> Iterator[Finding]:
    stamped = [each for each in told if each.timestamp is not None]
    if len({isinstance(each.timestamp, str) for each in stamped}) > 1:
        raise HistoryError(f"index {stamped[0].call.record}: timestamps of key {show(key)} are text and numbers")
    stamped.sort(key=lambda each: (each.timestamp, each.value))
    best: Told | None = None
    for each in stamped:
        if best is not None and each.value < best.value and each.timestamp > best.timestamp:
            words = (
                f"{best.text} at the database's time {show(best.timestamp)}, and {each.text} at "
                f"{show(each.timestamp)}: the later one is smaller"
            )
            yield _finding("non-monotonic-timestamp", ALWAYS, key, [best.call, each.call], words)
        if best is None or each.value > best.value:
            best = each


def _by_time(key: Hashable, told: list[Told]) -> Iterator[Finding]:
    """Against what had been known, or acknowledged, before the op began."""
    ends = sorted(told, key=lambda each: each.call.end)
    places = [each.call.end for each in ends]
    best: list[Told] = []
    for each in ends:
        best.append(each if not best or each.value > best[-1].value else best[-1])
    acknowledged = sorted(each.call.end for each in told if each.call.f == "inc")
    largest = max((each.value for each in told), default=0)
    for each in told:
        place = bisect_left(places, each.call.place)
        floor = best[place - 1] if place else None
        own = 1 if each.call.f == "inc" else 0
        if floor is not None and each.value < floor.value + own:
            if floor.call.process != each.call.process:
                words = f"{floor.text} at {floor.call.moment}, and {each.text}, though it began after that"
                yield _finding(NON_MONOTONIC_REALTIME, REALTIME, key, [floor.call, each.call], words)
            continue
        done = bisect_left(acknowledged, each.call.place)
        if each.value < done + own and largest < done + own:
            words = f"{each.text}, although {done} increments had been acknowledged before it began"
            yield _finding("lost-increment", REALTIME, key, [each.call], words)
