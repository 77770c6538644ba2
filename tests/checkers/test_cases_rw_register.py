"""The recorded register histories: verdicts of an exhaustive search and of an established checker (Elle).

The verdict must be the exhaustive search's, for every history and model, whatever options are given. The types of
anomalies must be the peer's, but for the groups that are argued here.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from checkers.transactions.rw_register import RwRegister
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict

CASES = Path(__file__).parents[2] / "../shared/cases"
pytestmark = pytest.mark.skipif(
    not (CASES / "exhaustive.json.gz").exists(), reason="the recorded cases (../shared/cases) are not there"
)
PEER_ONLY = {
    # the same cycle needs only session edges: its weakest name is -process, which the peer gives for session models
    ("G-single-item-realtime", "G-single-item-process"),
    ("G1c-realtime", "G1c-process"),
    # the peer takes the later versions of a key to be ordered by real time, and then finds no cycle without it; ours
    # holds in every order
    ("G-single-item-realtime", "G-single-item"),
    ("G-single-item-process", "G-single-item"),
    # a cycle over a value that nobody wrote
    ("G1c-realtime", "garbage-read"),
}
"""(what only the peer names, what we name instead)."""
OURS_ONLY = {
    "garbage-read": "the peer accepts values that nobody wrote",
    "future-read": "the peer accepts reads of the own later write",
    "G-single-item": "two reads that differ are a read skew in every order; writes follow reads at read committed",
    "G-single-item-process": "from the order of versions that saturation or every order shows",
    "G-single-item-realtime": "the same",
    "G-nonadjacent-item-process": "the same",
    "G2-item": "the same",
    "G1c-process": "what the peer calls an unclassified cycle of strong-session-PL-2",
}
BESIDE = {
    *("OTV", "fractured-read", "causality-violation", "prefix-violation", "long-fork", "G-cursor"),
    *("read-your-writes", "monotonic-reads", "writes-follow-reads", "PRAM-violation", "session-causality"),
}
"""What breaks weaker models by their own definitions has a name of ours, beside the peer's."""
OPTIONS: list[dict[str, Any]] = [
    {},
    {"wfr_keys": True},
    {"sequential_keys": True},
    {"linearizable_keys": True},
    {"wfr_keys": True, "sequential_keys": True, "linearizable_keys": True},
]


@cache
def cases() -> list[dict[str, Any]]:
    with gzip.open(CASES / "transactions.json.gz") as file:
        return [case for case in json.load(file) if case["workload"] == "rw-register"]


@cache
def exhaustive() -> dict[str, dict[str, bool | None]]:
    with gzip.open(CASES / "exhaustive.json.gz") as file:
        return json.load(file)


def check(case: dict[str, Any], model: str, options: dict[str, Any] | None = None) -> Verdict:
    return RwRegister().check(History.from_ops(case["history"]), CheckOptions(model=model, workload=options or {}))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "none")
def test_verdicts_are_those_of_the_exhaustive_search(options: dict[str, Any]) -> None:
    compared = 0
    wrong = []
    for case in cases():
        for model, legal in exhaustive()[case["name"]].items():
            if legal is None:
                continue
            compared += 1
            verdict = check(case, model, options).verdict
            expected = "valid" if legal else "invalid"
            if legal and model == "strict-serializable" and case["history"][0]["type"] != "invoke":
                expected = "unknown"  # no invocations: nothing is known about realtime
            if verdict != expected:
                wrong.append((case["name"], model, verdict))
    assert not wrong
    assert compared > 1800


def test_what_the_peer_calls_invalid_without_assumptions_is_invalid() -> None:
    for case in cases():
        for peer in case["verdicts"]:
            [model, *_] = peer["options"]["consistency-models"]
            if peer["valid"] is False and len(peer["options"]) == 1:
                assert check(case, model).verdict == "invalid", case["name"]


def test_types_of_anomalies_are_the_peers() -> None:
    same = 0
    for case in cases():
        plain = [peer for peer in case["verdicts"] if len(peer["options"]) == 1]
        theirs = {name for peer in plain for name in peer["anomaly_types"] or ()}
        theirs = {t for t in theirs if not t.endswith("-cycle-exists") and t != "empty-transaction-graph"}
        ours = set(check(case, "strict-serializable").anomaly_types) - BESIDE
        same += theirs == ours
        for missing in theirs - ours:
            assert any((missing, instead) in PEER_ONLY for instead in ours), (case["name"], missing, ours)
        for extra in ours - theirs:
            assert extra in OURS_ONLY, (case["name"], extra, theirs)
    assert same > 210
