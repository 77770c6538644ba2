"""Goal: the age of what a read returned is that of the definition. Method: brute force on random small histories."""

from __future__ import annotations

import os
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers.replicas.observations import observations_of
from checkers.replicas.staleness import Staleness, stale_reads
from harness.history import History
from harness.op import Op
from tests.checkers.histories import asked, history

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def made(seed: int, *, grows: bool) -> list[Op]:
    """Reads and writes (or adds) of two keys, one millisecond apart, with answers from anywhere in the past."""
    chance = random.Random(seed)
    ops: list[Op] = []
    open_: dict[int, Op] = {}
    past: dict[int, list[int]] = {0: [], 1: []}
    fresh = 0
    for _ in range(chance.randint(16, 40)):
        process = chance.randrange(3)
        op = open_.pop(process, None)
        if op is None:
            key = chance.choice([0, 0, 1])
            if chance.random() < 0.5:
                fresh += 1
                op = Op("invoke", "add" if grows else "write", [key, fresh], process)
            else:
                op = Op("invoke", "read", [key, None], process)
            open_[process] = op
            ops.append(op)
            continue
        key, value = op.value
        kind = chance.choice(["ok"] * 6 + ["info", "fail"])
        if op.f == "read":
            if grows:
                seen: Any = [value for value in past[key] if chance.random() < 0.8]
            else:
                seen = chance.choice([None, *past[key]])
            ops.append(op.replace(type=kind, value=[key, seen if kind == "ok" else None]))
        else:
            if kind != "fail":
                past[key].append(value)
            ops.append(op.replace(type=kind))
    return [op.replace(index=i, time_ns=i * 1_000_000) for i, op in enumerate(ops)]


def ages(ops: list[Op], *, grows: bool) -> dict[int, int]:
    """Read's completion → how many records its value was old, from the definition."""
    columns = History.from_ops(ops)
    pair = columns.pair
    reads = [(i, int(pair[i])) for i, op in enumerate(ops) if op.type == "invoke" and op.f == "read" and pair[i] >= 0]
    reads = [(begin, end) for begin, end in reads if ops[end].type == "ok"]
    writes = [
        (i, int(pair[i]) if pair[i] >= 0 and ops[pair[i]].type == "ok" else None, *op.value)
        for i, op in enumerate(ops)
        if op.type == "invoke" and op.f != "read" and (pair[i] < 0 or ops[pair[i]].type != "fail")
    ]

    def holds(answer: Any, value: int) -> bool:
        return value in answer if grows else answer == value

    def known(key: int, value: int) -> int | None:
        times = [end for _, end, k, v in writes if (k, v) == (key, value) and end is not None]
        times += [end for _, end in reads if ops[end].value[0] == key and holds(ops[end].value[1], value)]
        return min(times, default=None)

    found = {}
    for begin, end in reads:
        key, answer = ops[end].value
        newer = []
        for w_begin, _, k, value in writes:
            when = known(k, value)
            if k != key or when is None or when > begin:
                continue
            if grows:
                if value not in answer:
                    newer.append(when)
            elif answer is None or (known(key, answer) is not None and w_begin > known(key, answer)):  # type: ignore
                newer.append(when)
        if newer:
            found[end] = begin - min(newer)
    return found


