"""Leaders and replicas: who led when, how far replicas were behind, how stale reads were, whether nodes came to agree.

The first two are drawn from what the harness observed beside the ops (`harness.observing`), over the run's time, with
the faults in force behind them; the others are told from the checkers' figures. Pure: a record and its verdict in,
escaped SVG and sentences out. Cost: O(observations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from checkers.replicas.split_brain import Claim, claims_of, has_polls
from checkers.running.lag import Sample, samples_of
from harness.fault import Window
from harness.history import History
from harness.op import PRIMARIES
from harness.report.figures import duration
from harness.verdict import Verdict

WIDTH, LEFT, RIGHT, ROW, LAG_HEIGHT, AXIS = 1040.0, 70.0, 1032.0, 26.0, 130.0, 22.0
COLOURS = 6
"""How many colours the page has for lines; a seventh replica has the first one's again."""
TICKS = 8
GAP_NS = 3_500_000_000
"""No line is drawn over a longer time without an answer."""
LEADERS_MAX = 24
"""How many nodes are drawn."""


@dataclass(frozen=True)
class Replicas:
    """leaders, lag: pictures, None where nothing was observed. replicas: (name, colour's number) of the lag's lines."""

    leaders: Markup | None = None
    lag: Markup | None = None
    replicas: list[tuple[str, int]] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.leaders is not None or self.lag is not None or bool(self.sentences)


@dataclass(frozen=True)
class Reign:
    """A stretch of time in which a node said in each poll that it leads, in one term."""

    node: str
    term: Any
    begin_ns: int
    end_ns: int


def make(history: History, windows: Sequence[Window], verdict: Verdict) -> Replicas:
    """What there is to tell of leaders and replicas."""
    last_ns = max(int(history.time_ns[-1]), 1) if len(history) else 1
    reigns = reigns_of(history) if PRIMARIES in history.f_names and has_polls(history) else []
    samples = samples_of(history)
    names = sorted({sample.replica for sample in samples})
    return Replicas(
        leaders=_draw_leaders(reigns, windows, last_ns) if reigns else None,
        lag=_draw_lag(samples, names, windows, last_ns) if samples else None,
        replicas=[(name, place % COLOURS) for place, name in enumerate(names)],
        sentences=[*_leaders(verdict), *_staleness(verdict), *_agreement(verdict)],
    )


def facts(verdict: Verdict) -> list[tuple[str, str, str]]:
    """(figure, what it counts, note) for the row of figures under the verdict."""
    found = []
    lag = _stats(verdict, "replication-lag")
    if "lag_bytes_max" in lag:
        most = max(lag["replicas"], key=lambda name: lag["replicas"][name]["lag_bytes_max"])
        found.append((size(lag["lag_bytes_max"]), "furthest that a replica was behind", f"{most}, of the log"))
    stale = _stats(verdict, "staleness")
    if "staleness_ms_max" in stale:
        share = f"{stale['stale_reads']:,} of {stale['reads']:,} reads were stale"
        found.append((duration(stale["staleness_ms_max"] / 1e3), "stalest read", share))
    agreed = _stats(verdict, "convergence")
    if agreed.get("diverged"):
        found.append(("never", "came all nodes to agree", f"{agreed['diverged']:,} of {agreed['compared']:,} differ"))
    elif "agreed_within_s" in agreed:
        found.append((duration(agreed["agreed_within_s"]), "until all nodes agreed", "after the last heal and write"))
    return found


