"""Misbehaviours of etcd that are known upstream, with the versions that etcd's change logs name.

Listed are those that a run of ours can meet: a workload that shows it, under the faults that it needs. etcd #14370
(durability) needs a single member, which a run has with `NODES=1`.
"""

from __future__ import annotations

from typing import Final

from harness.target import KnownIssue

DATA: Final = ("append", "register", "set", "set-final", "lock", "lease", "watch")
LINEARIZABLE: Final = {"reads": "linearizable"}

STALE_READ_20418: Final = KnownIssue(
    name="etcd #20418",
    sentence="A linearizable read can be stale: a retried ReadIndex request takes the answer to an earlier one.",
    link="https://github.com/etcd-io/etcd/issues/20418",
    versions=(("3.4.20", "3.4.42"), ("3.5.0", "3.5.28"), ("3.6.0", "3.6.9")),
    workloads=DATA,
    needs=("pause",),
    options=LINEARIZABLE,
)
INCONSISTENT_AFTER_KILL: Final = KnownIssue(
    name="etcd #13766",
    sentence="A member that is killed under load can skip entries when it comes back: members differ from then on.",
    link="https://github.com/etcd-io/etcd/issues/13766",
    versions=(("3.5.0", "3.5.3"),),
    workloads=DATA,
    needs=("kill",),
)
LOST_BY_A_SINGLE_MEMBER: Final = KnownIssue(
    name="etcd #14370",
    sentence="A cluster of one member acknowledges writes before they are on disk; a kill loses them.",
    link="https://github.com/etcd-io/etcd/issues/14370",
    versions=(("", "3.4.21"), ("3.5.0", "3.5.5")),
    workloads=DATA,
    needs=("kill",),
)
INCONSISTENT_AFTER_DEFRAG: Final = KnownIssue(
    name="etcd #14685",
    sentence="A member that is killed while it defragments applies entries twice: its revisions differ.",
    link="https://github.com/etcd-io/etcd/pull/14685",
    versions=(("3.5.0", "3.5.6"),),
    workloads=DATA,
    needs=("defrag", "kill"),
)
DEFRAG_DURING_SNAPSHOT: Final = KnownIssue(
    name="etcd #20650",
    sentence="A member that defragments while it takes over a leader's snapshot can corrupt its data.",
    link="https://github.com/etcd-io/etcd/pull/20650",
    versions=(("3.4.0", "3.4.38"), ("3.5.0", "3.5.23"), ("3.6.0", "3.6.5")),
    workloads=DATA,
    needs=("defrag",),
)
REVOKED_BY_OLD_LEADER: Final = KnownIssue(
    name="etcd #15247",
    sentence="A leader that was stuck while another was elected revokes leases that their clients kept alive.",
    link="https://github.com/etcd-io/etcd/issues/15247",
    versions=(("3.4.0", "3.4.31"), ("3.5.0", "3.5.13")),
    workloads=("lease", "lock"),
    anomalies=("expired-early", "two-holders", "lost-update"),
    needs=("pause",),
)
RENEWED_THOUGH_REVOKED: Final = KnownIssue(
    name="etcd #20615",
    sentence="Renewing a lease can succeed though it was revoked.",
    link="https://github.com/etcd-io/etcd/pull/20615",
    versions=(("3.4.0", "3.4.38"), ("3.5.0", "3.5.23"), ("3.6.0", "3.6.5")),
    workloads=("lease",),
    anomalies=("expired-early",),
)
DUPLICATE_EVENTS: Final = KnownIssue(
    name="etcd #15274",
    sentence="A watcher can be given events twice.",
    link="https://github.com/etcd-io/etcd/pull/15274",
    versions=(("3.4.0", "3.4.24"), ("3.5.0", "3.5.8")),
    workloads=("watch",),
    anomalies=("duplicate-event", "event-order"),
)
EVENTS_BACK_IN_TIME: Final = KnownIssue(
    name="etcd #15515",
    sentence="A watch goes back in time when its member was away and takes over a snapshot of the leader's.",
    link="https://github.com/etcd-io/etcd/pull/15515",
    versions=(("3.4.0", "3.4.25"), ("3.5.0", "3.5.8")),
    workloads=("watch",),
    anomalies=("duplicate-event", "event-order"),
)
EVENTS_LOST_BY_COMPACTION: Final = KnownIssue(
    name="etcd #17612",
    sentence="A watcher that is behind can miss events when the history is compacted.",
    link="https://github.com/etcd-io/etcd/pull/17612",
    versions=(("3.4.0", "3.4.31"), ("3.5.0", "3.5.13")),
    workloads=("watch",),
    anomalies=("missed-event",),
    needs=("compaction",),
)

KNOWN_ISSUES: Final = (
    STALE_READ_20418,
    INCONSISTENT_AFTER_KILL,
    LOST_BY_A_SINGLE_MEMBER,
    INCONSISTENT_AFTER_DEFRAG,
    DEFRAG_DURING_SNAPSHOT,
    REVOKED_BY_OLD_LEADER,
    RENEWED_THOUGH_REVOKED,
    DUPLICATE_EVENTS,
    EVENTS_BACK_IN_TIME,
    EVENTS_LOST_BY_COMPACTION,
)
