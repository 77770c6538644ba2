"""What a generator is: a pure value that says what clients do next.

    next(context)          → None                     it is exhausted
                           → (PENDING, generator)     nothing now; ask again after the next event or a moment later
                           → (Pending(t), generator)  nothing before t (nanoseconds), unless an event changes that
                           → (op, generator)          an invocation; `op.time_ns` in the future means "not before then"
    update(context, event) → generator                after each invocation and each completion

A generator holds no thread, no clock and no random state: the context has the time, the free workers and the random
stream. An op emitted with `process == -1` goes to the worker that has been free longest; one with a worker's process
goes to that one. A generator is only asked while at least one worker is free.

An emitted op is always invoked, unless its time is in the future (then it may be dropped and the old generator asked
again). Combinators that wait therefore answer `Pending(t)` and ask their inner generator only when it is time: no op,
and no draw of the random stream, is ever thrown away, and thread timing does not shift the sequence of ops.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from harness.op import Op


class Pending(msgspec.Struct, frozen=True):
    """Nothing now. until_ns: the time before which asking again is useless unless an event comes; None: not known."""

    until_ns: int | None = None


PENDING: Final = Pending()
"""Nothing now, and only an event will change that."""


class Context(msgspec.Struct, frozen=True):
    """What a generator may know. The mappings belong to the dispatcher and change after the call: don't keep them.

    time_ns: now. free: thread → current process of the workers that wait for work, longest first.
    processes: thread → current process of every worker. random: the stream of this generator alone.
    concurrency: how many workers there are in all (also where a combinator has narrowed `processes`).
    busy: thread → process of workers with an op in flight. A worker that connects is neither free nor busy.
    """

    time_ns: int
    free: Mapping[int, int]
    processes: Mapping[int, int]
    random: random.Random
    concurrency: int = 0
    busy: Mapping[int, int] = {}

    def thread_of(self, process: int | str) -> int:
        """The worker's thread that a process belongs to, also after that process has ended."""
        assert isinstance(process, int)
        return process % (self.concurrency or len(self.processes))

    def narrowed(self, free: Mapping[int, int], processes: Mapping[int, int]) -> Context:
        """The same moment, seen by a part of the workers."""
        return Context(self.time_ns, free, processes, self.random, self.concurrency or len(self.processes), self.busy)


class Generator(Protocol):
    """See the module's docstring."""

    def next(self, context: Context) -> tuple[Op | Pending, Generator] | None: ...

    def update(self, context: Context, event: Op) -> Generator: ...
