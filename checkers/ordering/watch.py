"""Watches: every watcher sees every event, once, in the one order of the revisions; also after it was disconnected.

    write  [k, v]            → ok [k, v, revision]     (or [k, v], where the database does not tell the revision)
    watch  [w, from, null]   → ok [w, from, events, next]   watcher w asks for all events of revisions from `from` on:
                               events [[revision, k, v], ...] up to before `next`, where it goes on to ask
                             → ok [w, from, "compacted", next]   these are gone; it goes on from `next`

A watcher is a name that outlives connections: whatever process asks, what it was given covers from `from` up to `next`.

- `event-order`: within an answer revisions go back, or an event is outside of [from, next).
- `duplicate-event`: a watcher was given an event twice, or an event that was written once has two revisions.
- `missed-event`: a watcher's answer covers a revision at which another watcher was given an event, or at which a write
  was acknowledged, and does not hold it; or a write was acknowledged before an answer was asked for, and a watcher that
  was given everything from the first revision on never saw it.
- `conflicting-events`: two watchers were given different events for one key at one revision.
- `garbage-read`, `G1a`, `future-read`: an event that nobody wrote, whose write failed, or had not begun.

Values should be unique for their key: one that was written twice may have two revisions. Each finding counts, whatever
the model: it is what a watch is. Being late is none.
Source: etcd's watch guarantees (ordered, unique, reliable, atomic, resumable); Jepsen's etcd watch test (2020).
Cost: O(events of all watchers · log).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from checkers.client_calls import ClientCall, calls_of, parts_of
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.values import freeze, show
from harness.checker import CheckOptions
from harness.history import FAIL, History, HistoryError
from harness.verdict import Anomaly, Verdict

COMPACTED = "compacted"
SHAPE = '[watcher, from, [[revision, key, value], ...] or "compacted", next]'


@dataclass(frozen=True)
class Event:
    """One event as a watcher was given it."""

    revision: int
    key: Hashable
    value: Hashable

    @property
    def text(self) -> str:
        """For a sentence."""
        return f"{show(self.value)} at key {show(self.key)} (revision {self.revision})"


@dataclass(frozen=True)
class Answer:
    """What a watcher was given for the revisions from `begin` up to before `end`. events: None where compacted."""

    call: ClientCall
    watcher: Hashable
    begin: int
    end: int
    events: tuple[Event, ...] | None


class Watch:
    """See the module's docstring."""

    name = "watch"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge all watchers. Raises HistoryError for a value of another shape."""
        calls = calls_of(history, ("write", "watch"), only=True)
        writes = [call for call in calls if call.f == "write"]
        answers = [_answer(call) for call in calls if call.f == "watch" and call.ok]
        known, maker = _known(writes, answers)
        findings = [*_within(writes, answers), *_missed(answers, known), *_conflicts(answers)]
        findings += _unwritten(answers, maker, timed=history.has_invocations)
        if history.has_invocations:
            findings += _never_seen(writes, answers)
        watchers = {answer.watcher for answer in answers}
        stats = {
            "watchers": len(watchers),
            "answers": len(answers),
            "events": sum(len(answer.events or ()) for answer in answers),
            "compacted": sum(answer.events is None for answer in answers),
            "writes": sum(call.ok for call in writes),
        }
        model = options.model or "linearizable"
        return verdict_of(self.name, findings, options, model=model, stats=stats)


def _answer(call: ClientCall) -> Answer:
    parts = parts_of(call.result, call.record, SHAPE)
    if len(parts) != 4 or type(parts[1]) is not int or type(parts[3]) is not int:
        raise HistoryError(f"index {call.record}: expected {SHAPE}, got {show(call.result)}")
    watcher, begin, given, end = parts
    if given == COMPACTED:
        return Answer(call, freeze(watcher, call.record), begin, end, None)
    events = []
    for event in parts_of(given, call.record, SHAPE):
        revision, key, value = (*parts_of(event, call.record, SHAPE), None, None, None)[:3]
        if type(revision) is not int:
            raise HistoryError(f"index {call.record}: expected {SHAPE}, got {show(event)}")
        events.append(Event(revision, freeze(key, call.record), freeze(value, call.record)))
    return Answer(call, freeze(watcher, call.record), begin, end, tuple(events))


def _written(call: ClientCall) -> tuple[Hashable, Hashable, int | None]:
    """(key, value, revision where it was told)."""
    value, index = (call.result, call.record) if call.ok else (call.argument, call.index)
    parts = parts_of(value, index, "[key, value] or [key, value, revision]")
    if len(parts) not in (2, 3):
        raise HistoryError(f"index {index}: expected [key, value] or [key, value, revision], got {show(value)}")
    revision = parts[2] if len(parts) == 3 and type(parts[2]) is int else None
    return freeze(parts[0], index), freeze(parts[1], index), revision


def _known(
    writes: list[ClientCall], answers: list[Answer]
) -> tuple[dict[int, dict[Event, ClientCall]], dict[tuple[Hashable, Hashable], list[ClientCall]]]:
    """(revision → the events known to be there, with who knows; (key, value) → its writes)."""
    known: dict[int, dict[Event, ClientCall]] = defaultdict(dict)
    maker: dict[tuple[Hashable, Hashable], list[ClientCall]] = defaultdict(list)
    for call in writes:
        key, value, revision = _written(call)
        maker[key, value].append(call)
        if call.ok and revision is not None:
            known[revision].setdefault(Event(revision, key, value), call)
    for answer in answers:
        for event in answer.events or ():
            known[event.revision].setdefault(event, answer.call)
    return known, maker


def _within(writes: list[ClientCall], answers: list[Answer]) -> Iterator[Finding]:
    """Order and range within an answer; the same event twice for one watcher."""
    possible = Counter(_written(call)[:2] for call in writes if call.outcome != FAIL)
    seen: dict[Hashable, dict[tuple[Hashable, ...], tuple[Event, ClientCall]]] = defaultdict(dict)
    for answer in answers:
        before = answer.begin
        for event in answer.events or ():
            if not before <= event.revision < answer.end:
                words = (
                    f"was given {event.text} after revision {before}, in an answer for revisions {answer.begin} up to "
                    f"before {answer.end}"
                )
                yield _finding("event-order", answer, [answer.call], words)
            before = max(before, event.revision)
            own = seen[answer.watcher]
            twice = possible[event.key, event.value] > 1
            same = (event.key, event.value, event.revision if twice else None)
            earlier, call = own.setdefault(same, (event, answer.call))
            if earlier is not event:
                words = (
                    f"was given {event.text} (op {answer.call.record}), and before {earlier.text} (op {call.record})"
                )
                yield _finding("duplicate-event", answer, [call, answer.call], words)


def _unwritten(answers: list[Answer], maker: Any, *, timed: bool) -> Iterator[Finding]:
    """Each event as the first answer that holds it has it."""
    told: set[Event] = set()
    for answer in sorted(answers, key=lambda answer: answer.call.end):
        for event in answer.events or ():
            if event in told:
                continue
            told.add(event)
            makers = maker.get((event.key, event.value), [])
            first = min((call for call in makers if call.outcome != FAIL), key=lambda call: call.place, default=None)
            if not makers:
                yield _finding("garbage-read", answer, [answer.call], f"was given {event.text}, which nobody wrote")
            elif all(call.outcome == FAIL for call in makers):
                words = f"was given {event.text}, but its write (op {makers[0].record}) failed"
                yield _finding("G1a", answer, [makers[0], answer.call], words)
            elif first is not None and timed and first.place > answer.call.end:
                words = f"was given {event.text} before its write began (op {first.record})"
                yield _finding("future-read", answer, [first, answer.call], words)


def _missed(answers: list[Answer], known: dict[int, dict[Event, ClientCall]]) -> Iterator[Finding]:
    """Events that others know of, in what an answer covers, and not in it."""
    revisions = sorted(known)
    for answer in answers:
        if answer.events is None:
            continue
        given = set(answer.events)
        keys = {(event.revision, event.key) for event in given}
        for revision in _between(revisions, answer.begin, answer.end):
            for event, call in known[revision].items():
                if event not in given and (event.revision, event.key) not in keys:
                    words = (
                        f"was given revisions {answer.begin} up to before {answer.end} (op {answer.call.record}) "
                        f"without {event.text}, which op {call.record} knows of"
                    )
                    yield _finding("missed-event", answer, [call, answer.call], words)


def _between(revisions: list[int], begin: int, end: int) -> list[int]:
    return revisions[bisect_left(revisions, begin) : bisect_left(revisions, end)]


def _conflicts(answers: list[Answer]) -> Iterator[Finding]:
    first: dict[tuple[int, Hashable], tuple[Event, ClientCall]] = {}
    told: set[tuple[Event, Event]] = set()
    for answer in answers:
        for event in answer.events or ():
            other, call = first.setdefault((event.revision, event.key), (event, answer.call))
            if other != event and (other, event) not in told:
                told.add((other, event))
                words = f"was given {event.text}, and op {call.record} was given {other.text}"
                yield _finding("conflicting-events", answer, [call, answer.call], words)


def _never_seen(writes: list[ClientCall], answers: list[Answer]) -> Iterator[Finding]:
    """Writes whose revision nobody told, acknowledged before a watcher, given everything so far, asked again."""
    by_watcher: dict[Hashable, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_watcher[answer.watcher].append(answer)
    for own in by_watcher.values():
        own.sort(key=lambda answer: answer.begin)
        if any(answer.events is None for answer in own):
            continue
        reach = min((answer.begin for answer in own), default=0)
        if reach > 1:
            continue
        seen: set[tuple[Hashable, Hashable]] = set()
        last: Answer | None = None
        for answer in own:
            if answer.begin > reach:
                break
            reach = max(reach, answer.end)
            seen |= {(event.key, event.value) for event in answer.events or ()}
            if last is None or answer.call.place > last.call.place:
                last = answer
        caught_up = last is not None and not last.events
        for call in writes:
            key, value, revision = _written(call)
            if not (call.ok and revision is None and caught_up and last is not None) or (key, value) in seen:
                continue
            if call.end < last.call.place:
                words = (
                    f"was given everything up to before revision {reach} and, at op {last.call.record}, nothing more; "
                    f"but never {show(value)} at key {show(key)}, acknowledged before (op {call.record})"
                )
                yield _finding("missed-event", last, [call, last.call], words)


def _finding(kind: str, answer: Answer, calls: list[ClientCall], words: str) -> Finding:
    records = sorted({record for call in calls for record in call.records})
    ops = sorted({call.record for call in calls})
    sentence = f"Watcher {show(answer.watcher)} {words}."
    return Finding(Anomaly(kind, ops, sentence, key=show(answer.watcher), sub_history=records), ALWAYS)
