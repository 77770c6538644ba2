"""Everything that the page says, as plain values: the report without its looks.

`make_page` is pure: a run's record and verdict in, frozen structs out. The template only arranges them; whatever text
came from a database is plain text here and is escaped there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.fault import Window
from harness.glossary import Model, model
from harness.history import History
from harness.plan import TestPlan
from harness.report import figures, findings, replicas
from harness.report.figures import AvailabilityRow, CheckerRow, ErrorRow, FaultRow, StatsRow
from harness.report.findings import Finding
from harness.report.operations import Operations
from harness.report.replicas import Replicas
from harness.report.series import pack
from harness.target import Claim, KnownIssue
from harness.verdict import Verdict

HEADLINES = {"valid": "Valid", "invalid": "Invalid", "unknown": "Unknown"}
MEANINGS = {
    "valid": "Nothing in the record breaks what was judged.",
    "invalid": "The record proves that what was judged was broken.",
    "unknown": "The record proves neither that what was judged was kept nor that it was broken.",
}
TOLD_ELSEWHERE = ("unmapped", "started", "interrupted", "never_recovered", "faults_missing", "seed")
"""Facts of a run's environment that the page shows in a place of their own."""


@dataclass(frozen=True)
class NodeLog:
    """A node's database log. path: relative to the report. tail: its last lines."""

    node: str
    path: str
    tail: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """What a report is made of. Only history and verdict are needed (`faultline check history.edn`).

    claim: what the database promises. known_issues: those that the finding matches. sentence: what was found, in one
    plain sentence. repeat_command: repeats the run. environment: facts by name, may be nested. unmapped: exceptions
    that no table of the target has, by class. source: the file that was judged, where there was no run.
    started: when the run began, as text.
    """

    history: History
    verdict: Verdict
    plan: TestPlan | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    claim: Claim | None = None
    known_issues: Sequence[KnownIssue] = ()
    sentence: str = ""
    repeat_command: str = ""
    logs: Sequence[NodeLog] = ()
    unmapped: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    started: str = ""


@dataclass(frozen=True)
class Judged:
    """Against what the record was judged, and why. who: whose standard it is, as a sentence."""

    model: Model
    who: str
    words: str
    link: str


@dataclass(frozen=True)
class Page:
    """The report. chart_data: see harness.report.series; "" when there is nothing to draw."""

    title: str
    subject: list[str]
    judgement: str
    headline: str
    meaning: str
    sentence: str
    more: str
    reasons: list[str]
    facts: list[tuple[str, str, str]]
    judged: Judged | None
    findings: list[Finding]
    known_issues: list[KnownIssue]
    ruled_out: list[Model]
    also_ruled_out: list[Model]
    faults: list[FaultRow]
    fault_kinds: list[tuple[str, int, int]]
    stats: list[StatsRow]
    errors: list[ErrorRow]
    unmapped: list[tuple[str, int]]
    availability: list[AvailabilityRow]
    replicas: Replicas
    checkers: list[CheckerRow]
    environment: list[tuple[str, str]]
    interrupted: str
    never_recovered: list[str]
    missing_faults: list[tuple[str, str]]
    logs: list[NodeLog]
    repeat_command: str
    started: str
    source: str
    drawn_note: str
    chart_data: str
    glossary_used: list[str]


def make_page(run: ReportInput) -> Page:
    """The page of a run, or of a history judged alone."""
    operations = Operations.of(run.history)
    windows = run.history.windows()
    anomalies = findings.all_anomalies(run.verdict)
    guilty = {row: a.type for a in reversed(anomalies) for row in operations.rows_of(a.ops)}
    sentence, more = _sentences(run)
    found = findings.make(run.verdict, anomalies, operations, windows)
    return Page(
        title=_title(run),
        subject=_subject(run),
        judgement=run.verdict.verdict,
        headline=HEADLINES[run.verdict.verdict],
        meaning=MEANINGS[run.verdict.verdict],
        sentence=sentence,
        more=more,
        reasons=list(run.verdict.reasons),
        facts=_facts(run, operations, windows),
        judged=_judged(run),
        findings=found,
        known_issues=list(run.known_issues),
        ruled_out=[model(name) for name in run.verdict.not_],
        also_ruled_out=[model(name) for name in run.verdict.also_not],
        faults=figures.fault_rows(windows, run.verdict),
        fault_kinds=figures.fault_kinds(windows),
        stats=figures.stats_rows(operations),
        errors=figures.error_rows(operations),
        unmapped=sorted(run.unmapped.items(), key=lambda item: -item[1]),
        availability=figures.availability_rows(operations, windows) if operations.timed else [],
        replicas=replicas.make(run.history, windows, run.verdict),
        checkers=figures.checker_rows(run.verdict),
        environment=figures.flat(
            {**_plan_facts(run.plan), **{k: v for k, v in run.environment.items() if k not in TOLD_ELSEWHERE}}
        ),
        interrupted=str(run.environment.get("interrupted") or ""),
        never_recovered=[str(line) for line in run.environment.get("never_recovered") or ()],
        missing_faults=figures.flat(missing)
        if isinstance(missing := run.environment.get("faults_missing"), Mapping)
        else [],
        logs=list(run.logs),
        repeat_command=run.repeat_command,
        started=run.started,
        source=run.source,
        drawn_note=figures.drawn_note(len(operations)),
        chart_data=pack(run.history, operations, windows, guilty, run.plan.concurrency if run.plan else None)
        if len(operations) and operations.timed
        else "",
        glossary_used=[finding.type for finding in found],
    )


