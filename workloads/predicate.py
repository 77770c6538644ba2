"""Two clients insert where a search must find nothing: write skew over a predicate (G2).

    invoke  insert  [17, [33, null]]    client A: if neither table has a row with key 17, insert row 33 into the first
    invoke  insert  [17, [null, 34]]    client B: the same, row 34 into the second
    ok      insert  [17, [33, null]]
    fail    insert  [17, [null, 34]]    "too late": a row was there
    ok      read    [17, [33]]          the rows of both tables with key 17

Problem: locks on rows and first-committer-wins protect rows that are there; a search for rows that are not there yet
(is the room free? is the name taken?) has nothing to lock. Idea (Adya 1999, G2; Jepsen's `adya`): for each key two
transactions search both tables for the key, and insert a row, each into its own table, only if both searches found
nothing. One after the other, in any order, the second finds the first one's row. The two are invoked one right after
the other, so that different clients have them in flight together; each key is used by one such pair, and read now and
then: at once, and up to `LOOK_BACK` keys later. Rows have numbers that are never used again.
Cost: about 1 µs per op, and at most two rows per key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from checkers.transactions.predicate import Predicate
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

KEYS_OF_A_PHASE = 100_000_000
"""Where the next phase's keys begin."""
LOOK_BACK = 64
"""How many keys back a read may look."""


class Pairs(msgspec.Struct, frozen=True):
    """first: the phase's first key. key: the pair at work. member: which of its two inserts comes next."""

    first: int
    key: int
    member: int = 0


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless pairs of inserts, with reads among them. Options: see `PREDICATE`."""
    first = options.get("phase", 0) * KEYS_OF_A_PHASE
    read_share = options["read-percent"] / 100

    def step(pairs: Pairs, context: gen.Context) -> tuple[Op, Pairs]:
        chance = context.random
        if pairs.member == 0 and chance.random() < read_share:
            key = max(first, pairs.key - round(LOOK_BACK ** chance.random()))
            return invoke("read", [key, None]), pairs
        row = 2 * pairs.key + pairs.member
        rows = [row, None] if pairs.member == 0 else [None, row]
        following = Pairs(first, pairs.key, 1) if pairs.member == 0 else Pairs(first, pairs.key + 1)
        return invoke("insert", [pairs.key, rows]), following

    return gen.unfold(Pairs(first, first), step)


PREDICATE = Workload(
    name="predicate",
    doc=(
        "Pairs of transactions that each insert a row only if a search finds none: at most one of two may succeed."
        " Finds write skew over a search (G2), which locks on rows don't prevent."
    ),
    fs=("insert", "read"),
    generator=generator,
    checkers={"predicate": Predicate()},
    own_model="serializable",
    options={
        "read-percent": Option(20, "how many of a hundred ops are reads, about", least=1, most=90),
    },
)
