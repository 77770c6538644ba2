"""Views: rows that change, and a second copy of them, ordered otherwise, that the database keeps up to date itself.

    invoke  write  [12, 3]   → ok [12, 3]                                row 12 gets the value 3
    invoke  read   null      → ok [[[12, 3], [13, 0]], [[12, 3], [13, 0]]]    (row, value): the base; the view

The view may be late. But in the end it must hold exactly what the base holds. So the final reads begin `settle` seconds
after the last write and the last heal. Every worker, so every node, reads twice. Rows and values are few, so that rows
change often and old entries have to be removed from the view.

The question is that of Cassandra's materialized views. Cost: about 1 µs per op, and the rows read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkers.replicas.two_places import ViewInStep
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload
from workloads.batch import final_generator

VALUES = 10
"""How many different values there are."""


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless writes and reads."""
    share, rows = options["read-percent"] / 100, options["rows"]

    def op(context: gen.Context) -> Op:
        if context.random.random() < share:
            return invoke("read")
        return invoke("write", [context.random.randrange(rows), context.random.randrange(VALUES)])

    return gen.lift(op)


VIEW = Workload(
    name="view",
    doc=(
        "Changes rows of a table that has a materialized view, and reads both. Finds rows of which the view holds"
        " another value than the base in the end, none at all, or two."
    ),
    fs=("write", "read"),
    generator=generator,
    final_generator=final_generator,
    checkers={"view-in-step": ViewInStep()},
    own_model="read-uncommitted",
    options={
        "rows": Option(50, "how many rows there are", least=1, most=10_000),
        "read-percent": Option(10, "how many of a hundred ops are reads", least=1, most=99),
        "settle": Option(20, "how long the view may take to catch up, in seconds", least=1, most=50),
    },
)
