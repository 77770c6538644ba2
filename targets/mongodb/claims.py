"""What MongoDB's manual promises at which read and write concerns, in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from harness.target import Claim

MANUAL: Final = "https://www.mongodb.com/docs/manual"
MAJORITY: Final = ("majority", "journaled")

LINEARIZABLE: Final = Claim(
    "linearizable",
    'Combined with "majority" write concern, "linearizable" read concern enables multiple threads to perform reads and'
    " writes on a single document as if a single thread performed these operations in real time; that is, the"
    " corresponding schedule for these reads and writes is considered linearizable.",
    f"{MANUAL}/core/read-isolation-consistency-recency/#real-time-order",
)
SNAPSHOT: Final = Claim(
    "snapshot-isolation",
    'Upon transaction commit with write concern "majority", the transaction operations are guaranteed to have read from'
    " a snapshot of majority-committed data.",
    f"{MANUAL}/reference/read-concern-snapshot/",
)
CAUSAL: Final = Claim(
    "causal",
    'Only read operations with "majority" read concern and write operations with "majority" write concern can guarantee'
    " all four causal consistency guarantees.",
    f"{MANUAL}/core/causal-consistency-read-write-concerns/",
)
COMMITTED: Final = Claim(
    "read-committed",
    'Read concern "majority" returns data that has been acknowledged by a majority of the replica set members, in a'
    ' transaction only if that commits with write concern "majority"; until a transaction commits, the data changes'
    " made in it are not visible outside the transaction.",
    f"{MANUAL}/core/read-isolation-consistency-recency/",
)
MAY_ROLL_BACK: Final = Claim(
    None,
    "Nothing that clients could build on: a write that only the primary has may be rolled back when that steps down."
    " The manual: a rollback reverts write operations on a former primary when the member rejoins its replica set after"
    " a failover.",
    f"{MANUAL}/core/replica-set-rollbacks/",
)
UNCOMMITTED: Final = Claim(
    None,
    'Clients using "local" or "available" read concern can read data which may be subsequently rolled back during'
    " replica set failovers: read uncommitted is the default isolation level.",
    f"{MANUAL}/core/read-isolation-consistency-recency/",
)
NO_REAL_TIME: Final = Claim(
    None,
    'A read with "majority" or "snapshot" read concern returns majority-committed data, which need not be the newest:'
    ' in some circumstances two nodes transiently believe that they are the primary. Only "linearizable" reads of a'
    " single document respect real time.",
    f"{MANUAL}/reference/read-concern-linearizable/",
)
NOT_TOGETHER: Final = Claim(
    None,
    "Without a transaction the modification of each document is atomic, but an operation on several documents as a"
    " whole is not.",
    f"{MANUAL}/core/write-operations-atomicity/",
)
SEVERAL_DOCUMENTS: Final = Claim(
    None,
    "Linearizable read concern guarantees only apply if read operations specify a query filter that uniquely identifies"
    " a single document.",
    f"{MANUAL}/reference/read-concern-linearizable/",
)
TRANSACTIONAL: Final = ("append", "bank")
ONE_DOCUMENT: Final = ("register", "counter")


def level_of(workload: str, options: Mapping[str, Any]) -> str:
    """The read concern; for `strongest` the strongest that the server takes for these operations at these options."""
    level = options["read_concern"]
    if level != "strongest":
        return str(level)
    if workload in TRANSACTIONAL:
        return "snapshot" if options["transactions"] == "on" else "majority"
    plain = workload != "causal" and options["causal"] == "off" and options["read_preference"] == "primary"
    return "linearizable" if plain else "majority"


def claim(workload: str, options: Mapping[str, Any]) -> Claim:
    """What holds for the workload at these options of the target."""
    if workload in TRANSACTIONAL and options["transactions"] == "off":
        return NOT_TOGETHER
    if options["write_concern"] not in MAJORITY:
        return MAY_ROLL_BACK
    level = level_of(workload, options)
    if level in ("local", "available"):
        return UNCOMMITTED
    if workload in TRANSACTIONAL:
        return SNAPSHOT if level == "snapshot" else COMMITTED
    if workload == "causal" and options["causal"] == "on" and level == "majority":
        return CAUSAL
    if level == "linearizable":
        return LINEARIZABLE if workload in (*ONE_DOCUMENT, "causal") else SEVERAL_DOCUMENTS
    return NO_REAL_TIME
