"""Combinators about workers: who does what, and waiting for each other.

A worker's thread number is fixed for the run; its process changes whenever its session is lost. Thread i talks to
node i modulo the number of nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import msgspec

from harness.generator.protocol import PENDING, Context, Generator, Pending
from harness.generator.shape import any_of
from harness.generator.source import EXHAUSTED, Source, Step, lift, sequence
from harness.op import Op


class OnThreads(msgspec.Struct, frozen=True):
    wanted: Callable[[int], bool]
    inner: Generator

    def next(self, context: Context) -> Step:
        narrow = self.narrow(context)
        if not narrow.free:
            return PENDING, self
        step = self.inner.next(narrow)
        if step is None:
            return None
        op, rest = step
        if isinstance(op, Op) and op.process == -1:
            op = op.replace(process=next(iter(narrow.free.values())))
        return op, OnThreads(self.wanted, rest)

    def update(self, context: Context, event: Op) -> Generator:
        if not self.wanted(context.thread_of(event.process)):
            return self
        inner = self.inner.update(self.narrow(context), event)
        return self if inner is self.inner else OnThreads(self.wanted, inner)

    def narrow(self, context: Context) -> Context:
        wanted = self.wanted
        return context.narrowed(
            {thread: process for thread, process in context.free.items() if wanted(thread)},
            {thread: process for thread, process in context.processes.items() if wanted(thread)},
        )


def on_threads(wanted: Collection[int] | Callable[[int], bool], source: Source) -> Generator:
    """The source, on some threads alone (a set of thread numbers, or a test of them); it sees no others' events."""
    return OnThreads(wanted if callable(wanted) else frozenset(wanted).__contains__, lift(source))


def reserve(*parts: object) -> Generator:
    """`reserve(5, writes, 10, reads, rest)`: threads 0–4 write, 5–14 read, all others do the rest.

    Without a last source the other threads stay idle.
    """
    lanes: list[Generator] = []
    begin = 0
    counts, sources = parts[: len(parts) // 2 * 2 : 2], parts[1::2]
    for count, source in zip(counts, sources):
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"reserve: {count!r} must be a number of threads ≥ 1")
        lanes.append(on_threads(range(begin, begin + count), source))
        begin += count
    if len(parts) % 2:
        lanes.append(on_threads(begin.__le__, parts[-1]))
    return any_of(*lanes)


class EachThread(msgspec.Struct, frozen=True):
    fresh: Generator
    """What a thread begins with that was not asked yet."""
    current: Mapping[int, Generator]

    def next(self, context: Context) -> Step:
        current = dict(self.current)
        until_ns: int | None = None
        for thread, process in context.free.items():
            inner = current.get(thread, self.fresh)
            step = inner.next(context.narrowed({thread: process}, {thread: process}))
            if step is None:
                current[thread] = EXHAUSTED
                continue
            op, current[thread] = step
            if isinstance(op, Op):
                return op.replace(process=process), EachThread(self.fresh, current)
            if op.until_ns is not None:
                until_ns = op.until_ns if until_ns is None else min(until_ns, op.until_ns)
        if all(current.get(thread) is EXHAUSTED for thread in context.processes):
            return None
        return (PENDING if until_ns is None else Pending(until_ns)), EachThread(self.fresh, current)

    def update(self, context: Context, event: Op) -> Generator:
        thread = context.thread_of(event.process)
        if thread not in context.processes:
            return self
        process = context.processes[thread]
        inner = self.current.get(thread, self.fresh)
        free = {thread: process} if thread in context.free else {}
        updated = inner.update(context.narrowed(free, {thread: process}), event)
        return self if updated is inner else EachThread(self.fresh, {**self.current, thread: updated})


def each_thread(source: Source) -> Generator:
    """Every thread runs a copy of the source of its own. Ends when all threads' copies are exhausted."""
    return EachThread(lift(source), {})


class Synchronize(msgspec.Struct, frozen=True):
    inner: Generator

    def next(self, context: Context) -> Step:
        if context.busy and any(thread in context.busy for thread in context.processes):
            return PENDING, self
        return self.inner.next(context)

    def update(self, context: Context, event: Op) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else Synchronize(inner)


def synchronize(source: Source) -> Generator:
    """Wait until no op is in flight, then the source."""
    return Synchronize(lift(source))


def phases(*sources: Source) -> Generator:
    """One source after the other; each begins when all ops of the one before have completed."""
    return sequence(*map(synchronize, sources))


class OkOnEachNode(msgspec.Struct, frozen=True):
    nodes: int
    inner: Generator
    ok: frozenset[int]
    asked: frozenset[int]
    """Nodes with one of these ops in flight."""

    def next(self, context: Context) -> Step:
        if len(self.ok) == self.nodes:
            return None
        done = self.ok | self.asked
        free = {thread: process for thread, process in context.free.items() if thread % self.nodes not in done}
        if not free:
            return PENDING, self
        step = self.inner.next(context.narrowed(free, context.processes))
        if step is None:
            return None
        op, rest = step
        if isinstance(op, Op) and op.process == -1:
            op = op.replace(process=next(iter(free.values())))
        return op, OkOnEachNode(self.nodes, rest, self.ok, self.asked)

    def update(self, context: Context, event: Op) -> Generator:
        inner = self.inner.update(context, event)
        node = context.thread_of(event.process) % self.nodes
        if event.type == "invoke":
            return OkOnEachNode(self.nodes, inner, self.ok, self.asked | {node})
        ok = self.ok | {node} if event.type == "ok" else self.ok
        return OkOnEachNode(self.nodes, inner, ok, self.asked - {node})


def ok_on_each_node(nodes: int, source: Source) -> Generator:
    """Ops of the source, one at a time through each of `nodes` nodes, until every node has done one.

    Ends early with the source. Needs at least one thread for each node. Put a `stagger` or `delay` inside.
    """
    return OkOnEachNode(nodes, lift(source), frozenset(), frozenset())
