"""The crew: one seat a thread, with its worker, its session's state, and when it connects again.

A seat takes ops while it is connected. It connects at once after it lost a session, and after a doubling pause while
sessions can't be opened or are lost before they do anything. A worker that overstays its deadline is abandoned and
replaced; abandoned workers are counted, and too many of them end the run: their driver never gives up.

Owned by the dispatcher's thread, like the roster that it keeps up to date.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, Protocol

import msgspec

from harness.errors import InfrastructureError
from harness.generator.timing import SECOND_NS
from harness.op import Op
from harness.roster import Roster
from harness.stall import StallGate
from harness.target import Session, SessionContext, Timeouts
from harness.worker import EXIT, Connect, Disconnect, Worker

BACKOFF_FIRST_NS, BACKOFF_MOST_NS = 100_000_000, 500_000_000
ABANDONED_PER_WORKER = 4
"""How many abandoned threads may live for each worker."""
EXIT_S = 1.0
"""How long threads may take to end when all is over; they are daemons and end with the process otherwise."""


class HasName(Protocol):
    """What must be known of a node."""

    @property
    def name(self) -> str: ...


class Seat(msgspec.Struct):
    """One thread: who works there, on what, until when.

    error: why the last attempt to connect failed, until an op has been failed with it. op: the one in flight.
    deadline_ns: of the op, or of the attempt to connect. attempts: to connect, since the last ok op.
    """

    thread: int
    worker: Worker
    connected: bool = False
    connecting: bool = False
    error: str | None = None
    attempts: int = 0
    retry_ns: int = 0
    op: Op | None = None
    deadline_ns: int = 0


class Crew:
    """The seats of a run. reports: where workers report. hurry: ends pauses within transactions."""

    def __init__(
        self,
        roster: Roster,
        reports: SimpleQueue[Any],
        open_session: Callable[[Any, SessionContext], Session],
        nodes: Sequence[HasName],
        *,
        timeouts: Timeouts,
        options: Mapping[str, Any],
        stall_gate: StallGate | None,
        seed: int,
        hurry: threading.Event,
    ) -> None:
        self._roster = roster
        self._reports = reports
        self._open_session = open_session
        self._nodes = list(nodes)
        self._timeouts = timeouts
        self._options = dict(options)
        self._gate = stall_gate
        self._seed = seed
        self._hurry = hurry
        self._connect_ns = round((timeouts.connect_s + timeouts.op_s) * SECOND_NS)
        self._abandoned: list[threading.Thread] = []
        self.seats = [Seat(thread, self._worker(thread)) for thread in range(roster.concurrency)]

    def connect(self, seat: Seat, now_ns: int) -> None:
        """Let the worker open a session, if the pause is over; it takes no ops meanwhile."""
        if now_ns >= seat.retry_ns:
            self._roster.withdraw(seat.thread)
            seat.connecting, seat.error = True, None
            seat.deadline_ns = now_ns + self._connect_ns
            seat.worker.inbox.put(Connect(self._roster.processes[seat.thread]))

    def connected(self, seat: Seat) -> None:
        """The session is open: the seat takes ops."""
        seat.connecting, seat.connected = False, True
        self._roster.release(seat.thread)

    def refused(self, seat: Seat, error: str, now_ns: int) -> None:
        """No session: the seat takes one op, to fail it, and tries again after a pause."""
        seat.connecting, seat.connected, seat.error = False, False, error
        seat.attempts = max(1, seat.attempts)
        self._back_off(seat, now_ns)
        self._roster.release(seat.thread)

    def overdue(self, seat: Seat, now_ns: int) -> None:
        """Connecting has taken too long: the worker is replaced."""
        self.replace(seat)
        self.refused(seat, f"could not connect: no answer in {self._connect_ns / 1e9:g} s", now_ns)

    def lost(self, seat: Seat, now_ns: int) -> None:
        """The session is gone: the seat goes on under a new process, once it is connected again."""
        seat.connected = False
        self._roster.retire(seat.thread)
        self._back_off(seat, now_ns)

    def replace(self, seat: Seat) -> None:
        """Abandon a seat's worker and put a new one there. Raises InfrastructureError when too many hang."""
        self._abandon(seat)
        hanging = sum(isinstance(thread, Worker) for thread in self._abandoned)
        if hanging > ABANDONED_PER_WORKER * self._roster.concurrency:
            raise InfrastructureError(
                f"{hanging} threads hang in sessions that were shut at their deadline, more than "
                f"{ABANDONED_PER_WORKER} for each of {self._roster.concurrency} workers: the driver does not give up"
            )

    def _abandon(self, seat: Seat) -> None:
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        self._abandoned += [seat.worker, seat.worker.abandon()]
        seat.worker = self._worker(seat.thread)

    def disconnect(self, timeout_s: float) -> int:
        """Close all sessions, abandoned ones too; how many threads still hang after `timeout_s`. Never raises."""
        end = time.monotonic() + timeout_s
        closing: list[tuple[Seat, threading.Event]] = []
        for seat in self.seats:
            if seat.connecting or seat.op is not None:
                self._abandon(seat)
            elif seat.connected:
                closing.append((seat, threading.Event()))
                seat.worker.inbox.put(Disconnect(closing[-1][1]))
            self._roster.retire(seat.thread)
            seat.connected, seat.connecting, seat.error, seat.op = False, False, None, None
            seat.attempts, seat.retry_ns = 0, 0
        for seat, done in closing:
            if not done.wait(max(0.0, end - time.monotonic())):
                self._abandon(seat)
        for thread in self._abandoned:
            thread.join(max(0.0, end - time.monotonic()))
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        return len(self._abandoned)

    def dismiss(self) -> None:
        """End the threads. After `disconnect`."""
        for seat in self.seats:
            seat.worker.inbox.put(EXIT)
        end = time.monotonic() + EXIT_S
        for seat in self.seats:
            seat.worker.join(max(0.0, end - time.monotonic()))

    def _back_off(self, seat: Seat, now_ns: int) -> None:
        wait_ns = min(BACKOFF_MOST_NS, BACKOFF_FIRST_NS << min(seat.attempts - 1, 10)) if seat.attempts else 0
        seat.attempts += 1
        seat.retry_ns = now_ns + wait_ns

    def _worker(self, thread: int) -> Worker:
        node = self._nodes[thread % len(self._nodes)] if self._nodes else None

        def open_session(process: int, between_statements: Callable[[], None]) -> Session:
            return self._open_session(node, SessionContext(process, self._timeouts, between_statements, self._options))

        rng = random.Random(f"{self._seed}/stall/{self._roster.processes[thread]}")
        worker = Worker(thread, self._reports, open_session, self._gate, rng, self._hurry)
        worker.start()
        return worker
