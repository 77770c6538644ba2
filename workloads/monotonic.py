"""Counters that only grow: does any client see one shrink?

    invoke  inc   [3, null]     ok  inc   [3, 17]     adds one; the value after it, or [time of the database, value]
    invoke  read  [3, null]     ok  read  [3, 17]     null: nobody has added yet

Idea (Jepsen's `monotonic`): every increment tells the new value, so each value names its place in the order, and a
client that goes back, two increments with one value, or a database timestamp that disagrees with the values, are seen
at once. Keys are retired after `OPS_PER_KEY` ops and never used again. Cost: O(1) per op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from checkers.ordering.monotonic import Monotonic
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

KEYS_OF_A_PHASE = 100_000_000
"""Where the next phase's keys begin."""
OPS_PER_KEY = 500
"""How many ops a key serves."""


class Counters(msgspec.Struct, frozen=True):
    """keys: those in use. ops: how many each has had. following: the next new key."""

    keys: tuple[int, ...]
    ops: tuple[int, ...]
    following: int


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless increments and reads. Options: see `MONOTONIC`."""
    count, read_share = options["keys"], options["read-percent"] / 100
    first = options.get("phase", 0) * KEYS_OF_A_PHASE

    def step(counters: Counters, context: gen.Context) -> tuple[Op, Counters]:
        chance = context.random
        place = chance.randrange(count)
        keys, ops, following = list(counters.keys), list(counters.ops), counters.following
        if ops[place] == OPS_PER_KEY:
            keys[place], ops[place], following = following, 0, following + 1
        ops[place] += 1
        f = "read" if chance.random() < read_share else "inc"
        return invoke(f, [keys[place], None]), Counters(tuple(keys), tuple(ops), following)

    return gen.unfold(Counters(tuple(range(first, first + count)), (0,) * count, first + count), step)


MONOTONIC = Workload(
    name="monotonic",
    doc=(
        "Increments and reads of counters that only grow. Finds clients that see a counter go back, increments that are"
        " lost, and database timestamps that disagree with the values."
    ),
    fs=("inc", "read"),
    generator=generator,
    checkers={"monotonic": Monotonic()},
    own_model="strong-session-serializable",
    options={
        "keys": Option(3, "how many counters are in use at a time", least=1, most=1000),
        "read-percent": Option(50, "how many of a hundred ops are reads", least=1, most=99),
    },
)