@thorough
@given(st.integers(0, 2**63), st.booleans())
def test_ages_are_those_of_the_definition(seed: int, grows: bool) -> None:
    ops = made(seed, grows=grows)
    seen = observations_of(History.from_ops(ops))
    found = {stale.read.call.record: stale.age_ns // 1_000_000 for stale in stale_reads(seen)}
    assert found == ages(ops, grows=grows)


def test_the_random_histories_hold_stale_reads() -> None:
    for grows in (True, False):
        assert sum(bool(ages(made(seed, grows=grows), grows=grows)) for seed in range(100)) > 30


STALE = [
    ("invoke", 0, "write", [1, 10], None, "n1"),
    ("ok", 0, "write", [1, 10], None, "n1"),
    ("invoke", 0, "write", [1, 11], None, "n1"),
    ("ok", 0, "write", [1, 11], None, "n1"),
    ("invoke", 1, "read", [1, None], None, "n2"),
    ("ok", 1, "read", [1, 10], None, "n2"),
]


def test_it_informs_and_judges_only_where_asked() -> None:
    verdict = Staleness().check(history(*STALE), asked())
    assert verdict.verdict == "valid"
    assert (verdict.stats["stale_reads"], verdict.stats["staleness_ms_max"], verdict.stats["worst_op"]) == (1, 1.0, 5)
    assert Staleness().check(history(*STALE), asked(max_staleness_ms=5)).verdict == "valid"
    found = Staleness().check(history(*STALE), asked(max_staleness_ms=0.5))
    assert (found.verdict, found.anomaly_counts, found.anomalies[0].ops) == ("invalid", {"too-stale": 1}, [3, 5])
    assert "a newer version had been known for 1.0 ms" in found.anomalies[0].sentence


def test_what_a_compare_and_set_made_of_it_is_later_whenever_it_was() -> None:
    records = [
        ("invoke", 0, "write", [1, 10]),
        ("invoke", 1, "cas", [1, [10, 11]]),
        ("ok", 1, "cas", [1, [10, 11]]),
        ("invoke", 2, "read", [1, None]),
        ("ok", 2, "read", [1, 10]),
    ]
    assert Staleness().check(history(*records), asked()).stats["stale_reads"] == 1


def test_an_acknowledged_element_that_nobody_sees_again_is_as_old_as_its_absence() -> None:
    """Late and lost look the same; a bound on staleness is broken by either."""
    records = [
        ("invoke", 0, "txn", [["append", 1, 5]]),
        ("ok", 0, "txn", [["append", 1, 5]]),
        ("invoke", 1, "txn", [["r", 1, None]]),
        ("ok", 1, "txn", [["r", 1, []]]),
    ]
    lost = Staleness().check(history(*records), asked(max_staleness_ms=0.5))
    assert (lost.verdict, lost.stats["stale_reads"], lost.stats["unseen_since"]) == ("invalid", 1, 1)
    assert "returned 0 elements without 5, although that had been known for 1.0 ms" in lost.anomalies[0].sentence
    assert lost.anomalies[0].sentence.endswith("No later read showed it: it is late, or lost.")
    assert Staleness().check(history(*records), asked(max_staleness_ms=5)).verdict == "valid"
    late = [*records, ("invoke", 2, "txn", [["r", 1, None]]), ("ok", 2, "txn", [["r", 1, [5]]])]
    seen_again = Staleness().check(history(*late), asked(max_staleness_ms=0.5))
    assert (seen_again.verdict, seen_again.stats["stale_reads"]) == ("invalid", 1)
    assert "unseen_since" not in seen_again.stats
    assert "lost" not in seen_again.anomalies[0].sentence


def test_a_read_at_the_same_time_does_not_tell_that_an_element_came_back() -> None:
    records = [
        ("invoke", 0, "add", [1, 5]),
        ("ok", 0, "add", [1, 5]),
        ("invoke", 1, "read", [1, None]),
        ("invoke", 2, "read", [1, None]),
        ("ok", 2, "read", [1, []]),
        ("ok", 1, "read", [1, [5]]),
    ]
    stats = Staleness().check(history(*records), asked()).stats
    assert (stats["stale_reads"], stats["unseen_since"], stats["worst_op"]) == (1, 1, 4)


def test_a_limit_can_not_be_judged_without_times() -> None:
    ops = [op.replace(time_ns=0) for op in made(3, grows=False)]
    found = Staleness().check(History.from_ops(ops), asked(max_staleness_ms=1))
    assert (found.verdict, found.anomalies) == ("unknown", [])
    assert "does not tell times" in found.reasons[0]
    assert Staleness().check(History.from_ops(ops), asked()).verdict == "valid"


def test_an_age_is_not_counted_from_a_moment_that_nobody_recorded() -> None:
    ops = [
        {"type": type_, "process": process, "f": f, "value": value, "time": ms * 1_000_000}
        for type_, process, f, value, ms in (
            ("invoke", 0, "write", [1, 1], 1),
            ("ok", 0, "write", [1, 1], 2),
            ("invoke", 0, "write", [1, 2], 3),
            ("ok", 0, "write", [1, 2], 0),
            ("invoke", 1, "read", [1, None], 900),
            ("ok", 1, "read", [1, 1], 901),
        )
    ]
    assert Staleness().check(History.from_ops(ops), asked(max_staleness_ms=100)).anomalies == []
    ops[3]["time"] = 4_000_000
    assert Staleness().check(History.from_ops(ops), asked(max_staleness_ms=100)).verdict == "invalid"
