"""Is there one order of a counter's adds and reads that explains all reads? An exact search for small histories.

A frontier of configurations goes from completion to completion. A configuration is (adds in effect that had not
returned or never will, open reads that are done); adds that have returned are in all of them, as a sum. When an op
returns it must be in effect: from each configuration adds are put into effect one by one, and every open read whose
value is the sum is done at once, which is always safe. A configuration with fewer adds in effect and as many reads done
can do all that one with more can, so only the best are kept.
Source: just-in-time linearization (Lowe, "Testing for linearizability", 2017); what commutes is the counter's own.
Cost: 2^(open adds) at worst; gives up after a number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence

Configuration = tuple[frozenset[int], frozenset[int]]


def search(
    add_begin: Sequence[int],
    add_end: Sequence[int],
    amount: Sequence[int],
    read_begin: Sequence[int],
    read_end: Sequence[int],
    value: Sequence[int],
    steps_max: int,
) -> int | None:
    """The first read that no order explains, -1 if there is none, None if it would take more steps.

    Places of begins and ends are all different; an add that never returned has an end beyond all of them.
    """
    last = max(read_end, default=-1)
    events = sorted(
        [(place, 0, add) for add, place in enumerate(add_begin) if place < last]
        + [(place, 1, add) for add, place in enumerate(add_end) if place < last]
        + [(place, 2, read) for read, place in enumerate(read_begin)]
        + [(place, 3, read) for read, place in enumerate(read_end)]
    )
    base, steps = 0, 0
    open_adds: set[int] = set()
    open_reads: set[int] = set()
    frontier: set[Configuration] = {(frozenset(), frozenset())}
    for _, kind, op in events:
        if kind == 0:
            open_adds.add(op)
            continue
        if kind == 2:
            open_reads.add(op)
            frontier = {
                (adds, done | {op} if base + sum(amount[add] for add in adds) == value[op] else done)
                for adds, done in frontier
            }
            continue
        ready: set[Configuration] = set()
        for adds, done in frontier:
            if op in (adds if kind == 1 else done):
                ready.add((adds, done))
                continue
            seen = {(adds, done)}
            todo = [(adds, done)]
            while todo:
                steps += 1
                if steps > steps_max:
                    return None
                in_effect, so_far = todo.pop()
                for add in open_adds - in_effect:
                    more = in_effect | {add}
                    total = base + sum(amount[each] for each in more)
                    then = so_far | {read for read in open_reads if value[read] == total}
                    step = (more, then)
                    if step in seen:
                        continue
                    seen.add(step)
                    if op in (more if kind == 1 else then):
                        ready.add(step)
                    else:
                        todo.append(step)
        if not ready:
            return op
        if kind == 1:
            base += amount[op]
            open_adds.discard(op)
            frontier = _best({(adds - {op}, done) for adds, done in ready})
        else:
            open_reads.discard(op)
            frontier = _best({(adds, done - {op}) for adds, done in ready})
        steps += len(frontier) ** 2 // 64
    return -1


def _best(configurations: set[Configuration]) -> set[Configuration]:
    """Without those that another can become."""
    if len(configurations) > 512:
        return configurations
    return {
        (adds, done)
        for adds, done in configurations
        if not any(
            other_adds <= adds and other_done >= done and (other_adds, other_done) != (adds, done)
            for other_adds, other_done in configurations
        )
    }
