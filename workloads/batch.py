"""Batches: two rows, in two places, written by one statement that the database calls atomic.

    invoke  write  17     → ok 17                          batch 17: a row here, and a row there
    invoke  read   null   → ok [[16, 17], [16, 17, 18]]    the batches whose row is here; those whose row is there

A batch is not isolated: a read may see one half of it for a while, and a batch whose coordinator died is finished by
others later. But in the end there must be both rows of it, or neither. So the final reads begin `settle` seconds after
the last write and the last heal. Every worker, so every node, reads twice: what is on its way just then is not torn.

The question is that of Cassandra's logged batches. Cost: about 1 µs per op, and the rows read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from checkers.replicas.two_places import AtomicBatches
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

BATCHES_PER_PHASE: Final = 100_000_000
"""Where the next phase's batches begin: far beyond what a week writes, and within 32 bits."""
CHEAP: Final = 200
"""How many batches there may be before reads become rarer."""
AGAIN_S: Final = 2.0
"""Between the two rounds of final reads."""
RETRY_S: Final = 0.5
"""How long a worker waits before it repeats a final read that was not ok."""


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless writes and reads; `phase` (of the run) is among the options."""
    share = options["read-percent"] / 100
    first = options.get("phase", 0) * BATCHES_PER_PHASE + 1

    def step(written: int, context: gen.Context) -> tuple[Op, int]:
        if context.random.random() < share * min(1.0, CHEAP / max(written, 1)):
            return invoke("read"), written
        return invoke("write", first + written), written + 1

    return gen.unfold(0, step)


def final_generator(options: Mapping[str, Any]) -> gen.Generator:
    """Two rounds of reads by every worker, each repeated until it is ok; the first after `settle` seconds."""
    each_reads = gen.each_thread(gen.until_ok(gen.delay(RETRY_S, gen.repeat(invoke("read")))))
    return gen.phases(gen.sleep(options["settle"]), each_reads, gen.sleep(AGAIN_S), each_reads)


BATCH = Workload(
    name="batch",
    doc=(
        "Writes two rows in one atomic batch, again and again, and reads both places. Finds batches of which one row"
        " is there in the end and the other is not, and acknowledged ones that are gone."
    ),
    fs=("write", "read"),
    generator=generator,
    final_generator=final_generator,
    checkers={"atomic-batches": AtomicBatches()},
    own_model="read-uncommitted",
    options={
        "read-percent": Option(20, "how many of a hundred ops are reads, while there are few rows", least=1, most=99),
        "settle": Option(20, "how long the database may take to finish what was begun, in seconds", least=1, most=50),
    },
)
