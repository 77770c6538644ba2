"""Locks: never two holders at once, tokens that only grow, and no update lost under the lock.

    acquire  [lock, null]  → ok [lock, token]     token: a fencing token (a whole number), or null
                           → fail                 somebody holds it
    update   [lock, token] → ok [lock, [token, seen, wrote]]     the guarded value before, and what was put there
    release  [lock, token] → ok [lock, token]
    acquire null, release null                    one lock, as Jepsen's tests record it

- `two-holders`: a client certainly held the lock from when it was told so until it began to give it back; two such
  times overlap. A client that never gave it back held it at the moment it was told. With leases (option `ttl_s`) a hold
  also ends `ttl_s` after the acquire began, by the controller's clock; a record without times is `unknown` then.
- `token-not-growing`: a lock was granted after another grant had been told, with a token that is not larger.
- `lost-update`: two updates rest on the same value, put there once, so one of them is gone: what a lock without
  fencing leads to when its holder stalls longer than its lease (Kleppmann, "How to do distributed locking", 2016).
  Premise: no update of unknown outcome puts an earlier value back, as with values that only grow.
- `fencing-broken`: an update was accepted with a token smaller than one whose update had been told before.
- `garbage-read`: an update found what nobody put there.

Every one of them counts, whatever the model: a lock that two hold is none. Necessary conditions; for the question
whether some order explains all, judge a mutex for linearizability.
Source: Jepsen's etcd and Hazelcast lock tests. Cost: O(n log n).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from checkers.client_calls import ClientCall, calls_of, pair_of, parts_of
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.values import freeze, show
from harness.checker import CheckOptions
from harness.history import FAIL, History, HistoryError
from harness.verdict import Anomaly, Verdict

TWO_HOLDERS = "two-holders"
_INITIAL = (None, 0)
"""What a guarded value may be before any update."""


@dataclass(frozen=True)
class Hold:
    """A time in which a client certainly held a lock: places, and the lease's end in ns."""

    acquire: ClientCall
    token: Any
    begin: int
    end: int
    begin_ns: int
    end_ns: float


