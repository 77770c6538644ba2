"""A dependency cycle as a picture: transactions as boxes, in a ring, with an arrow for each dependency.

Shown cycles are minimal (2 to 8 transactions), so no general graph layout is needed: the ring is laid in two rows, the
upper from left to right, the lower back, so that nearly all arrows join neighbours. Text is monospaced, therefore its
width is known without a browser. Pure: edges and operations in, escaped SVG out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.glossary import EDGE_KINDS
from harness.report.operations import Operation
from harness.report.values import lines, short
from harness.verdict import Edge

CHAR, LINE, PAD, HEAD = 7.25, 19.0, 14.0, 46.0
"""Width of a character at 12 px, height of a line, space inside a box, height of a box's title."""
GAP_X, GAP_Y, MARGIN = 176.0, 108.0, 10.0
PAIR_HEIGHT_MIN = 128.0
"""So that the two arrows of a pair have room for their labels."""
LINES_MAX, NODES_MAX = 9, 8


@dataclass(frozen=True)
class Box:
    """One transaction's place in the picture."""

    name: str
    operation: Operation
    lines: list[tuple[str, bool]]
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2


def ring(edges: Sequence[Edge]) -> list[int]:
    """The cycle's transactions, by index, in the order in which the edges visit them."""
    return list(dict.fromkeys(end for edge in edges for end in (edge.source, edge.target)))


def draw(
    edges: Sequence[Edge], operation: Callable[[int], Operation | None], names: Mapping[int, str]
) -> Markup | None:
    """The picture, or None where the cycle is too long or an op is not in the history."""
    nodes = ring(edges)
    found = {node: operation(node) for node in nodes}
    if not 2 <= len(nodes) <= NODES_MAX or any(op is None for op in found.values()):
        return None
    keys = {node: {short(e.key) for e in edges if node in (e.source, e.target) and e.key is not None} for node in nodes}
    gap = max(GAP_X, *(_label_width(*_label_texts(edge)) + 64 for edge in edges))
    boxes = _place([(names[node], op, _box_lines(op, keys[node])) for node, op in found.items() if op is not None], gap)
    at = dict(zip(nodes, boxes, strict=True))
    width = max(box.x + box.width for box in boxes) + MARGIN
    height = max(box.y + box.height for box in boxes) + MARGIN
    arrows = [_arrow(number, edge, at[edge.source], at[edge.target]) for number, edge in enumerate(edges, 1)]
    title = "; ".join(f"{names[e.source]} {EDGE_KINDS.get(e.kind, (e.kind, ''))[0]} {names[e.target]}" for e in edges)
    return Markup(
        '<svg class="cycle" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{title}">{body}</svg>'
    ).format(
        w=round(width),
        h=round(height),
        title=f"A circle of {len(nodes)} transactions: {title}",
        body=Markup("").join([*(path for path, _ in arrows), *map(_draw_box, boxes), *(label for _, label in arrows)]),
    )


def _box_lines(operation: Operation, keys: set[str]) -> list[tuple[str, bool]]:
    """What the transaction did. Lines about the cycle's keys are marked; of a long one the others are left out."""
    known = operation.outcome == "ok"
    texts = lines(operation.f, operation.value, known=known, width=38)
    micros = (
        operation.value if isinstance(operation.value, (list, tuple)) and len(operation.value) == len(texts) else []
    )
    marked = [
        (text, not micros or (isinstance(micro, (list, tuple)) and len(micro) > 1 and short(micro[1]) in keys))
        for text, micro in zip(texts, micros or texts, strict=True)
    ]
    if len(marked) <= LINES_MAX:
        return marked
    important = [pair for pair in marked if pair[1]][: LINES_MAX - 1]
    return [*important, (f"… and {len(marked) - len(important)} more", False)]


def _place(contents: Sequence[tuple[str, Operation, list[tuple[str, bool]]]], gap: float) -> list[Box]:
    width = max(max(len(text) for _, _, texts in contents for text, _ in texts) * CHAR + 2 * PAD, 180.0)
    count = len(contents)
    least = PAIR_HEIGHT_MIN if count == 2 else 0.0
    heights = [max(HEAD + len(texts) * LINE + PAD, least) for _, _, texts in contents]
    upper = count if count == 2 else (count + 1) // 2
    upper_height = max(heights[:upper])
    span = (upper - 1) * (width + gap)
    boxes = []
    for place, (name, operation, texts) in enumerate(contents):
        if place < upper:
            x, y = place * (width + gap), upper_height - heights[place]
        else:
            below = count - upper
            step = span / below
            x = span - (place - upper) * step - step / 2 if below < upper else span - (place - upper) * (width + gap)
            y = upper_height + GAP_Y
        boxes.append(Box(name, operation, texts, MARGIN + x, MARGIN + y, width, heights[place]))
    return boxes


