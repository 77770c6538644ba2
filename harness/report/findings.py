"""What was found, one `Finding` a kind of anomaly, with worked-out examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.fault import Window
from harness.report import cycle, strip
from harness.report.glossary import EDGE_KINDS, Term, term
from harness.report.operations import Operation, Operations
from harness.report.values import lines, short
from harness.verdict import Anomaly, Verdict

CONTEXT_MAX = 20
"""Operations of a sub-history that are drawn beside those which prove the anomaly."""


@dataclass(frozen=True)
class Step:
    """One dependency of a cycle in words."""

    number: int
    source: str
    target: str
    kind: str
    meaning: str
    why: str


@dataclass(frozen=True)
class Row:
    """One operation of an example. What it did, line by line, and how it ended."""

    name: str
    index: int
    process: int
    node: str
    did: list[str]
    outcome: str
    error: str
    begin_s: str
    took: str
    proves: bool


@dataclass(frozen=True)
class Example:
    """One anomaly, worked out. ops: history indexes, comma separated. details: whatever else the checker said."""

    number: int
    sentence: str
    key: str
    picture: Markup | None
    when: Markup | None
    steps: list[Step]
    rows: list[Row]
    story: list[str]
    details: list[tuple[str, str]]
    during: str
    ops: str


@dataclass(frozen=True)
class Finding:
    """One kind of anomaly. count: found in all; counts: whether it counts against the model judged."""

    type: str
    term: Term
    count: int
    counts: bool
    examples: list[Example]


def all_anomalies(verdict: Verdict) -> list[Anomaly]:
    """The anomalies of a verdict and of those it was combined from, each once."""
    seen: dict[tuple[Any, ...], Anomaly] = {}
    for source in (verdict, *verdict.checkers.values()):
        for anomaly in source.anomalies:
            seen.setdefault((anomaly.type, tuple(anomaly.ops), anomaly.sentence), anomaly)
    return list(seen.values())


def make(
    verdict: Verdict, anomalies: Sequence[Anomaly], operations: Operations, windows: Sequence[Window]
) -> list[Finding]:
    """Findings; those that count first, then by how often they were seen."""
    totals: dict[str, int] = {}
    for source in (verdict, *verdict.checkers.values()):
        for kind, count in source.anomaly_counts.items():
            totals[kind] = max(totals.get(kind, 0), count)
    kinds = list(dict.fromkeys([*(a.type for a in anomalies), *totals, *verdict.anomaly_types]))
    found = []
    for kind in kinds:
        shown = sorted((a for a in anomalies if a.type == kind), key=lambda a: len(a.cycle) or len(a.ops))
        found.append(
            Finding(
                type=kind,
                term=term(kind),
                count=max(totals.get(kind, 0), len(shown)),
                counts=any(a.counts for a in shown) if shown else verdict.verdict == "invalid",
                examples=[_example(number, a, operations, windows) for number, a in enumerate(shown, 1)],
            )
        )
    return sorted(found, key=lambda finding: (not finding.counts, -finding.count))


def _example(number: int, anomaly: Anomaly, operations: Operations, windows: Sequence[Window]) -> Example:
    order = cycle.ring(anomaly.cycle) or anomaly.ops
    names = {index: f"T{place}" for place, index in enumerate(order, 1)} if anomaly.cycle else {}

    def operation(index: int) -> Operation | None:
        row = operations.row_of(index)
        return None if row is None else operations.one(row)

    proving = operations.rows_of([*anomaly.ops, *order])
    context = [row for row in operations.rows_of(anomaly.sub_history) if row not in proving][:CONTEXT_MAX]
    guilty = frozenset(operations.one(row).index for row in proving)
    shown = [operations.one(row) for row in sorted([*proving, *context])]
    names = {op.index: names[index] for index in names if (op := operation(index)) is not None}
    return Example(
        number=number,
        sentence=anomaly.sentence,
        key="" if anomaly.key is None else short(anomaly.key, 40),
        picture=cycle.draw(anomaly.cycle, operation, _by_edge_end(anomaly, names, operation))
        if anomaly.cycle
        else None,
        when=strip.draw(shown, names, guilty),
        steps=_steps(anomaly, _by_edge_end(anomaly, names, operation)),
        rows=[_row(op, names, op.index in guilty) for op in shown],
        story=_story(anomaly.details),
        details=_details(anomaly.details),
        during=_during(shown, windows),
        ops=",".join(str(index) for index in sorted(guilty)),
    )


def _by_edge_end(anomaly: Anomaly, names: Mapping[int, str], operation: Any) -> dict[int, str]:
    """Index as an edge gives it → name, also where the op is not in the history."""
    result = {}
    for place, index in enumerate(cycle.ring(anomaly.cycle), 1):
        op = operation(index)
        result[index] = names.get(op.index, f"T{place}") if op is not None else f"T{place}"
    return result


def _steps(anomaly: Anomaly, names: Mapping[int, str]) -> list[Step]:
    return [
        Step(
            number=number,
            source=names[edge.source],
            target=names[edge.target],
            kind=edge.kind,
            meaning=EDGE_KINDS.get(edge.kind, (edge.kind, ""))[1],
            why=edge.why,
        )
        for number, edge in enumerate(anomaly.cycle, 1)
    ]


def _row(op: Operation, names: Mapping[int, str], proves: bool) -> Row:
    took_ms = (op.end_ns - op.begin_ns) / 1e6
    return Row(
        name=names.get(op.index, ""),
        index=op.index,
        process=op.process,
        node=op.node or "",
        did=lines(op.f, op.value, known=op.outcome == "ok", width=72),
        outcome=op.outcome,
        error=short(op.error, 160) if op.error else "",
        begin_s=f"{op.begin_ns / 1e9:.4f} s",
        took=f"{took_ms:,.1f} ms" if op.completed else "never answered",
        proves=proves,
    )


def _story(details: Mapping[str, Any]) -> list[str]:
    """A checker may tell how it got there, step by step, under `story`."""
    story = details.get("story", [])
    return [short(line, 400) for line in story] if isinstance(story, (list, tuple)) else [short(story, 400)]


def _details(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key.replace("_", " "), short(value, 300)) for key, value in details.items() if key != "story"]


def _during(operations: Sequence[Operation], windows: Sequence[Window]) -> str:
    """Which faults were in force while the example's operations ran."""
    if not operations:
        return ""
    begin, end = min(op.begin_ns for op in operations), max(op.end_ns for op in operations)
    kinds = dict.fromkeys(
        f"{w.fault.kind}{' of ' + ', '.join(w.fault.nodes) if w.fault.nodes else ''}"
        for w in windows
        if w.begin_ns <= end and w.end_ns >= begin
    )
    return ", ".join(kinds)
