"""The glossary knows every name that a verdict can have, and the docs say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkers import models
from harness.glossary import ANOMALIES, EDGE_KINDS, MODELS, model, term
from harness.report.glossary_text import markdown
from harness.verdict import Anomaly, Verdict
from harness.verdict_text import summary

DOC = Path(__file__).parents[3] / "docs" / "reading-a-report.md"


def test_the_docs_hold_the_same_glossary() -> None:
    text = DOC.read_text("utf-8")
    assert markdown() in text, "run `python -m harness.report.glossary_text` and replace the docs' glossary"
    for kind, (reads, meaning) in EDGE_KINDS.items():
        assert f"| `{kind}` | {reads} | {meaning} |" in text


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_every_model_has_a_meaning(name: str) -> None:
    assert model(name).meaning


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("G1a", "aborted read"),
        ("G2-item-realtime", "write skew in real time"),
        ("G-single-item-process", "read skew within a session"),
        ("lost-update", "lost update"),
        ("internal", "transaction that contradicts itself"),
        ("nonlinearizable", "history of a key that no order explains"),
        ("something-new", "something-new"),
    ],
)
def test_the_console_says_what_was_seen(name: str, noun: str) -> None:
    verdict = Verdict("invalid", model="serializable", anomaly_counts={name: 2}, anomalies=[Anomaly(name, [1], "So.")])
    assert f"{noun} seen 2 times" in summary(verdict)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("G2-item", "Write skew"),
        ("G2-item-realtime", "Write skew in real time"),
        ("G-single-item-process", "Read skew within a session"),
        ("G-nonadjacent-item", "Inconsistent snapshots"),
        ("G1c-realtime", "Circular information flow in real time"),
        ("PL-SI-cycle-exists", "A contradiction"),
        ("something-new", "Something new"),
    ],
)
def test_endings_are_understood(name: str, title: str) -> None:
    assert term(name).title == title
    assert term(name).name == name
    assert ("real time" in term(name).meaning) == name.endswith("-realtime")


def test_words_are_short_and_plain() -> None:
    for entry in ANOMALIES.values():
        assert entry.meaning.endswith(".") and entry.harm.endswith("."), entry.name
        assert len(entry.meaning) < 320 and len(entry.title) < 40
    assert len(MODELS) >= 25
