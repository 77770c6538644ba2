"""The sentence says what was judged, what was found, how often, and which model users know it rules out."""

from __future__ import annotations

from harness.verdict import Anomaly, Verdict
from harness.verdict_text import summary

SKEW = Anomaly("G2-item", [1, 2], "Pair 17: both left.")
RULED_OUT = {"not_": ["repeatable-read"], "also_not": ["serializable", "strict-serializable"]}


def test_valid() -> None:
    verdict = Verdict("valid", model="serializable", checkers={"stats": Verdict("valid", stats={"ok": 12345})})
    assert summary(verdict) == "Valid: every operation fits serializable (12,345 ok)."


def test_valid_with_something_seen_that_does_not_count() -> None:
    skew = Anomaly("G2-item", [1, 2], "Pair 17: both left.", counts=False)
    verdict = Verdict(
        "valid", model="snapshot-isolation", anomaly_counts={"G2-item": 31}, anomalies=[skew], **RULED_OUT
    )
    assert summary(verdict) == (
        "Valid: every operation fits snapshot-isolation. Also found: write skew seen 31 times: not serializable."
    )


def test_invalid_gives_an_example() -> None:
    verdict = Verdict("invalid", model="serializable", anomaly_counts={"G2-item": 31}, anomalies=[SKEW], **RULED_OUT)
    assert summary(verdict) == ("Invalid: not serializable: write skew seen 31 times. For example: Pair 17: both left.")


def test_unknown_says_why() -> None:
    assert summary(Verdict("unknown", reasons=["no read succeeded", "idle"])) == "Unknown: no read succeeded; idle."
