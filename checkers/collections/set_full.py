"""Sets: elements are added, reads return all of them, all along. Is each acknowledged element there, from then on?

    add   v        → ok v
    read  null     → ok [v, ...]      in any order

An element is known from the moment its add was acknowledged, or a read that showed it returned. Afterwards:

    lost-write            absent from every read that began after all acknowledged adds, and after it was known
    stale-read            absent from a read that began after it was known, but not lost
    non-monotonic-read    absent from a read of a client that had seen it before
    missed-own-write      absent from a read of the client whose own add had been acknowledged
    G-nonadjacent-item    one read shows a and not b, another b and not a: they disagree about which was first
    G-single-item-realtime, -process   a read shows b and not a, though a was known before the add of b began
    future-read, garbage-read, G1a     shown before its add began; never added; only ever added by adds that failed
    duplicate-elements    shown twice by one read

Together they are exact: a history without any of them is linearizable, with none but those of realtime serializable.
For without the last four, and if of any two reads one contains the other, the reads have one order by inclusion, and
each element a place in it; and a history is linearizable if nothing that came first in time comes later in that order.
The checks are that, case by case.

How long it took until an acknowledged element was there for good, and when a lost one was last seen, is measured too.
Source: Jepsen's set-full (Kingsbury); its `lost` needs one read at the end, ours all of those. The order by inclusion:
the argument of Gibbons and Korach for registers, applied to sets. Cost: O(v log v) for v values read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from checkers.collections import set_orders
from checkers.collections.set_columns import NEVER, SetColumns, columns_of
from checkers.findings import Finding, verdict_of
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Anomaly, Verdict

LOST, STALE, REPEATED = "lost-write", "stale-read", "duplicate-elements"
REALTIME = "G-single-item-realtime"
EVERY = slice(None)
"""Of the elements: all."""


@dataclass(frozen=True)
class Visibility:
    """What reads show of each element; arrays of n, meaningful where the element was added and not only by failed adds.

    known: place from which it must be seen, NEVER for none. known_ns: its time. first_due: the first read that began
    after that. missing: how many reads from there miss it. last_present, last_absent: reads, -1 for none.
    final: the first read that began after every acknowledged add (r where there is none).
    """

    known: np.ndarray
    known_ns: np.ndarray
    first_due: np.ndarray
    missing: np.ndarray
    last_present: np.ndarray
    last_absent: np.ndarray
    final: int
    reads: int

    @property
    def lost(self) -> np.ndarray:
        """bool[n]: in none of the final reads that were due to show it."""
        begin = np.maximum(self.first_due, self.final)
        return (self.known < NEVER) & (begin < self.reads) & (self.last_present < begin)

    @property
    def stale(self) -> np.ndarray:
        """bool[n]: missing from some read that was due to show it, but not lost."""
        return (self.missing > 0) & ~self.lost


class SetFull:
    """See the module's docstring. add, read: the names of the ops."""

    name = "set-full"

    def __init__(self, add: str = "add", read: str = "read") -> None:
        self._add, self._read = add, read

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every element and every read. Raises HistoryError for a read that is no list."""
        columns = columns_of(history, self._add, self._read)
        seen = visibility(columns)
        more: Counter[str] = Counter()
        findings: list[Finding] = []
        for finding in _findings(columns, seen):
            kind = finding.anomaly.type if isinstance(finding, Finding) else finding
            if isinstance(finding, Finding):
                findings.append(finding)
            else:
                more[kind] += 1
        undecided = []
        acknowledged = columns.acknowledged < NEVER
        never_read = acknowledged & (seen.first_due >= columns.reads)
        if bool(acknowledged.any()) and bool(np.all(never_read[acknowledged])):
            undecided.append("no read succeeded that began after an acknowledged add: nothing is known about the set")
        return verdict_of(
            self.name,
            findings,
            options,
            model=options.model or "linearizable",
            undecided=undecided,
            stats=_stats(columns, seen, never_read),
            more=more,
        )


def visibility(columns: SetColumns) -> Visibility:
    """From when each element was known, and which reads show it. Without invocations nothing is known of realtime."""
    n, reads = len(columns.labels), columns.reads
    read_of, element = columns.read_of, columns.element
    known = np.where(columns.invoked < NEVER, columns.acknowledged, NEVER)
    np.minimum.at(known, element, columns.read_end[read_of] if reads else element)
    possible = columns.invoked < NEVER
    known[~possible] = NEVER
    if not columns.timed:
        known[:] = NEVER
    times = columns.history.time_ns
    known_ns = np.where(known < NEVER, times[np.where(known < NEVER, known, 0)] if len(times) else 0, 0)
    first_due = np.searchsorted(columns.read_begin, known, side="right")
    present_due = np.bincount(element[read_of >= first_due[element]], minlength=n)
    missing = reads - first_due - present_due
    last_present = np.full(n, -1)
    np.maximum.at(last_present, element, read_of)
    acknowledged = columns.acknowledged[columns.acknowledged < NEVER]
    quiet = int(acknowledged.max()) if len(acknowledged) else -1
    return Visibility(
        known=known,
        known_ns=known_ns,
        first_due=first_due,
        missing=missing,
        last_present=last_present,
        last_absent=_last_absent(element, read_of, n, reads),
        final=int(np.searchsorted(columns.read_begin, quiet, side="right")),
        reads=reads,
    )


def _last_absent(element: np.ndarray, read_of: np.ndarray, n: int, reads: int) -> np.ndarray:
    """The last read that misses each element: the reads that show it at the end, without a gap, are counted off."""
    order = np.argsort(element, kind="stable")
    counts = np.bincount(element, minlength=n)
    from_end = np.repeat(np.cumsum(counts), counts) - 1 - np.arange(len(order))
    without_gap = read_of[order] == reads - 1 - from_end
    return reads - 1 - np.bincount(element[order][without_gap], minlength=n)


def _findings(columns: SetColumns, seen: Visibility) -> Iterator[Finding | str]:
    """Every finding; of each type those beyond the first hundred as its name alone."""
    told: Counter[str] = Counter()
    repeated = list(zip(*(part.tolist() for part in columns.repeated)))
    found = chain(
        (
            (_impossible_kind(columns, element), partial(_impossible, columns, read, element))
            for read, element in _impossible_pairs(columns)
        ),
        ((REPEATED, partial(_repeated, columns, read, element)) for read, element in repeated),
        ((LOST, partial(_lost, columns, seen, element)) for element in np.flatnonzero(seen.lost).tolist()),
        ((STALE, partial(_stale, columns, seen, element)) for element in np.flatnonzero(seen.stale).tolist()),
    )
    for kind, make in found:
        told[kind] += 1
        yield make() if told[kind] <= 100 else kind
    yield from set_orders.find(columns, seen.known)


def _impossible_pairs(columns: SetColumns) -> list[tuple[int, int]]:
    """(read, element): the first read of each element that can't have been there; of a future one each read."""
    element, read_of = columns.element, columns.read_of
    absent = columns.invoked[element] == NEVER
    early = columns.timed & ~absent & (columns.read_end[read_of] < columns.invoked[element])
    elements, first = np.unique(element[absent], return_index=True)
    pairs = list(zip(read_of[absent][first].tolist(), elements.tolist()))
    return pairs + list(zip(read_of[early].tolist(), element[early].tolist()))


