"""The interpreter: pulls ops from a generator, hands them to workers, and records everything in one order.

One dispatcher (the thread that calls `run`) owns the generator, the roster, the journal and the order of records; it
gives every record its index and its time. An invocation is in the journal before its worker may send; a completion
after the session returned. Workers (`harness.worker`) and fault lanes (`harness.lane`) talk to it through one queue.

- A worker (`harness.crew`) takes ops only while it has a session, opened up to the server's handshake. When opening
  fails, the next op that comes is invoked and fails with `could not connect: ...` (it was never sent), and the opening
  is tried again after a pause that doubles: at most one failed op for each attempt.
- An op that outlives its deadline is recorded as `info` (`fail` if it writes nothing), its session is shut, its worker
  abandoned and replaced.
- A session that is lost ends its process; the worker goes on under the next one (`harness.roster`). It connects again
  at once, and after a doubling pause while sessions are lost before they do anything.

Cost: about 30 µs an op, most of it Python's switching between threads.
"""

from __future__ import annotations

import gc
import itertools
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any

import msgspec

from harness.crew import Crew, HasName, Seat
from harness.errors import InfrastructureError
from harness.generator import EXHAUSTED, Generator, Pending, Source, lift
from harness.generator.timing import SECOND_NS
from harness.journal import Journal
from harness.lane import Lane, LaneState, LaneThread
from harness.mailbox import take
from harness.op import NEMESIS, Op
from harness.progress import Phase, Progress
from harness.roster import Roster
from harness.stall import StallGate
from harness.target import Session, SessionContext, Timeouts
from harness.worker import Report

SWITCH_INTERVAL_S = 1e-4
"""How long a thread may keep the interpreter lock: with Python's 5 ms one busy thread lifts p99 from 2 to 46 ms."""
HOUSEKEEPING_NS = 20_000_000
"""How often deadlines, pauses and the journal's buffer are looked after."""
IDLE_NS = 1_000_000
"""When to ask a generator again that can't say when it has something."""
STOP_GRACE_NS = SECOND_NS
"""How long ops in flight may go on after `stop`."""
LANE_CLOSE_NS = 300 * SECOND_NS
"""How long lanes may take to heal at the end of `run`: a member that joins again copies its data first."""


class Recording(msgspec.Struct, frozen=True):
    """A thread's wish to have an op of the nemesis recorded; the answer is the op as recorded."""

    op: Op
    answer: SimpleQueue[Any]


