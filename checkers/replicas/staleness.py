"""Bounded staleness: how old was what a read returned?

For each read: the time from the earliest moment at which a version later than the one it returned was known to be
there, to the read's invocation. A version is known from when its write was acknowledged, or a read that found it had
returned. Zero for a read that returned the newest known version. This informs: the distribution and the maximum; with
the option `max_staleness_ms` it judges, and a read older than that is `too-stale`.

Which version is later: in a list or set that grows, one with an element that is missing; in a register, a write that
began after the returned value was known, and what was made of it by compare-and-sets. Values must be unique for their
key; a value that was written twice is left out.

What was acknowledged happened, so it is a version, and a read without it is older, also where the database lost it: by
the answers nobody can tell what is lost from what is very late, and either breaks a bound. Told apart is only what is
seen: `unseen_since` counts the reads whose missing element no read showed that began after they had returned.

Source: Bailis et al., "Probabilistically Bounded Staleness for Practical Partial Quorums", VLDB 2012 (t-visibility);
Golab et al., "Analyzing Consistency Properties for Fun and Profit", PODC 2011 (Δ-atomicity, of which this is the bound
for each read from what is known). Cost: O(n log n) and the size of the lists read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.client_calls import NEVER, ClientCall
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.replicas.observations import NOTHING, Observations, Put, Seen, observations_of
from checkers.values import show
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Anomaly, Verdict

TOO_STALE = "too-stale"


class Staleness:
    """See the module's docstring.

    stats: `{reads, stale_reads, staleness_ms_p50, ..., staleness_ms_max, worst_op, unseen_since}`; the last only where
    some stale read missed an element that nobody saw again.
    """

    name = "staleness"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Measure, and judge if `max_staleness_ms` is above 0. Raises HistoryError for NaN."""
        limit_ms = float(options.workload.get("max_staleness_ms") or 0)
        seen = observations_of(history)
        measured = stale_reads(seen) if history.has_invocations else []
        findings = []
        for stale in measured:
            if limit_ms and stale.age_ns > limit_ms * 1e6 and stale.newer.timed:
                findings.append(_too_stale(stale, limit_ms))
        ages_ms = np.array([stale.age_ns / 1e6 for stale in measured])
        stats: dict[str, Any] = {"reads": len(seen.reads), "stale_reads": len(measured)}
        if len(ages_ms):
            for name, share in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)):
                stats[f"staleness_ms_{name}"] = round(float(np.percentile(ages_ms, share)), 3)
            stats["worst_op"] = measured[int(np.argmax(ages_ms))].read.call.record
        unseen_since = sum(stale.unseen_since for stale in measured)
        if unseen_since:
            stats["unseen_since"] = unseen_since
        reasons = []
        if limit_ms and seen.reads and not history.has_invocations:
            reasons.append("the history has no invocations: nothing is known about when a read began")
        elif limit_ms and seen.reads and not history.time_ns.any():
            reasons.append("the history does not tell times: how old what reads returned was is not known")
        model = options.model or "strict-serializable"
        return verdict_of(self.name, findings, options, model=model, undecided=reasons, stats=stats)


@dataclass(frozen=True)
class StaleRead:
    """A read that was not of the newest version: newer: the call from which a later one was known.

    missing: the element that it lacks, of a list or set. unseen_since: whether no later read showed that.
    """

    read: Seen
    newer: ClientCall
    missing: Hashable = None
    unseen_since: bool = False

    @property
    def age_ns(self) -> int:
        """How long the later version had been known when the read began."""
        return self.read.call.begin_ns - self.newer.end_ns


def stale_reads(seen: Observations) -> list[StaleRead]:
    """Every read that was not of the newest version known when it began."""
    puts: dict[Hashable, list[Put]] = defaultdict(list)
    reads: dict[Hashable, list[Seen]] = defaultdict(list)
    for put in seen.puts:
        puts[put.key].append(put)
    for read in seen.reads:
        reads[read.key].append(read)
    found = []
    for key, own in reads.items():
        if key in seen.removed:
            continue
        grows = any(put.grows for put in puts[key])
        found += (_of_list if grows else _of_register)(puts[key], own)
    return [stale for stale in found if stale.age_ns > 0]


