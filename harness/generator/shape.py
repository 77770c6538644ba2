"""Combinators that choose, count, repeat and change ops. None of them looks at time or threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Items

import msgspec

from harness.generator.protocol import PENDING, Context, Generator, Pending
from harness.generator.source import Source, Step, lift
from harness.op import Op


class Repeat(msgspec.Struct, frozen=True):
    inner: Generator
    left: int | None

    def next(self, context: Context) -> Step:
        if self.left == 0:
            return None
        step = self.inner.next(context)
        if step is None:
            return None
        op = step[0]
        if isinstance(op, Pending):
            return op, Repeat(step[1], self.left)
        return op, (self if self.left is None else Repeat(self.inner, self.left - 1))

    def update(self, context: Context, event: Op) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else Repeat(inner, self.left)


def repeat(source: Source, times: int | None = None) -> Generator:
    """The source's first op again and again (`times`, or endlessly): `repeat(invoke("read"))`."""
    return Repeat(lift(source), times)


class Cycle(msgspec.Struct, frozen=True):
    source: Generator
    current: Generator
    left: int | None
    emitted: bool

    def next(self, context: Context) -> Step:
        step = self.current.next(context)
        if step is not None:
            op, rest = step
            return op, Cycle(self.source, rest, self.left, self.emitted or not isinstance(op, Pending))
        left = None if self.left is None else self.left - 1
        if left == 0 or not self.emitted:
            return None
        return Cycle(self.source, self.source, left, False).next(context)

    def update(self, context: Context, event: Op) -> Generator:
        current = self.current.update(context, event)
        return self if current is self.current else Cycle(self.source, current, self.left, self.emitted)


def cycle(source: Source, times: int | None = None) -> Generator:
    """The whole source from its beginning, again whenever it is exhausted (`times` in all, or endlessly).

    Ends when one whole turn emits nothing.
    """
    if times == 0:
        return lift(None)
    source = lift(source)
    return Cycle(source, source, times, False)


class Limit(msgspec.Struct, frozen=True):
    inner: Generator
    left: int

    def next(self, context: Context) -> Step:
        if self.left <= 0:
            return None
        step = self.inner.next(context)
        if step is None:
            return None
        op, rest = step
        return op, Limit(rest, self.left if isinstance(op, Pending) else self.left - 1)

    def update(self, context: Context, event: Op) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else Limit(inner, self.left)


def limit(count: int, source: Source) -> Generator:
    """At most `count` ops of the source."""
    return Limit(lift(source), count)


class Mix(msgspec.Struct, frozen=True):
    inners: tuple[Generator, ...]
    cumulative: tuple[float, ...]
    chosen: int | None

    def next(self, context: Context) -> Step:
        inners, cumulative, chosen = self.inners, self.cumulative, self.chosen
        while inners:
            if chosen is None:
                chosen = context.random.choices(range(len(inners)), cum_weights=cumulative)[0]
            step = inners[chosen].next(context)
            if step is not None:
                op, rest = step
                if rest is not inners[chosen]:
                    inners = (*inners[:chosen], rest, *inners[chosen + 1 :])
                return op, Mix(inners, cumulative, chosen if isinstance(op, Pending) else None)
            weights = [high - low for low, high in itertools.pairwise((0.0, *cumulative))]
            del weights[chosen]
            inners = (*inners[:chosen], *inners[chosen + 1 :])
            cumulative, chosen = tuple(itertools.accumulate(weights)), None
        return None

    def update(self, context: Context, event: Op) -> Generator:
        inners = tuple([inner.update(context, event) for inner in self.inners])
        return self if same(inners, self.inners) else Mix(inners, self.cumulative, self.chosen)


def same(new: Items[Generator], old: Items[Generator]) -> bool:
    """Whether no generator of a group has changed."""
    return all(map(lambda left, right: left is right, new, old))


