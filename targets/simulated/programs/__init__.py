"""What the simulated store does for each workload, by the workload's name."""

from __future__ import annotations

from targets.simulated.programs.append import APPEND
from targets.simulated.programs.bank import BANK
from targets.simulated.programs.base import Programs
from targets.simulated.programs.causal import CAUSAL
from targets.simulated.programs.counter import COUNTER
from targets.simulated.programs.lease import LEASE
from targets.simulated.programs.lock import LOCK
from targets.simulated.programs.long_fork import LONG_FORK
from targets.simulated.programs.monotonic import MONOTONIC
from targets.simulated.programs.predicate import PREDICATE
from targets.simulated.programs.queue import QUEUE
from targets.simulated.programs.register import REGISTER
from targets.simulated.programs.rw_register import RW_REGISTER
from targets.simulated.programs.sequential import SEQUENTIAL
from targets.simulated.programs.set import SET, SET_FINAL
from targets.simulated.programs.two_places import BATCH, VIEW
from targets.simulated.programs.unique_ids import UNIQUE_IDS
from targets.simulated.programs.watch import WATCH
from targets.simulated.programs.write_skew import WRITE_SKEW

REGISTRY: dict[str, Programs] = {
    "append": APPEND,
    "register": REGISTER,
    "rw-register": RW_REGISTER,
    "write-skew": WRITE_SKEW,
    "set": SET,
    "set-final": SET_FINAL,
    "unique-ids": UNIQUE_IDS,
    "queue": QUEUE,
    "counter": COUNTER,
    "bank": BANK,
    "batch": BATCH,
    "view": VIEW,
    "predicate": PREDICATE,
    "long-fork": LONG_FORK,
    "monotonic": MONOTONIC,
    "sequential": SEQUENTIAL,
    "causal": CAUSAL,
    "lock": LOCK,
    "lease": LEASE,
    "watch": WATCH,
}