def reigns_of(history: History) -> list[Reign]:
    """Claims to lead, those of polls that follow each other joined."""
    polls: dict[int, list[Claim]] = {}
    for place in np.flatnonzero(history.f == history.f_names.index(PRIMARIES)).tolist():
        if isinstance(history.value[place], list | tuple):
            polls[int(history.index[place])] = []
    for claim in claims_of(history):
        polls.setdefault(claim.record, []).append(claim)
    reigns: list[Reign] = []
    going_on: dict[tuple[str, Any], int] = {}
    for claims in polls.values():
        now: dict[tuple[str, Any], int] = {}
        for claim in claims:
            begin_ns, end_ns = int(history.time_ns[claim.begin]), int(history.time_ns[claim.end])
            key = (claim.node, claim.term)
            if key in going_on:
                number = going_on[key]
                reigns[number] = Reign(claim.node, claim.term, reigns[number].begin_ns, end_ns)
            else:
                number = len(reigns)
                reigns.append(Reign(claim.node, claim.term, begin_ns, end_ns))
            now[key] = number
        going_on = now
    return reigns


def size(number: float) -> str:
    """Bytes, to three figures."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            break
        number /= 1000
    return f"{number:,.0f} {unit}" if unit == "bytes" or number >= 100 else f"{number:.3g} {unit}"


# -- sentences


def _stats(verdict: Verdict, checker: str) -> dict[str, Any]:
    part = verdict.checkers.get(checker)
    return part.stats if part is not None else {}


def _leaders(verdict: Verdict) -> list[str]:
    stats = _stats(verdict, "split-brain")
    stale, polls = stats.get("stale_primaries", 0), stats.get("polls", 0)
    if not stale:
        return []
    return [
        f"In {stale:,} of {polls:,} polls two nodes said at once that they lead, in different terms or in terms that "
        "are not known. One of them may only not have heard yet: by itself this proves nothing."
    ]


def _staleness(verdict: Verdict) -> list[str]:
    stats = _stats(verdict, "staleness")
    if not stats.get("reads"):
        return []
    if not stats.get("stale_reads"):
        return [f"Each of the {stats['reads']:,} reads returned the newest version that was known when it began."]
    half, few, most = (duration(stats[f"staleness_ms_{share}"] / 1e3) for share in ("p50", "p99", "max"))
    return [
        f"{stats['stale_reads']:,} of {stats['reads']:,} reads missed a version that was known when they began. Half "
        f"of these missed it by {half} or more, one in a hundred by {few} or more; the stalest by {most} (operation "
        f"{stats['worst_op']})."
    ]


def _agreement(verdict: Verdict) -> list[str]:
    stats = _stats(verdict, "convergence")
    if stats.get("diverged"):
        return [
            "Asked for their own copies until long after the last heal and the last write, the nodes still differed "
            f"in {stats['diverged']:,} of {stats['compared']:,} things."
        ]
    if "agreed_within_s" not in stats:
        return []
    until = (
        f" They were last seen to differ after {duration(stats['disagreed_until_s'])}."
        if "disagreed_until_s" in stats
        else ""
    )
    return [
        f"{duration(stats['agreed_within_s'])} after the last heal and the last write all {stats['nodes']} nodes had "
        f"been seen to agree.{until}"
    ]


# -- pictures


def _x(time_ns: int, last_ns: int) -> float:
    return round(LEFT + (RIGHT - LEFT) * min(max(time_ns / last_ns, 0.0), 1.0), 1)


def _draw_leaders(reigns: Sequence[Reign], windows: Sequence[Window], last_ns: int) -> Markup:
    nodes = sorted({reign.node for reign in reigns}, key=lambda name: (len(name), name))[:LEADERS_MAX]
    height = ROW * len(nodes) + 8
    parts = [_faults(windows, last_ns, height)]
    for row, node in enumerate(nodes):
        y = 6 + ROW * row
        parts.append(
            Markup(
                '<text class="label" x="0" y="{}">{}</text><line class="rail" x1="{}" x2="{}" y1="{}" y2="{}"/>'
            ).format(y + 14, node[:9], LEFT, RIGHT, y + 10, y + 10)
        )
        parts += [_bar(reign, y, last_ns) for reign in reigns if reign.node == node]
    return _picture(parts, height, last_ns, "Who said that it leads, over time")


def _bar(reign: Reign, y: float, last_ns: int) -> Markup:
    begin, end = _x(reign.begin_ns, last_ns), _x(reign.end_ns, last_ns)
    width = max(3.0, round(end - begin, 1))
    term = "term not known" if reign.term is None else f"term {reign.term}"
    text = term if width > 7.2 * len(term) + 8 else ""
    return Markup(
        '<g class="reign{cls}"><title>{title}</title><rect x="{x}" y="{y}" width="{w}" height="20" rx="4"/>'
        '<text x="{tx}" y="{ty}">{text}</text></g>'
    ).format(
        cls=" unsure" if reign.term is None else "",
        title=f"{reign.node} led in {term}: {reign.begin_ns / 1e9:.1f} s to {reign.end_ns / 1e9:.1f} s",
        x=begin,
        y=y,
        w=width,
        tx=begin + 6,
        ty=y + 14,
        text=text,
    )


def _draw_lag(samples: Sequence[Sample], names: Sequence[str], windows: Sequence[Window], last_ns: int) -> Markup:
    most = max(1.0, *(sample.lag_bytes for sample in samples))
    bottom = LAG_HEIGHT - 4
    parts = [_faults(windows, last_ns, LAG_HEIGHT)]
    for share, text in ((1.0, size(most)), (0.5, size(most / 2)), (0.0, "0")):
        y = round(bottom - (bottom - 10) * share, 1)
        parts.append(
            Markup(
                '<text class="label" x="0" y="{}">{}</text><line class="rail" x1="{}" x2="{}" y1="{}" y2="{}"/>'
            ).format(y + 4, text, LEFT, RIGHT, y, y)
        )
    for place, name in enumerate(names):
        for stretch in _stretches([sample for sample in samples if sample.replica == name]):
            points = [
                f"{_x(sample.time_ns, last_ns)},{round(bottom - (bottom - 10) * sample.lag_bytes / most, 1)}"
                for sample in stretch
            ]
            shape = '<polyline class="lag c{}" points="{}"><title>{}</title></polyline>'
            parts.append(
                Markup(shape).format(place % COLOURS, " ".join(points if len(points) > 1 else points * 2), name)
            )
    return _picture(parts, LAG_HEIGHT, last_ns, "How far each replica was behind, over time")


def _stretches(samples: Sequence[Sample]) -> list[list[Sample]]:
    """A replica's samples, parted where it was not observed for longer than GAP_NS."""
    stretches: list[list[Sample]] = []
    for sample in samples:
        if not stretches or sample.time_ns - stretches[-1][-1].time_ns > GAP_NS:
            stretches.append([])
        stretches[-1].append(sample)
    return stretches


