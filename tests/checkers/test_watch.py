"""Goal: what a watcher misses, sees twice or out of order is found; being late is not called so. Method: mutation of
sound runs of a log, and the definition of each finding on small ones."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.ordering.watch import Watch
from harness.history import History, HistoryError
from tests.checkers.histories import asked, history

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def verdict(records: list[Any]) -> Any:
    return Watch().check(history(*records), asked())


def done(f: str, value: Any, told: Any, process: int = 0) -> list[tuple[Any, ...]]:
    return [("invoke", process, f, value), ("ok", process, f, told)]


def sound(chance: random.Random, *, tells: bool) -> tuple[list[Any], list[int]]:
    """(records of a log with two watchers, places of answers that hold events)."""
    records: list[Any] = []
    log: list[list[int]] = []
    nexts = {0: 1, 1: 1}
    for value in range(chance.randint(3, 12)):
        log.append([len(log) + 1, value % 2, value])
        records += done("write", [value % 2, value], [value % 2, value, *([len(log)] if tells else [])])
        for watcher in nexts:
            if chance.random() < 0.5:
                records += _asks(watcher, nexts, log[: chance.randint(nexts[watcher] - 1, len(log))])
    for _ in range(2):
        for watcher in nexts:
            records += _asks(watcher, nexts, log)
    return records, [i for i, r in enumerate(records) if r[0] == "ok" and r[2] == "watch" and r[3][2]]


def _asks(watcher: int, nexts: dict[int, int], log: list[list[int]]) -> list[Any]:
    begin, end = nexts[watcher], len(log) + 1
    nexts[watcher] = end
    return done("watch", [watcher, begin, None], [watcher, begin, log[begin - 1 : end - 1], end], 10 + watcher)


@thorough
@given(st.integers(0, 2**63), st.booleans(), st.sampled_from(["drop", "twice", "swap", "change", "compact"]))
def test_a_sound_log_is_valid_and_each_mutation_is_found(seed: int, tells: bool, mutation: str) -> None:
    chance = random.Random(seed)
    records, places = sound(chance, tells=tells)
    assert verdict(records).verdict == "valid"
    place = chance.choice(places)
    type_, process, f, (watcher, begin, events, end) = records[place]
    events = [list(event) for event in events]
    spot = chance.randrange(len(events))
    expected = {"drop": "missed-event", "twice": "duplicate-event", "swap": "event-order", "change": "garbage-read"}
    if mutation == "compact":
        records[place] = (type_, process, f, [watcher, begin, "compacted", end])
        assert verdict(records).verdict == "valid"
        return
    if mutation == "swap" and len(events) < 2:
        return
    if mutation == "drop":
        del events[spot]
    elif mutation == "twice":
        events.insert(spot, events[spot])
    elif mutation == "swap":
        events[0], events[-1] = events[-1], events[0]
    else:
        events[spot][2] = 999
    records[place] = (type_, process, f, [watcher, begin, events, end])
    found = verdict(records)
    assert found.verdict == "invalid" and expected[mutation] in found.anomaly_types, found


def test_a_watcher_that_was_connected_anew_may_not_skip() -> None:
    records = [
        *done("write", [1, 10], [1, 10, 1]),
        *done("write", [1, 11], [1, 11, 2]),
        *done("watch", [7, 1, None], [7, 1, [[1, 1, 10]], 2], 5),
        *done("watch", [7, 2, None], [7, 2, [], 3], 6),
    ]
    found = verdict(records)
    assert (found.verdict, found.anomaly_counts, found.anomalies[0].ops) == ("invalid", {"missed-event": 1}, [3, 7])
    assert "Watcher 7 was given revisions 2 up to before 3 (op 7) without 11 at key 1" in found.anomalies[0].sentence


def test_events_that_conflict_or_were_rolled_back() -> None:
    records = [
        *done("write", [1, 10], [1, 10]),
        *done("write", [1, 11], [1, 11]),
        *done("watch", [7, 1, None], [7, 1, [[1, 1, 10]], 2]),
        *done("watch", [8, 1, None], [8, 1, [[1, 1, 11]], 2]),
    ]
    assert "conflicting-events" in verdict(records).anomaly_types
    failed = [("invoke", 0, "write", [1, 10]), ("fail", 0, "write", [1, 10])]
    assert verdict([*failed, *done("watch", [7, 1, None], [7, 1, [[1, 1, 10]], 2])]).anomaly_types == ["G1a"]


@pytest.mark.parametrize("told", [3, [1, 2, 3], [1, 1, [[None, 1, 1]], 2], [1, "x", [], 2]])
def test_values_of_another_shape_are_named(told: Any) -> None:
    with pytest.raises(HistoryError, match="index"):
        Watch().check(History.from_ops(history(*done("watch", [1, 1, None], told)).op(i) for i in range(2)), asked())


def test_an_event_before_its_write_is_from_the_future() -> None:
    early = done("watch", ["a", 1, None], ["a", 1, [[1, 7, 7]], 2])
    late = done("write", [7, 7], [7, 7, 1], 1)
    found = verdict([*early, *late])
    assert (found.verdict, found.anomaly_counts, found.anomalies[0].ops) == ("invalid", {"future-read": 1}, [1, 3])
    assert verdict([late[0], *early, late[1]]).verdict == "valid"
    assert verdict([early[0], late[0], early[1], late[1]]).verdict == "valid"
    assert verdict([early[1], late[1]]).verdict == "valid"


def test_a_value_that_was_written_twice_may_be_seen_twice() -> None:
    twice = [*done("write", [1, 5], [1, 5, 1]), *done("write", [1, 5], [1, 5, 2])]
    seen = done("watch", ["a", 1, None], ["a", 1, [[1, 1, 5], [2, 1, 5]], 3], 1)
    assert verdict([*twice, *seen]).verdict == "valid"
    again = done("watch", ["a", 1, None], ["a", 1, [[1, 1, 5], [2, 1, 5], [2, 1, 5]], 3], 1)
    assert verdict([*twice, *again]).anomaly_counts == {"duplicate-event": 1}
    assert verdict([*twice[:2], *seen]).anomaly_counts == {"duplicate-event": 1}


def test_other_ops_are_refused_because_they_make_events() -> None:
    with pytest.raises(HistoryError, match="not 'delete'"):
        verdict([*done("delete", [1, None], [1, None]), *done("watch", ["a", 1, None], ["a", 1, [[1, 1, None]], 2], 1)])
