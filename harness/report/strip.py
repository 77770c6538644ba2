"""When a few operations ran, as a picture: one row a client, one bar an operation, time to the right.

For cycles it shows that the transactions overlapped; for a linearizability counterexample it is the classical picture
of a register's history. What matters is which operation ended before which began, so the time axis is not to scale:
each step from one event (a begin or an end) to the next has a least width, and grows with the logarithm of its length.
An operation of unknown outcome has no end: it may take effect at any later time. Pure: operations in, escaped SVG out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from harness.report.operations import Operation
from harness.report.values import one_line

WIDTH, LEFT, ROW, TOP, CHAR = 880.0, 84.0, 30.0, 8.0, 6.65
OPERATIONS_MAX = 24


def draw(
    operations: Sequence[Operation], names: Mapping[int, str], guilty: frozenset[int], *, timed: bool = True
) -> Markup | None:
    """The picture, or None for no operations. names: index → name; guilty: indexes of those that prove.

    timed: whether the record has times; without them no times are written at the axis.
    """
    if not operations:
        return None
    if len(operations) > OPERATIONS_MAX:
        kept = [op for op in operations if op.index in guilty][:OPERATIONS_MAX]
        operations = kept or operations[:OPERATIONS_MAX]
    axis = _axis(operations)
    right = WIDTH - 4

    def x_of(time_ns: int) -> float:
        return axis.get(time_ns, right)

    rows = {process: row for row, process in enumerate(dict.fromkeys(op.process for op in operations))}
    height = TOP + ROW * len(rows) + (24 if timed else 6)
    parts = [_client(process, row) for process, row in rows.items()]
    for op in operations:
        following = min(
            (x_of(o.begin_ns) for o in operations if o.process == op.process and o.begin_ns > op.begin_ns),
            default=right,
        )
        end = x_of(op.end_ns) if _ends(op) else right
        parts.append(
            _bar(op, names.get(op.index, ""), op.index in guilty, (x_of(op.begin_ns), end, following), rows[op.process])
        )
    return Markup(
        '<svg class="strip" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
        'aria-label="When these operations ran">{body}</svg>'
    ).format(w=round(WIDTH), h=round(height), body=Markup("").join([*parts, *(_ticks(axis, height) if timed else ())]))


def _ends(op: Operation) -> bool:
    return op.completed and op.outcome != "info"


def _axis(operations: Sequence[Operation]) -> dict[int, float]:
    """Time of each event → x."""
    events = sorted({op.begin_ns for op in operations} | {op.end_ns for op in operations if _ends(op)})
    steps = [later - earlier for earlier, later in itertools.pairwise(events)]
    typical = sorted(steps)[len(steps) // 2] if steps else 1
    widths = [1.0 + math.log2(1 + step / typical) for step in steps]
    open_end = any(not _ends(op) for op in operations)
    room = (WIDTH - LEFT - 8) * (0.94 if open_end else 1.0)
    unit = room / sum(widths) if widths else 0.0
    return dict(zip(events, itertools.accumulate((w * unit for w in widths), initial=LEFT), strict=True))


def _ticks(axis: Mapping[int, float], height: float) -> list[Markup]:
    """Times at a few events: the first in full, later ones as what has passed since."""
    first, ticks, free = next(iter(axis)), [], 0.0
    for time_ns, x in axis.items():
        text = f"{time_ns / 1e9:.4f} s" if time_ns == first else f"+{_passed(time_ns - first)}"
        width = len(text) * (CHAR + 0.6)
        x = min(x, WIDTH - width)
        if x >= free:
            free = x + width + 26
            ticks.append(
                Markup('<text class="tick" x="{}" y="{}">{}</text>').format(round(x, 1), round(height - 5), text)
            )
    return ticks


def _passed(ns: int) -> str:
    if ns >= 1_000_000_000:
        return f"{ns / 1e9:.2f} s"
    return f"{ns / 1e6:.1f} ms" if ns >= 1_000_000 else f"{ns / 1e3:.0f} µs"


def _client(process: int, row: int) -> Markup:
    y = TOP + row * ROW
    return Markup(
        '<text class="client" x="0" y="{}">client {}</text><line class="rail" x1="{}" x2="{}" y1="{}" y2="{}"/>'
    ).format(y + 14, process, LEFT, WIDTH, y + 10, y + 10)


def _bar(op: Operation, name: str, guilty: bool, place: tuple[float, float, float], row: int) -> Markup:
    """place: x of its begin, of its end, and of the next begin on the row. The text stands in the bar or after it."""
    begin, end, following = place
    y, width = TOP + row * ROW, max(end - begin, 3.0)
    label = f"{name} {one_line(op.f, op.value, known=op.outcome == 'ok', width=200)}".strip()
    inside, after = int((width - 10) / CHAR), int((following - begin - width - 8) / CHAR)
    fits = inside if inside >= len(label) or (after < len(label) and inside >= after) else after
    text = label if len(label) <= fits else label[: fits - 1] + "…" if fits >= 4 else ""
    return Markup(
        '<g class="bar {outcome}{guilty}"><title>{title}</title><rect x="{x}" y="{y}" width="{w}" height="20" rx="4"/>'
        '<text{cls} x="{tx}" y="{ty}">{text}</text></g>'
    ).format(
        outcome=op.outcome,
        guilty=" guilty" if guilty else "",
        title=f"{label}: {op.outcome}, {op.begin_ns / 1e9:.4f} s to {op.end_ns / 1e9:.4f} s",
        x=round(begin, 1),
        y=y,
        w=round(width, 1),
        tx=round(begin + (6 if fits == inside else width + 5), 1),
        ty=y + 14,
        cls="" if fits == inside else Markup(' class="after"'),
        text=text,
    )
