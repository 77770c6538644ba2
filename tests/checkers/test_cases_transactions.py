"""The recorded list-append histories: verdicts of an exhaustive search and of an established checker (Elle).

The verdict must be the exhaustive search's, for every history and model. The types of anomalies must be the peer's, but
for the groups that are argued here.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from checkers import models
from checkers.transactions.list_append import ListAppend
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict

CASES = Path(__file__).parents[2] / "../shared/cases"
pytestmark = pytest.mark.skipif(
    not (CASES / "exhaustive.json.gz").exists(), reason="the recorded cases (../shared/cases) are not there"
)

CYCLES = ("G0", "G1c", "G-", "G2")
PEER_ONLY = {
    # the same cycle needs only session edges: its weakest name is -process, which the peer gives for session models
    ("G-single-item-realtime", "G-single-item-process"),
    ("G1c-realtime", "G1c-process"),
    ("G0-realtime", "G0-process"),
    ("G-nonadjacent-item-realtime", "G-nonadjacent-item-process"),
    ("G-nonadjacent-item-realtime", "G-single-item-process"),
    # a key with repeated elements gives no edges
    ("G-single-item-realtime", "duplicate-elements"),
    ("G-single-item-process", "duplicate-elements"),
}
"""(what only the peer names, what we name instead)."""
OURS_ONLY = {
    "garbage-read": "the peer takes the list for granted when another read contradicts it",
    "cyclic-versions": "a transaction's own appends keep their order",
    "G-nonadjacent-item": "open append orders, or a second kind in a component",
    "G-nonadjacent-item-process": "a second kind in a component",
    "G-single-item-process": "a second kind in a component",
    "G-single-item-realtime": "a second kind in a component",
    "G-single-item": "a second kind in a component",
    "G1c": "a second kind in a component",
    "G1c-process": "what the peer calls an unclassified cycle of strong-session-PL-2",
    "G1c-realtime": "what the peer calls an unclassified cycle of strong-PL-2",
    "G2-item": "a second kind in a component",
    "lost-write": "the peer has no name for it: a cycle, or an incompatible order",
}
FINER = {
    *("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads", "session-causality"),
    "PRAM-violation",
    *("OTV", "fractured-read", "G-cursor", "causality-violation", "prefix-violation", "long-fork"),
}
"""What else we say of the same cycles, and the peer has no finding for."""


@cache
def cases() -> list[dict[str, Any]]:
    with gzip.open(CASES / "transactions.json.gz") as file:
        return [case for case in json.load(file) if case["workload"] == "list-append"]


@cache
def exhaustive() -> dict[str, dict[str, bool | None]]:
    with gzip.open(CASES / "exhaustive.json.gz") as file:
        return json.load(file)


def check(case: dict[str, Any], model: str) -> Verdict:
    return ListAppend().check(History.from_ops(case["history"]), CheckOptions(model=model))


def test_verdicts_are_those_of_the_exhaustive_search() -> None:
    compared = 0
    wrong = []
    for case in cases():
        for model, legal in exhaustive()[case["name"]].items():
            if legal is None:
                continue
            compared += 1
            verdict = check(case, model).verdict
            if verdict != ("valid" if legal else "invalid"):
                wrong.append((case["name"], model, verdict))
    assert not wrong
    assert compared > 1900


def test_what_the_peer_calls_invalid_is_invalid() -> None:
    for case in cases():
        for peer in case["verdicts"]:
            model = peer["options"]["consistency-models"][0]
            if "incompatible-order" in (peer["anomaly_types"] or ()) or model == "read-uncommitted":
                continue  # a G0 that the peer finds in one of two contradictory orders is not proven
            if peer["valid"] is False:
                assert check(case, model).verdict == "invalid", case["name"]


def test_types_of_anomalies_are_the_peers() -> None:
    same = 0
    for case in cases():
        if any(peer["valid"] is None for peer in case["verdicts"]):
            continue  # the peer gave up on a value that nobody wrote
        theirs = {name for peer in case["verdicts"] for name in peer["anomaly_types"] or ()}
        theirs = {t for t in theirs if not t.endswith("-cycle-exists") and t != "empty-transaction-graph"}
        ours = set(check(case, "strict-serializable").anomaly_types) - FINER
        if "incompatible-order" in theirs:
            # the peer picks one of the contradictory orders and finds cycles in it; we take what holds in all
            theirs = {t for t in theirs if not t.startswith(CYCLES)}
            ours = {t for t in ours if not t.startswith(CYCLES)}
        same += theirs == ours
        for missing in theirs - ours:
            assert any((missing, instead) in PEER_ONLY for instead in ours), (case["name"], missing, ours)
        for extra in ours - theirs:
            assert extra in OURS_ONLY, (case["name"], extra, theirs)
    assert same > 215


def test_the_weakest_models_ruled_out_are_the_peers_where_the_anomalies_are() -> None:
    compared = 0
    for case in cases():
        for peer in case["verdicts"]:
            if peer["options"]["consistency-models"] != ["strict-serializable"] or not peer["not"]:
                continue
            verdict = check(case, "strict-serializable")
            if set(peer["anomaly_types"]) != set(verdict.anomaly_types) - FINER:
                continue
            if verdict.anomaly_types and not {"internal", "future-read"} & set(verdict.anomaly_types):
                compared += 1
                theirs = {models.canonical(name) for name in peer["not"]}
                all_theirs = theirs | {models.canonical(name) for name in peer["also_not"]}
                ours = {*verdict.not_, *verdict.also_not}
                assert all_theirs & set(models.REPORTED) <= ours, case["name"]
                if not FINER & set(verdict.anomaly_types):
                    known = [name for name in verdict.not_ if name not in models.GUARANTEES]
                    assert known == sorted(theirs), case["name"]
    assert compared >= 25
