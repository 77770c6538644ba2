"""Counters: clients add to one number and read it.

    invoke  add   3     → ok 3       negative amounts too
    invoke  read  null  → ok 17

At the end every worker, so every node, reads until it is ok.

Idea: Jepsen's counter, with decrements. Cost: about 1 µs per op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from checkers.collections.counter import Counter
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

RETRY_S: Final = 0.2
"""How long a worker waits before it repeats a final read that was not ok."""


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless adds and reads."""
    read_share, down_share = options["read-percent"] / 100, options["decrement-percent"] / 100
    most = options["most"]

    def op(context: gen.Context) -> Op:
        if context.random.random() < read_share:
            return invoke("read")
        amount = context.random.randint(1, most)
        return invoke("add", -amount if context.random.random() < down_share else amount)

    return gen.lift(op)


def final_generator(options: Mapping[str, Any]) -> gen.Generator:
    """A read by every worker, repeated until it is ok."""
    return gen.each_thread(gen.until_ok(gen.delay(RETRY_S, gen.repeat(invoke("read")))))


COUNTER = Workload(
    name="counter",
    doc="Adds to one number, up and down, and reads it; finds adds that are lost, happen twice or are seen late.",
    fs=("add", "read"),
    generator=generator,
    final_generator=final_generator,
    checkers={"counter": Counter()},
    own_model="linearizable",
    options={
        "read-percent": Option(40, "how many of a hundred ops are reads", least=1, most=99),
        "decrement-percent": Option(30, "how many of a hundred adds are negative", least=0, most=100),
        "most": Option(5, "the largest amount that is added", least=1, most=1_000_000),
    },
)
