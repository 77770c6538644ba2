"""Goal: only what is torn for good is called torn. Method: small histories by hand, one question each."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.replicas.two_places import AtomicBatches, ViewInStep
from harness.checker import CheckOptions
from harness.history import History, HistoryError
from harness.op import Op
from harness.verdict import Verdict

SECOND = 1_000_000_000


class Recorder:
    """Calls one after the other: each takes a tenth of a second. nodes: n1 for process 0, n2 for 1, ..."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.now_s = 0.0

    def _put(self, type_: str, f: str, value: Any, process: int) -> None:
        node = f"n{process + 1}"
        index = len(self.ops)
        self.ops.append(Op(type_, f, value, process, int(self.now_s * SECOND), index, node=node))

    def call(self, f: str, value: Any, type_: str = "ok", *, asked: Any = None, process: int = 0) -> None:
        self._put("invoke", f, value if asked is None and f == "write" else asked, process)
        self.now_s += 0.1
        self._put(type_, f, value, process)

    def write(self, value: Any, type_: str = "ok", process: int = 0) -> None:
        self.call("write", value, type_, process=process)

    def read(self, one: list[Any], other: list[Any], process: int = 0) -> None:
        self.call("read", [one, other], process=process)

    def rest(self, seconds: float = 21) -> None:
        self.now_s += seconds

    def twice(self, one: list[Any], other: list[Any], nodes: int = 1) -> None:
        """Two rounds of final reads."""
        for _ in range(2):
            for process in range(nodes):
                self.read(one, other, process)
            self.rest(1)

    def judged(self, checker: Any) -> Verdict:
        """The verdict; the records that each anomaly names must show it by themselves."""
        asked = CheckOptions(workload={"settle": 20})
        verdict: Verdict = checker.check(History.from_ops(self.ops), asked)
        for anomaly in verdict.anomalies:
            alone = checker.check(History.from_ops([self.ops[index] for index in anomaly.sub_history]), asked)
            assert (anomaly.type, anomaly.key) in [(each.type, each.key) for each in alone.anomalies]
        return verdict


def test_both_rows_or_neither_is_valid() -> None:
    told = Recorder()
    told.write(1)
    told.write(2, "info")
    told.write(3, "info")
    told.rest()
    told.twice([1, 2], [2, 1])
    verdict = told.judged(AtomicBatches())
    assert (verdict.verdict, verdict.anomaly_counts) == ("valid", {})
    assert verdict.stats["final_reads"] == 2


@pytest.mark.parametrize("type_", ["ok", "info", "fail"])
@pytest.mark.parametrize("here,there", [([1], []), ([], [1])])
def test_half_a_batch_is_torn_whatever_its_client_was_told(type_: str, here: list[int], there: list[int]) -> None:
    told = Recorder()
    told.write(1, type_)
    told.rest()
    told.twice(here, there)
    verdict = told.judged(AtomicBatches())
    assert (verdict.verdict, verdict.anomaly_counts) == ("invalid", {"torn-batch": 1})
    assert verdict.anomalies[0].key == 1


def test_an_acknowledged_batch_that_is_nowhere_is_not_durable() -> None:
    told = Recorder()
    told.write(1)
    told.write(2)
    told.rest()
    told.twice([2], [2])
    assert told.judged(AtomicBatches()).anomaly_counts == {"not-durable": 1}


def test_half_a_batch_that_is_seen_before_all_has_settled_is_nothing() -> None:
    told = Recorder()
    told.write(1)
    told.read([1], [])
    told.rest(5)
    told.read([1], [])
    told.rest()
    told.twice([1], [1])
    assert told.judged(AtomicBatches()).verdict == "valid"


def test_a_half_that_one_final_read_shows_is_there() -> None:
    told = Recorder()
    told.write(1)
    told.rest()
    told.read([1], [])
    told.read([1], [1])
    told.read([1], [])
    assert told.judged(AtomicBatches()).verdict == "valid"


def test_half_a_batch_that_only_the_last_reads_show_may_be_on_its_way() -> None:
    told = Recorder()
    told.write(1, "info")
    told.rest()
    told.read([], [])
    told.read([1], [])
    verdict = told.judged(AtomicBatches())
    assert verdict.verdict == "unknown" and "seen in one place only" in verdict.reasons[0]


def test_every_node_must_have_been_asked() -> None:
    told = Recorder()
    told.write(1, process=0)
    told.write(2, process=1)
    told.rest()
    told.twice([1, 2], [2])
    verdict = told.judged(AtomicBatches())
    assert verdict.verdict == "unknown" and "n2" in verdict.reasons[0]
    told.twice([1, 2], [2], nodes=2)
    assert told.judged(AtomicBatches()).verdict == "invalid"


def test_a_loss_on_several_nodes_is_shown_with_a_read_of_each() -> None:
    told = Recorder()
    told.write([1, 2], process=0)
    told.write([3, 4], process=1)
    told.rest()
    told.twice([[3, 4]], [], nodes=3)
    assert told.judged(AtomicBatches()).anomaly_counts == {"not-durable": 1, "torn-batch": 1}


def test_the_last_record_of_another_recorders_nemesis_counts_as_the_last_heal() -> None:
    told = Recorder()
    told.write(1)
    told.rest()
    told.ops.append(Op("info", "stop-partition", None, "nemesis", int(told.now_s * SECOND), len(told.ops)))
    told.twice([1], [])
    assert told.judged(AtomicBatches()).verdict == "unknown"
    told.rest()
    told.twice([1], [])
    assert told.judged(AtomicBatches()).anomaly_counts == {"torn-batch": 1}


def test_nothing_written_and_nothing_read_is_no_verdict_of_ours() -> None:
    assert Recorder().judged(AtomicBatches()).verdict == "valid"
    told = Recorder()
    told.write(1)
    assert told.judged(AtomicBatches()).verdict == "unknown"


def test_a_view_with_another_value_is_diverged_on_both_sides() -> None:
    told = Recorder()
    told.write([1, 5])
    told.rest()
    told.twice([[1, 5]], [[1, 4]])
    assert told.judged(ViewInStep()).anomaly_counts == {"diverged-view": 2}


def test_a_view_that_holds_both_the_old_and_the_new_is_diverged() -> None:
    told = Recorder()
    told.write([1, 5])
    told.rest()
    told.twice([[1, 5]], [[1, 4], [1, 5]])
    assert told.judged(ViewInStep()).anomaly_counts == {"diverged-view": 1}


def test_a_view_that_is_in_step_in_the_end_is_valid() -> None:
    told = Recorder()
    told.write([1, 5])
    told.write([2, 6], "info")
    told.read([[1, 5]], [])
    told.rest()
    told.read([[1, 5]], [[1, 5], [2, 6]])
    told.read([[1, 5], [2, 6]], [[1, 5], [2, 6]])
    assert told.judged(ViewInStep()).verdict == "valid"


@pytest.mark.parametrize("answer", [3, [[1]], [[1], 2], [[1], [2], [3]]])
def test_a_read_of_another_shape_is_refused(answer: Any) -> None:
    told = Recorder()
    told.write(1)
    told.rest()
    told.call("read", answer)
    with pytest.raises(HistoryError):
        told.judged(AtomicBatches())