def _faults(windows: Sequence[Window], last_ns: int, height: float) -> Markup:
    return Markup("").join(
        Markup('<rect class="fault" x="{}" y="0" width="{}" height="{}"><title>{}</title></rect>').format(
            begin := _x(window.begin_ns, last_ns),
            round(max(1.0, _x(window.end_ns, last_ns) - begin), 1),
            height,
            f"{window.fault.kind} of {', '.join(window.fault.nodes) or 'the clients'}",
        )
        for window in windows
    )


def _picture(parts: Sequence[Markup], height: float, last_ns: int, title: str) -> Markup:
    ticks = Markup("").join(
        Markup('<text class="tick" x="{}" y="{}">{}</text>').format(
            min(_x(round(second * 1e9), last_ns), RIGHT - 30), height + AXIS - 6, f"{second:g} s"
        )
        for second in _seconds(last_ns / 1e9)
    )
    return Markup(
        '<svg class="replicas" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{title}">'
        "{body}{ticks}</svg>"
    ).format(w=round(WIDTH), h=round(height + AXIS), title=title, body=Markup("").join(parts), ticks=ticks)


def _seconds(last_s: float) -> list[float]:
    """Round moments, at most TICKS."""
    step = next(
        unit * 10.0**power for power in range(-3, 8) for unit in (1, 2, 5) if last_s / (unit * 10.0**power) <= TICKS - 1
    )
    return [round(step * number, 6) for number in range(int(last_s / step) + 1)]
