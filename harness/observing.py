"""What is seen of a database from outside while a run is on: who leads, and how far replicas are behind.

Two leaders at once, or a replica that fell behind before a failover, explain what clients later find; neither shows
in any client's op. So each ability of the target (`HasPrimaries`, `HasLeaders`, `HasReplicationLag`) is polled in a
thread of its own, and what it answers is recorded between the ops, as Jepsen records its nemesis':

    invoke  primaries        null
    info    primaries        [{"node": "n1", "primary": "n1", "term": 7}]     who says of itself that it leads
    info    replication-lag  [{"replica": "n2", "bytes": 1320}]

all of process `nemesis`. What a poll saw was so at some moment between its two records: its beginning is in the record
before anything is asked. Nothing waits for a poll: one that fails or takes longer than `POLL_LIMIT_S` leaves no answer
in the record, and none begins while an earlier one of its kind still hangs. Cost: a few small records a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

from harness.nodes.base import Cluster
from harness.op import LAG, PRIMARIES, Op
from harness.target import HasLeaders, HasPrimaries, HasReplicationLag, Target

PRIMARIES_INTERVAL_S: Final = 0.5
LAG_INTERVAL_S: Final = 1.0
POLL_LIMIT_S: Final = 5.0
"""An answer that took longer is left out: it tells of nothing that a reader could place in time."""
ANSWER_S: Final = 0.1
"""How often a thread that waits for its record to be written looks whether it is to end."""
CLOSE_S: Final = 1.0
"""How long `close` waits for a poll; it is asked by a daemon thread, which ends with the run's nodes at the latest."""


@dataclass
class Poll:
    """One kind of observation. ask() → its value. timed: whether its beginning is recorded too.

    answered, failed: how many polls there were; last_error: of the last that failed.
    """

    f: str
    interval_s: float
    ask: Callable[[], Any]
    timed: bool = False
    answered: int = 0
    failed: int = 0
    last_error: str = ""


def polls_of(target: Target, cluster: Cluster) -> list[Poll]:
    """What this target can be asked."""
    polls = []
    if isinstance(target, HasLeaders):
        polls.append(Poll(PRIMARIES, PRIMARIES_INTERVAL_S, lambda: _leaders(target, cluster), timed=True))
    elif isinstance(target, HasPrimaries):
        polls.append(Poll(PRIMARIES, PRIMARIES_INTERVAL_S, lambda: _primaries(target, cluster), timed=True))
    if isinstance(target, HasReplicationLag):
        polls.append(Poll(LAG, LAG_INTERVAL_S, lambda: _lag(target, cluster)))
    return polls


def _leaders(target: HasLeaders, cluster: Cluster) -> list[dict[str, Any]]:
    return [{"node": one.node, "primary": one.node, "term": one.term} for one in target.leaders(cluster)]


def _primaries(target: HasPrimaries, cluster: Cluster) -> list[dict[str, Any]]:
    return [{"node": name, "primary": name, "term": None} for name in target.primaries(cluster)]


def _lag(target: HasReplicationLag, cluster: Cluster) -> list[dict[str, Any]]:
    return [{"replica": name, "bytes": number} for name, number in target.replication_lag(cluster).items()]


class Observer:
    """Polls until it is closed.

    record(op) → a queue that gets the op once it is in the journal; it may never (the run has ended).
    """

    def __init__(self, polls: list[Poll], record: Callable[[Op], SimpleQueue[Any]]) -> None:
        self.polls = polls
        self._record = record
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, args=(poll,), name=f"observing {poll.f}", daemon=True) for poll in polls
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Begin no further poll; wait a moment for those that have begun."""
        self._closed.set()
        deadline_s = time.monotonic() + CLOSE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def describe(self) -> dict[str, Any]:
        """How many polls of each kind were answered and how many failed, for the run's environment."""
        return {
            poll.f: {"answered": poll.answered, "failed": poll.failed, "last_error": poll.last_error or None}
            for poll in self.polls
        }

    def _look(self, poll: Poll) -> None:
        while not self._closed.is_set():
            began_s = time.monotonic()
            if not poll.timed or self._recorded(Op("invoke", poll.f)):
                self._poll(poll)
            self._closed.wait(max(0.0, began_s + poll.interval_s - time.monotonic()))

    def _poll(self, poll: Poll) -> None:
        began_s = time.monotonic()
        try:
            value = poll.ask()
            if time.monotonic() - began_s > POLL_LIMIT_S:
                raise TimeoutError(f"took {time.monotonic() - began_s:.1f} s")
        except Exception as error:  # a database under faults may answer anything; the run goes on
            poll.failed += 1
            poll.last_error = f"{type(error).__name__}: {error}"[:200]
        else:
            if self._recorded(Op("info", poll.f, value)):
                poll.answered += 1

    def _recorded(self, op: Op) -> bool:
        """Whether it is in the journal; False when the observer was closed before."""
        answer = self._record(op)
        while not self._closed.is_set():
            try:
                answer.get(timeout=ANSWER_S)
            except Empty:
                continue
            return True
        return False