class Interpreter:
    """Runs generators against sessions. `run` may be called several times: index, time and processes go on.

    open_session(node, context): connects up to the server's handshake reply. options: for the session's context.
    seed: every random stream (clients, each lane, each worker's stalls) is derived from it.
    progress: live counters. unmapped: exceptions that no table has, by class.
    """

    def __init__(
        self,
        journal: Journal,
        open_session: Callable[[Any, SessionContext], Session],
        nodes: Sequence[HasName],
        *,
        concurrency: int,
        timeouts: Timeouts,
        seed: int,
        options: Mapping[str, Any] | None = None,
        stall_gate: StallGate | None = None,
    ) -> None:
        self.progress = Progress()
        self.unmapped = self.progress.unmapped
        self._journal = journal
        self._seed = seed
        self._roster = Roster(concurrency, [node.name for node in nodes], random.Random(f"{seed}/clients"))
        self._reports: SimpleQueue[Report | Recording | None] = SimpleQueue()
        self._origin_ns = time.monotonic_ns()
        self._index = 0
        self._fault_ids = itertools.count(1)
        self._deadline_ns = round(timeouts.op_s * SECOND_NS)
        self._stop_error: BaseException | None = None
        self._stopped_ns: int | None = None
        self._hurry = threading.Event()
        self._lanes_end_ns = 0
        self._generator: Generator = EXHAUSTED
        self._phase = Phase()
        self._crew = Crew(
            self._roster,
            self._reports,
            open_session,
            nodes,
            timeouts=timeouts,
            options=options or {},
            stall_gate=stall_gate,
            seed=seed,
            hurry=self._hurry,
        )

    # -- what the runner calls

    def run(self, source: Source, lanes: Iterable[Lane] = ()) -> Phase:
        """Run until the source is exhausted, every op has completed and every lane has healed; what happened.

        Lanes are told to end when the source is exhausted. Raises InfrastructureError (a lane lost its agent, too
        many workers hang, the disk is full) or what the generator raised, after the lanes have healed.
        """
        interval_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.freeze()
        self._generator, self._phase = lift(source), Phase()
        threads = [
            LaneThread(LaneState(lane, self._fault_ids, self._seed), self._record_from_lane, self.now_ns)
            for lane in lanes
        ]
        try:
            for thread in threads:
                thread.start()
            self._work(threads)
        except BaseException:
            self._rescue(threads)
            raise
        finally:
            sys.setswitchinterval(interval_s)
            gc.unfreeze()
        failure = self._stop_error or next((thread.failure for thread in threads if thread.failure), None)
        if failure is not None:
            raise failure if isinstance(failure, InfrastructureError) else as_infrastructure(failure)
        return self._phase

    def mark(self, phase: str) -> None:
        """Record that a phase begins: an `info` of process nemesis with f `phase`. Not while `run` is at work."""
        self._record(Op("info", "phase", phase))

    def record(self, op: Op) -> SimpleQueue[Any]:
        """Have an op of process nemesis recorded, from any thread: at once while `run` is at work, else in its next
        call, if there is one. The queue gets the op with its index and time once it is in the journal.
        """
        answer: SimpleQueue[Any] = SimpleQueue()
        self._reports.put(Recording(op, answer))
        return answer

    def stop(self, error: BaseException | None = None) -> None:
        """End `run` soon, from any thread or a signal handler: no more ops, lanes heal, ops in flight get a second.

        error: what `run` then raises; None: it returns as if its source were exhausted, with `stopped` set. Later
        calls of `run` still work: call `resume` first.
        """
        self._stop_error = self._stop_error or error
        self._stopped_ns = self._stopped_ns or self.now_ns()
        self._hurry.set()
        self._reports.put(None)  # a signal in mid-wait may leave the wait without an end (see harness.mailbox)

    def resume(self) -> None:
        """Let `run` work again after `stop` (for final reads of what there is)."""
        self._stop_error, self._stopped_ns = None, None
        self._hurry.clear()

    def close_sessions(self, timeout_s: float = 10.0) -> int:
        """Close all sessions, abandoned ones too: the next `run` opens new ones, under new processes.

        Not while `run` is at work. Returns how many abandoned threads still hang after `timeout_s`.
        """
        return self._crew.disconnect(timeout_s)

    def close(self) -> None:
        """Close all sessions and end all threads that can end. The journal stays open."""
        self._crew.disconnect(timeout_s=10.0)
        self._crew.dismiss()

    def now_ns(self) -> int:
        """The run's clock: monotonic nanoseconds since the interpreter was made."""
        return time.monotonic_ns() - self._origin_ns

    # -- the dispatcher's loop

    def _work(self, lanes: list[LaneThread]) -> None:
        roster, reports = self._roster, self._reports
        exhausted = False
        housekeeping_ns = 0
        self._lanes_end_ns = 0
        while True:
            for _ in range(reports.qsize()):
                self._take(reports.get())
            now_ns = self.now_ns()
            if now_ns >= housekeeping_ns:
                housekeeping_ns = now_ns + HOUSEKEEPING_NS
                self._housekeep(now_ns, connect=not exhausted)
                exhausted = exhausted or self._stopped_ns is not None or any(lane.failure for lane in lanes)
                now_ns = self.now_ns()
            wake_ns = housekeeping_ns
            while not exhausted and roster.free:
                step = self._generator.next(roster.context(now_ns))
                if step is None:
                    exhausted = True
                    break
                op, rest = step
                if isinstance(op, Pending):
                    self._generator = rest
                    wake_ns = min(wake_ns, op.until_ns or now_ns + IDLE_NS)
                    break
                if op.time_ns > now_ns:
                    wake_ns = min(wake_ns, op.time_ns)
                    break
                self._generator = rest
                self._invoke(op, now_ns)
                now_ns = self.now_ns()
            if exhausted:
                if not self._lanes_end_ns:
                    self._close_lanes(lanes)
                if not roster.busy and not any(lane.is_alive() for lane in lanes) and not reports.qsize():
                    break
                if now_ns > self._lanes_end_ns:
                    names = ", ".join(lane.state.lane.name for lane in lanes if lane.is_alive())
                    raise InfrastructureError(f"faults of {names} could not be healed in {LANE_CLOSE_NS / 1e9:.0f} s")
            if reports.qsize():
                continue
            self._take(take(reports, (wake_ns - self.now_ns()) / SECOND_NS))
        self._phase.stopped = self._stopped_ns is not None
        self._phase.unhealed = [lane.state.open for lane in lanes if lane.state.open is not None]
        self._journal.flush()

    def _close_lanes(self, lanes: list[LaneThread]) -> None:
        self._lanes_end_ns = self.now_ns() + LANE_CLOSE_NS
        for lane in lanes:
            lane.close()

    def _rescue(self, lanes: list[LaneThread]) -> None:
        """After an error: let every lane heal, recording what can be recorded."""
        if not self._lanes_end_ns:
            self._close_lanes(lanes)
        while any(lane.is_alive() for lane in lanes) and self.now_ns() < self._lanes_end_ns:
            message = take(self._reports, 0.05)
            if isinstance(message, Recording):
                try:
                    message.answer.put(self._record(message.op))
                except BaseException:
                    message.answer.put(message.op)
        try:
            self._journal.flush()
        except InfrastructureError:
            pass

    def _housekeep(self, now_ns: int, *, connect: bool) -> None:
        self._journal.tick()
        stopped = self._stopped_ns is not None and now_ns > self._stopped_ns + STOP_GRACE_NS
        crew = self._crew
        for seat in crew.seats:
            if seat.op is not None:
                if stopped or now_ns >= seat.deadline_ns + seat.worker.extra_ns:
                    self._expire(seat, "stopped" if stopped else "deadline")
            elif seat.connecting:
                if now_ns >= seat.deadline_ns:
                    crew.overdue(seat, now_ns)
            elif not seat.connected and connect:
                crew.connect(seat, now_ns)
        self.progress.in_flight = len(self._roster.busy)

    def _take(self, message: Report | Recording | None) -> None:
        if message is None:
            return
        if isinstance(message, Recording):
            try:
                message.answer.put(self._record_fault(message.op))
            except BaseException:
                message.answer.put(message.op)
                raise
            return
        seat = self._crew.seats[message.worker.number]
        if seat.worker is not message.worker:
            return
        if message.op is not None:
            self._complete(seat, message.op, message.lost, message.unmapped)
            if message.lost:
                self._crew.connect(seat, self.now_ns())
            elif message.op.type == "ok":
                seat.attempts = 0
        elif message.error is not None:
            self._crew.refused(seat, message.error, self.now_ns())
        else:
            self._crew.connected(seat)

    # -- ops

    def _invoke(self, op: Op, now_ns: int) -> None:
        roster = self._roster
        thread = roster.assign(op)
        seat = self._crew.seats[thread]
        invocation = Op(
            "invoke", op.f, op.value, roster.processes[thread], now_ns, self._index, None, roster.node_of(thread)
        )
        self._journal.append(invocation)
        self._index += 1
        self._phase.invoked += 1
        roster.take(thread)
        self._generator = self._generator.update(roster.context(now_ns), invocation)
        seat.op = invocation
        if seat.connected:
            seat.deadline_ns = now_ns + self._deadline_ns
            seat.worker.extra_ns = 0
            seat.worker.inbox.put(invocation)
        else:
            error, seat.error = seat.error, None
            self._complete(seat, invocation.replace(type="fail", error=error), lost=False)

    def _complete(self, seat: Seat, completion: Op, lost: bool, unmapped: str | None = None) -> None:
        invocation = seat.op
        assert invocation is not None
        roster, thread, now_ns = self._roster, seat.thread, self.now_ns()
        event = Op(
            completion.type,
            invocation.f,
            completion.value,
            invocation.process,
            now_ns,
            self._index,
            completion.error,
            invocation.node,
        )
        self._journal.append(event)
        self._index += 1
        self.progress.count(event)
        self._phase.count(event)
        if unmapped is not None:
            self.unmapped[unmapped] += 1
        self._generator = self._generator.update(roster.context(now_ns), event)
        seat.op = None
        if lost:
            self._crew.lost(seat, now_ns)
        elif seat.connected:
            roster.release(thread)
        else:
            roster.withdraw(thread)

    def _expire(self, seat: Seat, error: str) -> None:
        """The op has outlived its deadline: nobody knows. Its session is shut and its worker replaced."""
        op = seat.op
        assert op is not None
        self._complete(seat, op.replace(type="fail" if seat.worker.is_read(op) else "info", error=error), lost=True)
        self._crew.replace(seat)
        self._crew.connect(seat, self.now_ns())

    # -- faults

    def _record_from_lane(self, op: Op) -> Op:
        recorded: Op = self.record(op).get()
        return recorded

    def _record_fault(self, op: Op) -> Op:
        recorded = self._record(op)
        self.progress.fault(recorded)
        return recorded

    def _record(self, op: Op) -> Op:
        recorded = op.replace(process=NEMESIS, time_ns=self.now_ns(), index=self._index, node=None)
        self._journal.append(recorded)
        self._index += 1
        return recorded


def as_infrastructure(error: BaseException) -> InfrastructureError:
    """An unforeseen error of a lane as the end of a run; the original is its cause."""
    wrapped = InfrastructureError(f"a fault lane broke: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
