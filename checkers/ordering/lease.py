"""Leases: a key under a lease is there until the lease's time is up or somebody revokes it, and not afterwards.

    grant   [key, null] → ok [key, ttl]    the key was written under a new lease of `ttl` seconds
    keep    [key, null] → ok [key, ttl]    the lease's time begins anew
    revoke  [key, null] → ok [key, null]   the lease is ended, and the key with it
    read    [key, null] → ok [key, true]   whether the key is there

- `expired-early`: a read that began after the grant was told did not find the key, though it returned before the time
  was up of the grant or of a renewal told before the read began, and nobody had asked to revoke it. The time is
  counted from when the grant or renewal was *asked for*, by the controller's clock: the database began to count later.
- `outlived-lease`: a read found the key though it began after a revocation had been told, or after another read, begun
  after the grant was told, had not found it.

Both count, whatever the model. That a key stays longer than its lease is no anomaly (a database may be late); how much
longer is among the figures. A key is granted once: where another grant of it may have happened, it is `unknown`. So is
what a read did not find if the record does not tell when. Cost: O(calls of a key · log) for each key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Any

from checkers.client_calls import ClientCall, calls_of, pair_of
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.values import freeze, show
from harness.checker import CheckOptions
from harness.history import FAIL, INFO, History, HistoryError
from harness.verdict import Anomaly, Verdict

SHAPE = "[key, ttl or whether it is there]"
SECOND_NS = 1_000_000_000
REASONS_MAX = 8


class Lease:
    """See the module's docstring."""

    name = "lease"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every key. Raises HistoryError for a value of another shape, or a key that is granted twice."""
        by_key: dict[Hashable, list[ClientCall]] = defaultdict(list)
        for call in calls_of(history, ("grant", "keep", "revoke", "read"), only=True):
            by_key[freeze(pair_of(call.argument, call.index, SHAPE)[0], call.index)].append(call)
        findings: list[Finding] = []
        counts = dict.fromkeys(("granted", "renewed", "revoked", "reads"), 0)
        late_ms: list[float] = []
        undecided: list[str] = []
        for key, calls in by_key.items():
            for name, f in zip(counts, ("grant", "keep", "revoke", "read")):
                counts[name] += sum(call.ok and call.f == f for call in calls)
            if history.has_invocations:
                findings += _of_key(key, calls, late_ms, undecided)
        reasons = [] if history.has_invocations or not by_key else ["the history has no invocations: no time is known"]
        reasons += undecided[:REASONS_MAX]
        stats: dict[str, Any] = {**counts, "seen_late_ms_max": round(max(late_ms, default=0.0), 1)}
        model = options.model or "linearizable"
        return verdict_of(self.name, findings, options, model=model, undecided=reasons, stats=stats)


def _of_key(key: Hashable, calls: list[ClientCall], late_ms: list[float], undecided: list[str]) -> Iterator[Finding]:
    grants = [call for call in calls if call.f == "grant" and call.ok]
    if not grants:
        return
    if len(grants) > 1:
        raise HistoryError(f"index {grants[1].record}: key {show(key)} is granted a second time")
    grant = grants[0]
    other = next((call for call in calls if call.f == "grant" and call.outcome == INFO), None)
    if other is not None:
        undecided.append(f"key {show(key)} may have been granted twice (ops {other.record} and {grant.record})")
        return
    promises = [grant, *(call for call in calls if call.f == "keep" and call.ok)]
    revokes = [call for call in calls if call.f == "revoke" and call.outcome != FAIL]
    reads = [call for call in calls if call.f == "read" and call.ok and call.place > grant.end]
    absent = [call for call in reads if not _answer(call)]
    timeless = next((read for read in absent if not read.timed), None)
    if timeless is not None:
        undecided.append(f"key {show(key)}: when op {timeless.record} did not find it is not known")
    for read in absent:
        if not read.timed:
            continue
        told = max((call for call in promises if call.end < read.place), key=_until_ns)
        if read.end_ns < _until_ns(told) and not any(revoke.place < read.end for revoke in revokes):
            left_s = (_until_ns(told) - read.end_ns) / SECOND_NS
            words = (
                f"op {told.record} was told that it is there for {_ttl_s(told):g} s, but op {read.record} did not "
                f"find it, {left_s:.2f} s before that time was up, and nobody had revoked its lease"
            )
            yield _finding("expired-early", key, [grant, told, read], words)
    ends = [*(call for call in revokes if call.ok), *absent]
    first = min(ends, key=lambda call: call.end, default=None)
    until_ns = max(_until_ns(call) for call in promises)
    for read in reads:
        if not _answer(read):
            continue
        if first is not None and read.place > first.end:
            what = "had revoked its lease" if first.f == "revoke" else "had not found it any more"
            words = f"op {read.record} found it, though op {first.record} {what} before that began"
            yield _finding("outlived-lease", key, [grant, first, read], words)
        elif read.begin_ns > until_ns:
            late_ms.append((read.begin_ns - until_ns) / 1e6)


def _answer(read: ClientCall) -> bool:
    there = pair_of(read.result, read.record, SHAPE)[1]
    if type(there) is not bool:
        raise HistoryError(f"index {read.record}: expected [key, true or false], got {show(read.result)}")
    return there


def _ttl_s(call: ClientCall) -> float:
    ttl_s = pair_of(call.result, call.record, SHAPE)[1]
    if type(ttl_s) not in (int, float):
        raise HistoryError(f"index {call.record}: expected [key, seconds], got {show(call.result)}")
    return float(ttl_s)


def _until_ns(call: ClientCall) -> float:
    return call.begin_ns + _ttl_s(call) * SECOND_NS


def _finding(kind: str, key: Hashable, calls: list[ClientCall], words: str) -> Finding:
    records = sorted({record for call in calls for record in call.records})
    ops = sorted({call.record for call in calls})
    return Finding(Anomaly(kind, ops, f"Key {show(key)}: {words}.", key=key, sub_history=records), ALWAYS)
