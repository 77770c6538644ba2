"""Goal: the report tells of leaders and replicas what was observed, and no more. Method: small records, read back."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness.history import History
from harness.judging import check
from harness.op import LAG, NEMESIS, PRIMARIES, Op
from harness.report import ReportInput, build
from harness.report.model import make_page
from harness.report.replicas import facts, make, reigns_of, size
from harness.verdict import Verdict


class Recorder:
    def __init__(self) -> None:
        self.ops: list[Op] = []

    def add(self, second: float, type_: str, f: str, value: Any, process: Any = NEMESIS, **more: Any) -> Recorder:
        self.ops.append(Op(type_, f, value, process, round(second * 1e9), len(self.ops), **more))  # type: ignore
        return self

    def poll(self, second: float, *claims: tuple[str, Any], answered: bool = True) -> Recorder:
        self.add(second, "invoke", PRIMARIES, None)
        reports = [{"node": node, "primary": node, "term": term} for node, term in claims]
        return self.add(second + 0.1, "info", PRIMARIES, reports) if answered else self

    def lag(self, second: float, **replicas: float) -> Recorder:
        return self.add(second, "info", LAG, [{"replica": name, "bytes": lag} for name, lag in replicas.items()])

    def op(self, second: float, f: str, asked: Any, told: Any, node: str = "n1") -> Recorder:
        self.add(second, "invoke", f, asked, 0, node=node)
        return self.add(second + 0.01, "ok", f, told, 0, node=node)

    @property
    def history(self) -> History:
        return History.from_ops(self.ops)


def test_claims_of_polls_in_a_row_are_one_reign_and_a_poll_without_one_ends_it() -> None:
    run = Recorder().poll(1, ("n1", 3)).poll(2, ("n1", 3)).poll(3).poll(4, ("n1", 3), ("n2", 4)).poll(5, ("n2", 4))
    run.poll(6, answered=False).poll(7, ("n2", 4)).poll(8, ("n2", 5))
    assert [(r.node, r.term, r.begin_ns / 1e9, round(r.end_ns / 1e9, 1)) for r in reigns_of(run.history)] == [
        ("n1", 3, 1.0, 2.1),
        ("n1", 3, 4.0, 4.1),
        ("n2", 4, 4.0, 7.1),
        ("n2", 5, 8.0, 8.1),
    ]


def test_what_was_not_observed_is_not_told() -> None:
    told = make(Recorder().op(1, "read", [1, None], [1, None]).history, [], Verdict("valid", "all"))
    assert not told
    assert facts(Verdict("valid", "all")) == []


def test_a_line_does_not_go_where_nothing_was_observed() -> None:
    run = Recorder().lag(1, n2=0, n3=5).lag(2, n2=2000).lag(20, n2=1000, n3=7)
    told = make(run.history, [], check(run.history, workload="register"))
    lines = re.findall(r'class="lag c(\d)" points="([^"]*)"', str(told.lag))
    assert [(colour, len(set(points.split()))) for colour, points in lines] == [("0", 2), ("0", 1), ("1", 1), ("1", 1)]
    assert told.replicas == [("n2", 0), ("n3", 1)]
    assert "2 kB" in str(told.lag)


def test_figures_and_sentences_come_from_the_checkers() -> None:
    run = Recorder().lag(0.5, n2=49_892).poll(0.6, ("n1", 1), ("n2", 2))
    run.op(1, "write", [7, 1], [7, 1]).op(2, "write", [7, 2], [7, 2]).op(2.5, "read", [7, None], [7, 1], "n2")
    for node in ("n1", "n2"):
        run.op(25, "local-read", [7, None], [7, 2], node)
    verdict = check(run.history, workload="register", max_staleness_ms="100", final="converge")
    assert verdict.anomaly_counts["too-stale"] == 1
    found = {what: (figure, note) for figure, what, note in facts(verdict)}
    assert found["furthest that a replica was behind"] == ("49.9 kB", "n2, of the log")
    assert found["stalest read"] == ("490 ms", "1 of 1 reads were stale")
    assert found["until all nodes agreed"][0] == "23.0 s"
    page = make_page(ReportInput(history=run.history, verdict=verdict))
    assert {what for _, what, _ in page.facts} >= set(found)
    sentences = " ".join(page.replicas.sentences)
    assert "In 1 of 1 polls two nodes said at once" in sentences
    assert "1 of 1 reads missed a version" in sentences
    assert "all 2 nodes had been seen to agree" in sentences


def test_nodes_that_never_agree_are_told() -> None:
    run = Recorder().op(1, "write", [7, 1], [7, 1]).op(2, "write", [7, 2], [7, 2])
    for second in (23, 30):
        run.op(second, "local-read", [7, None], [7, 1], "n1").op(second + 1, "local-read", [7, None], [7, 2], "n2")
    verdict = check(run.history, workload="register", final="converge")
    assert verdict.anomaly_types == ["diverged-replicas"]
    assert ("never", "came all nodes to agree", "1 of 1 differ") in facts(verdict)


@pytest.mark.parametrize("name", ['<script>alert("x")</script>', "a&b", '"><img src=x>'])
def test_names_that_a_database_gave_are_text(name: str) -> None:
    run = Recorder().poll(1, (name, name)).lag(1.5, **{name: 3.0})
    html = build(ReportInput(history=run.history, verdict=check(run.history, workload="register")))
    section = html[html.index('id="replicas"') : html.index("</section>", html.index('id="replicas"'))]
    assert "<script>" not in section and "<img" not in section and "a&b" not in section


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (49_892, "49.9 kB"), (2.5e9, "2.5 GB")]
)
def test_sizes(number: float, text: str) -> None:
    assert size(number) == text
