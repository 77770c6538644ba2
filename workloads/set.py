"""Sets: unique elements are added, and reads return all of them, all along and at the end.

    invoke  add   17             → ok 17
    invoke  read  null           → ok [1, 2, 17, ...]     in any order

What is acknowledged has to be in every read that begins afterwards. A read costs as much as there are elements, so they
become rarer as the set grows: from 200 elements on, the work of reading stays in proportion to that of adding.
At the end every worker, so every node, reads until it is ok: only what is in none of these reads is gone. With
`final=converge` reads of each node's own copy come before, until all agree (`workloads.local_reads`).

`set-final` is the same without reads in between: it adds as fast as it can, and looks once, at the end.

Idea: Jepsen's set and set-full. Cost: about 1 µs per op, and the elements read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from checkers.collections.set_basic import SetAtTheEnd
from checkers.collections.set_full import SetFull
from checkers.replicas.convergence import Convergence
from checkers.replicas.durability import Durability
from harness import generator as gen
from harness.checker import Checker
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload
from workloads.local_reads import CONVERGE, FINAL, until_all_agree

ELEMENTS_PER_PHASE: Final = 100_000_000
"""Where the next phase's elements begin: far beyond what a week adds, and within 32 bits."""
CHEAP: Final = 200
"""How many elements a set may have before reads become rarer."""
RETRY_S: Final = 0.2
"""How long a worker waits before it repeats a final read that was not ok."""


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless adds and reads; `phase` (of the run) is among the options."""
    share = options["read-percent"] / 100
    first = options.get("phase", 0) * ELEMENTS_PER_PHASE + 1

    def step(added: int, context: gen.Context) -> tuple[Op, int]:
        if share and context.random.random() < share * min(1.0, CHEAP / max(added, 1)):
            return invoke("read"), added
        return invoke("add", first + added), added + 1

    return gen.unfold(0, step)


def adds_alone(options: Mapping[str, Any]) -> gen.Generator:
    """Endless adds."""
    return generator({**options, "read-percent": 0})


def final_generator(options: Mapping[str, Any]) -> gen.Generator:
    """A read by every worker, repeated until it is ok; with `final=converge` local reads on `nodes` nodes before it, so
    that what a node still throws away when it joins the others again counts as gone."""
    reads = gen.each_thread(gen.until_ok(gen.delay(RETRY_S, gen.repeat(invoke("read")))))
    if options.get("final") != CONVERGE:
        return reads
    return gen.phases(until_all_agree([None], options["nodes"]), reads)


def beside(options: Mapping[str, Any], ran: bool) -> dict[str, Checker]:
    """Whether nodes converge, where that is asked for."""
    return {"convergence": Convergence()} if options.get("final") == CONVERGE else {}


SET = Workload(
    name="set",
    doc=(
        "Adds unique elements to a set and reads all of it. Finds elements that are lost though they were acknowledged,"
        " late, shown twice or out of order, and tells how long it took until they were there."
    ),
    fs=("add", "read"),
    generator=generator,
    final_generator=final_generator,
    checkers={"set-full": SetFull(), "durability": Durability()},
    own_model="linearizable",
    beside=beside,
    options={
        "read-percent": Option(20, "how many of a hundred ops are reads, while the set is small", least=1, most=99),
        "final": FINAL,
    },
    check_options={"final": FINAL},
)

SET_FINAL = Workload(
    name="set-final",
    doc="Adds unique elements to a set as fast as it can and reads it at the end, on every node; finds lost elements.",
    fs=("add",),
    generator=adds_alone,
    final_generator=final_generator,
    checkers={"set": SetAtTheEnd(), "durability": Durability()},
    beside=beside,
    own_model="linearizable",
    options={"final": FINAL},
    check_options={"final": FINAL},
)
