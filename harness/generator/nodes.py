"""Combinators about nodes: thread i talks to node i modulo their number."""

from __future__ import annotations

import msgspec

from harness.generator.protocol import Context, Generator
from harness.generator.source import Source, Step, lift
from harness.generator.threads import OnThreads
from harness.op import Op


class OkOnEachNode(msgspec.Struct, frozen=True):
    inner: Generator
    missing: frozenset[int]
    nodes: int

    def next(self, context: Context) -> Step:
        if not self.missing:
            return None
        step = OnThreads(lambda thread: thread % self.nodes in self.missing, self.inner).next(context)
        if step is None:
            return None
        op, rest = step
        assert isinstance(rest, OnThreads)
        return op, OkOnEachNode(rest.inner, self.missing, self.nodes)

    def update(self, context: Context, event: Op) -> Generator:
        missing = self.missing
        if event.type == "ok":
            missing = missing - {context.thread_of(event.process) % self.nodes}
        return OkOnEachNode(self.inner.update(context, event), missing, self.nodes)


def ok_on_each_node(nodes: int, source: Source) -> Generator:
    """Ops of one shared source until each of the nodes has had one that is `ok`. Raises ValueError for no nodes.

    Put a `stagger` or `delay` inside, or failures come fast; bound it by a `time_limit`.
    """
    if nodes < 1:
        raise ValueError(f"ok_on_each_node: {nodes} nodes; at least one is needed")
    return OkOnEachNode(lift(source), frozenset(range(nodes)), nodes)
