"""When a few operations ran, as a picture: one row a client, one bar an operation, time to the right.

For cycles it shows that the transactions overlapped; for a linearizability counterexample it is the classical picture
of a register's history. Pure: operations in, escaped SVG out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from harness.report.operations import Operation
from harness.report.values import one_line

WIDTH, LEFT, ROW, TOP = 880.0, 84.0, 34.0, 26.0
OPERATIONS_MAX = 24
TICKS_SPAN_NS_MIN = 20_000
"""Below it the record has no real times (some histories only count), and none are shown."""


def draw(operations: Sequence[Operation], names: Mapping[int, str], guilty: frozenset[int]) -> Markup | None:
    """The picture, or None for no operations. names: index → name; guilty: indexes of those that prove."""
    if not operations:
        return None
    if len(operations) > OPERATIONS_MAX:
        kept = [op for op in operations if op.index in guilty][:OPERATIONS_MAX]
        operations = kept or operations[:OPERATIONS_MAX]
    begin = min(op.begin_ns for op in operations)
    known_end = max([op.end_ns for op in operations if op.completed] + [max(op.begin_ns for op in operations)])
    span = max(known_end - begin, 1_000)
    end = known_end + span // 25

    def x_of(time_ns: int) -> float:
        return LEFT + (min(time_ns, end) - begin) / (end - begin) * (WIDTH - LEFT - 4)

    processes = list(dict.fromkeys(op.process for op in operations))
    height = TOP + ROW * len(processes) + 24
    parts = [_client(process, row) for row, process in enumerate(processes)]
    for op in operations:
        parts.append(_bar(op, names, op.index in guilty, x_of, processes.index(op.process)))
    for share in (0.0, 0.5, 1.0) if span > TICKS_SPAN_NS_MIN else ():
        at = begin + int(span * share)
        parts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{} s</text>').format(
                round(x_of(at), 1),
                height - 6,
                ("start", "middle", "end")[int(share * 2)],
                f"{at / 1e9:.{_digits(span)}f}",
            )
        )
    return Markup(
        '<svg class="strip" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
        'aria-label="When these operations ran">{body}</svg>'
    ).format(w=round(WIDTH), h=round(height), body=Markup("").join(parts))


def _client(process: int, row: int) -> Markup:
    y = TOP + row * ROW - 6
    return Markup(
        '<text class="client" x="0" y="{}">client {}</text><line class="rail" x1="{}" x2="{}" y1="{}" y2="{}"/>'
    ).format(y + 14, process, LEFT, WIDTH, y + 10, y + 10)


def _bar(op: Operation, names: Mapping[int, str], guilty: bool, x_of: Callable[[int], float], row: int) -> Markup:
    x, y = x_of(op.begin_ns), TOP + row * ROW - 6
    width = max(x_of(op.end_ns) - x, 3.0)
    name, text = names.get(op.index, ""), one_line(op.f, op.value, known=op.outcome == "ok", width=200)
    label = f"{name} {text}".strip()
    fits = int((width - 10) / 6.6)
    inside = label if len(label) <= fits else (label[: fits - 1] + "…" if fits > 8 else name[: max(fits, 0)])
    return Markup(
        '<g class="bar {outcome}{guilty}"><title>{title}</title><rect x="{x}" y="{y}" width="{w}" height="20" rx="4"/>'
        '<text x="{tx}" y="{ty}">{inside}</text></g>'
    ).format(
        outcome=op.outcome,
        guilty=" guilty" if guilty else "",
        title=f"{label}: {op.outcome}, {op.begin_ns / 1e9:.4f} s to {op.end_ns / 1e9:.4f} s",
        x=round(x, 1),
        y=y,
        w=round(width, 1),
        tx=round(x + 6, 1),
        ty=y + 14,
        inside=inside,
    )


def _digits(span_ns: int) -> int:
    return 4 if span_ns < 10_000_000 else 3 if span_ns < 1_000_000_000 else 2
