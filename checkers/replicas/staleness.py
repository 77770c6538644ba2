"""Bounded staleness: how old was what a read returned?

For each read: the time from the earliest moment at which a version later than the one it returned was known to be
there, to the read's invocation. A version is known from when its write was acknowledged, or a read that found it had
returned. Zero for a read that returned the newest known version. This informs: the distribution and the maximum; with
the option `max_staleness_ms` it judges, and a read older than that is `too-stale`.

Which version is later: in a list or set that grows, an element that is missing and was seen again afterwards (else it
may be lost, which is not staleness); in a register, a write that began after the returned value was known, and what was
made of it by compare-and-sets. Values must be unique for their key; a value that was written twice is left out.

Source: Bailis et al., "Probabilistically Bounded Staleness for Practical Partial Quorums", VLDB 2012 (t-visibility);
Golab et al., "Analyzing Consistency Properties for Fun and Profit", PODC 2011 (Δ-atomicity, of which this is the bound
for each read from what is known). Cost: O(n log n) and the size of the lists read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable
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
    """See the module's docstring. stats: `{reads, stale_reads, staleness_ms_p50, ..., staleness_ms_max, worst_op}`."""

    name = "staleness"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Measure, and judge if `max_staleness_ms` is above 0. Raises HistoryError for NaN."""
        limit_ms = float(options.workload.get("max_staleness_ms") or 0)
        seen = observations_of(history)
        measured = stale_reads(seen) if history.has_invocations else []
        findings = []
        for read, newer, age_ns in measured:
            if limit_ms and age_ns > limit_ms * 1e6 and newer.end_ns > 0:
                findings.append(_too_stale(read, newer, age_ns, limit_ms))
        ages_ms = np.array([age_ns / 1e6 for _, _, age_ns in measured])
        stats: dict[str, Any] = {"reads": len(seen.reads), "stale_reads": len(measured)}
        if len(ages_ms):
            for name, share in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)):
                stats[f"staleness_ms_{name}"] = round(float(np.percentile(ages_ms, share)), 3)
            stats["worst_op"] = measured[int(np.argmax(ages_ms))][0].call.record
        reasons = []
        if limit_ms and seen.reads and not history.has_invocations:
            reasons.append("the history has no invocations: nothing is known about when a read began")
        elif limit_ms and seen.reads and not history.time_ns.any():
            reasons.append("the history does not tell times: how old what reads returned was is not known")
        model = options.model or "strict-serializable"
        return verdict_of(self.name, findings, options, model=model, undecided=reasons, stats=stats)


def stale_reads(seen: Observations) -> list[tuple[Seen, ClientCall, int]]:
    """(read, the call from which the later version was known, age in ns) of every read that was not of the newest."""
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
    return [each for each in found if each[2] > 0]


def _of_list(puts: list[Put], reads: list[Seen]) -> list[tuple[Seen, ClientCall, int]]:
    known, last_seen = _known_elements(puts, reads)
    order = sorted(known, key=lambda element: known[element].end)
    ends = [known[element].end for element in order]
    found = []
    for read in reads:
        there = set(read.elements or ())
        for element in order[: bisect_right(ends, read.call.place)]:
            if element not in there and last_seen.get(element, -1) > read.call.place:
                found.append((read, known[element], read.call.begin_ns - known[element].end_ns))
                break
    return found


def _known_elements(puts: list[Put], reads: list[Seen]) -> tuple[dict[Hashable, ClientCall], dict[Hashable, int]]:
    """(element → the call from which it was known, element → the end of the last read that saw it)."""
    known: dict[Hashable, ClientCall] = {}
    last_seen: dict[Hashable, int] = {}
    for put in puts:
        if put.call.end != NEVER and put.call.end < (known[put.value].end if put.value in known else NEVER):
            known[put.value] = put.call
    for read in reads:
        for element in read.elements or ():
            last_seen[element] = max(last_seen.get(element, -1), read.call.end)
            if element not in known or read.call.end < known[element].end:
                known[element] = read.call
    return known, last_seen


def _of_register(puts: list[Put], reads: list[Seen]) -> list[tuple[Seen, ClientCall, int]]:
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
            found.append((read, newer, read.call.begin_ns - newer.end_ns))
    return found


def _too_stale(read: Seen, newer: ClientCall, age_ns: int, limit_ms: float) -> Finding:
    what = show(read.value) if read.elements is None else f"{len(read.elements)} elements"
    where = "" if read.key is None else f"Key {show(read.key)}: "
    sentence = (
        f"{where}op {read.call.record} (client {read.call.process}, node {read.call.node}) returned {what}, although "
        f"a newer version had been known for {age_ns / 1e6:.1f} ms when it began (op {newer.record}); "
        f"{limit_ms:g} ms are allowed."
    )
    records = sorted({*read.call.records, *newer.records})
    anomaly = Anomaly(TOO_STALE, sorted({read.call.record, newer.record}), sentence, key=read.key, sub_history=records)
    return Finding(anomaly, ALWAYS)
