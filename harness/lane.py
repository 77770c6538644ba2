"""Fault lanes: sequences of faults that run beside the clients, each in a thread of its own: a slow one blocks nobody.

A lane's generator emits ops `inject` (value: a fault's fields, id -1) and `heal` (value None: the open fault). It may
take its time, as it runs in the lane's own thread. A lane holds at most one open fault. However a lane ends, its open
fault is healed; heals that fail are tried again, `HEAL_ATTEMPTS` times in all.

`LaneState` holds these rules and is shared with the simulation; `LaneThread` runs one lane for real.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

from harness.errors import FaultlineError
from harness.generator import Context, Pending, Source, lift
from harness.generator.timing import SECOND_NS
from harness.nodes.base import AgentLost
from harness.op import NEMESIS, Op
from harness.outcome import text_of

HEAL_ATTEMPTS = 3
HEAL_RETRY_NS = SECOND_NS
IDLE_S = 0.05


class Lane:
    """One lane as it is asked for.

    name: also names its random stream. source: a generator of `inject` and `heal` ops. execute(invocation) →
    completion: does the op in the lane's thread; raises FaultlineError when it could not.
    """

    def __init__(self, name: str, source: Source, execute: Callable[[Op], Op]) -> None:
        self.name = name
        self.source = source
        self.execute = execute


class LaneState:
    """What a lane does next. fault_ids: shared by all lanes of a run. seed: of the run."""

    def __init__(self, lane: Lane, fault_ids: Iterator[int], seed: int) -> None:
        self.lane = lane
        self.open: dict[str, Any] | None = None
        self.closing = False
        self._generator = lift(lane.source)
        self._fault_ids = fault_ids
        self._random = random.Random(f"{seed}/lane/{lane.name}")
        self._failed_heals = 0
        self._retry_ns = 0

    def next(self, now_ns: int) -> Op | Pending | None:
        """The invocation to record and execute now, or to wait; None: the lane is done, nothing more can be healed."""
        if not self.closing:
            step = self._generator.next(self._context(now_ns))
            if step is not None:
                op, rest = step
                if isinstance(op, Op) and op.time_ns > now_ns:
                    return Pending(op.time_ns)
                self._generator = rest
                return op if isinstance(op, Pending) else self._invocation(op)
            self.closing = True
        if self.open is None or self._failed_heals >= HEAL_ATTEMPTS:
            return None
        if now_ns < self._retry_ns:
            return Pending(self._retry_ns)
        return self._invocation(Op("invoke", "heal"))

    def recorded(self, event: Op) -> None:
        """An invocation or completion of this lane has been recorded."""
        if event.type == "info" and event.f == "heal":
            if event.error is None:
                self.open, self._failed_heals = None, 0
            else:
                self._failed_heals += 1
                self._retry_ns = event.time_ns + HEAL_RETRY_NS
        if not self.closing:
            self._generator = self._generator.update(self._context(event.time_ns), event.replace(process=0))

    def _invocation(self, op: Op) -> Op:
        if op.f == "inject":
            if self.open is not None:
                raise ValueError(f"lane {self.lane.name}: a fault is open already: {self.open!r}")
            self.open = {**op.value, "id": next(self._fault_ids), "lane": self.lane.name}
        elif op.f != "heal" or self.open is None:
            raise ValueError(f"lane {self.lane.name}: {op!r} is no inject, nor a heal of an open fault")
        return op.replace(type="invoke", process=NEMESIS, value=self.open)

    def _context(self, now_ns: int) -> Context:
        return Context(now_ns, {0: 0}, {0: 0}, self._random, 1)


class LaneThread(threading.Thread):
    """Runs one lane. record(op) → the op as recorded; blocks until it is. now_ns: the run's clock.

    failure: an error that must end the run (a lost agent, a bug), None if there was none.
    """

    def __init__(self, state: LaneState, record: Callable[[Op], Op], now_ns: Callable[[], int]) -> None:
        super().__init__(name=f"lane {state.lane.name}", daemon=True)
        self.state = state
        self.failure: BaseException | None = None
        self._record = record
        self._now_ns = now_ns
        self._closed = threading.Event()

    def close(self) -> None:
        """Ask it to heal what is open and to end. Returns at once."""
        self._closed.set()

    def run(self) -> None:
        state = self.state
        while True:
            try:
                state.closing = state.closing or self._closed.is_set()
                op = state.next(self._now_ns())
                if op is None:
                    return
                if isinstance(op, Op):
                    self._perform(op)
                else:
                    self._wait(op)
            except BaseException as error:
                self._fail(error)
                if state.closing and state.open is None:
                    return
                state.closing = True

    def _wait(self, pending: Pending) -> None:
        wait_s = IDLE_S if pending.until_ns is None else (pending.until_ns - self._now_ns()) / SECOND_NS
        if self.state.closing:
            threading.Event().wait(max(0.0, wait_s))
        else:
            self._closed.wait(max(0.0, wait_s))

    def _perform(self, op: Op) -> None:
        invocation = self._record(op)
        self.state.recorded(invocation)
        try:
            completion = self.state.lane.execute(invocation)
        except Exception as error:
            if isinstance(error, AgentLost) or not isinstance(error, FaultlineError):
                self._fail(error)
            completion = invocation.replace(error=f"{type(error).__name__}: {text_of(error)}")
        self.state.recorded(self._record(completion.replace(type="info", process=NEMESIS)))

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
