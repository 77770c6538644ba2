"""Combinators about time. Seconds in arguments, nanoseconds within.

Each one's time begins when it is first asked, so that it can stand anywhere in a sequence.
"""

from __future__ import annotations

import msgspec

from harness.generator.protocol import Context, Generator, Pending
from harness.generator.source import Source, Step, lift
from harness.op import Op

SECOND_NS = 1_000_000_000
CATCH_UP_NS = 100_000_000
"""How much delay `stagger` makes up for: enough to hold the asked rate on a busy machine, too little for a burst."""


class TimeLimit(msgspec.Struct, frozen=True):
    length_ns: int
    inner: Generator
    end_ns: int | None

    def next(self, context: Context) -> Step:
        end_ns = context.time_ns + self.length_ns if self.end_ns is None else self.end_ns
        if context.time_ns >= end_ns:
            return None
        step = self.inner.next(context)
        if step is None:
            return None
        op, rest = step
        if isinstance(op, Pending):
            op = Pending(end_ns if op.until_ns is None else min(op.until_ns, end_ns))
        elif op.time_ns >= end_ns:
            return None
        return op, TimeLimit(self.length_ns, rest, end_ns)

    def update(self, context: Context, event: Op) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else TimeLimit(self.length_ns, inner, self.end_ns)


def time_limit(seconds: float, source: Source) -> Generator:
    """Ops of the source for so many seconds from when it is first asked. Ops in flight at the end run on."""
    return TimeLimit(round(seconds * SECOND_NS), lift(source), None)


class Stagger(msgspec.Struct, frozen=True):
    interval_ns: float
    inner: Generator
    next_ns: int | None

    def next(self, context: Context) -> Step:
        now_ns = context.time_ns
        next_ns = now_ns if self.next_ns is None else self.next_ns
        if now_ns < next_ns:
            return Pending(next_ns), self
        step = self.inner.next(context)
        if step is None:
            return None
        op, rest = step
        if not isinstance(op, Pending):
            wait_ns = round(context.random.random() * 2 * self.interval_ns)
            next_ns = max(next_ns, now_ns - CATCH_UP_NS) + wait_ns
        return op, Stagger(self.interval_ns, rest, next_ns)

    def update(self, context: Context, event: Op) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else Stagger(self.interval_ns, inner, self.next_ns)


def stagger(interval_s: float, source: Source) -> Generator:
    """One op of the source every `interval_s` seconds on average over all threads, gaps uniform in 0..2 × interval_s.

    0 changes nothing: as fast as the workers go.
    """
    return Stagger(interval_s * SECOND_NS, lift(source), None) if interval_s > 0 else lift(source)


class Delay(msgspec.Struct, frozen=True):
    interval_ns: int
    inner: Generator
    next_ns: int | None

    def next(self, context: Context) -> Step:
        if self.next_ns is not None and context.time_ns < self.next_ns:
            return Pending(self.next_ns), self
        step = self.inner.next(context)
        if step is None:
            return None
        op, rest = step
        next_ns = self.next_ns if isinstance(op, Pending) else context.time_ns + self.interval_ns
        return op, Delay(self.interval_ns, rest, next_ns)

    def update(self, context: Context, event: Op) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else Delay(self.interval_ns, inner, self.next_ns)


def delay(interval_s: float, source: Source) -> Generator:
    """At least `interval_s` seconds from one op of the source to the next; the first comes at once."""
    return Delay(round(interval_s * SECOND_NS), lift(source), None)


class Sleep(msgspec.Struct, frozen=True):
    length_ns: int
    end_ns: int | None

    def next(self, context: Context) -> Step:
        end_ns = context.time_ns + self.length_ns if self.end_ns is None else self.end_ns
        return None if context.time_ns >= end_ns else (Pending(end_ns), Sleep(self.length_ns, end_ns))

    def update(self, context: Context, event: Op) -> Generator:
        return self


def sleep(seconds: float) -> Generator:
    """No op for so many seconds: a part of a sequence."""
    return Sleep(round(seconds * SECOND_NS), None)
