"""From a record to a verdict: which checkers judge it, against which model, and what is told about it.

`judge` is pure. A run's folder is judged with its own plan; any other history needs a workload's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from checkers import models
from checkers.compose import compose
from checkers.replicas.observations import LOCAL_READ
from checkers.replicas.split_brain import SplitBrain, has_polls
from checkers.running.activity import Activity
from checkers.running.availability import Availability
from checkers.running.lag import ReplicationLag
from checkers.running.stats import Stats
from harness.checker import CheckOptions
from harness.errors import UsageError
from harness.history import History, HistoryError
from harness.op import LAG, PRIMARIES, Op
from harness.options import with_defaults
from harness.plan import TestPlan
from harness.reading import read_recording, with_line
from harness.registry import find_target, find_workload, own_name
from harness.store import RunFolder
from harness.target import Claim, KnownIssue
from harness.verdict import Verdict
from harness.workload import Workload


def check(
    history: str | Path | History | Iterable[Op | Mapping[str, Any]],
    *,
    workload: str | None = None,
    model: str | None = None,
    **options: Any,
) -> Verdict:
    """Judge a history: a path (.edn, .json, .jsonl, .gz of each, a run's folder), Jepsen's op maps, or a History.

    workload: needed unless it is a run's folder. model: what to judge against; None: the run's, or the workload's own.
    options: of the workload's checkers. Raises UsageError, and HistoryError for a record that is no history.
    """
    if isinstance(history, str | Path) and RunFolder(Path(history)).plan.is_file():
        folder = RunFolder(Path(history))
        return judge_run(folder, workload=workload, model=model)
    if workload is None:
        raise UsageError("a history that is no run's folder needs a workload (--workload append, register, ...)")
    if model is not None:
        models.canonical(model)
    found = find_workload(workload)
    unknown = sorted(set(options) - set(found.check_options))
    if unknown:
        offered = ", ".join(found.check_options) or "none"
        raise UsageError(f"unknown option {unknown[0]!r} for judging {workload!r}: choose from {offered}")
    recording = read_recording(history)
    parsed = _parsed(found, options)
    try:
        return judge(recording.history, found, model=model or found.own_model, options=parsed, notes=recording.notes)
    except HistoryError as error:
        raise with_line(error, recording) from None


def judge(
    history: History,
    workload: Workload,
    *,
    model: str,
    options: Mapping[str, Any],
    plan: TestPlan | None = None,
    ran: bool = False,
    never_recovered: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Verdict:
    """The combined verdict of the workload's checkers; for a run of ours (`plan` given) idleness is judged too.

    ran: it is a run of ours, though without a plan.
    never_recovered: nodes that did not serve again after the last heal, each with its last error.
    notes: what a reader must know of how the history was read; among the verdict's reasons, whatever it is.
    """
    asked = CheckOptions(model=model, workload=dict(options))
    judges = workload.judges(options, ran=ran or plan is not None)
    plain = history.without(LOCAL_READ) if LOCAL_READ in history.f_names else history
    verdicts = {
        name: checker.check(history if getattr(checker, "judges_local_reads", False) else plain, asked)
        for name, checker in judges.items()
    }
    verdicts |= _observed(history, asked, by={*verdicts})
    verdicts["stats"] = Stats().check(history, asked)
    verdicts["availability"] = Availability().check(history, asked)
    if plan is not None:
        activity = Activity(fs=workload.needed_fs(plan.options), floor=workload.floor, fault_kinds=plan.faults)
        verdicts["activity"] = activity.check(history, asked)
    if never_recovered:
        reasons = [f"after the last heal {node}" for node in never_recovered]
        verdicts["recovery"] = Verdict("unknown", "recovery", reasons=reasons)
    verdict = compose(verdicts, model=model)
    return msgspec.structs.replace(verdict, reasons=[*verdict.reasons, *notes])


def _observed(history: History, asked: CheckOptions, by: set[str]) -> dict[str, Verdict]:
    """The verdicts on what was seen of the database from outside, where anything was. by: checkers that judged it."""
    verdicts = {}
    if PRIMARIES in history.f_names and SplitBrain.name not in by and has_polls(history):
        verdicts[SplitBrain.name] = SplitBrain(histories=False).check(history, asked)
    if LAG in history.f_names:
        verdicts[ReplicationLag.name] = ReplicationLag().check(history, asked)
    return verdicts


def judge_run(folder: RunFolder, *, workload: str | None = None, model: str | None = None) -> Verdict:
    """Judge a recorded run by its own plan, or against another model."""
    plan = folder.read_plan()
    if workload is not None and own_name(workload) != plan.workload:
        raise UsageError(f"{folder.path} recorded the workload {plan.workload!r}, not {workload!r}")
    plan, found = _filled(plan), find_workload(plan.workload)
    environment = folder.read_environment()
    proved = environment.get("faults_proved")
    if proved is not None:
        plan = msgspec.structs.replace(plan, faults=tuple(proved))
    asked = model or model_of(plan, found)
    never = environment.get("never_recovered") or ()
    recording = read_recording(folder.path)
    return judge(
        recording.history,
        found,
        model=asked,
        options=plan.options,
        plan=plan,
        never_recovered=never,
        notes=recording.notes,
    )


def claim_of(plan: TestPlan) -> Claim:
    """What the target promises at the plan's settings."""
    return find_target(plan.target).claim(plan.workload, _filled(plan).options)


def _filled(plan: TestPlan) -> TestPlan:
    """The plan with the defaults of options that came after it was recorded."""
    offered = {**find_target(plan.target).options, **find_workload(plan.workload).options}
    defaults = {name: option.default for name, option in offered.items()}
    return msgspec.structs.replace(plan, options={**defaults, **plan.options})


def model_of(plan: TestPlan, workload: Workload) -> str:
    """The model that a run is judged against: the one asked for, else the target's claim, else the workload's own."""
    return plan.model or claim_of(plan).model or workload.own_model


def known_issues(plan: TestPlan, version: str, verdict: Verdict) -> list[KnownIssue]:
    """The target's known issues that fit what was found, at this version, with these options and faults."""
    counted = {anomaly.type for anomaly in verdict.anomalies if anomaly.counts}
    return [
        issue
        for issue in find_target(plan.target).known_issues
        if issue.covers(version)
        and (not issue.workloads or plan.workload in issue.workloads)
        and (not issue.anomalies or counted & set(issue.anomalies))
        and set(issue.needs) <= set(plan.faults)
        and (not issue.needs_one_of or set(issue.needs_one_of) & set(plan.faults))
        and all(plan.options.get(name) == value for name, value in issue.options.items())
        and counted
    ]


def _parsed(workload: Workload, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return with_defaults(workload.check_options, options)
    except ValueError as error:
        raise UsageError(str(error)) from None
