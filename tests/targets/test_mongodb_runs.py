"""Goal: rows M1 to M3 of the track record, from clients to verdict: rollbacks, dirty reads and broken snapshots are
found at weak concerns, and nothing is found at strong ones.

Method: the workloads' own clients, sessions and checkers with the real driver, on a scripted set whose primary is cut
off alone, goes on for a while, steps down when it has heard from no majority, and comes home, where it rolls back what
only it had; the others have elected another meanwhile.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import generator as gen
from harness.checker import CheckOptions
from harness.interpreter import Interpreter
from harness.journal import Journal
from harness.reading import read_history
from harness.registry import find_workload
from harness.verdict import Verdict
from tests.targets.mongodb_cluster import USUAL, cluster_of, target_for
from tests.targets.mongodb_server import Member, ReplicaSet

pytestmark = pytest.mark.timeout(240)
WRITES = ("insert", "update", "findAndModify", "commitTransaction")
PATIENCE_S = 100.0


@pytest.fixture
def members() -> Iterator[ReplicaSet]:
    with ReplicaSet() as made:
        yield made


class Until:
    """What another generator says, until the event is set."""

    def __init__(self, over: threading.Event, inner: Any) -> None:
        self._over, self._inner = over, inner

    def next(self, context: gen.Context) -> Any:
        step = None if self._over.is_set() else self._inner.next(context)
        return None if step is None else (step[0], Until(self._over, step[1]))

    def update(self, context: gen.Context, event: Any) -> Any:
        return Until(self._over, self._inner.update(context, event))


def served(member: Member) -> int:
    """Writes that came to a member."""
    return sum(member.count(name) for name in WRITES)


def await_writes(more: int, member: Member) -> None:
    """Until it has got so many more."""
    wanted, until = served(member) + more, time.monotonic() + PATIENCE_S
    while served(member) < wanted:
        assert time.monotonic() < until, "clients write to it"
        time.sleep(0.02)


def cut_off_and_come_home(members: ReplicaSet, over: threading.Event) -> None:
    old, new = members.members[:2]
    try:
        await_writes(40, old)
        with members.lock:
            members.elect(new, unheard_by=(old,))
        await_writes(120, old)
        with members.lock:
            old.role, old.knows = "SECONDARY", None
        await_writes(40, new)
        members.rejoin(old)
        await_writes(40, new)
    finally:
        over.set()


def judged(
    members: ReplicaSet, folder: Path, workload: str, disturb: Any, model: str | None = None, **options: str
) -> Verdict:
    """The verdict on a run of this workload while `disturb(members, over)` goes on beside it."""
    cluster, journal = cluster_of(members), folder / "journal.jsonl"
    target, found = target_for(workload, cluster, **options), find_workload(workload)
    factory = target.workloads[workload]
    factory.setup(target, cluster)
    over = threading.Event()
    beside = threading.Thread(target=disturb, args=(members, over))
    with Journal(journal) as record:
        interpreter = Interpreter(
            record,
            lambda node, context: factory.open(target, node, context),
            cluster.nodes,
            concurrency=6,
            timeouts=USUAL,
            seed=7,
            options=target.chosen,
        )
        try:
            interpreter.mark("main")
            beside.start()
            clients = found.clients({**target.chosen, "phase": 0})
            interpreter.run(gen.time_limit(PATIENCE_S, Until(over, gen.stagger(0.004, clients))))
            beside.join()
            if found.final_generator is not None:
                interpreter.close_sessions()
                interpreter.mark("final")
                interpreter.run(gen.time_limit(PATIENCE_S, found.final_generator(target.chosen)))
        finally:
            over.set()
            interpreter.close()
        assert dict(interpreter.unmapped) == {}
    [checker] = [each for name, each in found.checkers.items() if name != "durability"]
    asked = model or target.claim(workload, target.chosen).model
    return checker.check(read_history(journal), CheckOptions(model=asked))


class TestM1RolledBackWrites:
    def test_dirty(self, members: ReplicaSet, tmp_path: Path) -> None:
        verdict = judged(members, tmp_path, "set-final", cut_off_and_come_home, write_concern="1")
        assert verdict.verdict == "invalid"
        assert verdict.anomaly_counts["lost-write"] >= 5

    def test_clean(self, members: ReplicaSet, tmp_path: Path) -> None:
        verdict = judged(members, tmp_path, "set-final", cut_off_and_come_home, write_concern="journaled")
        assert (verdict.verdict, verdict.anomaly_counts) == ("valid", {})


class TestM2DirtyReads:
    def test_dirty(self, members: ReplicaSet, tmp_path: Path) -> None:
        verdict = judged(members, tmp_path, "register", cut_off_and_come_home, read_concern="local")
        assert verdict.verdict == "invalid"

    def test_clean(self, members: ReplicaSet, tmp_path: Path) -> None:
        verdict = judged(members, tmp_path, "register", cut_off_and_come_home)
        assert (verdict.verdict, verdict.model, verdict.anomaly_counts) == ("valid", "linearizable", {})


class TestM3BrokenSnapshots:
    def test_dirty(self, members: ReplicaSet, tmp_path: Path) -> None:
        verdict = judged(members, tmp_path, "append", cut_off_and_come_home, "snapshot-isolation", write_concern="1")
        assert verdict.verdict == "invalid"

    def test_clean(self, members: ReplicaSet, tmp_path: Path) -> None:
        verdict = judged(members, tmp_path, "append", cut_off_and_come_home)
        assert (verdict.verdict, verdict.model) == ("valid", "snapshot-isolation")


def many_elections(members: ReplicaSet, over: threading.Event) -> None:
    chance = random.Random(3)
    try:
        for _ in itertools.repeat(None, 5):
            await_writes(20, members.primary)
            with members.lock:
                members.elect(chance.choice([member for member in members.members if member is not members.primary]))
        await_writes(20, members.primary)
    finally:
        over.set()


@pytest.mark.parametrize("workload", ["append", "register", "counter", "bank"])
def test_nothing_is_found_while_the_lead_goes_from_one_to_the_other(
    members: ReplicaSet, tmp_path: Path, workload: str
) -> None:
    verdict = judged(members, tmp_path, workload, many_elections)
    assert verdict.verdict == "valid", verdict.anomalies[:3]
