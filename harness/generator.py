"""Generators: pure values that say what a client does next.

    next(context)          → None                 it is exhausted
                           → (PENDING, generator)  nothing now; ask again after the next event or a moment later
                           → (op, generator)       an invocation; `op.time_ns` in the future means "not before then"
    update(context, event) → generator             after each invocation and completion

A generator holds no thread, no clock and no random state: the context has the time, the free workers and the random
stream. An op emitted with `process == -1` goes to any free worker; one with a worker's process goes to that one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from harness.op import Op


class Pending:
    """The type of `PENDING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "PENDING"


PENDING: Final = Pending()


class Context(msgspec.Struct, frozen=True):
    """What a generator may know.

    time_ns: now. free: thread → current process of the workers that wait for work. threads: all workers' threads.
    processes: thread → current process of every worker.
    """

    time_ns: int
    free: Mapping[int, int]
    processes: Mapping[int, int]
    random: random.Random


class Generator(Protocol):
    """See the module's docstring."""

    def next(self, context: Context) -> tuple[Op | Pending, Generator] | None: ...

    def update(self, context: Context, event: Op) -> Generator: ...
