"""Durability: what was acknowledged is still there at the end, whatever happened on the way.

    not-durable   acknowledged, and absent from every final read

A final read is one that began after the last fault was healed and after the last acknowledgement; in a run of ours also
after its final reads had begun, because until recovery an old primary may still answer. One read that misses something
proves little: it may be late. So it must be absent from all of them, and there must be one on each node that
clients talked to; as long as there is not, what is missing is `unknown`. What one final read shows is durable, whatever
others say (that they differ is for other checkers to tell). It counts under every consistency model: one that lets
reads be old for ever is of no use to who looks for what he has stored.

With each loss goes the fault that preceded it: the one in force when the write was last known to be there (its
acknowledgement, or a read that showed it), else the next that began after, else the last before. The loss is nowhere
proven to be that fault's work.

Histories of other recorders have no windows of faults: there the last record of a nemesis counts as the last heal.
Source: the question of Jepsen's set test, asked of all nodes. Cost: O(values in the final reads + acknowledged writes).
`judge` serves any workload whose writes can be told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.collections.set_columns import NEVER, columns_of
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.values import show, thaw
from harness.checker import CheckOptions
from harness.fault import Window
from harness.history import OK, History
from harness.op import NO_FAULTS
from harness.verdict import Anomaly, Verdict

TYPE = "not-durable"


@dataclass(frozen=True)
class Writes:
    """w writes that can be told apart, and r reads that show some of them.

    labels: w things for keys and, as they are shown, for sentences. acknowledged: int64[w], place of the record that
    acknowledged it first, NEVER where there is none. quiet: place of the last acknowledgement of all, -1 for none.
    seen: int64[w], place where a read that showed it last had begun, -1 for none.
    read_begin, read_end: int64[r], places. start: int64[r + 1] and write: int64[...], what each read shows.
    noun: what a write is called ("element", "append").
    """

    labels: Sequence[Any] | np.ndarray
    acknowledged: np.ndarray
    quiet: int
    seen: np.ndarray
    read_begin: np.ndarray
    read_end: np.ndarray
    start: np.ndarray
    write: np.ndarray
    noun: str = "element"


class Durability:
    """The durability of a set's elements. add, read: the names of the ops."""

    name = "durability"

    def __init__(self, add: str = "add", read: str = "read") -> None:
        self._add, self._read = add, read

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every acknowledged element. Raises HistoryError for a read that is no list."""
        columns = columns_of(history, self._add, self._read)
        seen = np.full(len(columns.labels), -1)
        np.maximum.at(seen, columns.element, columns.read_begin[columns.read_of] if columns.reads else columns.element)
        writes = Writes(
            labels=columns.labels,
            acknowledged=columns.acknowledged,
            quiet=int(columns.adds.end[columns.adds.outcome == OK].max(initial=-1)),
            seen=seen,
            read_begin=columns.read_begin,
            read_end=columns.read_end,
            start=columns.start,
            write=columns.element,
        )
        return judge(history, writes, options)


def judge(history: History, writes: Writes, options: CheckOptions) -> Verdict:
    """The verdict on writes and reads, however they were found."""
    acknowledged = np.flatnonzero(writes.acknowledged < NEVER)
    windows = history.windows()
    quiet = max(last_heal(history, windows), final_phase(history), writes.quiet)
    final = np.flatnonzero(writes.read_begin > quiet) if history.has_invocations else np.empty(0, np.int64)
    shown = np.zeros(len(writes.acknowledged), bool)
    for read in final.tolist():
        shown[writes.write[writes.start[read] : writes.start[read + 1]]] = True
    absent = acknowledged[~shown[acknowledged]]
    clients = {node for node, client in zip(history.node, history.client.tolist()) if client and node is not None}
    by_node: dict[str | None, int] = {}
    for read in final.tolist():
        begin, end = int(writes.read_begin[read]), int(writes.read_end[read])
        by_node.setdefault(history.node[begin] or history.node[end], read)
    asked = by_node.keys() - {None}
    undecided = _undecided(history, len(final), clients - asked, not clients, len(absent), windows)
    lost = absent if not undecided else absent[:0]
    faults = [_preceding(windows, history, _last_known(writes, int(each))) for each in lost.tolist()]
    findings = [
        _finding(history, writes, int(each), window, list(by_node.values()), len(final))
        for each, window in zip(lost.tolist(), faults)
    ]
    return verdict_of(
        Durability.name,
        findings,
        options,
        model=options.model or "linearizable",
        undecided=undecided if len(acknowledged) and (len(absent) or not len(final)) else [],
        stats={
            "acknowledged": len(acknowledged),
            "absent": len(absent),
            "final_reads": len(final),
            "nodes_read": len(asked),
            "nodes": len(clients),
            "lost_by_fault": dict(sorted(Counter(_named(window) for window in faults).items())),
        },
    )


def last_heal(history: History, windows: Iterable[Window]) -> int:
    """The place of the last record of a fault, -1 for none; a fault that was never healed lasts to the end."""
    ends = [int(np.searchsorted(history.index, window.end_index)) for window in windows]
    if ends:
        return max(ends)
    others = [code for code, name in enumerate(history.f_names) if name in NO_FAULTS]
    faults = ~history.client & ~np.isin(history.f, others)
    return int(np.flatnonzero(faults).max(initial=-1))


def final_phase(history: History) -> int:
    """The place where a run's final reads began, -1 where the record does not say."""
    return max((place for place, name in history.phases() if name == "final"), default=-1)


