"""Goal: a key that goes before its lease's time, or comes back after it, is found; what a right database may do is not.

Method: each case by hand; random histories of a database that keeps its word, with every freedom that it has.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.ordering.lease import Lease
from harness.history import History, HistoryError
from harness.op import Op
from tests.checkers.histories import asked

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
SECOND_NS = 1_000_000_000

Call = tuple[str, str, Any, float, float]
"""(f, type, the answer's second part, begin, end), times in seconds; an end beyond all is never recorded."""


def verdict(*calls: Call, key: int = 7, **options: Any) -> Any:
    return Lease().check(history_of(calls, key), asked("linearizable", **options))


def history_of(calls: Any, key: int = 7) -> History:
    return History.from_ops(ops_of(calls, key))


def ops_of(calls: Any, key: int = 7) -> list[Op]:
    """Each call by a client of its own."""
    records: list[tuple[float, int, Op]] = []
    for process, (f, kind, answer, begin, end) in enumerate(calls):
        records.append((begin, 0, Op("invoke", f, [key, None], process)))
        if end < 1e6:
            records.append((end, 1, Op(kind, f, [key, answer if kind == "ok" else None], process)))
    records.sort(key=lambda record: record[:2])
    return [op.replace(index=place, time_ns=round(time_s * SECOND_NS)) for place, (time_s, _, op) in enumerate(records)]


def kinds(found: Any) -> set[str]:
    return {anomaly.type for anomaly in found.anomalies}


GRANT: Call = ("grant", "ok", 2, 0.0, 0.5)


def test_a_key_that_runs_out_after_its_time_is_fine() -> None:
    found = verdict(GRANT, ("read", "ok", True, 1.0, 1.1), ("read", "ok", False, 1.9, 2.1))
    assert found.verdict == "valid"
    assert found.stats["granted"] == 1
    assert found.stats["reads"] == 2


def test_a_key_that_goes_before_its_time_is_found_and_explained() -> None:
    found = verdict(GRANT, ("read", "ok", False, 1.0, 1.25))
    assert found.verdict == "invalid"
    assert kinds(found) == {"expired-early"}
    assert "0.75 s before that time was up" in found.anomalies[0].sentence


def test_the_time_counts_from_when_it_was_asked_for() -> None:
    assert verdict(GRANT, ("read", "ok", False, 2.0, 2.05)).verdict == "valid", "2 s from the grant's beginning"


def test_a_renewal_begins_the_time_anew_once_it_is_told() -> None:
    keep: Call = ("keep", "ok", 2, 1.5, 1.6)
    assert kinds(verdict(GRANT, keep, ("read", "ok", False, 3.0, 3.2))) == {"expired-early"}
    assert verdict(GRANT, keep, ("read", "ok", False, 3.0, 3.6)).verdict == "valid"
    untold: Call = ("keep", "ok", 2, 1.5, 3.3)
    assert verdict(GRANT, untold, ("read", "ok", False, 3.0, 3.2)).verdict == "valid"
    failed: Call = ("keep", "fail", None, 1.5, 1.6)
    assert verdict(GRANT, failed, ("read", "ok", False, 3.0, 3.2)).verdict == "valid"


@pytest.mark.parametrize("kind,end", [("ok", 1.2), ("info", 1.2), ("info", 9e9)])
def test_a_revocation_that_may_have_happened_explains_that_the_key_is_gone(kind: str, end: float) -> None:
    assert verdict(GRANT, ("revoke", kind, None, 1.0, end), ("read", "ok", False, 1.3, 1.4)).verdict == "valid"


def test_a_revocation_that_failed_or_came_later_explains_nothing() -> None:
    for revoke in (("revoke", "fail", None, 1.0, 1.1), ("revoke", "ok", None, 1.5, 1.6)):
        assert kinds(verdict(GRANT, revoke, ("read", "ok", False, 1.3, 1.4))) == {"expired-early"}  # type: ignore[arg-type]


def test_a_read_that_began_before_the_grant_was_told_proves_nothing() -> None:
    assert verdict(GRANT, ("read", "ok", False, 0.4, 0.6)).verdict == "valid"


def test_a_key_whose_lease_was_revoked_is_not_found_again() -> None:
    revoke: Call = ("revoke", "ok", None, 0.6, 0.8)
    assert kinds(verdict(GRANT, revoke, ("read", "ok", True, 0.9, 1.0))) == {"outlived-lease"}
    assert verdict(GRANT, revoke, ("read", "ok", True, 0.7, 1.0)).verdict == "valid"
    unknown: Call = ("revoke", "info", None, 0.6, 0.8)
    assert verdict(GRANT, unknown, ("read", "ok", True, 0.9, 1.0)).verdict == "valid"


def test_a_key_that_was_gone_does_not_come_back() -> None:
    gone: Call = ("read", "ok", False, 2.1, 2.2)
    assert kinds(verdict(GRANT, gone, ("read", "ok", True, 2.3, 2.4))) == {"outlived-lease"}
    assert verdict(GRANT, gone, ("read", "ok", True, 2.15, 2.4)).verdict == "valid"


def test_staying_too_long_is_a_figure() -> None:
    found = verdict(GRANT, ("read", "ok", True, 5.0, 5.1))
    assert found.verdict == "valid"
    assert found.stats["seen_late_ms_max"] == pytest.approx(3000)


def test_a_key_that_was_not_granted_for_sure_is_not_judged() -> None:
    unknown: Call = ("grant", "info", None, 0.0, 0.5)
    assert verdict(unknown, ("read", "ok", True, 1.0, 1.1), ("read", "ok", False, 1.2, 1.3)).verdict == "valid"


def test_without_invocations_nothing_is_known_of_time() -> None:
    completions = [op for op in ops_of([GRANT, ("read", "ok", False, 1.0, 1.1)]) if op.type != "invoke"]
    found = Lease().check(History.from_ops(completions), asked("linearizable"))
    assert found.verdict == "unknown"
    assert not found.anomalies


@pytest.mark.parametrize(
    "calls",
    [
        [GRANT, ("read", "ok", "yes", 1.0, 1.1)],
        [("grant", "ok", "long", 0.0, 0.5), ("read", "ok", False, 1.0, 1.1)],
        [GRANT, ("grant", "ok", 2, 0.6, 0.7)],
    ],
)
def test_values_of_another_shape_are_refused(calls: list[Call]) -> None:
    with pytest.raises(HistoryError):
        verdict(*calls)


@thorough
@given(st.integers(0, 2**63))
def test_a_database_that_keeps_its_word_is_never_accused(seed: int) -> None:
    """The key lives from the grant's moment until a revocation's, or any moment after its last renewal is over."""
    chance = random.Random(seed)

    def span(at: float) -> tuple[float, float]:
        return at - chance.random() * 0.4, at + chance.random() * 0.4

    granted, ttl = 1.0, chance.choice([1, 2])
    until, calls, at = granted + ttl, [("grant", "ok", ttl, *span(granted))], granted
    revoked = chance.choice([None, granted + chance.random() * 3])
    while chance.random() < 0.6:
        at += chance.random() * ttl
        if revoked is None or at < revoked:
            calls.append(("keep", "ok", ttl, *span(at)))
            until = max(until, at + ttl)
    death = until + chance.random() if revoked is None else revoked
    if revoked is not None and revoked < until:
        kind = chance.choice(["ok", "info"])
        calls.append(("revoke", kind, None, *span(revoked)))
    else:
        death = max(death, until)
    for _ in range(chance.randrange(8)):
        moment = granted + 0.5 + chance.random() * 5
        calls.append(("read", "ok", moment < death, *span(moment)))
    found = verdict(*calls)
    assert found.verdict == "valid", found.anomalies


def test_without_times_nobody_knows_whether_a_key_went_early() -> None:
    ops = [op.replace(time_ns=0) for op in ops_of([GRANT, ("read", "ok", False, 1.0, 1.1)], 7)]
    found = Lease().check(History.from_ops(ops), asked("linearizable"))
    assert (found.verdict, found.anomalies) == ("unknown", [])
    assert "when op 3 did not find it is not known" in found.reasons[0]
    ops = [op.replace(time_ns=0) for op in ops_of([GRANT, ("read", "ok", True, 1.0, 1.1)], 7)]
    assert Lease().check(History.from_ops(ops), asked("linearizable")).verdict == "valid"


@pytest.mark.parametrize("read", [True, False])
def test_a_key_that_may_have_been_granted_twice_is_unknown(read: bool) -> None:
    """The first grant may take effect after the second one: the key is under another lease then."""
    other: Call = ("grant", "info", None, 0.0, 0.2)
    found = verdict(other, GRANT, ("revoke", "ok", None, 0.6, 0.7), ("read", "ok", read, 1.0, 1.1))
    assert (found.verdict, found.anomalies) == ("unknown", [])
    assert "may have been granted twice" in found.reasons[0]
