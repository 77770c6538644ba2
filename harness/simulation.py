"""Simulated time: the same generators and the same rules for ops, with a model instead of a database and no thread.

A `Simulation` is a discrete-event loop: a heap of things to happen, ordered by time and then by when they were asked
for. Nothing sleeps and nothing depends on the machine, so that the same seed gives the same history, byte for byte.
The rules are the interpreter's own (`harness.roster`, `harness.outcome`): processes, deadlines, lost sessions.

Cost: O(log pending) an event; some 50,000 ops/s.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from harness.generator import Pending, Source, lift
from harness.generator.timing import SECOND_NS
from harness.lane import Lane, LaneState
from harness.op import NEMESIS, Op
from harness.outcome import settle
from harness.roster import Roster

Finish = Callable[[Any], None]
"""Called once with what a session would return or raise: an `ok` op, or a DidNotHappen, Unknown ... exception."""


class Model(Protocol):
    """A database in simulated time."""

    def begin(self, op: Op, clock: Clock, finish: Finish) -> None:
        """An op of a client (`op.node` says where it goes) has come. Call `finish` now or later, by `clock.after`."""
        ...

    def is_read(self, op: Op) -> bool:
        """Whether the op writes nothing: any error of it is then `fail`."""
        ...


class Clock:
    """Simulated time, and what is to happen in it."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._asked = 0

    def after(self, delay_ns: int, action: Callable[[], None]) -> None:
        """Do it so many nanoseconds from now."""
        self._asked += 1
        heapq.heappush(self._events, (self.now_ns + max(0, delay_ns), self._asked, action))

    @property
    def next_ns(self) -> int | None:
        """When the next thing happens; None: nothing is left."""
        return self._events[0][0] if self._events else None

    def advance(self, until_ns: int | None = None) -> bool:
        """Go on to the next thing and do it, but not past `until_ns`. False: there was none before."""
        due_ns = self.next_ns
        if until_ns is not None and (due_ns is None or due_ns > until_ns):
            self.now_ns = max(self.now_ns, until_ns)
            return False
        if due_ns is None:
            return False
        self.now_ns, _, action = heapq.heappop(self._events)
        action()
        return True


FAULT_NS = 5_000_000
"""How long a lane's op takes from its invocation to its completion."""
IDLE_NS = 1_000_000
"""When to ask a generator again that can't say when it has something."""
IDLE_NS_MOST = 60 * SECOND_NS
"""How long nothing may happen before a generator counts as waiting for ever."""