def _of_list(puts: list[Put], reads: list[Seen]) -> list[StaleRead]:
    known, last_shown = _known_elements(puts, reads)
    order = sorted(known, key=lambda element: known[element].end)
    ends = [known[element].end for element in order]
    found = []
    for read in reads:
        there = set(read.elements or ())
        due = order[: bisect_right(ends, read.call.place)]
        missing = next((element for element in due if element not in there), NOTHING)
        if missing is not NOTHING:
            unseen_since = last_shown.get(missing, -1) < read.call.end
            found.append(StaleRead(read, known[missing], missing, unseen_since))
    return found


def _known_elements(puts: list[Put], reads: list[Seen]) -> tuple[dict[Hashable, ClientCall], dict[Hashable, int]]:
    """(element → the call from which it was known, element → the beginning of the last read that showed it)."""
    known: dict[Hashable, ClientCall] = {}
    last_shown: dict[Hashable, int] = {}
    for put in puts:
        if put.call.end != NEVER and put.call.end < (known[put.value].end if put.value in known else NEVER):
            known[put.value] = put.call
    for read in reads:
        for element in read.elements or ():
            last_shown[element] = max(last_shown.get(element, -1), read.call.place)
            if element not in known or read.call.end < known[element].end:
                known[element] = read.call
    return known, last_shown


def _of_register(puts: list[Put], reads: list[Seen]) -> list[StaleRead]:
    writes: dict[Hashable, list[Put]] = defaultdict(list)
    for put in puts:
        writes[put.value].append(put)
    only = {value: made[0] for value, made in writes.items() if len(made) == 1}
    known = {value: put.call for value, put in only.items() if put.call.end != NEVER}
    for read in reads:
        if read.value in only and (read.value not in known or read.call.end < known[read.value].end):
            known[read.value] = read.call
    by_begin = sorted((put for value, put in only.items() if value in known), key=lambda put: put.call.place)
    begins = [put.call.place for put in by_begin]
    earliest: list[ClientCall] = []
    """For each place in by_begin: of the writes from there on, the call from which the first was known."""
    for put in reversed(by_begin):
        call = known[put.value]
        earliest.append(call if not earliest or call.end < earliest[-1].end else earliest[-1])
    earliest.reverse()
    children: dict[Hashable, list[Put]] = defaultdict(list)
    for put in by_begin:
        if put.old is not NOTHING and put.old != put.value:
            children[put.old].append(put)
    later: dict[Hashable, ClientCall | None] = {}

    def later_than(value: Hashable) -> ClientCall | None:
        """The call from which the first version later than the value was known."""
        chain, todo = [value], [value]
        members = {value}
        while todo:
            for put in children.get(todo.pop(), ()):
                if put.value not in members:
                    members.add(put.value)
                    chain.append(put.value)
                    todo.append(put.value)
        candidates = [known[made] for made in chain[1:]]
        for made in chain:
            if made in known:
                candidates += earliest[bisect_right(begins, known[made].end) :][:1]
            elif made is None:
                candidates += earliest[:1]
        return min(candidates, key=lambda call: call.end, default=None)

    found = []
    for read in reads:
        if read.value not in only and not (read.value is None and None not in writes):
            continue
        if read.value not in later:
            later[read.value] = later_than(read.value)
        newer = later[read.value]
        if newer is not None and newer.end < read.call.place:
            found.append(StaleRead(read, newer))
    return found


def _too_stale(stale: StaleRead, limit_ms: float) -> Finding:
    read, newer = stale.read, stale.newer
    where = "" if read.key is None else f"Key {show(read.key)}: "
    if read.elements is None:
        what = f"{show(read.value)}, although a newer version"
    else:
        what = f"{len(read.elements)} elements without {show(stale.missing)}, although that"
    since = " No later read showed it: it is late, or lost." if stale.unseen_since else ""
    sentence = (
        f"{where}op {read.call.record} (client {read.call.process}, node {read.call.node}) returned {what} had been "
        f"known for {stale.age_ns / 1e6:.1f} ms when it began (op {newer.record}); {limit_ms:g} ms are allowed.{since}"
    )
    records = sorted({*read.call.records, *newer.records})
    anomaly = Anomaly(TOO_STALE, sorted({read.call.record, newer.record}), sentence, key=read.key, sub_history=records)
    return Finding(anomaly, ALWAYS)