_IMPOSSIBLE = {
    "garbage-read": "which nobody ever added",
    "G1a": "but every add of it failed: it should never have been there",
    "future-read": "but that read had returned before the add of it began",
}


def _impossible_kind(columns: SetColumns, element: int) -> str:
    if columns.attempts[element] == 0:
        return "garbage-read"
    return "G1a" if columns.invoked[element] == NEVER else "future-read"


def _impossible(columns: SetColumns, read: int, element: int) -> Finding:
    kind, label, client = _impossible_kind(columns, element), columns.label(element), int(columns.read_process[read])
    sentence = f"Client {client} read element {label}, {_IMPOSSIBLE[kind]}."
    return _finding(columns, kind, kind, element, [read], sentence)


def _repeated(columns: SetColumns, read: int, element: int) -> Finding:
    sentence = f"Client {columns.read_process[read]} read element {columns.label(element)} twice in one answer."
    return _finding(columns, REPEATED, REPEATED, element, [read], sentence)


def _lost(columns: SetColumns, seen: Visibility, element: int) -> Finding:
    begin = max(int(seen.first_due[element]), seen.final)
    last = int(seen.last_present[element])
    latency_ms = _lost_after_ms(columns, seen, element)
    count = columns.reads - begin
    seen_last = (
        f"It was last seen by client {columns.read_process[last]}, in a read that began {latency_ms:.1f} ms later."
        if last >= 0
        else "No read ever showed it."
    )
    sentence = (
        f"Element {columns.label(element)} {_why_known(columns, seen, element)}, but "
        f"{'the one read' if count == 1 else f'all {count} reads'} that began after the last add was "
        f"acknowledged miss{'es' if count == 1 else ''} it. {seen_last}"
    )
    reads = [begin, columns.reads - 1] if last < 0 else [last, begin, columns.reads - 1]
    return _finding(columns, LOST, REALTIME, element, reads, sentence, {"lost_after_ms": float(latency_ms)})