class Simulation:
    """A run in simulated time; `run` may be called several times, and goes on where the last one ended.

    ops: the history so far. nodes: names; thread i's sessions talk to node i modulo their number.
    clock: for a model that needs it beforehand.
    """

    def __init__(
        self,
        model: Model,
        *,
        concurrency: int,
        nodes: Sequence[str] = (),
        seed: int = 0,
        deadline_s: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self.ops: list[Op] = []
        self.clock = clock or Clock()
        self._model = model
        self._roster = Roster(concurrency, nodes, random.Random(f"{seed}/clients"))
        for thread in range(concurrency):
            self._roster.release(thread)
        self._deadline_ns = round(deadline_s * SECOND_NS)
        self._seed = seed
        self._fault_ids = itertools.count(1)
        self._busy_lanes: set[str] = set()

    def run(self, source: Source, lanes: Iterable[Lane] = (), *, max_ops: int = 1_000_000) -> list[Op]:
        """Run until the source is exhausted, every op has completed and every lane has healed; this call's records.

        Lanes are told to end when the source is exhausted. Raises RuntimeError when the generator waits for ever, or
        emits more than `max_ops` ops.
        """
        begin = len(self.ops)
        self._generator = lift(source)
        states = [LaneState(lane, self._fault_ids, self._seed) for lane in lanes]
        exhausted = False
        last_ns = self.clock.now_ns
        while True:
            now_ns = self.clock.now_ns
            wakes_ns: list[int] = []
            if not exhausted and self._roster.free:
                step = self._generator.next(self._roster.context(now_ns))
                if step is None:
                    exhausted = True
                    for state in states:
                        state.closing = True
                elif isinstance(step[0], Op) and step[0].time_ns <= now_ns:
                    self._generator = step[1]
                    self._invoke(step[0])
                    last_ns = now_ns
                    if len(self.ops) - begin > 2 * max_ops:
                        raise RuntimeError(f"the generator emitted more than {max_ops} ops")
                    continue
                elif isinstance(step[0], Op):
                    wakes_ns.append(step[0].time_ns)
                else:
                    self._generator = step[1]
                    wakes_ns.append(step[0].until_ns or now_ns + IDLE_NS)
                    if step[0].until_ns is not None or self._roster.busy:
                        last_ns = now_ns
            for state in list(states):
                if state.lane.name not in self._busy_lanes:
                    lane_ns = self._advance_lane(state)
                    if lane_ns is None:
                        states.remove(state)
                    else:
                        wakes_ns.append(lane_ns)
            if exhausted and not states and not self._roster.busy:
                return self.ops[begin:]
            if now_ns - last_ns > IDLE_NS_MOST:
                raise RuntimeError(f"the generator waits for ever, since {last_ns} ns")
            self.clock.advance(min(wakes_ns, default=None))

    def mark(self, phase: str) -> None:
        """Record that a phase begins, as the interpreter does."""
        self.record(Op("info", "phase", phase, NEMESIS))

    def close_sessions(self) -> None:
        """Every worker goes on under a new process. Not while `run` is at work."""
        for thread in list(self._roster.free):
            self._roster.retire(thread)
            self._roster.release(thread)

    def record(self, op: Op) -> Op:
        """Put it into the record as it is, with its index and time: what is seen from outside, a phase's mark."""
        op = op.replace(index=len(self.ops), time_ns=self.clock.now_ns)
        self.ops.append(op)
        return op

    def _update(self, event: Op) -> None:
        self._generator = self._generator.update(self._roster.context(self.clock.now_ns), event)

    def _invoke(self, op: Op) -> None:
        roster = self._roster
        thread = roster.assign(op)
        invocation = self.record(op.replace(process=roster.processes[thread], node=roster.node_of(thread)))
        roster.take(thread)
        self._update(invocation)
        is_read = self._model.is_read(invocation)
        completed = False

        def finish(outcome: Any) -> None:
            if not completed:
                settled = settle(invocation, outcome, is_read=is_read)
                complete(settled.completion, settled.lost)

        def deadline() -> None:
            if not completed:
                complete(invocation.replace(type="fail" if is_read else "info", error="deadline"), True)

        def complete(completion: Op, lost: bool) -> None:
            nonlocal completed
            completed = True
            event = self.record(completion.replace(process=invocation.process, node=invocation.node))
            self._update(event)
            if lost:
                roster.retire(thread)
            roster.release(thread)

        self.clock.after(self._deadline_ns, deadline)
        self._model.begin(invocation, self.clock, finish)

    def _advance_lane(self, lane: LaneState) -> int | None:
        """Ask a lane for its next fault. None: it is done; else when to ask again."""
        step = lane.next(self.clock.now_ns)
        if step is None:
            return None
        if isinstance(step, Pending):
            return step.until_ns or self.clock.now_ns + IDLE_NS
        invocation = self.record(step)
        lane.recorded(invocation)
        completion = lane.lane.execute(invocation)
        self._busy_lanes.add(lane.lane.name)

        def complete() -> None:
            self._busy_lanes.discard(lane.lane.name)
            lane.recorded(self.record(completion.replace(type="info", process=NEMESIS)))

        self.clock.after(FAULT_NS, complete)
        return self.clock.now_ns + FAULT_NS


class Responder:
    """The simplest model, for tests of generators: every op takes a time and gives an outcome, and no op sees another.

    respond(op) → (latency in seconds, outcome as for `Finish`).
    """

    def __init__(self, respond: Callable[[Op], tuple[float, Any]]) -> None:
        self._respond = respond

    def begin(self, op: Op, clock: Clock, finish: Finish) -> None:
        latency_s, outcome = self._respond(op)
        clock.after(round(latency_s * SECOND_NS), lambda: finish(outcome))

    def is_read(self, op: Op) -> bool:
        return False


def all_ok(op: Op) -> tuple[float, Op]:
    """A response for `Responder`: ok after a millisecond."""
    return 0.001, op.replace(type="ok")


def simulate(
    source: Source,
    respond: Callable[[Op], tuple[float, Any]] = all_ok,
    *,
    concurrency: int = 3,
    nodes: Sequence[str] = (),
    seed: int = 0,
    max_ops: int = 1_000_000,
) -> list[Op]:
    """The history that a generator makes, for tests: `simulate(gen.limit(5, gen.repeat(invoke("read"))))`."""
    return Simulation(Responder(respond), concurrency=concurrency, nodes=nodes, seed=seed).run(source, max_ops=max_ops)