def _sentences(run: ReportInput) -> tuple[str, str]:
    """The plain sentence without the verdict's word (the headline says it), and what follows it.

    What it says of known issues is left out: they have a place of their own.
    """
    text = run.sentence.removeprefix(f"{HEADLINES[run.verdict.verdict]}: ")
    if run.known_issues:
        text = text.split(" This is a known issue: ")[0]
    first, stop, rest = text.partition(". ")
    return first[:1].upper() + first[1:] + stop.strip(), rest


def _title(run: ReportInput) -> str:
    what = f"{run.plan.target} · {run.plan.workload}" if run.plan else run.source or "a history"
    return f"{HEADLINES[run.verdict.verdict]}: {what}"


def _subject(run: ReportInput) -> list[str]:
    """The words under the name: database, workload, and where it ran."""
    if run.plan is None:
        return [run.source or "a recorded history"]
    plan = run.plan
    nodes = f"{plan.nodes} node{'s' if plan.nodes != 1 else ''}"
    version = run.environment.get("version") or run.environment.get("database")
    name = f"{plan.target} {version}" if isinstance(version, str) else plan.target
    return [name, f"workload {plan.workload}", f"{nodes} on {plan.on}"]


def _judged(run: ReportInput) -> Judged | None:
    name = run.verdict.model
    if name is None:
        return None
    claim, asked = run.claim, run.plan.model if run.plan else None
    if claim is not None and claim.model is None and asked is None:
        who = (
            f"{run.plan.target if run.plan else 'The database'} promises nothing at these settings. "
            "So the workload's own standard was taken; breaking it breaks no promise, but shows what can happen."
        )
    elif claim is not None and claim.model == name:
        who = "This is what the database promises at these settings."
    elif claim is not None and claim.model is not None:
        who = f"This was asked for. The database itself promises {model(claim.model).title.lower()} at these settings."
    elif claim is not None:
        who = "This was asked for. The database itself promises nothing at these settings."
    elif asked:
        who = "This was asked for."
    else:
        who = "This is the standard that was asked for, or else the workload's own; nobody's promise is known here."
    return Judged(model(name), who, claim.words if claim else "", claim.link if claim else "")


def _facts(run: ReportInput, operations: Operations, windows: list[Window]) -> list[tuple[str, str, str]]:
    """(figure, what it counts, note): the row of figures under the verdict."""
    counts = figures.outcomes(operations)
    told = f"{counts['ok']:,} ok · {counts['fail']:,} fail · {counts['info']:,} info"
    facts = [(f"{len(operations):,}", "operations", told)]
    if operations.timed:
        span_s = (int(operations.end_ns.max()) - int(operations.begin_ns.min())) / 1e9 if len(operations) else 0.0
        rate = f"{counts['ok'] / span_s:,.0f} ok per second" if span_s > 0 else ""
        facts.append((figures.duration(span_s), "from first to last", rate))
    if windows:
        acted = sum(window.took_effect for window in windows)
        kinds = ", ".join(f"{kind} ×{count}" for kind, count, _ in figures.fault_kinds(windows))
        facts.append(
            (
                f"{acted}",
                "faults that took effect",
                kinds + ("" if acted == len(windows) else f" · {len(windows)} tried"),
            )
        )
    elif run.plan is not None:
        facts.append(("0", "faults", "none were injected"))
    if operations.timed and len(operations):
        begin, end = figures.longest_outage(operations)
        facts.append(
            (
                figures.duration((end - begin) / 1e9),
                "longest without success",
                f"{begin / 1e9:.1f} s to {end / 1e9:.1f} s",
            )
        )
    return [*facts, *replicas.facts(run.verdict)]


def _plan_facts(plan: TestPlan | None) -> dict[str, Any]:
    if plan is None:
        return {}
    return {
        "seed": plan.seed,
        "image": plan.image or None,
        "options": plan.options or None,
        "concurrency": plan.concurrency,
        "rate": f"{plan.rate_hz:g} ops/s" if plan.rate_hz else "as fast as the sessions go",
        "time": f"{plan.time_s:g} s",
        "operation deadline": f"{plan.op_deadline_s:g} s",
        "faults asked for": ", ".join(plan.faults) or "none",
    }
