"""The report's tables: operations, errors, faults, availability, environment. Pure; numbers as text with their unit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.fault import Window
from harness.history import FAIL, INFO, OK, TYPES
from harness.report import series
from harness.report.operations import Operations
from harness.report.values import short
from harness.verdict import Verdict

ERRORS_MAX = 40


@dataclass(frozen=True)
class StatsRow:
    """One kind of operation. Latencies are of those that were ok."""

    f: str
    total: int
    ok: int
    fail: int
    info: int
    p50: str
    p99: str
    most: str


@dataclass(frozen=True)
class ErrorRow:
    """One class of errors. text: the class, with numbers replaced. example: one of them in full."""

    outcome: str
    text: str
    count: int
    example: str


@dataclass(frozen=True)
class FaultRow:
    """One fault as it was. status: `took effect`, `no effect seen`, `failed`; asked, observed: in words;
    meanwhile: how clients fared in it, as the availability checker measured."""

    id: int
    kind: str
    nodes: str
    begin_s: str
    lasted: str
    status: str
    asked: list[str]
    observed: list[str]
    meanwhile: str


@dataclass(frozen=True)
class AvailabilityRow:
    """One node (or all): how long nothing succeeded there at worst, and which faults were in force then."""

    node: str
    ok: int
    longest: str
    stretch: str
    during: str


@dataclass(frozen=True)
class CheckerRow:
    """What one checker concluded."""

    name: str
    verdict: str
    model: str
    found: str
    reasons: list[str]
    stats: list[tuple[str, str]]


def outcomes(operations: Operations) -> dict[str, int]:
    """How many operations were ok, fail and info."""
    return {TYPES[code]: int(np.count_nonzero(operations.outcome == code)) for code in (OK, FAIL, INFO)}


def stats_rows(operations: Operations) -> list[StatsRow]:
    """One row for each f that was used, the most used first."""
    rows = []
    for number, f in enumerate(operations.history.f_names):
        mine = operations.f == number
        if not mine.any():
            continue
        latency_ms = (operations.end_ns - operations.begin_ns)[mine & (operations.outcome == OK)] / 1e6
        count = {code: int(np.count_nonzero(mine & (operations.outcome == code))) for code in (OK, FAIL, INFO)}
        p50, p99, most = np.percentile(latency_ms, [50, 99, 100]) if len(latency_ms) else [None] * 3
        rows.append(
            StatsRow(
                f, int(mine.sum()), count[OK], count[FAIL], count[INFO], *(milliseconds(v) for v in (p50, p99, most))
            )
        )
    return sorted(rows, key=lambda row: -row.total)


def error_rows(operations: Operations) -> list[ErrorRow]:
    """Errors by class, the most frequent first."""
    classes: dict[tuple[str, str], tuple[int, str]] = {}
    for row in np.flatnonzero(operations.outcome != OK).tolist():
        end = int(operations.end[row])
        error = operations.history.error[end] if end >= 0 else "never completed"
        text = short(error, 300) if error else "(no reason was recorded)"
        key = (TYPES[int(operations.outcome[row])], re.sub(r"\d+", "#", text)[:120])
        count, example = classes.get(key, (0, text))
        classes[key] = count + 1, example
    rows = [ErrorRow(outcome, text, count, example) for (outcome, text), (count, example) in classes.items()]
    return sorted(rows, key=lambda row: -row.count)[:ERRORS_MAX]


def fault_rows(windows: Sequence[Window], verdict: Verdict) -> list[FaultRow]:
    """Every fault, in order of its beginning."""
    availability = verdict.checkers.get("availability")
    measures = {one["id"]: one for one in availability.stats.get("windows", ())} if availability else {}
    return [
        FaultRow(
            id=window.fault.id,
            kind=window.fault.kind,
            nodes=", ".join(window.fault.nodes) or "the clients",
            begin_s=f"{window.begin_ns / 1e9:.1f} s",
            lasted=duration((window.end_ns - window.begin_ns) / 1e9)
            + ("" if window.healed else ", never confirmed healed"),
            status="took effect" if window.took_effect else "failed" if window.error else "no effect seen",
            asked=_measures(window.fault.params),
            observed=([f"error: {short(window.error, 200)}"] if window.error else [])
            + _measures(window.fault.observed),
            meanwhile=_meanwhile(measures.get(window.fault.id, {})),
        )
        for window in windows
    ]


def _measures(values: Mapping[str, Any]) -> list[str]:
    return [text for name, value in values.items() if name != "took_effect" and (text := measured(name, value))]


def _meanwhile(measure: Mapping[str, Any]) -> str:
    """`255 ok, at most 7.3 s without; ok again 0.9 s after`."""
    parts = []
    if "ok_during" in measure:
        parts.append(f"{measure['ok_during']:,} ok")
    if (longest := measure.get("longest_without_success_s")) is not None:
        parts.append(f"at most {duration(longest)} without")
    if (back := (measure.get("recovery_s") or {}).get("all")) is not None:
        parts.append(f"ok again {duration(back)} after it")
    return ", ".join(parts)


def fault_kinds(windows: Sequence[Window]) -> list[tuple[str, int, int]]:
    """(kind, how many took effect, how many were tried) in order of first appearance."""
    kinds: dict[str, tuple[int, int]] = {}
    for window in windows:
        acted, tried = kinds.get(window.fault.kind, (0, 0))
        kinds[window.fault.kind] = acted + window.took_effect, tried + 1
    return [(kind, acted, tried) for kind, (acted, tried) in kinds.items()]


def longest_outage(operations: Operations, mine: np.ndarray | None = None) -> tuple[int, int]:
    """(begin_ns, end_ns) of the longest stretch in which no operation ended ok; mine: bool[m], of these only."""
    ok = operations.outcome == OK
    times = operations.end_ns[ok if mine is None else ok & mine]
    return series.longest_gap(times, int(operations.begin_ns.min()), int(operations.end_ns.max()))


def availability_rows(operations: Operations, windows: Sequence[Window]) -> list[AvailabilityRow]:
    """All nodes together, then each node that clients talked to."""
    if not len(operations):
        return []
    history = operations.history
    names = np.array([history.node[place] or "" for place in operations.begin])
    nodes = [str(name) for name in np.unique(names) if name]
    rows = [("all together", np.ones(len(operations), dtype=bool)), *((node, names == node) for node in nodes)]
    return [_availability(name, operations, mine, windows) for name, mine in (rows if len(nodes) > 1 else rows[:1])]


def _availability(name: str, operations: Operations, mine: np.ndarray, windows: Sequence[Window]) -> AvailabilityRow:
    begin, end = longest_outage(operations, mine)
    during = dict.fromkeys(
        f"{w.fault.kind} of {', '.join(w.fault.nodes)}" if w.fault.nodes else w.fault.kind
        for w in windows
        if w.begin_ns < end and w.end_ns > begin
    )
    return AvailabilityRow(
        node=name,
        ok=int(np.count_nonzero(mine & (operations.outcome == OK))),
        longest=duration((end - begin) / 1e9),
        stretch=f"{begin / 1e9:.1f} s to {end / 1e9:.1f} s",
        during=", ".join(list(during)[:6]) or "no fault",
    )


def checker_rows(verdict: Verdict) -> list[CheckerRow]:
    """Each checker that took part."""
    return [
        CheckerRow(
            name=name,
            verdict=part.verdict,
            model=part.model or "",
            found=", ".join(f"{count:,} {kind}" for kind, count in part.anomaly_counts.items()) or "nothing",
            reasons=list(part.reasons),
            stats=flat(part.stats)[:60],
        )
        for name, part in verdict.checkers.items()
    ]


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as (name, text) pairs; what is None or empty is left out."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        label = f"{prefix}{str(name).replace('_', ' ')}"
        if isinstance(value, Mapping) and value:
            rows.extend(flat(value, f"{label} · "))
        elif isinstance(value, (list, tuple)) and value:
            rows.append((label, ", ".join(short(item, 200) for item in value)))
        elif value is not None and value != {} and value != [] and value != ():
            rows.append((label, "yes" if value is True else "no" if value is False else short(value, 300)))
    return rows


UNITS = {"s": "s", "ms": "ms", "us": "µs", "ns": "ns", "hz": "per second", "mb": "MB", "pct": "%"}


def measured(name: str, value: Any) -> str:
    """One asked or observed thing in words: `served_after_s: 1.25` → `served after 1.25 s`; "" where there is nothing.

    Observations of several nodes are mappings by node: `took_ms: {n1: 4.1, n2: 3}` → `took n1 4.1 ms, n2 3 ms`.
    """
    words, _, unit = name.rpartition("_")
    if not words or unit not in UNITS:
        words, unit = name, ""
    words = words.replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"not {words}"
    if isinstance(value, Mapping):
        texts = {str(key): text for key, one in value.items() if (text := _quantity(one, unit))}
        text = (
            next(iter(texts.values())) if len(value) == 1 and texts else ", ".join(f"{k} {t}" for k, t in texts.items())
        )
    else:
        text = _quantity(value, unit)
    return f"{words} {short(text, 200)}" if text else ""


def _quantity(value: Any, unit: str) -> str:
    if value is None or value in ([], {}, (), ""):
        return ""
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_quantity(one, unit) or "none" for one in value[: 3 if len(value) > 4 else 4])
        return f"{len(value)} ({shown} …)" if len(value) > 4 else shown
    if isinstance(value, Mapping):
        return ", ".join(f"{short(key, 20)} {short(one, 40)}" for key, one in value.items())
    text = f"{value:.4g}" if isinstance(value, float) else short(value, 120)
    return f"{text} {UNITS[unit]}" if unit else text


def duration(seconds: float) -> str:
    """A stretch of time, to three figures."""
    if seconds >= 120:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    if seconds >= 0.01:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds * 1000:.2g} ms" if seconds >= 1e-5 or not seconds else f"{seconds * 1e9:.0f} ns"


def milliseconds(value: float | None) -> str:
    """A latency; a dash for none."""
    if value is None:
        return "–"
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"


def drawn_note(total: int) -> str:
    """Says so where not every operation is drawn."""
    if total <= series.OPS_MAX:
        return ""
    return (
        f"{series.OPS_MAX:,} of {total:,} operations are drawn one by one, evenly chosen, and all that prove "
        f"something. "
        "Rates and percentiles are of all of them."
    )
