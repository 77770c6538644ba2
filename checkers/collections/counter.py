"""Counters: a read returns the sum of the adds that have taken effect.

    add   n     → ok n           n may be negative
    read  null  → ok total

At a read, adds acknowledged before it began are in; adds that overlap it, or whose outcome is unknown, may be in or
not; failed ones, and those that began after it returned, are not. `wrong-count` is a read that this does not explain.
Three methods, each sharper than the one before, and the verdict's stats say how far it came (`method`):

    bounds        between the sum with all negative ones of the open adds and the sum with all positive ones: necessary,
                  not sufficient (adds of 5 can't make 3)
    subset-sums   the difference is the sum of some of the open adds: exact for each read by itself. A bit for each sum
                  that can be reached, as long as there are at most 2^16 of them
    search        one choice of adds, and one order, for all reads together: exact (the counter is linearizable), a
                  frontier of (adds in effect, reads done), as long as it stays small

Under a model without realtime any adds may be in: then a read counts only if no choice from all adds explains it. What
realtime forbids is shown all the same, and rules out linearizable.
Source: Jepsen's counter, which has the bounds, for increments only. Cost: O(n log n) for the bounds; 2^(open adds) at
worst for the search, which gives up beyond `NODES_MAX` steps.
"""

from __future__ import annotations

from collections import Counter as Counts
from dataclasses import dataclass

import msgspec
import numpy as np

from checkers import models
from checkers.client_calls import refuse_others
from checkers.collections import counter_search
from checkers.collections.set_columns import NEVER, CallPlaces, numbers_at, places_of
from checkers.findings import ALWAYS, NEVER_COUNTS, Finding, verdict_of
from checkers.values import show
from harness.checker import CheckOptions
from harness.history import FAIL, INFO, OK, History, HistoryError
from harness.verdict import Anomaly, Verdict

TYPE = "wrong-count"
WIDTH_MAX = 2**16
SUM_MAX = 2**62
NODES_MAX = 100_000
SHOWN = 100


@dataclass(frozen=True)
class Adds:
    """Adds that did not fail, by their begins. begin, end (NEVER: unknown), amount: int64[n]."""

    begin: np.ndarray
    end: np.ndarray
    amount: np.ndarray


@dataclass(frozen=True)
class Reads:
    """Successful reads by their begins. begin, end, value: int64[r]. base: sum of the adds acknowledged before.

    lower, upper: bounds of the value.
    """

    begin: np.ndarray
    end: np.ndarray
    value: np.ndarray
    base: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Counter:
    """See the module's docstring."""

    name = "counter"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every read. Raises HistoryError for amounts and totals that are no whole numbers of 64 bits."""
        asked = options.model or "linearizable"
        realtime = models.needs_realtime(asked)
        refuse_others(history, ("add", "read"))
        add_calls, read_calls = places_of(history, "add"), places_of(history, "read")
        adds = _adds(history, add_calls, history.has_invocations)
        reads = _reads(history, read_calls, adds, history.has_invocations)
        wrong, method = _judged(history, adds, reads, search=history.has_invocations)
        never = wrong
        if history.has_invocations:
            any_adds = _adds(history, add_calls, False)
            never, _ = _judged(history, any_adds, _reads(history, read_calls, any_adds, False), search=False)
        findings = [Finding(wrong.get(read, anomaly), ALWAYS) for read, anomaly in never.items()]
        late = [anomaly for read, anomaly in wrong.items() if read not in never]
        findings += [Finding(anomaly, ALWAYS if realtime else NEVER_COUNTS) for anomaly in late]
        weak = not realtime or history.has_invocations or not len(reads.begin)
        reasons = [] if weak else ["the history holds no invocation: which adds were done before a read is not known"]
        if not len(reads.begin) and len(adds.begin):
            reasons.append("no read succeeded: nothing is known about the counter")
        verdict = verdict_of(
            self.name,
            findings[:SHOWN],
            options,
            model=asked,
            undecided=reasons,
            stats={
                "method": method,
                "adds": int(np.sum(add_calls.outcome == OK)),
                "adds_unknown": int(np.sum(add_calls.outcome == INFO)),
                "adds_failed": int(np.sum(add_calls.outcome == FAIL)),
                "reads": len(reads.begin),
                "reads_wrong": len(findings),
                "widest_bounds": int((reads.upper - reads.lower).max(initial=0)),
            },
            more=Counts({TYPE: len(findings) - SHOWN}) if len(findings) > SHOWN else None,
        )
        return msgspec.structs.replace(verdict, not_=["linearizable"]) if findings else verdict


def _judged(history: History, adds: Adds, reads: Reads, *, search: bool) -> tuple[dict[int, Anomaly], str]:
    """(read → what is wrong with it, the method that came furthest). search: for one order of all reads, too."""
    outside = np.flatnonzero((reads.value < reads.lower) | (reads.value > reads.upper)).tolist()
    wrong = {read: _outside(history, reads, read) for read in outside}
    uneven, exact = _unreachable(adds, reads, set(outside))
    wrong |= {read: _uneven(history, reads, read) for read in uneven}
    if not exact:
        return wrong, "bounds"
    if not search or wrong or not len(reads.begin):
        return wrong, "subset-sums"
    outcome = counter_search.search(
        adds.begin.tolist(),
        adds.end.tolist(),
        adds.amount.tolist(),
        reads.begin.tolist(),
        reads.end.tolist(),
        reads.value.tolist(),
        NODES_MAX,
    )
    if outcome is None:
        return wrong, "subset-sums"
    return {outcome: _together(history, reads, outcome)} if outcome >= 0 else {}, "search"


def _adds(history: History, calls: CallPlaces, strict: bool) -> Adds:
    calls = calls.where(calls.outcome != FAIL)
    amount = _whole(history, calls.begin, "the amount of an add")
    if len(amount) and float(np.abs(amount.astype(np.float64)).sum()) > SUM_MAX:
        raise HistoryError("the adds of this counter come to more than 64 bits can hold")
    if not strict:
        return Adds(np.full(len(calls), -1), np.full(len(calls), NEVER), amount)
    return Adds(calls.begin, calls.end, amount)


def _reads(history: History, calls: CallPlaces, adds: Adds, strict: bool) -> Reads:
    calls = calls.where(calls.outcome == OK)
    value = _whole(history, calls.end, "what an ok read returned")
    begin = calls.begin if strict else np.zeros(len(calls), np.int64)
    done = np.argsort(adds.end, kind="stable")
    first = np.searchsorted(adds.end[done], begin)
    last = np.searchsorted(adds.begin, calls.end)

    def sums(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the adds chosen: those done before each read, and those that had begun before its end."""
        amount = np.where(chosen, adds.amount, 0)
        return np.append(0, np.cumsum(amount[done]))[first], np.append(0, np.cumsum(amount))[last]

    up_done, up = sums(adds.amount > 0)
    down_done, down = sums(adds.amount < 0)
    base = up_done + down_done
    return Reads(begin, calls.end, value, base, base + down - down_done, base + up - up_done)


