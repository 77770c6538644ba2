"""What the tests of the track record share: what a clean twin and a finding must show."""

from __future__ import annotations

from tests.e2e.runs import Ran

ALL_FAULTS = ("partition", "kill", "pause", "clock")


def assert_clean(ran: Ran, *, oks: int, fs: tuple[str, ...], faults: tuple[str, ...] = ()) -> None:
    """Valid, nothing found, not idle: at least `oks` successes of these kinds, each of these faults seen to act."""
    assert ran.verdict["verdict"] == "valid", ran.output
    assert ran.code == 0
    assert ran.oks(*fs) >= oks
    assert ran.counts == {}, "a clean twin finds nothing at all"
    for kind in faults:
        assert ran.effective(kind) > 0, f"no {kind} took effect"


def assert_found(ran: Ran, *anomalies: str, at_least: int = 1) -> None:
    """So many anomalies of these types together."""
    found = sum(ran.counts.get(anomaly, 0) for anomaly in anomalies)
    assert found >= at_least, f"{anomalies}: {ran.counts}\n{ran.output}"
