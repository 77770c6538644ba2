"""What is known upstream of Cassandra's misbehaviours, by version."""

from __future__ import annotations

from typing import Final

from harness.target import KnownIssue
from targets.cassandra.claims import STORAGE

PAXOS: Final = {"writes": "lwt", "reads": "serial"}

SERIAL_READS_12126: Final = KnownIssue(
    name="CASSANDRA-12126",
    sentence="A SERIAL read, or a compare-and-set that does not apply, can miss a write that a later one then sees.",
    link="https://issues.apache.org/jira/browse/CASSANDRA-12126",
    versions=(("", "3.0.24"), ("3.1", "3.11.10")),
    workloads=("register", "set", "set-final", "append"),
    options=PAXOS,
)
RANGE_MOVEMENTS_15745: Final = KnownIssue(
    name="CASSANDRA-15745",
    sentence=(
        "While nodes leave or join, two lightweight transactions on one row can each find a quorum of other replicas: "
        "rounds of Paxos do not compare what ring they know."
    ),
    link="https://issues.apache.org/jira/browse/CASSANDRA-15745",
    versions=(("", ""),),
    workloads=("register", "set", "set-final", "append"),
    needs=("membership",),
    options=PAXOS | {"paxos": "v1"},
)
COMMIT_LOG: Final = KnownIssue(
    name="a killed node forgets what it acknowledged last",
    sentence=(
        "With commitlog_sync: periodic, the default, a node answers before its log has the write. When it is killed, it"
        " forgets what came after the log's last marker, of which it sets ten in a second: where a quorum is killed at"
        " once, acknowledged writes are gone."
    ),
    link=STORAGE,
    versions=(("", ""),),
    needs=("kill",),
    options={"commitlog": "periodic"},
)
VIEWS_10346: Final = KnownIssue(
    name="CASSANDRA-10346",
    sentence="A materialized view can differ from its base for good; nothing finds or mends that but building it anew.",
    link="https://issues.apache.org/jira/browse/CASSANDRA-10346",
    versions=(("3.0", ""),),
    workloads=("view",),
    anomalies=("diverged-view",),
)

KNOWN_ISSUES: Final = (SERIAL_READS_12126, RANGE_MOVEMENTS_15745, COMMIT_LOG, VIEWS_10346)
