"""Where ops come from: single ops, functions, sequences, and state machines, and how each is taken as a generator.

Every combinator takes a *source*: an Op (emitted once), a function of the context (called for each op, endless until
it returns None), a list or tuple of sources (one after the other), a generator, or None (exhausted from the start).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from harness.generator.protocol import Context, Generator, Pending
from harness.op import Op

OpFunction: TypeAlias = Callable[[Context], Op | Pending | None]
Source: TypeAlias = Any
"""Op | OpFunction | list | tuple | Generator | None; see the module's docstring."""
Step: TypeAlias = tuple[Op | Pending, Generator] | None


def lift(source: Source) -> Generator:
    """The generator that a source stands for. Raises TypeError for what is none."""
    if isinstance(source, Op):
        return Once(source)
    if isinstance(source, (list, tuple)):
        return Sequence(tuple(lift(part) for part in source))
    if source is None:
        return EXHAUSTED
    if hasattr(source, "next") and hasattr(source, "update"):
        return source
    if callable(source):
        return FromFunction(source)
    raise TypeError(
        f"{source!r} is no generator: give an Op, a function of the context, a list of those, or a generator"
    )


class Exhausted(msgspec.Struct, frozen=True):
    """Emits nothing."""

    def next(self, context: Context) -> Step:
        return None

    def update(self, context: Context, event: Op) -> Generator:
        return self


EXHAUSTED = Exhausted()


class Once(msgspec.Struct, frozen=True):
    """One op."""

    op: Op

    def next(self, context: Context) -> Step:
        return self.op, EXHAUSTED

    def update(self, context: Context, event: Op) -> Generator:
        return self


class FromFunction(msgspec.Struct, frozen=True):
    """Calls the function for each op; ends when it returns None."""

    function: OpFunction

    def next(self, context: Context) -> Step:
        op = self.function(context)
        return None if op is None else (op, self)

    def update(self, context: Context, event: Op) -> Generator:
        return self


class Sequence(msgspec.Struct, frozen=True):
    """One part after the other; events go to the part at work. Does not wait for ops in flight (see `phases`)."""

    parts: tuple[Generator, ...]

    def next(self, context: Context) -> Step:
        parts = self.parts
        while parts:
            step = parts[0].next(context)
            if step is not None:
                op, rest = step
                return op, Sequence((rest, *parts[1:]))
            parts = parts[1:]
        return None

    def update(self, context: Context, event: Op) -> Generator:
        if not self.parts:
            return self
        first = self.parts[0].update(context, event)
        return self if first is self.parts[0] else Sequence((first, *self.parts[1:]))


class Unfold(msgspec.Struct, frozen=True):
    """See `unfold`."""

    state: Any
    step: Callable[[Any, Context], tuple[Op | Pending, Any] | None]
    on_event: Callable[[Any, Context, Op], Any] | None

    def next(self, context: Context) -> Step:
        result = self.step(self.state, context)
        if result is None:
            return None
        op, state = result
        return op, (self if state is self.state else Unfold(state, self.step, self.on_event))

    def update(self, context: Context, event: Op) -> Generator:
        if self.on_event is None:
            return self
        state = self.on_event(self.state, context, event)
        return self if state is self.state else Unfold(state, self.step, self.on_event)


def once(source: Source) -> Generator:
    """The first op of a source, and no more. `once(function)` calls it once."""
    return Once(source) if isinstance(source, Op) else First(lift(source))


class First(msgspec.Struct, frozen=True):
    inner: Generator

    def next(self, context: Context) -> Step:
        step = self.inner.next(context)
        if step is None:
            return None
        op, rest = step
        return (op, First(rest)) if isinstance(op, Pending) else (op, EXHAUSTED)

    def update(self, context: Context, event: Op) -> Generator:
        return First(self.inner.update(context, event))


def sequence(*sources: Source) -> Generator:
    """One source after the other, without waiting for ops still in flight in between."""
    return lift(sources)


def unfold(
    state: Any,
    step: Callable[[Any, Context], tuple[Op | Pending, Any] | None],
    on_event: Callable[[Any, Context, Op], Any] | None = None,
) -> Generator:
    """A generator with a state of its own, for workloads that count, or that learn from results.

    step(state, context) → (op, new state) | (PENDING, new state) | None when exhausted;
    on_event(state, context, event) → new state, for each invocation and completion. States must be values: never
    change one in place, return a new one (the old generator may be asked again).
    """
    return Unfold(state, step, on_event)
