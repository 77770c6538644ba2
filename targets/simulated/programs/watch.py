"""The watch workload's log in the simulated store: a cell for each revision."""

from __future__ import annotations

from collections.abc import Generator

from harness.op import Op
from targets.simulated.programs.base import Programs, only_reads
from targets.simulated.store import Store, Transaction

EVENTS_MOST = 100
"""How many revisions an answer holds."""


def write(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[k, v] → [k, v, revision]."""
    key, value = op.value
    yield
    revision = (transaction.read("revision") or 0) + 1
    transaction.write("revision", revision)
    transaction.write(("log", revision), (key, value))
    return op.replace(type="ok", value=[key, value, revision])


def watch(op: Op, transaction: Transaction, store: Store) -> Generator[None, None, Op]:
    """[watcher, from, null] → [watcher, from, events, next]."""
    watcher, begin, _ = op.value
    yield
    end = min((transaction.read("revision") or 0) + 1, begin + EVENTS_MOST)
    events = []
    for revision in range(begin, end):
        logged = transaction.read(("log", revision))
        if logged is not None:
            events.append([revision, *logged])
    return op.replace(type="ok", value=[watcher, begin, events, max(begin, end)])


WATCH = Programs(
    by_f={"write": write, "watch": watch},
    writes_nothing=only_reads("watch"),
    named_as={
        "lost-update": "conflicting-events",
        "duplicate": "duplicate-event",
        "diverged-replicas": "missed-event",
        "lost-element": "missed-event",
    },
    claim="linearizable",
)
