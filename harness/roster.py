"""Who works under which process: the rules for processes that the interpreter and the simulation share.

Thread t of n works as process t, and after each lost session as t + n, t + 2n ...: a process is exactly one session,
and `process % n` is its thread for ever. Thread t talks to node t modulo the number of nodes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.generator import Context
from harness.op import Op


class Roster:
    """The workers of a run. Owned by one thread.

    processes: thread → process of every worker. free: of workers that wait for an op, longest first. busy: of workers
    with an op in flight. A worker that is connecting is neither.
    """

    def __init__(self, concurrency: int, nodes: Sequence[str], rng: random.Random) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency {concurrency}: at least one worker is needed")
        self.concurrency = concurrency
        self.random = rng
        self.processes = {thread: thread for thread in range(concurrency)}
        self.free: dict[int, int] = {}
        self.busy: dict[int, int] = {}
        self._nodes = [nodes[thread % len(nodes)] if nodes else None for thread in range(concurrency)]

    def context(self, time_ns: int) -> Context:
        """The moment as generators see it."""
        return Context(time_ns, self.free, self.processes, self.random, self.concurrency, self.busy)

    def node_of(self, thread: int) -> str | None:
        """The node that a thread's sessions talk to."""
        return self._nodes[thread]

    def assign(self, op: Op) -> int:
        """The thread that takes an emitted op. Raises ValueError when the op asks for a process that is not free."""
        if op.process == -1:
            return next(iter(self.free))
        assert isinstance(op.process, int)
        thread = op.process % self.concurrency
        if self.free.get(thread) != op.process:
            raise ValueError(f"generator emitted {op!r} for process {op.process}, which is not free")
        return thread

    def take(self, thread: int) -> None:
        """A free worker has an op now."""
        self.busy[thread] = self.free.pop(thread)

    def release(self, thread: int) -> None:
        """A worker waits for an op."""
        self.busy.pop(thread, None)
        self.free[thread] = self.processes[thread]

    def withdraw(self, thread: int) -> None:
        """A worker is busy with itself: it has no op and takes none."""
        self.busy.pop(thread, None)
        self.free.pop(thread, None)

    def retire(self, thread: int) -> None:
        """A worker's session is lost: it goes on under a new process."""
        self.withdraw(thread)
        self.processes[thread] += self.concurrency