def _undecided(
    history: History, finals: int, unread: set[str], nameless: bool, absent: int, windows: Sequence[Window]
) -> list[str]:
    """Why what is absent is not proven to be lost."""
    if not history.has_invocations:
        return ["the history holds no invocation: which reads began after the last acknowledged write is not known"]
    if not finals:
        never = next((window for window in windows if not window.healed), None)
        if never is not None:
            return [f"fault {_named(never)} was never healed: no read is final"]
        return ["no read succeeded that began after the last heal and the last acknowledged write"]
    missing = f"; {absent} acknowledged writes are absent from those there are" if absent else ""
    if nameless:
        return [f"the history does not name nodes: whether the final reads cover all of them is not known{missing}"]
    if unread:
        return [f"no final read succeeded on {', '.join(sorted(unread))}{missing}"]
    return []


def _last_known(writes: Writes, write: int) -> int:
    return max(int(writes.acknowledged[write]), int(writes.seen[write]))


def _preceding(windows: Sequence[Window], history: History, place: int) -> Window | None:
    """The fault in force at a place (of several, the one that began last), else the next to begin, else the last."""
    index = int(history.index[place])
    in_force = [window for window in windows if window.begin_index <= index <= window.end_index]
    if in_force:
        return max(in_force, key=lambda window: window.begin_index)
    later = [window for window in windows if window.begin_index > index]
    if later:
        return min(later, key=lambda window: window.begin_index)
    return max(windows, key=lambda window: window.end_index, default=None)


def _named(window: Window | None) -> str:
    if window is None:
        return "no fault"
    return f"{window.fault.kind} {window.fault.id}"


def _finding(
    history: History, writes: Writes, write: int, window: Window | None, reads: Sequence[int], count: int
) -> Finding:
    """reads: a final read of each node."""
    place, seen = int(writes.acknowledged[write]), int(writes.seen[write])
    label = writes.labels[write]
    key = int(label) if isinstance(label, np.integer) else thaw(label)
    after = f"a read that began at {_moment(history, seen)} showed it last" if seen >= 0 else "no read ever showed it"
    sentence = (
        f"Client {history.process[place]} was told that {writes.noun} {show(key)} is written "
        f"({_moment(history, place)}), and none of the {count} final reads, on every node, has it; {after}."
    )
    details: dict[str, Any] = {}
    if window is not None:
        nodes = f" of {', '.join(window.fault.nodes)}" if window.fault.nodes else ""
        when = (
            "in force then" if window.begin_index <= history.index[max(place, seen)] <= window.end_index else "nearest"
        )
        sentence += f" The fault {when}: {window.fault.kind}{nodes} at {window.begin_ns / 1e9:.3f} s."
        details = {"fault": window.fault.id, "kind": window.fault.kind, "nodes": list(window.fault.nodes)}
    ends = [int(writes.read_end[read]) for read in reads]
    begins = [int(writes.read_begin[read]) for read in reads]
    ops = sorted(int(history.index[each]) for each in (place, *ends))
    records = sorted(int(history.index[each]) for each in {place, int(history.pair[place]), *ends, *begins})
    return Finding(Anomaly(TYPE, ops, sentence, key=key, sub_history=records, details=details), ALWAYS)


def _moment(history: History, place: int) -> str:
    """When a record was made; its index where it does not say."""
    time_ns = int(history.time_ns[place])
    return f"{time_ns / 1e9:.3f} s" if time_ns > 0 else f"op {history.index[place]}"
