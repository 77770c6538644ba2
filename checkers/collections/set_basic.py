"""Sets that are read at the end: what was added and acknowledged is there, and nothing else is.

    add   v      → ok v
    read  null   → ok [v, ...]

A final read is one that began after the last acknowledgement. Of every element it tells: `ok` (acknowledged and there),
lost (acknowledged, and in no final read: `lost-write`), stale (in some final reads and not in others: `stale-read`),
recovered (there, though its add had an unknown outcome), unexpected (there, though nobody added it: `garbage-read`, or
only adds that failed: `G1a`), there before any add of it began (`future-read`), and shown twice (`duplicate-elements`).
Other reads are not looked at: `set-full` does that. Lost and stale count where the model speaks of realtime; whether a
loss is for good is for `durability` to say.

Source: Jepsen's `set` checker, which takes the last read alone. Cost: O(values in the final reads).
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from checkers.collections.set_columns import NEVER, SetColumns, columns_of
from checkers.findings import Finding, verdict_of
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Anomaly, Verdict

SHOWN = 100
_WORDS = {
    "lost-write": "was added and acknowledged, and no final read has it",
    "stale-read": "was added and acknowledged; some final reads have it and this one does not",
    "garbage-read": "is in a final read, but nobody ever added it",
    "G1a": "is in a final read, but every add of it failed",
    "future-read": "is in a final read that had returned before any add of it began",
    "duplicate-elements": "is in one final read twice",
}
_EVIDENCE = {"lost-write": "G-single-item-realtime", "stale-read": "G-single-item-realtime"}


class SetAtTheEnd:
    """See the module's docstring."""

    name = "set"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every element. Raises HistoryError for a read that is no list."""
        columns = columns_of(history)
        acknowledged = columns.acknowledged < NEVER
        quiet = int(columns.acknowledged[acknowledged].max(initial=-1)) if columns.timed else NEVER
        final = columns.read_begin > quiet
        count = int(final.sum())
        shown_by = np.bincount(columns.element[final[columns.read_of]], minlength=len(columns.labels))
        shown, added = shown_by > 0, columns.attempts > 0
        possible = columns.invoked < NEVER
        first_end = np.full(len(columns.labels), NEVER)
        by_final = final[columns.read_of]
        np.minimum.at(first_end, columns.element[by_final], columns.read_end[columns.read_of[by_final]])
        of_type = {
            "lost-write": acknowledged & ~shown & (count > 0),
            "stale-read": acknowledged & shown & (shown_by < count),
            "garbage-read": shown & ~added,
            "G1a": shown & added & ~possible,
            "future-read": possible & (first_end < columns.invoked),
            "duplicate-elements": np.bincount(
                columns.repeated[1][final[columns.repeated[0]]], minlength=len(columns.labels)
            )
            > 0,
        }
        findings: list[Finding] = []
        more: Counter[str] = Counter()
        for kind, chosen in of_type.items():
            elements = np.flatnonzero(chosen)
            findings += [_finding(columns, kind, element, final) for element in elements[:SHOWN].tolist()]
            if len(elements) > SHOWN:
                more[kind] = len(elements) - SHOWN
        undecided = [] if count or not acknowledged.any() else ["no read succeeded after the last acknowledged add"]
        return verdict_of(
            self.name,
            findings,
            options,
            model=options.model or "linearizable",
            undecided=undecided,
            more=more,
            stats={
                "elements": int(added.sum()),
                "acknowledged": int(acknowledged.sum()),
                "ok": int(np.sum(acknowledged & shown)),
                "lost": int(of_type["lost-write"].sum()),
                "recovered": int(np.sum(shown & possible & ~acknowledged)),
                "unexpected": int(np.sum(of_type["garbage-read"] | of_type["G1a"])),
                "final_reads": count,
            },
        )


def _finding(columns: SetColumns, kind: str, element: int, final: np.ndarray) -> Finding:
    wanted = kind in ("garbage-read", "G1a", "future-read", "duplicate-elements")
    reads = np.flatnonzero(final).tolist()
    if kind == "duplicate-elements":
        numbers, elements = columns.repeated
        reads = [int(read) for read in numbers[elements == element].tolist() if final[read]]
    if kind == "future-read":
        reads = [read for read in reads if columns.read_end[read] < columns.invoked[element]]
    read = next(read for read in reads if columns.contains(read, element) == wanted)
    records = sorted({*columns.add_records(element), columns.read_record(read)})
    sentence = f"Element {columns.label(element)} {_WORDS[kind]} (client {columns.read_process[read]})."
    anomaly = Anomaly(kind, records, sentence, key=columns.shown(element), sub_history=records)
    return Finding(anomaly, _EVIDENCE.get(kind, kind))
