"""Goal: adds go up and down as asked, and the end is read through every node. Method: simulated time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.op import Op
from tests.workloads.one_copy import every_node_answered, judged, of_jepsen, run
from workloads.counter import COUNTER


def adding(forgets_every: int = 0) -> Any:
    state = {"total": 0, "adds": 0}

    def apply(op: Op) -> Any:
        if op.f == "read":
            return state["total"]
        state["adds"] += 1
        if not forgets_every or state["adds"] % forgets_every:
            state["total"] += op.value
        return op.value

    return apply


def test_a_right_counter_is_valid_and_the_end_is_read_through_every_node() -> None:
    main, final = run(COUNTER, adding(), failing_finals=3)
    amounts = [op.value for op in main if op.f == "add" and op.type == "invoke"]
    assert {-5, -1, 1, 5} <= set(amounts) <= set(range(-5, 6)) - {0}
    assert 0.2 < sum(amount < 0 for amount in amounts) / len(amounts) < 0.4
    assert every_node_answered(final)
    assert judged(COUNTER, [*main, *final]).verdict == "valid"
    only_up, _ = run(COUNTER, adding(), **{"decrement-percent": 0, "most": 1})
    assert {op.value for op in only_up if op.f == "add"} == {1}


def test_adds_that_are_forgotten_are_found() -> None:
    main, final = run(COUNTER, adding(forgets_every=50))
    assert judged(COUNTER, [*main, *final]).anomaly_types == ["wrong-count"]


JEPSEN = """{:type :invoke, :f :add, :value 1, :process 0, :time 1, :index 0}
{:type :ok, :f :add, :value 1, :process 0, :time 2, :index 1}
{:type :invoke, :f :add, :value 4, :process 1, :time 3, :index 2}
{:type :invoke, :f :read, :value nil, :process 2, :time 5, :index 3}
{:type :ok, :f :read, :value READ, :process 2, :time 6, :index 4}
"""


@pytest.mark.parametrize(("read", "verdict"), [(1, "valid"), (5, "valid"), (3, "invalid"), (0, "invalid")])
def test_jepsens_histories_are_judged(read: int, verdict: str, tmp_path: Path) -> None:
    assert of_jepsen(COUNTER, tmp_path, JEPSEN.replace("READ", str(read))).verdict == verdict
