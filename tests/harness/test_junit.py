"""What CI servers are told: invalid is a failure, what could not be judged is an error, and any text is legal XML."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from harness.junit import junit_xml
from harness.plan import TestPlan
from harness.runner import run
from harness.verdict import Verdict

PLAN = TestPlan(target="simulated", workload="register", on="simulated", faults=("kill",), seed=7)


def cases(verdict: Verdict | None, error: str | None = None, sentence: str = "said") -> dict[str, set[str]]:
    """What each test case holds, by its name."""
    whole = junit_xml(PLAN, verdict, sentence=sentence, error=error, took_s=1.5, repeat="make test SEED=7")
    suite = ElementTree.fromstring(whole)
    assert int(suite.attrib["tests"]) == len(suite)
    assert int(suite.attrib["failures"]) + int(suite.attrib["errors"]) == len(suite.findall("testcase/*"))
    return {case.attrib["name"]: {child.tag for child in case} for case in suite}


def test_each_verdict() -> None:
    checkers = {"linearizable": Verdict("invalid"), "stats": Verdict("valid"), "activity": Verdict("unknown")}
    named = cases(Verdict("invalid", checkers=checkers))
    assert named.pop("register faults=kill seed=7") == {"failure"}
    assert named == {"linearizable": {"failure"}, "stats": set(), "activity": {"error"}}
    assert cases(Verdict("valid")) == {"register faults=kill seed=7": set()}
    assert cases(Verdict("unknown")) == {"register faults=kill seed=7": {"error"}}


def test_a_run_that_failed_is_an_error_whatever_was_judged() -> None:
    assert cases(None, "no Docker") == {"register faults=kill seed=7": {"error"}}
    assert cases(Verdict("valid"), "a node was lost")["register faults=kill seed=7"] == {"error"}


@given(st.text())
def test_whatever_a_database_said_is_legal_xml(text: str) -> None:
    assert cases(Verdict("unknown", reasons=[text]), None, text) == {"register faults=kill seed=7": {"error"}}


def test_every_run_leaves_one(tmp_path: Path) -> None:
    done = run(tmp_path, target="simulated", workload="register", time_s=2, seed=7, options={"flaw": "lost-write"})
    suite = ElementTree.parse(done.folder.junit).getroot()
    assert suite.attrib["failures"] != "0"
    assert re.search("seed[ =]7", "".join(suite.itertext()), re.IGNORECASE), "how to repeat it, with make or without"
