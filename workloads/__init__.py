"""What clients do: one file a workload.

`REGISTRY` names each with the place of its value, which is imported when it is asked for: a check of one history loads
the checkers of one workload.
"""

REGISTRY: dict[str, str] = {
    "append": "workloads.append:APPEND",
    "register": "workloads.register:REGISTER",
    "rw-register": "workloads.rw_register:RW_REGISTER",
    "write-skew": "workloads.write_skew:WRITE_SKEW",
    "set": "workloads.set:SET",
    "set-final": "workloads.set:SET_FINAL",
    "unique-ids": "workloads.unique_ids:UNIQUE_IDS",
    "queue": "workloads.queue:QUEUE",
    "counter": "workloads.counter:COUNTER",
    "bank": "workloads.bank:BANK",
    "batch": "workloads.batch:BATCH",
    "view": "workloads.view:VIEW",
    "predicate": "workloads.predicate:PREDICATE",
    "long-fork": "workloads.long_fork:LONG_FORK",
    "monotonic": "workloads.monotonic:MONOTONIC",
    "sequential": "workloads.sequential:SEQUENTIAL",
    "causal": "workloads.causal:CAUSAL",
    "lock": "workloads.lock:LOCK",
    "watch": "workloads.watch:WATCH",
    "lease": "workloads.lease:LEASE",
    "closed-predicate": "workloads.closed_predicate:CLOSED_PREDICATE",
    "kv": "workloads.data_types:KV",
    "set-linearizable": "workloads.data_types:SET_LINEARIZABLE",
    "queue-linearizable": "workloads.data_types:QUEUE_LINEARIZABLE",
    "fifo-queue": "workloads.data_types:FIFO_QUEUE",
    "stack": "workloads.data_types:STACK",
    "mutex": "workloads.data_types:MUTEX",
    "fenced-lock": "workloads.data_types:FENCED_LOCK",
    "counter-linearizable": "workloads.data_types:COUNTER_LINEARIZABLE",
    "multi-register": "workloads.data_types:MULTI_REGISTER",
    "log": "workloads.data_types:LOG",
}

JEPSEN_NAMES: dict[str, str] = {
    "list-append": "append",
    "wr": "rw-register",
    "linearizable-register": "register",
    "set-full": "set",
    "total-queue": "queue",
    "adya": "predicate",
    "g2": "predicate",
}
"""What Jepsen calls them, where it has another name for the same ops: `--workload total-queue` is `queue`."""
