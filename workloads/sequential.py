"""Registers written in an order, and read in the reverse one: whoever sees the later write must see the earlier.

    invoke  write  [12, 1]     one client writes keys 10, 11, 12, ... of a group, one after the other
    ok      read   [12, 1]     another reads ... 12, 11, 10
    ok      read   [11, null]  a violation: 11 was written before 12 by the same client

Problem: a database may serve each client an order of its own, in which each op is right by itself. Idea (Jepsen's
`sequential`): in each group of keys one client writes all, in order, each in a transaction of its own; others read them
in reverse order, one by one. A reader that found a key and then does not find one that was written before it has seen
the writer's steps in the wrong order. The checker judges all ops of all clients, so other violations are found too.
Each key is written once; its value is its place in the group, from 1. Cost: O(threads) per op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from checkers.ordering.sequential import Sequential
from harness import generator as gen
from harness.generator import PENDING, Context, Pending
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

KEYS_OF_A_PHASE = 100_000_000
"""Where the next phase's keys begin."""


class Groups(msgspec.Struct, frozen=True):
    """first: the phase's first key. group: the newest one. writers: thread → (group, next key in it).
    readers: thread → (group, next key in it, downwards). One thread in three writes."""

    first: int
    group: int = 0
    writers: Mapping[int, tuple[int, int]] = {}
    readers: Mapping[int, tuple[int, int]] = {}


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless writes and reads. Options: see `SEQUENTIAL`."""
    size = options["group-size"]

    def step(groups: Groups, context: Context) -> tuple[Op | Pending, Groups]:
        for thread, process in context.free.items():
            role = sorted(context.processes).index(thread)
            if role % 3 == 0:
                group, place = groups.writers.get(thread, (0, size))
                newest = groups.group
                if place == size:
                    group, place, newest = newest + 1, 0, newest + 1
                key = groups.first + group * size + place
                writers = {**groups.writers, thread: (group, place + 1)}
                changed = msgspec.structs.replace(groups, group=newest, writers=writers)
                return invoke("write", [key, place + 1]).replace(process=process), changed
            group, place = groups.readers.get(thread, (0, -1))
            if place < 0:
                working = [at for at, _ in groups.writers.values()] or [0]
                group, place = context.random.choice(working), size - 1
            key = groups.first + group * size + place
            changed = msgspec.structs.replace(groups, readers={**groups.readers, thread: (group, place - 1)})
            return invoke("read", [key, None]).replace(process=process), changed
        return PENDING, groups

    return gen.unfold(Groups(options.get("phase", 0) * KEYS_OF_A_PHASE), step)


SEQUENTIAL = Workload(
    name="sequential",
    doc=(
        "Keys that one client writes in order and others read in reverse. Finds clients that see another's writes out"
        " of order, and anything else that no common order of all operations explains."
    ),
    fs=("read", "write"),
    generator=generator,
    checkers={"sequential": Sequential()},
    own_model="sequential",
    options={
        "group-size": Option(5, "how many keys one client writes in a row", least=2, most=1000),
    },
)
