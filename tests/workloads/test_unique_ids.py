"""Goal: ids are asked for all the time; Jepsen's histories can be judged. Method: simulated time."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from tests.workloads.one_copy import judged, of_jepsen, run
from workloads.unique_ids import UNIQUE_IDS


def test_a_right_generator_is_valid_and_one_that_repeats_itself_is_not() -> None:
    numbers = count()
    main, _ = run(UNIQUE_IDS, lambda op: next(numbers))
    assert sum(op.type == "ok" for op in main) > 300
    assert judged(UNIQUE_IDS, main).verdict == "valid"
    numbers = count()
    main, _ = run(UNIQUE_IDS, lambda op: next(numbers) % 500)
    assert judged(UNIQUE_IDS, main).anomaly_types == ["duplicate-id"]


JEPSEN = """{:type :invoke, :f :generate, :value nil, :process 0, :time 1, :index 0}
{:type :ok, :f :generate, :value "a-1", :process 0, :time 2, :index 1}
{:type :invoke, :f :generate, :value nil, :process 0, :time 3, :index 2}
{:type :ok, :f :generate, :value "a-2", :process 0, :time 4, :index 3}
"""


def test_jepsens_histories_are_judged(tmp_path: Path) -> None:
    assert of_jepsen(UNIQUE_IDS, tmp_path, JEPSEN).verdict == "valid"
    assert of_jepsen(UNIQUE_IDS, tmp_path, JEPSEN.replace("a-2", "a-1")).verdict == "invalid"
