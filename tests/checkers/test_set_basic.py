"""Sets read at the end, against the definition, element by element.

Method: hypothesis draws histories of concurrent adds and reads; plain set arithmetic over the final reads decides.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings

from checkers.collections.set_basic import SetAtTheEnd
from tests.checkers.histories import asked, history
from tests.checkers.small_histories import Call, records_of
from tests.checkers.test_set_full import set_histories

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(set_histories(retries=True))
def test_it_is_as_defined(calls: list[Call]) -> None:
    verdict = SetAtTheEnd().check(history(*records_of(calls)), asked("linearizable"))
    adds = [call for call in calls if call.f == "add"]
    acknowledged = {call.argument for call in adds if call.outcome == "ok"}
    possible = {call.argument for call in adds if call.outcome != "fail"}
    first = {e: min(call.end for call in adds if call.argument == e and call.outcome == "ok") for e in acknowledged}
    quiet = max(first.values(), default=-1)
    final = [call.result for call in calls if call.f == "read" and call.begin > quiet]
    shown = {element for read in final for element in read}
    everywhere = {element for element in shown if all(element in read for read in final)}
    expected = {
        "lost-write": acknowledged - shown if final else set(),
        "stale-read": (acknowledged & shown) - everywhere,
        "garbage-read": shown - {call.argument for call in adds},
        "G1a": (shown & {call.argument for call in adds}) - possible,
        "future-read": {
            element
            for call in calls
            if call.f == "read" and call.begin > quiet
            for element in set(call.result) & possible
            if all(add.begin > call.end for add in adds if add.argument == element and add.outcome != "fail")
        },
        "duplicate-elements": {element for read in final for element in read if read.count(element) > 1},
    }
    for kind, elements in expected.items():
        assert {anomaly.key for anomaly in verdict.anomalies if anomaly.type == kind} == elements, kind
        assert verdict.anomaly_counts.get(kind, 0) == len(elements)
    judgement = "invalid" if any(expected.values()) else "unknown" if acknowledged and not final else "valid"
    assert verdict.verdict == judgement
    assert verdict.stats["ok"] == len(acknowledged & shown)
    assert verdict.stats["recovered"] == len((shown & possible) - acknowledged)


def test_what_is_lost_does_not_count_where_reads_may_be_old() -> None:
    records = history(("invoke", 0, "add", 1), ("ok", 0, "add", 1), ("invoke", 1, "read", None), ("ok", 1, "read", []))
    assert SetAtTheEnd().check(records, asked("linearizable")).verdict == "invalid"
    assert SetAtTheEnd().check(records, asked("serializable")).verdict == "valid"


def test_what_is_read_before_its_add_began_is_from_the_future() -> None:
    read = [("invoke", 0, "read", None), ("ok", 0, "read", [1])]
    add = [("invoke", 1, "add", 1), ("info", 1, "add", 1)]
    verdict = SetAtTheEnd().check(history(*read, *add), asked("linearizable"))
    assert (verdict.verdict, verdict.anomaly_counts) == ("invalid", {"future-read": 1})
    assert verdict.anomalies[0].ops == [1, 2, 3]
    assert SetAtTheEnd().check(history(read[0], *add, read[1]), asked("linearizable")).verdict == "valid"
