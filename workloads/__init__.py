"""What clients do: one file a workload, registered here by its name."""

from __future__ import annotations

from harness.workload import Workload
from workloads.append import APPEND
from workloads.bank import BANK
from workloads.causal import CAUSAL
from workloads.closed_predicate import CLOSED_PREDICATE
from workloads.counter import COUNTER
from workloads.data_types import DATA_TYPES
from workloads.lock import LOCK
from workloads.long_fork import LONG_FORK
from workloads.monotonic import MONOTONIC
from workloads.predicate import PREDICATE
from workloads.queue import QUEUE
from workloads.register import REGISTER
from workloads.rw_register import RW_REGISTER
from workloads.sequential import SEQUENTIAL
from workloads.set import SET, SET_FINAL
from workloads.unique_ids import UNIQUE_IDS
from workloads.watch import WATCH
from workloads.write_skew import WRITE_SKEW

REGISTRY: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        APPEND,
        REGISTER,
        RW_REGISTER,
        WRITE_SKEW,
        SET,
        SET_FINAL,
        UNIQUE_IDS,
        QUEUE,
        COUNTER,
        BANK,
        *DATA_TYPES,
        PREDICATE,
        CLOSED_PREDICATE,
        LONG_FORK,
        MONOTONIC,
        SEQUENTIAL,
        CAUSAL,
        LOCK,
        WATCH,
    )
}
