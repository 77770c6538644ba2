"""What Cassandra promises at which settings, in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from harness.target import Claim

GUARANTEES: Final = "https://cassandra.apache.org/doc/5.0/cassandra/architecture/guarantees.html"
VIEWS: Final = "https://cassandra.apache.org/doc/5.0/cassandra/developing/cql/mvs.html"
COUNTERS: Final = "https://cassandra.apache.org/doc/5.0/cassandra/developing/cql/types.html"
STORAGE: Final = "https://cassandra.apache.org/doc/5.0/cassandra/architecture/storage-engine.html"

LWT: Final = "lightweight transactions with linearizable consistency"
FORGETFUL: Final = (
    "Lightweight transactions are linearizable as long as no quorum is killed at once. In the event of an unexpected"
    " shutdown, Cassandra can lose up to the sync period or more if the sync is delayed."
)
EVENTUAL: Final = Claim(None, "eventual consistency: the write with the highest timestamp wins in the end", GUARANTEES)
BATCHES: Final = Claim(
    None, "batched writes across multiple tables are guaranteed to succeed completely or not at all", GUARANTEES
)
UNLOGGED: Final = Claim(None, "nothing: an unlogged batch is applied in parts", GUARANTEES)
COUNTER: Final = Claim(
    None,
    "Counter updates are, by nature, not idempotent; replaying the update may or may not lead to an over count.",
    COUNTERS,
)
VIEW: Final = Claim(
    None, "experimental: each replica of the base keeps its part of the view up to date, in the end", VIEWS
)


def claim(workload: str, options: Mapping[str, Any]) -> Claim:
    """Linearizable when everything goes through Paxos; else nothing (eventual consistency).

    commitlog=periodic, the default of the vendor, keeps that promise until nodes are killed.
    """
    if workload == "counter":
        return COUNTER
    if workload == "batch":
        return BATCHES if options["batches"] == "logged" else UNLOGGED
    if workload == "view":
        return VIEW
    serial = options["writes"] == "lwt" and options["reads"] in ("serial", "local-serial")
    if serial and (workload != "register" or options["cas"] == "lwt"):
        model = "strict-serializable" if workload == "append" else "linearizable"
        return Claim(model, LWT, GUARANTEES) if options["commitlog"] == "batch" else Claim(model, FORGETFUL, STORAGE)
    return EVENTUAL
