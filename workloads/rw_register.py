"""Registers in transactions: each writes unique values to some keys and reads some.

    invoke  txn  [["w", 12, 3], ["r", 9, null]]
    ok      txn  [["w", 12, 3], ["r", 9, 2]]

Problem: not every database has lists. Idea (Kingsbury and Alvaro, Elle, VLDB 2020, section 4.2; Jepsen's wr): a
value is written to a key once, so whoever reads it names its writer; which writes came after which must be inferred.
So it takes more operations to prove as much as the workload `append` does. Which keys, how often, and the reads at the
end are as in `workloads.append`. Cost: a few µs per op.
"""

from __future__ import annotations

from functools import partial

from checkers.transactions.rw_register import RwRegister
from harness.options import Option
from harness.workload import Workload
from workloads.append import APPEND, final_generator, generator

ASSUMED = ("no", "yes")
ELLES = "an assumption of Elle's; changes nothing: it is made wherever the model implies it"

RW_REGISTER = Workload(
    name="rw-register",
    doc=(
        "Transactions that write unique values to registers and read registers: for databases without lists. Finds"
        " dirty, intermediate and skewed reads, lost updates and write skew, where the reads say enough."
    ),
    fs=("txn",),
    generator=partial(generator, write="w"),
    final_generator=final_generator,
    checkers={"rw-register": RwRegister()},
    own_model="serializable",
    options={
        "keys": Option(10, "how many registers are in use at a time (1 to 60)", least=1, most=60),
        "writes-per-key": Option(8, "writes to a register before it is retired", least=1),
        "max-ops": Option(4, "reads and writes per transaction, at most", least=1, most=1000),
        "distribution": APPEND.options["distribution"],
    },
    check_options={
        "initial": Option("nil", "what registers hold before any write; unknown: any value", ("nil", "unknown")),
        "wfr_keys": Option("no", ELLES, ASSUMED),
        "sequential_keys": Option("no", ELLES, ASSUMED),
        "linearizable_keys": Option("no", ELLES, ASSUMED),
    },
)
