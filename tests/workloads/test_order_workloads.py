"""Goal: the workloads about order keep their word about keys, roles and phases.

Method: their generators run in simulated time; a few facts about each that its checker or its users rely on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from harness import generator as gen
from harness.op import Op
from harness.options import with_defaults
from harness.simulation import all_ok, simulate
from harness.target import DidNotHappen, Unknown
from harness.workload import PHASES, Workload
from workloads.causal import CAUSAL, OPS_PER_GROUP
from workloads.lease import LEASE
from workloads.lock import LOCK
from workloads.long_fork import LONG_FORK
from workloads.monotonic import MONOTONIC, OPS_PER_KEY
from workloads.predicate import PREDICATE
from workloads.sequential import SEQUENTIAL
from workloads.watch import WATCH

ALL = (PREDICATE, LONG_FORK, MONOTONIC, SEQUENTIAL, CAUSAL, LOCK, WATCH, LEASE)


def invoked(workload: Workload, count: int = 2000, respond: Any = all_ok, seed: int = 0, **given: Any) -> list[Op]:
    ops = run(workload, count, respond, seed, **given)
    return [op for op in ops if op.type == "invoke"]


def run(workload: Workload, count: int = 2000, respond: Any = all_ok, seed: int = 0, **given: Any) -> list[Op]:
    options = {**with_defaults(workload.options, given), "phase": given.get("phase", 0)}
    return simulate(gen.limit(count, workload.clients(options)), respond, concurrency=6, seed=seed)


def keys_of(op: Op) -> set[Any]:
    return {mop[1] for mop in op.value} if isinstance(op.value[0], list) else {op.value[0]}


@pytest.mark.parametrize("workload", ALL, ids=lambda workload: workload.name)
def test_every_kind_of_op_is_emitted_and_phases_share_no_key(workload: Workload) -> None:
    respond = granted if workload is LOCK else followed if workload is WATCH else all_ok
    phases = [invoked(workload, respond=respond, phase=phase) for phase in range(len(PHASES))]
    for ops in phases:
        assert {op.f for op in ops} == set(workload.fs)
    watches = [[op for op in ops if workload is not WATCH or op.f == "watch"] for ops in phases]
    keys = [set().union(*map(keys_of, ops)) for ops in watches]
    assert not keys[0] & keys[1] and not keys[1] & keys[2] and not keys[0] & keys[2]


@pytest.mark.parametrize("workload", ALL, ids=lambda workload: workload.name)
def test_same_seed_same_ops(workload: Workload) -> None:
    respond = granted if workload is LOCK else followed if workload is WATCH else all_ok
    assert run(workload, 300, respond) == run(workload, 300, respond)
    assert run(workload, 300, respond) != run(workload, 300, respond, seed=1)


def test_predicate_has_two_inserts_a_key_each_into_its_own_table() -> None:
    inserts: dict[int, list[Any]] = defaultdict(list)
    for op in invoked(PREDICATE):
        if op.f == "insert":
            inserts[op.value[0]].append(op)
    whole = [pair for pair in inserts.values() if len(pair) == 2]
    assert len(whole) > 500 and len(inserts) - len(whole) <= 1
    for one, other in whole:
        assert one.value[1][1] is None and other.value[1][0] is None and one.process != other.process
    rows = [row for pair in whole for op in pair for row in op.value[1] if row is not None]
    assert len(rows) == len(set(rows))


def test_long_fork_writes_a_key_once_and_reads_whole_groups() -> None:
    ops = invoked(LONG_FORK, **{"group-size": 4})
    written = Counter(op.value[0][1] for op in ops if op.f == "write")
    assert set(written.values()) == {1}
    for op in ops:
        if op.f == "read":
            keys = sorted(keys_of(op))
            assert keys == list(range(keys[0], keys[0] + 4)) and keys[0] % 4 == 0
    assert len({tuple(mop[1] for mop in op.value) for op in ops if op.f == "read"}) > len(ops) / 20


def test_counters_and_groups_are_retired() -> None:
    counts = Counter(op.value[0] for op in invoked(MONOTONIC, 5000, keys=2))
    assert max(counts.values()) == OPS_PER_KEY and len(counts) >= 10
    groups = Counter(op.value[0] // 3 for op in invoked(CAUSAL, 2000))
    assert [groups[group] for group in range(5)] == [OPS_PER_GROUP] * 5
    values = [tuple(op.value) for op in invoked(CAUSAL) if op.f == "write"]
    assert len(values) == len(set(values))


def test_sequential_writers_go_up_and_readers_go_down() -> None:
    last: dict[int, tuple[str, int]] = {}
    for op in invoked(SEQUENTIAL):
        f, key = last.get(op.process, (op.f, None))  # type: ignore[arg-type]
        assert f == op.f
        if key is not None and op.f == "write" and op.value[0] // 5 == key // 5:
            assert op.value[0] == key + 1
        if key is not None and op.f == "read" and key % 5:
            assert op.value[0] == key - 1
        last[op.process] = (op.f, op.value[0])  # type: ignore[index]


def granted(op: Op) -> tuple[float, Any]:
    """A lock service that grants everything: the generator alone keeps order."""
    answers = {"acquire": [op.value[0], 7], "update": [op.value[0], [7, 0, 1]], "release": op.value}
    return 0.001, op.replace(type="ok", value=answers[op.f])


def test_who_got_a_lock_updates_and_releases_it() -> None:
    by_process: dict[Any, list[Op]] = defaultdict(list)
    for op in invoked(LOCK, respond=granted):
        by_process[op.process].append(op)
    for ops in by_process.values():
        names = "".join(op.f[0] for op in ops)
        assert names.replace("auur", "").replace("aur", "") in ("", "a", "au", "auu")
        assert all(op.value[1] == 7 for op in ops if op.f != "acquire")


def test_a_lock_whose_release_is_unknown_is_never_asked_for_again() -> None:
    def respond(op: Op) -> tuple[float, Any]:
        if op.f == "release":
            return 0.001, Unknown("lost")
        return granted(op) if op.f == "update" or op.value[0] % 2 else (0.001, DidNotHappen("held"))

    ops = run(LOCK, 1500, respond, locks=1)
    gone: dict[int, int] = {}
    for op in ops:
        if op.type == "info":
            gone.setdefault(op.value[0], op.index)
    late = [op for op in ops if op.type == "invoke" and op.f == "acquire" and gone.get(op.value[0], 10**9) < op.index]
    assert late == []


LOG = [[revision, 0, revision] for revision in range(1, 41)]


def followed(op: Op) -> tuple[float, Any]:
    """A log of 40 events, ten in each answer."""
    if op.f == "write":
        return 0.001, op.replace(type="ok")
    watcher, begin, _ = op.value
    events = LOG[begin - 1 : begin + 9]
    return 0.001, op.replace(type="ok", value=[watcher, begin, events, begin + len(events)])


def test_a_watcher_goes_on_where_it_was() -> None:
    nexts: dict[int, int] = {}
    for op in run(WATCH, respond=followed):
        if op.f != "watch":
            continue
        if op.type == "invoke":
            assert op.value[1] == nexts.get(op.value[0], 1)
        elif op.type == "ok":
            nexts[op.value[0]] = op.value[3]
    assert len(nexts) == 4 and set(nexts.values()) == {41}


def test_final_watchers_follow_to_the_end_and_stop() -> None:
    assert WATCH.final_generator is not None
    ops = simulate(WATCH.final_generator(with_defaults(WATCH.options, {})), followed, concurrency=3)
    answers = [op for op in ops if op.type == "ok"]
    assert len({op.value[0] for op in answers}) == 4
    assert Counter(len(op.value[2]) for op in answers) == {10: 16, 0: 4}
