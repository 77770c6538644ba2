"""What is told of a judged run: `results.json`, `report.html`, `history.edn`, and the last lines on the console."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import Exit, FaultlineError
from harness.history_edn import write_lines
from harness.judging import check, claim_of, judge_run, known_issues
from harness.planning import repeat_command
from harness.reading import read_history
from harness.store import RunFolder
from harness.target import KnownIssue
from harness.verdict import Verdict
from harness.verdict_text import summary

if TYPE_CHECKING:
    from harness.report import NodeLog

LOG_TAIL_LINES = 40
EXIT_OF = {"valid": Exit.VALID, "invalid": Exit.INVALID, "unknown": Exit.UNKNOWN}


def tell_run(folder: RunFolder) -> tuple[Verdict, str]:
    """Judge a recorded run, write everything that is derived from its journal; (verdict, the plain sentence)."""
    from harness.report import ReportInput, write

    plan = folder.read_plan()
    environment = folder.read_environment()
    history = read_history(folder.path)
    with folder.history_edn.open("w", encoding="utf-8") as file:
        file.writelines(write_lines(history.op(place) for place in range(len(history))))
    verdict = judge_run(folder)
    issues = known_issues(plan, str(environment.get("version", "")), verdict)
    sentence = sentence_of(verdict, issues)
    command = repeat_command(plan)
    folder.write_json(
        folder.results,
        {
            "verdict": verdict.to_dict(),
            "sentence": sentence,
            "known_issues": [{"name": issue.name, "link": issue.link} for issue in issues],
            "repeat": command,
            "environment": environment,
        },
    )
    write(
        folder.report,
        ReportInput(
            history=history,
            verdict=verdict,
            plan=plan,
            environment=environment,
            claim=claim_of(plan),
            known_issues=issues,
            sentence=sentence,
            repeat_command=command,
            logs=list(_logs(folder)),
            unmapped=environment.get("unmapped", {}),
            started=environment.get("started", ""),
        ),
    )
    return verdict, sentence


def tell_check(
    path: str,
    *,
    workload: str | None,
    model: str | None,
    options: Mapping[str, str],
    as_json: bool,
    report: Path | None,
) -> int:
    """Judge one path and print the verdict, as text or as one JSON line. Returns the exit code."""
    try:
        verdict = check(path, workload=workload, model=model, **options)
    except FaultlineError as error:
        if not as_json:
            raise
        print(json.dumps({"path": path, "verdict": "unknown", "error": str(error)}))
        print(f"faultline: {error}", file=sys.stderr)
        return int(error.exit)
    if as_json:
        print(json.dumps({"path": path, **verdict.to_dict()}))
    else:
        print(f"{path}: {verdict.verdict}\n{summary(verdict)}")
    if report is not None:
        from harness.report import ReportInput, write  # jinja2 costs a check without a report 60 ms

        history = read_history(path)
        write(report, ReportInput(history=history, verdict=verdict, sentence=summary(verdict), source=path))
        print(f"report: {report}", file=sys.stderr)
    return int(EXIT_OF[verdict.verdict])


def sentence_of(verdict: Verdict, issues: Sequence[KnownIssue]) -> str:
    """What was found, in one plain sentence; a second one names the known issues that fit."""
    known = " ".join(f"This is a known issue: {issue.name} ({issue.link})." for issue in issues)
    return " ".join(part for part in (summary(verdict), known) if part)


def _logs(folder: RunFolder) -> Iterator[NodeLog]:
    from harness.report import NodeLog

    for path in sorted(folder.nodes.glob("*/*")):
        tail = path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        yield NodeLog(path.parent.name, str(path.relative_to(folder.path)), tuple(tail))
