"""Idleness proves nothing: did the run do enough, under the faults that were asked for, to be called valid?

`unknown` unless all of this holds, each condition named where it does not:
- every `f` that the workload claims has an ok;
- ok is at least a tenth of the invocations, and at least the workload's floor;
- every asked-for kind of fault was seen to take effect;
- for each kind an op was in flight inside one of the windows in which it did, and one that was invoked after
  such a window began completed ok (on a single node that is after the heal).

Counted are the ops of the main phase where the record says which they are (a record of process `nemesis`, f `phase`,
value "main" or the name of another phase), else of the whole record; only those of the claimed fs. The two conditions
on faults look at all client ops: recovery may be where the first success comes. Cost: O(windows × n) on columns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.checker import CheckOptions
from harness.fault import Window
from harness.history import INVOKE, OK, History
from harness.verdict import Verdict

OK_SHARE_MIN = 0.1
MAIN = "main"


class Activity:
    """See the module's docstring. fs: what the workload claims. floor: least ok ops. fault_kinds: those asked for."""

    name = "activity"

    def __init__(self, *, fs: tuple[str, ...], floor: int, fault_kinds: tuple[str, ...] = ()) -> None:
        self.fs, self.floor, self.fault_kinds = fs, floor, fault_kinds

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """`valid` or `unknown`. Raises HistoryError for a malformed fault record."""
        counted = history.client & _main_phase(history) & np.isin(history.f, _codes(history, self.fs))
        ok = int(np.count_nonzero(counted & (history.type == OK)))
        invoked = int(np.count_nonzero(counted & (history.type == INVOKE)))
        reasons = list(self._ops(history, counted, ok, invoked))
        windows = history.windows()
        for kind in self.fault_kinds:
            reasons += self._fault(history, kind, [window for window in windows if window.fault.kind == kind])
        return Verdict(
            "unknown" if reasons else "valid",
            self.name,
            reasons=reasons,
            stats={
                "ok": ok,
                "invoked": invoked,
                "faults": {
                    kind: sum(window.took_effect for window in windows if window.fault.kind == kind)
                    for kind in self.fault_kinds
                },
            },
        )

    def _ops(self, history: History, counted: np.ndarray, ok: int, invoked: int) -> Iterator[str]:
        for f in self.fs:
            if not np.any(counted & (history.type == OK) & np.isin(history.f, _codes(history, (f,)))):
                yield f"no {f} succeeded"
        if ok < self.floor:
            yield f"only {ok:,} ops succeeded, {self.floor:,} are needed to prove anything"
        if ok < OK_SHARE_MIN * invoked:
            yield f"only {ok:,} of {invoked:,} ops succeeded, a tenth is needed to prove anything"

    def _fault(self, history: History, kind: str, windows: list[Window]) -> Iterator[str]:
        if not windows:
            yield f"no {kind} fault was injected"
            return
        effective = [window for window in windows if window.took_effect]
        if not effective:
            errors = [window.error for window in windows if window.error]
            yield f"no {kind} fault was seen to take effect" + (f" ({errors[0]})" if errors else "")
            return
        if not any(_in_flight(history, window) for window in effective):
            yield f"no op was in flight while a {kind} fault was in force"
        begin = min(window.begin_index for window in effective)
        done = np.flatnonzero(history.client & (history.type == OK) & (history.pair >= 0))
        if not np.any(history.index[history.pair[done]] > begin):
            yield f"no op that was invoked after a {kind} fault began succeeded"


def _in_flight(history: History, window: Window) -> bool:
    """Whether an op was open at some moment between the window's two ends."""
    invocations = np.flatnonzero(history.client & (history.type == INVOKE))
    ends = history.pair[invocations]
    returned = np.where(ends >= 0, history.index[ends], np.iinfo(np.int64).max)
    return bool(np.any((history.index[invocations] < window.end_index) & (returned > window.begin_index)))


def _codes(history: History, names: tuple[str, ...]) -> list[int]:
    return [code for code, name in enumerate(history.f_names) if name in names]


def _main_phase(history: History) -> np.ndarray:
    """bool[n]: the records of the main phase; all where no phase is marked."""
    inside = np.ones(len(history), dtype=bool)
    phases = history.phases()
    if not any(name == MAIN for _, name in phases):
        return inside
    inside[:] = False
    ends = [*(place for place, _ in phases[1:]), len(history)]
    for (place, name), following in zip(phases, ends):
        if name == MAIN:
            inside[place:following] = True
    return inside
