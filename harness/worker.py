"""A worker: one thread that does one op at a time on one session, and tells the dispatcher.

The dispatcher puts orders into the worker's inbox: an op to invoke, `Connect`, `Disconnect` or `EXIT`; the worker puts
one `Report` for each op and each `Connect` into the dispatcher's queue. A worker that overstays its deadline is
abandoned: its session is shut from outside, whatever it reports later is dropped, and it ends when it comes back.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

import msgspec

from harness.op import Op
from harness.outcome import settle, text_of
from harness.stall import StallGate
from harness.target import Session


class Connect(msgspec.Struct, frozen=True):
    """Close the session if there is one and open a new one, as this process."""

    process: int


class Disconnect(msgspec.Struct, frozen=True):
    """Close the session, then set the event."""

    done: threading.Event


EXIT: Final = None
"""Close the session and end."""


class Report(msgspec.Struct, frozen=True):
    """What a worker did.

    op: the completion of the invocation; None for a `Connect`. error: why connecting failed, None when it did not.
    lost: the session is gone. unmapped: class of an exception that the target's table does not have.
    """

    worker: Worker
    op: Op | None
    lost: bool = False
    error: str | None = None
    unmapped: str | None = None


class Worker(threading.Thread):
    """open_session(process, between_statements) → Session. rng: chooses stalls, a stream of its own. hurry: ends them.

    number: its thread in the roster. extra_ns: by how much stalls have moved the deadline of the op at work.
    """

    def __init__(
        self,
        number: int,
        reports: SimpleQueue[Any],
        open_session: Callable[[int, Callable[[], None]], Session],
        stall_gate: StallGate | None,
        rng: random.Random,
        hurry: threading.Event,
    ) -> None:
        super().__init__(name=f"worker {number}", daemon=True)
        self.number = number
        self.inbox: SimpleQueue[Any] = SimpleQueue()
        self.extra_ns = 0
        self._reports = reports
        self._open_session = open_session
        self._gate = stall_gate
        self._random = rng
        self._hurry = hurry
        self._session: Session | None = None
        self._pause_s = 0.0

    def abandon(self) -> threading.Thread:
        """Shut the session from outside and let the worker end when it comes back; the thread that does the shutting.

        Shutting has a thread of its own, because a driver may block even there.
        """
        session = self._session
        self.inbox.put(EXIT)
        closer = threading.Thread(target=close_quietly, args=(session,), name=f"closer of {self.name}", daemon=True)
        closer.start()
        return closer

    def is_read(self, op: Op) -> bool:
        """Whether the session at work says that the op writes nothing; for the dispatcher, at a deadline."""
        return says_is_read(self._session, op)

    def run(self) -> None:
        inbox, reports = self.inbox, self._reports
        while True:
            order = inbox.get()
            if type(order) is Op:
                report = self._invoke(order)
                reports.put(report)
                if report.lost:
                    self._close()
            elif type(order) is Connect:
                self._close()
                reports.put(self._connect(order))
            else:
                self._close()
                if order is EXIT:
                    return
                order.done.set()

    def _invoke(self, invocation: Op) -> Report:
        session = self._session
        assert session is not None
        self._pause_s = self._gate.draw(self._random) if self._gate is not None else 0.0
        try:
            outcome: Any = session.invoke(invocation)
            if type(outcome) is Op and outcome.type == "ok":
                return Report(self, outcome)
        except BaseException as error:
            outcome = error.with_traceback(None)
        settled = settle(invocation, outcome, is_read=says_is_read(session, invocation))
        return Report(self, settled.completion, settled.lost, None, settled.unmapped)

    def _connect(self, order: Connect) -> Report:
        try:
            self._session = self._open_session(order.process, self._between_statements)
        except BaseException as error:
            return Report(self, None, error=f"could not connect: {text_of(error)}")
        return Report(self, None)

    def _close(self) -> None:
        session, self._session = self._session, None
        close_quietly(session)

    def _between_statements(self) -> None:
        """The hook of `SessionContext`: pause at the first gap of a transaction that was chosen."""
        pause_s = self._pause_s
        if pause_s > 0:
            assert self._gate is not None
            self._pause_s = 0.0
            self.extra_ns += round(pause_s * 1e9)
            self._gate.count()
            end = time.monotonic() + pause_s
            while (left := end - time.monotonic()) > 0 and not self._hurry.wait(left):
                pass


def says_is_read(session: Session | None, op: Op) -> bool:
    """Whether the session knows that the op writes nothing; not, when it can't say."""
    try:
        return session is not None and bool(session.is_read(op))
    except Exception:
        return False


def close_quietly(session: Session | None) -> None:
    """Close it, whatever happens."""
    try:
        if session is not None:
            session.close()
    except BaseException:
        pass
