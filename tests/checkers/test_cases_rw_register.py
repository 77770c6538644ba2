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

from checkers.rw_register import RwRegister
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict

CASES = Path(__file__).parents[2] / "../shared/cases"
pytestmark = pytest.mark.skipif(
    not (CASES / "exhaustive.json.gz").exists(), reason="the recorded cases (../shared/cases) are not there"
)
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
