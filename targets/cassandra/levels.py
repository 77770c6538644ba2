"""The options of this target, and the consistency levels that their values stand for.

`lwt` and `serial` mean Paxos. What can't go through it (counters, batches over partitions, views) takes plain levels
where they are chosen, so that the defaults hold for every workload: QUORUM, and ALL for reads that ask what there is in
the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cassandra import ConsistencyLevel

from harness.options import Option

PLAIN: Final = {
    "any": ConsistencyLevel.ANY,
    "one": ConsistencyLevel.ONE,
    "two": ConsistencyLevel.TWO,
    "three": ConsistencyLevel.THREE,
    "quorum": ConsistencyLevel.QUORUM,
    "all": ConsistencyLevel.ALL,
    "local-one": ConsistencyLevel.LOCAL_ONE,
    "local-quorum": ConsistencyLevel.LOCAL_QUORUM,
    "each-quorum": ConsistencyLevel.EACH_QUORUM,
}
WRITES: Final = ("lwt", "quorum", "one", *(name for name in PLAIN if name not in ("quorum", "one")))
READS: Final = (
    "serial",
    "quorum",
    "one",
    "local-serial",
    *(name for name in PLAIN if name not in ("quorum", "one", "any", "each-quorum")),
)
SERIAL: Final = {"serial": ConsistencyLevel.SERIAL, "local-serial": ConsistencyLevel.LOCAL_SERIAL}

OPTIONS: Final[dict[str, Option]] = {
    "writes": Option("lwt", "blind writes: a lightweight transaction, or plain at that level", WRITES),
    "reads": Option("serial", "the consistency level of reads", READS),
    "cas": Option(
        "lwt", "compare-and-set: a lightweight transaction, or read, check and write at QUORUM", ("lwt", "read-write")
    ),
    "timestamps": Option(
        "client", "who stamps plain writes: the clients, from one clock, or the node asked", ("client", "server")
    ),
    "clients_ahead_s": Option(
        0, "how far the clients' clock is ahead of the nodes', in seconds (timestamps=client)", least=0, most=86_400
    ),
    "retries": Option("none", "an add to a counter that timed out: left at that, or sent once more", ("none", "once")),
    "elements": Option("rows", "a set is rows of one partition, or one column of type set<int>", ("rows", "column")),
    "batches": Option("logged", "batches with a log that finishes them, or without", ("logged", "unlogged")),
    "paxos": Option("v1", "the server's variant of Paxos (paxos_variant; v2 since 4.1)", ("v1", "v2")),
    "commitlog": Option(
        "batch",
        "when a node has a write on its disk (commitlog_sync): before it answers, or up to ten seconds later",
        ("batch", "periodic"),
    ),
    "hints": Option("on", "whether nodes keep writes for others that are down (hinted handoff)", ("on", "off")),
    "speculative_retry": Option(
        "none", "whether a node that waits for a replica asks another one too", ("none", "99p", "always")
    ),
}


def read_level(options: Mapping[str, Any], *, serial: str | None = None) -> int:
    """The level of reads. serial: the plain level that stands for serial reads where there can be none."""
    name = options["reads"]
    if name in SERIAL:
        return int(SERIAL[name] if serial is None else PLAIN[serial])
    return int(PLAIN[name])


def write_level(options: Mapping[str, Any]) -> int:
    """The level of plain writes."""
    return int(PLAIN.get(options["writes"], ConsistencyLevel.QUORUM))
