"""Single writes and reads of whole groups of keys: do all readers agree on the order of the writes?

    invoke  write  [["w", 12, 1]]
    ok      read   [["r", 13, null], ["r", 12, 1]]      all keys of a group, in random order

Problem: where each replica applies commits in an order of its own, every reader sees a state that is possible by
itself, and two readers together see what can't be: one saw A's write without B's, the other B's without A's. Idea
(Jepsen's `long-fork`): each key is written once, so a read of a group is a set of writes, and the sets that were read
must form a chain. The keys of a group are written by different clients one right after the other, with reads of the
group and of those before it among them. Values are 1; a key belongs to the group of its number divided by the group's
size. Cost: O(size of a group) per op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from checkers.transactions.long_fork import LongFork
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

KEYS_OF_A_PHASE = 100_000_000
"""Where the next phase's keys begin."""
LOOK_BACK = 4
"""How many groups back a read may look."""


class Groups(msgspec.Struct, frozen=True):
    """group: the one at work. unwritten: its keys that nobody was told to write yet, in random order."""

    group: int
    unwritten: tuple[int, ...] = ()


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless writes and reads. Options: see `LONG_FORK`."""
    size, read_share = options["group-size"], options["read-percent"] / 100
    first = options.get("phase", 0) * KEYS_OF_A_PHASE

    def keys_of(group: int) -> list[int]:
        return list(range(first + group * size, first + (group + 1) * size))

    def step(groups: Groups, context: gen.Context) -> tuple[Op, Groups]:
        chance = context.random
        if not groups.unwritten:
            unwritten = keys_of(groups.group + 1)
            chance.shuffle(unwritten)
            groups = Groups(groups.group + 1, tuple(unwritten))
        if chance.random() < read_share:
            keys = keys_of(max(0, groups.group - chance.choice([0, 0, 0, *range(1, LOOK_BACK + 1)])))
            chance.shuffle(keys)
            return invoke("read", [["r", key, None] for key in keys]), groups
        key, *rest = groups.unwritten
        return invoke("write", [["w", key, 1]]), Groups(groups.group, tuple(rest))

    return gen.unfold(Groups(-1), step)


LONG_FORK = Workload(
    name="long-fork",
    doc=(
        "Single writes, and reads of groups of keys. Finds pairs of reads that disagree on which of two writes came"
        " first (long fork), and reads that miss what was confirmed before they began."
    ),
    fs=("write", "read"),
    generator=generator,
    checkers={"long-fork": LongFork()},
    own_model="snapshot-isolation",
    options={
        "group-size": Option(3, "how many keys are read together", least=2, most=64),
        "read-percent": Option(65, "how many of a hundred ops are reads", least=1, most=99),
    },
)
