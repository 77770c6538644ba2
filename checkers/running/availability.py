"""How available the database was: the longest times without a success, per node and per fault, and the way back.

Always `valid`: no consistency model promises to answer. For each node (by the session's node; "all" over all of them)
the longest stretch between two successful completions, the run's first and last client record included. For each fault
window: how many ops succeeded in it, the longest stretch without success that touches it, and for each node how long
after the confirmed heal the first op that was invoked after it succeeded. Cost: O(n log n + windows × nodes × log n).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.checker import CheckOptions
from harness.fault import Window
from harness.history import INVOKE, OK, History
from harness.verdict import Verdict

ALL = "all"


class Availability:
    """See the module's docstring. stats: `{longest_without_success_s: {node: s}, windows: [...]}`; in seconds."""

    name = "availability"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Measure. Raises HistoryError for a malformed fault record."""
        clients = np.flatnonzero(history.client)
        if not len(clients):
            return Verdict("valid", self.name, stats={"longest_without_success_s": {}, "windows": []})
        span = (int(history.time_ns[clients[0]]), int(history.time_ns[clients[-1]]))
        done = np.flatnonzero(history.client & (history.type == OK))
        successes = {node: history.time_ns[places] for node, places in _by_node(history, done).items()}
        invoked = _by_node(history, done[history.pair[done] >= 0])
        longest = {node: _seconds(_longest_gap(times, *span)[0]) for node, times in successes.items()}
        windows = [_of_window(history, window, successes[ALL], invoked, span) for window in history.windows()]
        return Verdict("valid", self.name, stats={"longest_without_success_s": longest, "windows": windows})


def _by_node(history: History, places: np.ndarray) -> dict[str, np.ndarray]:
    """Places of successful completions, of all and of each node that has any record (some may have none)."""
    nodes: dict[str, list[int]] = {node: [] for node in sorted({node for node in history.node if node is not None})}
    for place in places.tolist():
        node = history.node[place]
        if node is None and history.pair[place] >= 0:
            node = history.node[history.pair[place]]
        if node is not None:
            nodes[node].append(place)
    return {ALL: places} | {node: np.array(own, dtype=np.int64) for node, own in nodes.items()}


def _longest_gap(times_ns: np.ndarray, begin_ns: int, end_ns: int) -> tuple[int, int, int]:
    """(length, begin, end) of the longest stretch between successes, both ends included."""
    edges = np.concatenate(([begin_ns], np.sort(times_ns), [end_ns]))
    gaps = np.diff(edges)
    at = int(np.argmax(gaps))
    return max(0, int(gaps[at])), int(edges[at]), int(edges[at + 1])


def _of_window(
    history: History, window: Window, successes_ns: np.ndarray, invoked: dict[str, np.ndarray], span: tuple[int, int]
) -> dict[str, Any]:
    times = np.sort(successes_ns)
    first, last = np.searchsorted(times, window.begin_ns), np.searchsorted(times, window.end_ns, side="right")
    before = int(times[first - 1]) if first else span[0]
    after = int(times[last]) if last < len(times) else max(span[1], window.end_ns)
    gap_ns, _, _ = _longest_gap(times[first:last], before, after)
    figures = {
        "id": window.fault.id,
        "kind": window.fault.kind,
        "nodes": list(window.fault.nodes),
        "begin_s": _seconds(window.begin_ns),
        "end_s": _seconds(window.end_ns),
        "took_effect": window.took_effect,
        "healed": window.healed,
        "ok_during": int(last - first),
        "longest_without_success_s": _seconds(gap_ns),
    }
    if window.healed:
        figures["recovery_s"] = {
            node: _recovery_s(history, places, window.end_index, window.end_ns) for node, places in invoked.items()
        }
    return figures


def _recovery_s(history: History, places: np.ndarray, heal_index: int, heal_ns: int) -> float | None:
    """Seconds from the heal to the first success of an op that was invoked after it; None if there was none."""
    invocations = history.pair[places]
    later = places[(history.index[invocations] > heal_index) & (history.type[invocations] == INVOKE)]
    return _seconds(int(history.time_ns[later].min()) - heal_ns) if len(later) else None


def _seconds(time_ns: int) -> float:
    return round(time_ns / 1e9, 3)
