"""One verdict from several: invalid outranks unknown outranks valid, and idleness never hides an anomaly."""

from __future__ import annotations

import pytest

from checkers.compose import compose
from harness.verdict import Anomaly, Judgement, Verdict


@pytest.mark.parametrize(
    ("judged", "activity", "expected"),
    [
        ("valid", "valid", "valid"),
        ("valid", "unknown", "unknown"),
        ("invalid", "unknown", "invalid"),
        ("unknown", "valid", "unknown"),
    ],
)
def test_ranks(judged: Judgement, activity: Judgement, expected: Judgement) -> None:
    verdict = compose({"append": Verdict(judged), "activity": Verdict(activity)}, model="serializable")
    assert (verdict.verdict, verdict.model) == (expected, "serializable")


def test_everything_found_is_kept_what_counts_first() -> None:
    counted = Anomaly("G2-item", [1], "both left")
    shown = Anomaly("G-single-realtime", [2], "stale", counts=False)
    verdict = compose(
        {
            "a": Verdict("valid", anomaly_types=["G-single-realtime"], anomaly_counts={"G-single-realtime": 4},
                         not_=["strict-serializable"], anomalies=[shown]),
            "b": Verdict("invalid", anomaly_types=["G2-item"], anomaly_counts={"G2-item": 2}, not_=["repeatable-read"],
                         also_not=["serializable", "strict-serializable"], anomalies=[counted], reasons=["b"]),
            "activity": Verdict("unknown", reasons=["idle"], stats={"ok": 3}),
        }
    )  # fmt: skip
    assert verdict.verdict == "invalid"
    assert verdict.anomaly_counts == {"G-single-realtime": 4, "G2-item": 2}
    assert verdict.anomalies == [counted, shown]
    assert verdict.not_ == ["repeatable-read"]
    assert verdict.also_not == ["serializable", "strict-serializable"]
    assert verdict.reasons == ["b", "idle"]
    assert verdict.stats == {"activity": {"ok": 3}}
    assert set(verdict.checkers) == {"a", "b", "activity"}
