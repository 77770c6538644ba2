"""Goal: values are unique, and the queue is drained at the end through every node. Method: simulated time."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import pytest

from harness.op import Op
from harness.target import DidNotHappen
from tests.workloads.one_copy import every_node_answered, judged, of_jepsen, run
from workloads.queue import QUEUE


def first_in_first_out(loses: int | None = None) -> Any:
    values: deque[int] = deque()

    def apply(op: Op) -> Any:
        if op.f == "enqueue":
            if op.value != loses:
                values.append(op.value)
            return op.value
        if op.f == "drain":
            taken = list(values)
            values.clear()
            return taken
        if not values:
            raise DidNotHappen("empty")
        return values.popleft()

    return apply


@pytest.mark.parametrize("percent", [30, 50, 80])
def test_a_right_queue_is_valid_and_drained_through_every_node(percent: int) -> None:
    main, final = run(QUEUE, first_in_first_out(), failing_finals=3, **{"enqueue-percent": percent})
    values = [op.value for op in main if op.f == "enqueue" and op.type == "invoke"]
    assert len(values) > 100 and values == list(range(1, len(values) + 1))
    assert every_node_answered(final) and {op.f for op in final} == {"drain"}
    verdict = judged(QUEUE, [*main, *final])
    assert (verdict.verdict, verdict.anomaly_counts) == ("valid", {})
    assert verdict.stats["total-queue"]["missing"] == 0


def test_a_value_that_is_dropped_is_found() -> None:
    main, final = run(QUEUE, first_in_first_out(loses=7))
    verdict = judged(QUEUE, [*main, *final])
    assert [(anomaly.type, anomaly.key) for anomaly in verdict.anomalies] == [("lost-write", 7)]


JEPSEN = """{:type :invoke, :f :enqueue, :value 0, :process 0, :time 1, :index 0}
{:type :ok, :f :enqueue, :value 0, :process 0, :time 2, :index 1}
{:type :invoke, :f :dequeue, :value nil, :process 1, :time 3, :index 2}
{:type :DEQUEUED, :process 1, :time 4, :index 3}
{:type :invoke, :f :drain, :value nil, :process 0, :time 5, :index 4}
{:type :ok, :f :drain, :value [DRAINED], :process 0, :time 6, :index 5}
"""


@pytest.mark.parametrize(
    ("dequeued", "drained", "verdict"),
    [
        ("ok, :f :dequeue, :value 0", "", "valid"),
        ("fail, :f :dequeue, :value nil, :error :empty", "0", "valid"),
        ("fail, :f :dequeue, :value nil, :error :empty", "", "invalid"),
        ("info, :f :dequeue, :value nil, :error :timeout", "", "valid"),
        ("ok, :f :dequeue, :value 0", "0", "invalid"),
    ],
)
def test_jepsens_histories_are_judged(dequeued: str, drained: str, verdict: str, tmp_path: Path) -> None:
    lines = JEPSEN.replace("DEQUEUED", dequeued).replace("DRAINED", drained)
    assert of_jepsen(QUEUE, tmp_path, lines).verdict == verdict
    if drained and dequeued.startswith("ok"):
        assert of_jepsen(QUEUE, tmp_path, lines, duplicates="allowed").verdict == "valid"
