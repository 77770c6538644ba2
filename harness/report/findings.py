"""What was found, one `Finding` a kind of anomaly, with worked-out examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.fault import Window
from harness.glossary import EDGE_KINDS, Term, term
from harness.report import cycle, strip
from harness.report.operations import Operation, Operations
from harness.report.values import is_transaction, lines, short
from harness.verdict import Anomaly, Verdict

NAMED = re.compile(r"\b(T\d+) \(op (\d+)\)")
CONTEXT_MAX, LINES_MAX = 20, 10
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
    """Findings; those that count first, else in the checkers' own order (what explains most comes first)."""
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
    return sorted(found, key=lambda finding: not finding.counts)


def _example(number: int, anomaly: Anomaly, operations: Operations, windows: Sequence[Window]) -> Example:
    def operation(index: int) -> Operation | None:
        row = operations.row_of(index)
        return None if row is None else operations.one(row)

    names = _names(anomaly, operation)
    ends = {
        index: names.get(op.index if (op := operation(index)) else index, "?") for index in cycle.ring(anomaly.cycle)
    }
    proving = operations.rows_of([*anomaly.ops, *ends])
    context = [row for row in operations.rows_of([*names, *anomaly.sub_history]) if row not in proving][-CONTEXT_MAX:]
    guilty = frozenset(operations.one(row).index for row in proving)
    shown = [operations.one(row) for row in sorted([*proving, *context])]
    keys = {short(key) for key in (anomaly.key, *(edge.key for edge in anomaly.cycle)) if key is not None}
    return Example(
        number=number,
        sentence=_headline(anomaly),
        key="" if anomaly.key is None else short(anomaly.key, 40),
        picture=cycle.draw(anomaly.cycle, operation, ends),
        when=strip.draw(shown, names, guilty, timed=operations.timed),
        steps=_steps(anomaly, ends),
        rows=[_row(op, names, op.index in guilty, operations.timed, keys) for op in shown],
        story=_story(anomaly.details),
        details=_details(anomaly.details),
        during=_during(shown, windows),
        ops=",".join(str(index) for index in sorted(guilty)),
    )


def _all_words(anomaly: Anomaly) -> str:
    return " ".join([anomaly.sentence, *(edge.why for edge in anomaly.cycle)])


def _headline(anomaly: Anomaly) -> str:
    """The sentence, without the edges' reasons where it ends in them: those stand in the list of steps."""
    if anomaly.cycle and anomaly.cycle[0].why and (at := anomaly.sentence.find(anomaly.cycle[0].why)) > 0:
        return anomaly.sentence[:at].rstrip(" :,;") + "."
    return anomaly.sentence


def _names(anomaly: Anomaly, operation: Callable[[int], Operation | None]) -> dict[int, str]:
    """Index of an operation → T1, T2 ...: the names that the sentence uses (`T1 (op 17)`), else the cycle's order."""
    said = {int(index): name for name, index in NAMED.findall(_all_words(anomaly))}
    names = {op.index if (op := operation(index)) else index: name for index, name in said.items()}
    number = 0
    for index in cycle.ring(anomaly.cycle):
        own = op.index if (op := operation(index)) else index
        while own not in names:
            number += 1
            if f"T{number}" not in names.values():
                names[own] = f"T{number}"
    return names


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


def _row(op: Operation, names: Mapping[int, str], proves: bool, timed: bool, keys: set[str]) -> Row:
    took_ms = (op.end_ns - op.begin_ns) / 1e6
    return Row(
        name=names.get(op.index, ""),
        index=op.index,
        process=op.process,
        node=op.node or "",
        did=_did(op, keys),
        outcome=op.outcome,
        error=short(op.error, 160) if op.error else "",
        begin_s=f"{op.begin_ns / 1e9:.4f} s" if timed else "–",
        took="never answered" if not op.completed else f"{took_ms:,.1f} ms" if timed else "–",
        proves=proves,
    )


def _did(op: Operation, keys: set[str]) -> list[str]:
    """What it did, line by line; of a long transaction only what is about the anomaly's keys."""
    did = lines(op.f, op.value, known=op.outcome == "ok", width=72)
    if len(did) <= LINES_MAX or not is_transaction(op.value):
        return did
    about = [line for line, micro in zip(did, op.value, strict=True) if short(micro[1]) in keys][:LINES_MAX]
    return [*(about or did[:LINES_MAX]), f"… and {len(did) - len(about or did[:LINES_MAX])} more"]


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
