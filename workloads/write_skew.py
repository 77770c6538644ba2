"""Doctors on call: the textbook write skew, on pairs that are each used once.

    invoke  leave     [17, 0, null]            member 0 of pair 17 wants to leave
    ok      leave     [17, 0, "left"]          both were on call, it is not any more; or "stayed"
    ok      read-all  [[17, false, true], ...] pairs with somebody off call: (pair, is member 0 on call, is 1)

At least one of each pair has to stay on call: a transaction reads both, and takes its own member off only if both are
on. Run one after the other, in any order, the second stays; when both leave, the two did not see each other: write skew
(Berenson et al., "A Critique of ANSI SQL Isolation Levels", SIGMOD 1995, A5B). The two members of a pair are invoked
one right after the other, so that different clients have them in flight together. Pairs are many and never meet again,
so transactions hardly conflict otherwise, and thousands commit while one stalls (fault `stall`): that shows what a
database forgets of transactions that have committed.
Cost: about 1 µs per op, and two rows per pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkers.transactions.write_skew import WriteSkew
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import PHASES, Workload

PAIRS_OF_A_PHASE = 2_000
"""How many pairs each of the short phases has for itself, behind those of the main phase."""


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Each pair's two members, one after the other; ends when all pairs were used."""
    pairs, phase = options["pairs"], options.get("phase", 0)
    first = 0 if phase == 0 else pairs + (phase - 1) * PAIRS_OF_A_PHASE
    end = first + (pairs if phase == 0 else PAIRS_OF_A_PHASE)

    def step(used: int, context: gen.Context) -> tuple[Op, int] | None:
        pair, member = divmod(used, 2)
        return None if pair >= end else (invoke("leave", [pair, member, None]), used + 1)

    return gen.unfold(2 * first, step)


def pairs_in_all(options: Mapping[str, Any]) -> int:
    """How many pairs a target must set up, numbered from 0."""
    return options["pairs"] + (len(PHASES) - 1) * PAIRS_OF_A_PHASE


def final_generator(options: Mapping[str, Any]) -> gen.Generator:
    """One successful read of all pairs."""
    return gen.until_ok(gen.delay(1.0, gen.repeat(invoke("read-all"))))


WRITE_SKEW = Workload(
    name="write-skew",
    doc=(
        "Doctors on call: of each pair at least one has to stay, so each leaves only if it sees both on call."
        " Finds pairs that both left (write skew). With the fault `stall` it keeps some transactions open for seconds."
    ),
    fs=("leave",),
    generator=generator,
    final_generator=final_generator,
    checkers={"write-skew": WriteSkew()},
    own_model="serializable",
    options={
        "pairs": Option(
            100_000, "how many pairs there are; each is used once, and the run ends with the last", least=1, most=10**7
        )
    },
)
