"""What the tests of the track record share: what a clean twin and a finding must show."""

from __future__ import annotations

from tests.e2e.runs import Ran


class WrongVerdict(Exception):
    """A clean twin that is not silent. `make check` repeats a test that fails, for a machine may be slow; not this."""


ALL_FAULTS = ("partition", "kill", "pause", "clock")


def assert_clean(ran: Ran, *, oks: int, fs: tuple[str, ...], faults: tuple[str, ...] = ()) -> None:
    """Valid, nothing found, not idle: at least `oks` successes of these kinds, each of these faults seen to act."""
    if ran.verdict["verdict"] == "invalid" or ran.counts:
        raise WrongVerdict(f"a clean twin finds nothing at all: {ran.counts}\n{ran.output}")
    assert ran.verdict["verdict"] == "valid", ran.output
    assert ran.code == 0
    assert ran.oks(*fs) >= oks
    for kind in faults:
        assert ran.effective(kind) > 0, f"no {kind} took effect"


def assert_found(ran: Ran, *anomalies: str, at_least: int = 1) -> None:
    """So many anomalies of these types together."""
    found = sum(ran.counts.get(anomaly, 0) for anomaly in anomalies)
    assert found >= at_least, f"{anomalies}: {ran.counts}\n{ran.output}"
