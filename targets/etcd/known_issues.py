"""Misbehaviours of etcd that are known upstream. Versions as in the fixes' own changelogs."""

from __future__ import annotations

from harness.target import KnownIssue

STALE_READ_20418 = KnownIssue(
    name="etcd #20418",
    sentence="A linearizable read can be stale: a retried ReadIndex request takes the answer to an earlier one.",
    link="https://github.com/etcd-io/etcd/issues/20418",
    versions=(("3.4.20", "3.4.42"), ("3.5.0", "3.5.28"), ("3.6.0", "3.6.9")),
    workloads=("register", "append", "set", "set-final", "lock", "lease", "watch"),
    needs=("pause",),
    options={"reads": "linearizable"},
)

KNOWN_ISSUES = (STALE_READ_20418,)