def mix(*sources: Source, weights: Items[float] | None = None) -> Generator:
    """Ops of all sources in random order, each chosen with its weight (equal by default), until all are exhausted."""
    if weights is not None and (len(weights) != len(sources) or any(weight <= 0 for weight in weights)):
        raise ValueError(f"mix: weights {list(weights)} must be {len(sources)} positive numbers, one for each source")
    return Mix(tuple(map(lift, sources)), tuple(itertools.accumulate(weights or [1.0] * len(sources))), None)


class AnyOf(msgspec.Struct, frozen=True):
    inners: tuple[Generator, ...]
    first: int

    def next(self, context: Context) -> Step:
        inners = list(self.inners)
        count = len(inners)
        soonest: tuple[int, Op, int, Generator] | None = None
        until_ns: int | None = None
        alive = False
        for offset in range(count):
            place = (self.first + offset) % count
            step = inners[place].next(context)
            if step is None:
                continue
            alive = True
            op, rest = step
            if isinstance(op, Pending):
                inners[place] = rest
                if op.until_ns is not None:
                    until_ns = op.until_ns if until_ns is None else min(until_ns, op.until_ns)
            elif op.time_ns <= context.time_ns:
                inners[place] = rest
                return op, AnyOf(tuple(inners), (place + 1) % count)
            elif soonest is None or op.time_ns < soonest[0]:
                soonest = (op.time_ns, op, place, rest)
        if soonest is not None and (until_ns is None or soonest[0] <= until_ns):
            _, op, place, rest = soonest
            inners[place] = rest
            return op, AnyOf(tuple(inners), (place + 1) % count)
        if not alive:
            return None
        return (PENDING if until_ns is None else Pending(until_ns)), AnyOf(tuple(inners), self.first)

    def update(self, context: Context, event: Op) -> Generator:
        inners = tuple([inner.update(context, event) for inner in self.inners])
        return self if same(inners, self.inners) else AnyOf(inners, self.first)


def any_of(*sources: Source) -> Generator:
    """Ops of whichever source has one first; sources take turns where several have. Ends when all are exhausted."""
    return AnyOf(tuple(map(lift, sources)), 0)


class MapOps(msgspec.Struct, frozen=True):
    function: Callable[[Op], Op]
    inner: Generator

    def next(self, context: Context) -> Step:
        step = self.inner.next(context)
        if step is None:
            return None
        op, rest = step
        return (op if isinstance(op, Pending) else self.function(op)), MapOps(self.function, rest)

    def update(self, context: Context, event: Op) -> Generator:
        inner = self.inner.update(context, event)
        return self if inner is self.inner else MapOps(self.function, inner)


def map_ops(function: Callable[[Op], Op], source: Source) -> Generator:
    """Every op changed by the function on its way out. Events reach the source unchanged."""
    return MapOps(function, lift(source))


def f_map(names: Mapping[str, str], source: Source) -> Generator:
    """Every op's `f` renamed; names not in the mapping stay."""
    return map_ops(lambda op: op.replace(f=names.get(op.f, op.f)), source)


class UntilOk(msgspec.Struct, frozen=True):
    inner: Generator
    in_flight: frozenset[int | str]
    done: bool

    def next(self, context: Context) -> Step:
        if self.done:
            return None
        step = self.inner.next(context)
        if step is None:
            return None
        op, rest = step
        return op, UntilOk(rest, self.in_flight, False)

    def update(self, context: Context, event: Op) -> Generator:
        inner = self.inner.update(context, event)
        in_flight, done = self.in_flight, self.done
        if event.type == "invoke":
            in_flight |= {event.process}
        elif event.process in in_flight:
            in_flight -= {event.process}
            done = done or event.type == "ok"
        return UntilOk(inner, in_flight, done)


def until_ok(source: Source) -> Generator:
    """Ops of the source until one of those invoked since is `ok`. Put a `delay` inside, or failures come fast."""
    return UntilOk(lift(source), frozenset(), False)