def _arrow(number: int, edge: Edge, source: Box, target: Box) -> tuple[Markup, Markup]:
    """(line with its head, label). Arrows between two boxes side by side keep to different heights, one each way."""
    (sx, sy), (tx, ty) = source.middle, target.middle
    rightward = tx > sx
    if abs(source.y + source.height - target.y - target.height) < 1 or _overlap(source, target):
        lower, top = min(source.y + source.height, target.y + target.height), max(source.y, target.y)
        y = top + (lower - top) * (0.27 if rightward else 0.76)
        start = (source.x + source.width if rightward else source.x, y)
        end = (target.x if rightward else target.x + target.width, y)
        bend = ((start[0] * 2 + end[0]) / 3, y), ((start[0] + end[0] * 2) / 3, y)
    else:
        down = ty > sy
        shift = 0.0 if abs(tx - sx) < 1 else (24.0 if rightward else -24.0)
        start = (sx + shift, source.y + source.height if down else source.y)
        end = (tx - shift, target.y if down else target.y + target.height)
        half = (start[1] + end[1]) / 2
        bend = (start[0], half), (end[0], half)
    path = Markup('<path class="edge {kind}" d="M{} {}C{} {} {} {} {} {}"/>{head}').format(
        *(round(v, 1) for point in (start, *bend, end) for v in point),
        kind=_kind(edge.kind),
        head=_head(bend[1], end, edge.kind),
    )
    return path, _label(number, edge, ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))


def _overlap(one: Box, other: Box) -> bool:
    """Whether the two stand beside each other (share some height)."""
    return min(one.y + one.height, other.y + other.height) > max(one.y, other.y)


def _head(before: tuple[float, float], end: tuple[float, float], kind: str) -> Markup:
    dx, dy = end[0] - before[0], end[1] - before[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1e-6)
    ux, uy = dx / length, dy / length
    left, right = (
        (end[0] - 10 * ux - 5 * uy, end[1] - 10 * uy + 5 * ux),
        (end[0] - 10 * ux + 5 * uy, end[1] - 10 * uy - 5 * ux),
    )
    return Markup('<path class="head {}" d="M{} {}L{} {}L{} {}z"/>').format(
        _kind(kind), *(round(v, 1) for point in (end, left, right) for v in point)
    )


def _label(number: int, edge: Edge, middle: tuple[float, float]) -> Markup:
    words, detail = _label_texts(edge)
    width = _label_width(words, detail)
    x, y = middle[0] - width / 2, middle[1] - 19
    return Markup(
        '<g class="label {kind}"><rect x="{x}" y="{y}" width="{w}" height="38" rx="8"/>'
        '<circle cx="{cx}" cy="{cy}" r="9"/><text class="number" x="{cx}" y="{ny}">{number}</text>'
        '<text class="words" x="{tx}" y="{y1}">{words}</text><text class="detail" x="{tx}" y="{y2}">{detail}</text></g>'
    ).format(
        kind=_kind(edge.kind),
        x=round(x, 1),
        y=round(y, 1),
        w=round(width, 1),
        cx=round(x + 16, 1),
        cy=round(y + 19, 1),
        ny=round(y + 23, 1),
        tx=round(x + 30, 1),
        y1=round(y + 16, 1),
        y2=round(y + 31, 1),
        number=number,
        words=words,
        detail=detail,
    )


def _label_texts(edge: Edge) -> tuple[str, str]:
    key = "" if edge.key is None else f" · key {short(edge.key, 12)}"
    return EDGE_KINDS.get(edge.kind, (edge.kind, ""))[0], edge.kind + key


def _label_width(words: str, detail: str) -> float:
    return max(len(words) * 7.2, len(detail) * 6.4) + 40


def _draw_box(box: Box) -> Markup:
    op = box.operation
    who = f"client {op.process}" + (f" · {short(op.node, 12)}" if op.node else "")
    rows = Markup("").join(
        Markup('<text class="op{cls}" x="{x}" y="{y}">{text}</text>').format(
            cls=" key" if marked else "", x=round(box.x + PAD, 1), y=round(box.y + HEAD + LINE * row + 12, 1), text=text
        )
        for row, (text, marked) in enumerate(box.lines)
    )
    return Markup(
        '<g class="txn"><rect x="{x}" y="{y}" width="{w}" height="{h}" rx="10"/>'
        '<text class="name" x="{tx}" y="{y1}">{name}</text><text class="who" x="{rx}" y="{y1}">{who}</text>'
        '<line x1="{x}" x2="{x2}" y1="{y2}" y2="{y2}"/>{rows}</g>'
    ).format(
        x=round(box.x, 1),
        y=round(box.y, 1),
        w=round(box.width, 1),
        h=round(box.height, 1),
        tx=round(box.x + PAD, 1),
        rx=round(box.x + box.width - PAD, 1),
        y1=round(box.y + 22, 1),
        x2=round(box.x + box.width, 1),
        y2=round(box.y + 33, 1),
        name=box.name,
        who=who,
        rows=rows,
    )


def _kind(kind: str) -> str:
    return kind if kind in EDGE_KINDS else "other"
