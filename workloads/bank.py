"""Bank accounts: transfers move money between accounts, and reads of all accounts must find the same total.

    invoke  transfer  {"from": 0, "to": 3, "amount": 2}  → ok; fail "not enough in 0"
    invoke  read      null                               → ok [[0, 10], [1, 10], [2, 12], ...]   (account, balance)

Accounts are 0, 1, 2, ...; each begins with `balance`. A transfer reads both accounts, and takes only what is there; a
read looks at all accounts in one transaction. At the end every worker, so every node, reads until it is ok.

Idea: Jepsen's bank. Cost: about 1 µs per op, and the accounts read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from checkers.collections.bank import Bank
from harness import generator as gen
from harness.op import Op, invoke
from harness.options import Option
from harness.workload import Workload

RETRY_S: Final = 0.2
"""How long a worker waits before it repeats a final read that was not ok."""


def generator(options: Mapping[str, Any]) -> gen.Generator:
    """Endless transfers and reads."""
    share, accounts, most = options["read-percent"] / 100, options["accounts"], options["most"]

    def op(context: gen.Context) -> Op:
        if context.random.random() < share:
            return invoke("read")
        source, goal = context.random.sample(range(accounts), 2)
        return invoke("transfer", {"from": source, "to": goal, "amount": context.random.randint(1, most)})

    return gen.lift(op)


def final_generator(options: Mapping[str, Any]) -> gen.Generator:
    """A read by every worker, repeated until it is ok."""
    return gen.each_thread(gen.until_ok(gen.delay(RETRY_S, gen.repeat(invoke("read")))))


BANK = Workload(
    name="bank",
    doc=(
        "Moves money between accounts and reads all of them at once. Finds reads whose total is wrong (read skew, lost"
        " updates), overdrawn accounts, and balances that no choice of the transfers explains."
    ),
    fs=("transfer", "read"),
    generator=generator,
    final_generator=final_generator,
    checkers={"bank": Bank()},
    own_model="snapshot-isolation",
    options={
        "accounts": Option(8, "how many accounts there are", least=2, most=10_000),
        "balance": Option(10, "what each account holds at the beginning", least=0, most=1_000_000),
        "most": Option(5, "the largest amount that is moved", least=1, most=1_000_000),
        "read-percent": Option(40, "how many of a hundred ops are reads", least=1, most=99),
    },
    check_options={
        "total": Option(0, "what all accounts hold together; 0: what most reads say"),
        "negative-balances": Option("forbidden", "whether accounts may be overdrawn", ("forbidden", "allowed")),
    },
)
