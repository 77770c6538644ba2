"""Registers that clients read and write, a few at a time: does whoever sees an effect see its cause?

    invoke  write  [12, 7]       ok  write  [12, 7]
    invoke  read   [13, null]    ok  read   [13, 4]       null: never written

Idea (after Jepsen's `causal`, and Bouajjani et al., POPL 2017): small groups of keys that all clients read and write at
random, so that what a client writes mostly follows from something that it has just read. Values are unique per key;
groups are retired after `OPS_PER_GROUP` ops, keys are never used again. Cost: O(1) per op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from checkers.ordering.causal import DEFAULT_MODEL, Causal
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

KEYS_OF_A_PHASE = 100_000_000
"""Where the next phase's keys begin."""
OPS_PER_GROUP = 400
"""How many ops a group of keys serves."""


class Group(msgspec.Struct, frozen=True):
    """first: the group's first key. ops: how many it has had. value: the next to write."""

    first: int
    ops: int = 0
    value: int = 1


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless reads and writes. Options: see `CAUSAL`."""
    keys, read_share = options["keys"], options["read-percent"] / 100

    def step(group: Group, context: gen.Context) -> tuple[Op, Group]:
        chance = context.random
        if group.ops == OPS_PER_GROUP:
            group = Group(group.first + keys)
        key = group.first + chance.randrange(keys)
        if chance.random() < read_share:
            return invoke("read", [key, None]), Group(group.first, group.ops + 1, group.value)
        return invoke("write", [key, group.value]), Group(group.first, group.ops + 1, group.value + 1)

    return gen.unfold(Group(options.get("phase", 0) * KEYS_OF_A_PHASE), step)


CAUSAL = Workload(
    name="causal",
    doc=(
        "Reads and writes of a few registers at a time. Finds clients that see an effect without its cause: an answer"
        " without the question, their own write gone, older values after newer ones."
    ),
    fs=("read", "write"),
    generator=generator,
    checkers={"causal": Causal()},
    own_model=DEFAULT_MODEL,
    options={
        "keys": Option(3, "how many registers are in use at a time", least=1, most=1000),
        "read-percent": Option(60, "how many of a hundred ops are reads", least=1, most=99),
    },
)
