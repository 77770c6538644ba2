"""The rows of the track record on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.runs import run
from tests.e2e.track_record.rows import WrongVerdict, assert_clean, assert_found

HOT_KEYS = "keys=10,writes-per-key=4"
QUICK_DEADLOCKS = "deadlock_timeout_ms=20"
"""Hot keys deadlock often; a second's wait for each leaves a clean twin with little done."""

pytestmark = pytest.mark.timeout(900)


class TestP1WriteSkewAtRepeatableRead:
    common = ("--workload", "append", "--concurrency", "16")

    def test_dirty(self, tmp_path: Path) -> None:
        options = f"isolation=repeatable-read,{HOT_KEYS}"
        ran = run(tmp_path, *self.common, "--faults", "none", "--time", "10", "--opts", options)
        assert ran.code == 0, "snapshot isolation is all that REPEATABLE READ promises"
        assert_found(ran, "G2-item", at_least=20)
        assert "serializable" in ran.verdict["not"] + ran.verdict["also_not"]
        assert "write skew" in ran.output and "not serializable" in ran.output

    def test_dirty_is_invalid_when_serializable_is_asked(self, tmp_path: Path) -> None:
        options = f"isolation=repeatable-read,{HOT_KEYS}"
        ran = run(
            tmp_path, *self.common, "--faults", "none", "--time", "5", "--opts", options, "--model", "serializable"
        )
        assert ran.code == 1
        assert ran.verdict["verdict"] == "invalid"

    def test_clean(self, tmp_path: Path) -> None:
        options = f"isolation=serializable,max_connections=1500,rows=existing,{HOT_KEYS},{QUICK_DEADLOCKS}"
        ran = run(tmp_path, *self.common, "--faults", "kill,pause,clock", "--time", "60", "--opts", options)
        assert_clean(ran, oks=10_000, fs=("txn",), faults=("kill", "pause", "clock"))


class TestP2LostUpdateAtReadCommitted:
    common = ("--workload", "append", "--concurrency", "16")

    def test_dirty(self, tmp_path: Path) -> None:
        options = f"isolation=read-committed,append=read-write,{HOT_KEYS}"
        ran = run(tmp_path, *self.common, "--faults", "none", "--time", "10", "--opts", options)
        assert_found(ran, "lost-update", at_least=10)
        assert_found(ran, "G-single", "G-single-item", at_least=1)

    def test_clean(self, tmp_path: Path) -> None:
        options = f"isolation=repeatable-read,append=read-write,{HOT_KEYS},{QUICK_DEADLOCKS}"
        ran = run(tmp_path, *self.common, "--faults", "kill,pause,clock", "--time", "45", "--opts", options)
        if ran.verdict["verdict"] == "invalid" or {"lost-update", "G-single", "G-single-item"} & set(ran.counts):
            raise WrongVerdict(ran.output)
        assert ran.verdict["verdict"] == "valid", ran.output
        assert ran.oks("txn") >= 5_000


class TestP8WriteSkewAtSerializable:
    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, "--workload", "write-skew", "--faults", "stall", "--time", "30")
        assert ran.code == 1
        assert_found(ran, "G2-item", at_least=5)
        assert "known issue" in ran.output

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(
            tmp_path, "--workload", "write-skew", "--faults", "stall", "--time", "30", "--opts", "max_connections=1500"
        )
        assert_clean(ran, oks=10_000, fs=("leave",), faults=("stall",))
        stalls = sum(window.fault.observed.get("stalls", 0) for window in ran.history.windows())
        assert stalls >= 20
