"""Goal: elements are unique, reads stay affordable, and the end is read through every node. Method: simulated time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.op import Op
from harness.simulation import simulate
from harness.workload import PHASES
from tests.workloads.one_copy import every_node_answered, judged, of_jepsen, run
from workloads.set import CHEAP, SET, SET_FINAL, generator


def growing() -> Any:
    elements: list[int] = []

    def apply(op: Op) -> Any:
        if op.f == "add":
            elements.append(op.value)
            return op.value
        return list(elements)

    return apply


@pytest.mark.parametrize("workload", [SET, SET_FINAL], ids=lambda workload: workload.name)
def test_a_right_set_is_valid_and_the_end_is_read_through_every_node(workload: Any) -> None:
    main, final = run(workload, growing(), failing_finals=4)
    added = [op.value for op in main if op.f == "add" and op.type == "invoke"]
    assert len(added) > 300 and added == list(range(1, len(added) + 1))
    assert every_node_answered(final) and {op.f for op in final} == {"read"}
    assert sum(op.type == "ok" for op in final) == 6 and any(op.type == "fail" for op in final)
    verdict = judged(workload, [*main, *final])
    assert (verdict.verdict, verdict.anomaly_counts) == ("valid", {})
    assert set(verdict.checkers) >= set(workload.checkers)


def test_reads_become_rarer_as_the_set_grows() -> None:
    main, _ = run(SET, growing(), seconds=4)
    begun = [op for op in main if op.type == "invoke"]
    early, late = begun[: CHEAP * 5 // 4], begun[-2000:]
    assert 0.1 < sum(op.f == "read" for op in early) / len(early) < 0.3
    assert 0 < sum(op.f == "read" for op in late) / len(late) < 0.05


def test_each_phase_has_elements_of_its_own() -> None:
    added = [
        {op.value for op in simulate(limited(phase)) if op.type == "invoke" and op.f == "add"}
        for phase in range(len(PHASES))
    ]
    assert all(added) and not (added[0] & added[1] or added[1] & added[2] or added[0] & added[2])


def limited(phase: int) -> Any:
    from harness import generator as gen

    return gen.limit(200, generator({"read-percent": 20, "phase": phase}))


JEPSEN = """{:index 0, :type :invoke, :f :add, :value 1, :process 0, :time 1000000}
{:index 1, :type :ok, :f :add, :value 1, :process 0, :time 2000000}
{:index 2, :type :info, :f :start-partition, :value :majority, :process :nemesis, :time 2500000}
{:index 3, :type :invoke, :f :add, :value 2, :process 1, :time 3000000}
{:index 4, :type :info, :f :add, :value 2, :process 1, :time 4000000, :error [:timeout "x"]}
{:index 5, :type :info, :f :stop-partition, :value nil, :process :nemesis, :time 5000000}
{:index 6, :type :invoke, :f :read, :value nil, :process 2, :time 6000000}
{:index 7, :type :ok, :f :read, :value SEEN, :process 2, :time 7000000}
"""


@pytest.mark.parametrize("seen", ["#{1 2}", "[1 2]", "#{1}", "(2 1)"])
@pytest.mark.parametrize("workload", [SET, SET_FINAL], ids=lambda workload: workload.name)
def test_jepsens_histories_are_judged(workload: Any, seen: str, tmp_path: Path) -> None:
    assert of_jepsen(workload, tmp_path, JEPSEN.replace("SEEN", seen)).verdict == "valid"


@pytest.mark.parametrize(
    ("seen", "found"), [("#{2}", "lost-write"), ("#{1 3}", "garbage-read"), ("[1 1]", "duplicate-elements")]
)
def test_what_is_wrong_in_jepsens_histories_is_found(seen: str, found: str, tmp_path: Path) -> None:
    verdict = of_jepsen(SET, tmp_path, JEPSEN.replace("SEEN", seen))
    assert verdict.verdict == "invalid" and found in verdict.anomaly_counts