class Lock:
    """See the module's docstring."""

    name = "lock"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every lock. Raises HistoryError for a value of another shape."""
        ttl_s = float(options.workload.get("ttl_s") or 0)
        locks: dict[Hashable, list[ClientCall]] = defaultdict(list)
        for call in calls_of(history, ("acquire", "update", "release"), only=True):
            locks[_lock_of(call)].append(call)
        findings: list[Finding] = []
        holds_in_all = updates = 0
        timeless = False
        for key, calls in locks.items():
            holds = list(_holds(calls, ttl_s))
            holds_in_all += len(holds)
            updates += sum(call.ok and call.f == "update" for call in calls)
            if history.has_invocations:
                findings += _overlaps(key, [hold for hold in holds if hold.acquire.timed] if ttl_s else holds)
                findings += _tokens(key, holds)
            findings += _updates(key, calls, fenced=history.has_invocations)
            timeless = timeless or any(not hold.acquire.timed for hold in holds)
        reasons = [] if history.has_invocations or not locks else ["the history has no invocations: no hold is known"]
        if ttl_s and timeless and history.has_invocations:
            reasons.append("the history does not tell the time of every acquire: when its lease ended is not known")
        stats = {"locks": len(locks), "acquired": holds_in_all, "updates": updates}
        model = options.model or "linearizable"
        return verdict_of(self.name, findings, options, model=model, undecided=reasons, stats=stats)


def _lock_of(call: ClientCall) -> Hashable:
    if call.argument is None:
        return None
    return freeze(pair_of(call.argument, call.index, "[lock, token]")[0], call.index)


def _token_of(call: ClientCall) -> Any:
    if call.result is None or call.argument is None:
        return None
    return pair_of(call.result, call.record, "[lock, token]")[1]


def _holds(calls: list[ClientCall], ttl_s: float) -> Iterator[Hold]:
    """In the order in which clients were told."""
    holding: dict[int, tuple[ClientCall, Any]] = {}
    found: list[Hold] = []

    def end(process: int, place: int | None) -> None:
        acquire, token = holding.pop(process)
        until_ns = acquire.begin_ns + ttl_s * 1e9 if ttl_s else math.inf
        found.append(
            Hold(acquire, token, acquire.end, acquire.end if place is None else place, acquire.end_ns, until_ns)
        )

    for call in sorted(calls, key=lambda call: call.place):
        if call.process in holding and call.f in ("release", "acquire"):
            end(call.process, call.place if call.f == "release" else None)
        if call.f == "acquire" and call.ok:
            holding[call.process] = (call, _token_of(call))
    for process in list(holding):
        end(process, None)
    return iter(sorted(found, key=lambda hold: hold.begin))


def _overlaps(key: Hashable, holds: list[Hold]) -> Iterator[Finding]:
    """Holds in the order of their beginnings; each is told with that one, of those that last on, which ends last.

    Which gave it back last need not be the one whose lease ends last, so all that have not ended by both are kept.
    """
    lasting: list[Hold] = []
    for hold in holds:
        lasting = [other for other in lasting if hold.begin < other.end and hold.begin_ns < other.end_ns]
        if lasting:
            longest = max(lasting, key=lambda other: (other.end, other.end_ns))
            words = (
                f"client {longest.acquire.process} held it from op {longest.acquire.record} on and had not begun to "
                f"give it back when client {hold.acquire.process} was told that it has it (op {hold.acquire.record}, "
                f"{hold.acquire.moment})"
            )
            yield _finding(TWO_HOLDERS, key, [longest.acquire, hold.acquire], words)
        lasting.append(hold)


def _tokens(key: Hashable, holds: list[Hold]) -> Iterator[Finding]:
    best: Hold | None = None
    pending = sorted((hold for hold in holds if type(hold.token) is int), key=lambda hold: hold.begin)
    told = 0
    for hold in sorted(pending, key=lambda hold: hold.acquire.place):
        while told < len(pending) and pending[told].begin < hold.acquire.place:
            if best is None or pending[told].token > best.token:
                best = pending[told]
            told += 1
        if best is not None and hold.token <= best.token:
            words = (
                f"token {best.token} had been given out (op {best.acquire.record}) before op {hold.acquire.record} "
                f"began, which got {hold.token}: tokens must grow, else they protect nothing"
            )
            yield _finding("token-not-growing", key, [best.acquire, hold.acquire], words)


def _updates(key: Hashable, calls: list[ClientCall], *, fenced: bool) -> Iterator[Finding]:
    """fenced: whether it is known which updates began after others were told."""
    done: list[tuple[ClientCall, Any, Hashable, Hashable]] = []
    may_write = any(call.f == "update" and call.outcome != FAIL and not call.ok for call in calls)
    for call in calls:
        if call.f == "update" and call.ok:
            shape = "[lock, [token, seen, wrote]]"
            parts = parts_of(pair_of(call.result, call.record, shape)[1], call.record, shape)
            if len(parts) != 3:
                raise HistoryError(f"index {call.record}: expected {shape}, got {show(call.result)}")
            token, seen, wrote = parts
            done.append((call, token, freeze(seen, call.record), freeze(wrote, call.record)))
    wrote_by = Counter(wrote for _, _, _, wrote in done)
    first: dict[Hashable, ClientCall] = {}
    for call, _, seen, _ in done:
        other = first.setdefault(seen, call)
        put_there_again = wrote_by[seen] > 1 or (seen in _INITIAL and wrote_by[seen])
        if other is not call and not put_there_again:
            words = (
                f"clients {other.process} (op {other.record}) and {call.process} (op {call.record}) both found "
                f"{show(seen)} and wrote on top of it: one of the two updates is lost"
            )
            yield _finding("lost-update", key, [other, call], words)
        if seen not in wrote_by and seen not in _INITIAL and not may_write:
            words = f"op {call.record} found {show(seen)}, which nobody put there"
            yield _finding("garbage-read", key, [call], words)
    if fenced:
        yield from _fencing(key, [(call, token) for call, token, _, _ in done if type(token) is int])


def _fencing(key: Hashable, updates: list[tuple[ClientCall, int]]) -> Iterator[Finding]:
    ended = sorted(updates, key=lambda each: each[0].end)
    best: tuple[ClientCall, int] | None = None
    told = 0
    for call, token in sorted(updates, key=lambda each: each[0].place):
        while told < len(ended) and ended[told][0].end < call.place:
            if best is None or ended[told][1] > best[1]:
                best = ended[told]
            told += 1
        if best is not None and token < best[1]:
            words = (
                f"op {call.record} was accepted with token {token}, after an update with token {best[1]} had been "
                f"(op {best[0].record})"
            )
            yield _finding("fencing-broken", key, [best[0], call], words)


def _finding(kind: str, key: Hashable, calls: list[ClientCall], words: str) -> Finding:
    title = "The lock" if key is None else f"Lock {show(key)}"
    records = sorted({record for call in calls for record in call.records})
    ops = sorted({call.record for call in calls})
    return Finding(Anomaly(kind, ops, f"{title}: {words}.", key=key, sub_history=records), ALWAYS)
