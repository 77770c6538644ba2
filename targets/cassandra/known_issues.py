"""What is known upstream of Cassandra's misbehaviours, by version."""

from __future__ import annotations

from typing import Final

from harness.target import KnownIssue

SERIAL_READS_12126: Final = KnownIssue(
    name="CASSANDRA-12126",
    sentence="A SERIAL read, or a compare-and-set that does not apply, can miss a write that a later one then sees.",
    link="https://issues.apache.org/jira/browse/CASSANDRA-12126",
    versions=(("", "3.0.24"), ("3.1", "3.11.10")),
    workloads=("register",),
    options={"writes": "lwt", "reads": "serial", "cas": "lwt"},
)

KNOWN_ISSUES: Final = (SERIAL_READS_12126,)