def _whole(history: History, places: np.ndarray, what: str) -> np.ndarray:
    numbers = numbers_at(history, places)
    if numbers is not None:
        return numbers
    for place in places.tolist():
        value = history.value[place]
        if type(value) is not int or not -SUM_MAX < value < SUM_MAX:
            raise HistoryError(f"index {history.index[place]}: {what} must be a whole number, not {show(value)}")
    raise HistoryError(f"{what} must be a whole number")


def _unreachable(adds: Adds, reads: Reads, outside: set[int]) -> tuple[list[int], bool]:
    """(reads within their bounds that no choice of open adds explains, whether every read was decided)."""
    unknown = adds.end >= NEVER
    open_begin, open_amount = adds.begin[unknown], adds.amount[unknown]
    known_begin, known_end, known_amount = adds.begin[~unknown], adds.end[~unknown], adds.amount[~unknown]
    highest_end = np.maximum.accumulate(known_end) if len(known_end) else known_end
    wrong: list[int] = []
    exact = True
    reach, zero, taken = 1, 0, 0
    """reach: bit i is set if i - zero is the sum of some of the unknown adds taken so far."""
    lows = np.searchsorted(highest_end, reads.begin, side="right").tolist()
    highs = np.searchsorted(known_begin, reads.end).tolist()
    unknowns = np.searchsorted(open_begin, reads.end).tolist()
    for read in np.argsort(reads.end, kind="stable").tolist():
        while exact and taken < unknowns[read]:
            reach, zero = _with(reach, zero, int(open_amount[taken]))
            taken += 1
            exact = reach.bit_length() <= WIDTH_MAX
        if not exact:
            return wrong, False
        if read in outside:
            continue
        difference = int(reads.value[read] - reads.base[read])
        here, at = reach, zero
        low, high = lows[read], highs[read]
        if low < high:
            overlapping = known_amount[low:high][known_end[low:high] > reads.begin[read]]
            for amount in overlapping.tolist():
                if abs(amount) + here.bit_length() > WIDTH_MAX:
                    return wrong, False
                here, at = _with(here, at, amount)
        place = difference + at
        if place < 0 or not (here >> place) & 1:
            wrong.append(read)
    return wrong, exact


def _with(reach: int, zero: int, amount: int) -> tuple[int, int]:
    """The sums that can be reached with one more add."""
    if abs(amount) > WIDTH_MAX:
        return 1 << (WIDTH_MAX + 1), zero
    if amount >= 0:
        return reach | reach << amount, zero
    return reach | reach << -amount, zero - amount


def _outside(history: History, reads: Reads, read: int) -> Anomaly:
    value, lower, upper = int(reads.value[read]), int(reads.lower[read]), int(reads.upper[read])
    sentence = (
        f"Client {_client(history, reads, read)} read {value}, but the counter was "
        f"{f'{lower}' if lower == upper else f'between {lower} and {upper}'} then: the adds acknowledged before come "
        f"to {reads.base[read]}, and those that may have happened "
        f"{'change nothing' if lower == upper else 'make the rest'}."
    )
    return _anomaly(history, reads, read, sentence, "bounds")


def _uneven(history: History, reads: Reads, read: int) -> Anomaly:
    sentence = (
        f"Client {_client(history, reads, read)} read {reads.value[read]}. The adds acknowledged before come to "
        f"{reads.base[read]}, and no choice of those that may have happened makes the difference of "
        f"{reads.value[read] - reads.base[read]}."
    )
    return _anomaly(history, reads, read, sentence, "subset-sums")


def _together(history: History, reads: Reads, read: int) -> Anomaly:
    sentence = (
        f"Client {_client(history, reads, read)} read {reads.value[read]}. By itself this read could be, but no one "
        "choice of adds, in one order, explains it together with the reads before it."
    )
    return _anomaly(history, reads, read, sentence, "search")


def _client(history: History, reads: Reads, read: int) -> int:
    return int(history.process[reads.end[read]])


def _anomaly(history: History, reads: Reads, read: int, sentence: str, method: str) -> Anomaly:
    records = [int(history.index[reads.end[read]])]
    details = {
        "method": method,
        "read": int(reads.value[read]),
        "lower": int(reads.lower[read]),
        "upper": int(reads.upper[read]),
    }
    return Anomaly(TYPE, records, sentence, sub_history=records, details=details)