def _stale(columns: SetColumns, seen: Visibility, element: int) -> Finding:
    due = range(int(seen.first_due[element]), columns.reads)
    first = next(read for read in due if not columns.contains(read, element))
    last = int(seen.last_absent[element])
    late_ms = _visible_after_ms(columns, seen, element)
    sentence = (
        f"Element {columns.label(element)} {_why_known(columns, seen, element)}, but {seen.missing[element]} of the "
        f"{len(due)} reads that began afterwards miss it: the first by client {columns.read_process[first]}, the last "
        f"began {late_ms:.1f} ms after it was known."
    )
    return _finding(
        columns, STALE, REALTIME, element, sorted({first, last}), sentence, {"stale_for_ms": float(late_ms)}
    )


def _why_known(columns: SetColumns, seen: Visibility, element: int) -> str:
    place = int(seen.known[element])
    process = columns.history.process[place]
    if place == columns.acknowledged[element]:
        return f"was added by client {process}, who was told so"
    return f"was seen by client {process} (its add was not acknowledged before)"


def _finding(
    columns: SetColumns,
    kind: str,
    evidence: str,
    element: int,
    reads: list[int],
    sentence: str,
    details: dict[str, Any] | None = None,
) -> Finding:
    records = sorted({*columns.add_records(element), *(columns.read_record(read) for read in reads)})
    anomaly = Anomaly(kind, records, sentence, key=columns.shown(element), sub_history=records, details=details or {})
    return Finding(anomaly, evidence)


def _visible_after_ms(columns: SetColumns, seen: Visibility, of: Any = EVERY) -> Any:
    """From when these elements were known until the last read that misses each began; 0 where none does."""
    if not columns.reads:
        return np.zeros(len(columns.labels))[of]
    last_ns = columns.history.time_ns[columns.read_begin[np.maximum(seen.last_absent[of], 0)]]
    late = (seen.missing[of] > 0) & (seen.last_absent[of] >= seen.first_due[of])
    return np.where(late, np.maximum(last_ns - seen.known_ns[of], 0), 0) / 1e6


def _lost_after_ms(columns: SetColumns, seen: Visibility, of: Any = EVERY) -> Any:
    """From when these elements were known until the last read that shows each began; 0 where none does."""
    if not columns.reads:
        return np.zeros(len(columns.labels))[of]
    last_ns = columns.history.time_ns[columns.read_begin[np.maximum(seen.last_present[of], 0)]]
    return np.where(seen.last_present[of] >= 0, np.maximum(last_ns - seen.known_ns[of], 0), 0) / 1e6


def _stats(columns: SetColumns, seen: Visibility, never_read: np.ndarray) -> dict[str, Any]:
    acknowledged = columns.acknowledged < NEVER
    possible = columns.invoked < NEVER
    shown = seen.last_present >= 0
    visible = (seen.known < NEVER) & ~seen.lost & ~never_read
    stats: dict[str, Any] = {
        "elements": int(np.sum(columns.attempts > 0)),
        "acknowledged": int(acknowledged.sum()),
        "recovered": int(np.sum(possible & ~acknowledged & shown)),
        "lost": int(seen.lost.sum()),
        "stale": int(seen.stale.sum()),
        "never_read": int(never_read.sum()),
        "reads": columns.reads,
    }
    for name, chosen, values in (
        ("visible_after_ms", visible, _visible_after_ms(columns, seen)),
        ("lost_after_ms", seen.lost, _lost_after_ms(columns, seen)),
    ):
        if bool(chosen.any()):
            for quantile in (50, 95, 99, 100):
                ending = "max" if quantile == 100 else f"p{quantile}"
                stats[f"{name}_{ending}"] = round(float(np.percentile(values[chosen], quantile)), 3)
    return stats
