"""Goal: batches and rows are written all along, and both places are read through every node once all has settled.

Method: simulated time, one copy of the data.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness import generator as gen
from harness.op import Op
from harness.simulation import simulate
from harness.workload import PHASES
from tests.workloads.one_copy import every_node_answered, judged, run
from workloads.batch import BATCH, CHEAP, generator
from workloads.view import VALUES, VIEW


def batches(skipped: int = 0) -> Any:
    """skipped: the number of the batch whose second row is forgotten."""
    here: list[int] = []
    there: list[int] = []

    def apply(op: Op) -> Any:
        if op.f == "read":
            return [list(here), list(there)]
        here.append(op.value)
        if op.value != skipped:
            there.append(op.value)
        return op.value

    return apply


def rows(deaf: int = -1) -> Any:
    """deaf: the row whose writes do not reach the view."""
    base: dict[int, int] = {}
    view: dict[int, int] = {}

    def apply(op: Op) -> Any:
        if op.f == "read":
            return [sorted(map(list, place.items())) for place in (base, view)]
        key, value = op.value
        base[key] = value
        if key != deaf:
            view[key] = value
        return op.value

    return apply


@pytest.mark.parametrize("workload,apply", [(BATCH, batches()), (VIEW, rows())], ids=["batch", "view"])
def test_a_right_database_is_valid_and_both_rounds_reach_every_node(workload: Any, apply: Any) -> None:
    main, final = run(workload, apply, failing_finals=4, settle="7")
    assert {op.f for op in main} == {"write", "read"} and {op.f for op in final} == {"read"}
    assert sum(op.type == "ok" for op in final) == 12 and any(op.type == "fail" for op in final)
    assert every_node_answered(final)
    begun_ns = [op.time_ns for op in final if op.type == "invoke"]
    assert min(begun_ns) - max(op.time_ns for op in main) >= 7e9
    verdict = judged(workload, [*main, *final], {"settle": "7"})
    assert (verdict.verdict, verdict.anomaly_counts) == ("valid", {})


def test_a_batch_without_its_second_row_is_torn() -> None:
    main, final = run(BATCH, batches(skipped=9))
    verdict = judged(BATCH, [*main, *final])
    assert (verdict.verdict, verdict.anomaly_counts) == ("invalid", {"torn-batch": 1})
    assert verdict.anomalies[0].key == 9


def test_a_view_that_misses_a_row_has_diverged() -> None:
    main, final = run(VIEW, rows(deaf=2), rows="5")
    verdict = judged(VIEW, [*main, *final])
    assert (verdict.verdict, verdict.anomaly_counts) == ("invalid", {"diverged-view": 1})


def test_without_the_final_reads_it_is_unknown() -> None:
    main, _ = run(BATCH, batches(skipped=9))
    assert judged(BATCH, main).verdict == "unknown"


def test_reads_become_rarer_as_batches_grow_many() -> None:
    main, _ = run(BATCH, batches(), seconds=4)
    begun = [op for op in main if op.type == "invoke"]
    early, late = begun[:CHEAP], begun[-2000:]
    assert 0.05 < sum(op.f == "read" for op in early) / len(early) < 0.35
    assert 0 < sum(op.f == "read" for op in late) / len(late) < 0.05


def test_each_phase_has_batches_of_its_own() -> None:
    written = [
        {
            op.value
            for op in simulate(gen.limit(100, generator({"read-percent": 20, "phase": phase})))
            if op.f == "write"
        }
        for phase in range(len(PHASES))
    ]
    assert all(written) and not (written[0] & written[1] or written[1] & written[2] or written[0] & written[2])


def test_rows_and_values_are_few() -> None:
    main, _ = run(VIEW, rows(), rows="5")
    written = [op.value for op in main if op.f == "write"]
    assert {key for key, _ in written} == set(range(5)) and {value for _, value in written} == set(range(VALUES))
