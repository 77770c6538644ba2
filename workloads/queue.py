"""Queues: unique values go in and come out; at the end the queue is drained, and everything must have come out once.

    invoke  enqueue  17    → ok 17
    invoke  dequeue  null  → ok 17           fail "empty": nothing was there (or ok null)
    invoke  drain    null  → ok [3, 17, ...] dequeues until the queue is found empty

In which order values come out is not judged. At the end every worker, so every node, drains until it is ok.

Idea: Jepsen's total-queue. Cost: about 1 µs per op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from checkers.collections.total_queue import TotalQueue
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

VALUES_PER_PHASE: Final = 100_000_000
"""Where the next phase's values begin."""
RETRY_S: Final = 0.2
"""How long a worker waits before it repeats a drain that was not ok."""


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless enqueues and dequeues; `phase` (of the run) is among the options."""
    share = options["enqueue-percent"] / 100
    first = options.get("phase", 0) * VALUES_PER_PHASE + 1

    def step(enqueued: int, context: gen.Context) -> tuple[Op, int]:
        if context.random.random() < share:
            return invoke("enqueue", first + enqueued), enqueued + 1
        return invoke("dequeue"), enqueued

    return gen.unfold(0, step)


def final_generator(options: Mapping[str, Any]) -> gen.Generator:
    """A drain by every worker, repeated until it is ok."""
    return gen.each_thread(gen.until_ok(gen.delay(RETRY_S, gen.repeat(invoke("drain")))))


DUPLICATES = Option(
    "forbidden",
    "whether a value may come out twice (a queue that delivers at least once)",
    ("forbidden", "allowed"),
)

QUEUE = Workload(
    name="queue",
    doc=(
        "Puts unique values into a queue and takes them out, and drains it at the end. Finds values that are lost"
        " though they were acknowledged, come out twice, or were never put in."
    ),
    fs=("enqueue", "dequeue"),
    generator=generator,
    final_generator=final_generator,
    checkers={"total-queue": TotalQueue()},
    own_model="linearizable",
    options={
        "enqueue-percent": Option(50, "how many of a hundred ops put a value in", least=1, most=99),
        "duplicates": DUPLICATES,
    },
    check_options={"duplicates": DUPLICATES},
)
