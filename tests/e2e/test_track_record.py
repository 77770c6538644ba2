"""Goal: what TRACK_RECORD knows to be there is found, and its clean twin stays silent.

Method: each row is the command that docs/track-record.md names, run as a user runs it, on the real database. A clean
twin needs its floor of successful ops and every fault seen to take effect: an idle pass is no pass.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from targets.cassandra.target import Cassandra
from targets.etcd.target import Etcd
from targets.redis.target import Redis
from tests.e2e.runs import Ran, need_docker, run

ETCD, CASSANDRA, REDIS = Etcd.default_image, Cassandra.default_image, Redis.default_image
ALL_FAULTS = ("partition", "kill", "pause", "clock")
HOT_KEYS = "keys=10,writes-per-key=4"
QUICK_DEADLOCKS = "deadlock_timeout_ms=20"
"""Hot keys deadlock often; a second's wait for each leaves a clean twin with little done."""

pytestmark = pytest.mark.timeout(900)


def assert_clean(ran: Ran, *, oks: int, fs: tuple[str, ...], faults: tuple[str, ...] = ()) -> None:
    assert ran.verdict["verdict"] == "valid", ran.output
    assert ran.code == 0
    assert ran.oks(*fs) >= oks
    assert ran.counts == {}, "a clean twin finds nothing at all"
    for kind in faults:
        assert ran.effective(kind) > 0, f"no {kind} took effect"


def assert_found(ran: Ran, *anomalies: str, at_least: int = 1) -> None:
    found = sum(ran.counts.get(anomaly, 0) for anomaly in anomalies)
    assert found >= at_least, f"{anomalies}: {ran.counts}\n{ran.output}"


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
        assert ran.verdict["verdict"] == "valid", ran.output
        assert ran.oks("txn") >= 5_000
        assert not {"lost-update", "G-single", "G-single-item"} & set(ran.counts)


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


class TestE1StaleSerializableReads:
    common = ("--target", "etcd", "--workload", "register")

    @pytest.fixture(autouse=True)
    def docker(self) -> None:
        need_docker(ETCD)

    @pytest.mark.docker
    def test_dirty(self, tmp_path: Path) -> None:
        options = ("--opts", "reads=serializable", "--model", "linearizable")
        ran = run(tmp_path, *self.common, "--faults", "none", "--time", "15", *options)
        assert ran.code == 1
        assert_found(ran, "stale-read")

    @pytest.mark.docker
    def test_clean(self, tmp_path: Path) -> None:
        options = ("--nodes", "3", "--opts", "read-percent=90", "--time", "80")
        ran = run(tmp_path, *self.common, "--faults", ",".join(ALL_FAULTS), *options)
        assert_clean(ran, oks=20_000, fs=("read",), faults=ALL_FAULTS)


class TestC1StaleAndLostReadsAtOne:
    common = ("--target", "cassandra", "--workload", "register", "--faults", "partition", "--time", "40")

    @pytest.fixture(autouse=True)
    def docker(self) -> None:
        need_docker(CASSANDRA)

    @pytest.mark.docker
    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", "ops=read-write,writes=one,reads=one")
        assert ran.code == 1
        assert ran.effective("partition") > 0
        assert_found(ran, "stale-read", at_least=20)

    @pytest.mark.docker
    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common)
        assert_clean(ran, oks=200, fs=("read", "write", "cas"), faults=("partition",))


class TestC2VanishedWritesUnderASkewedClock:
    common = ("--target", "cassandra", "--workload", "register", "--faults", "clock")
    ahead = "clock-offset=60,hold=25"
    """One coordinator's clock, 60 s ahead for 25 s."""

    @pytest.fixture(autouse=True)
    def docker(self) -> None:
        need_docker(CASSANDRA)

    @pytest.mark.docker
    def test_dirty(self, tmp_path: Path) -> None:
        options = f"ops=read-write,writes=quorum,reads=quorum,timestamps=server,{self.ahead}"
        ran = run(tmp_path, *self.common, "--time", "45", "--opts", options)
        assert ran.code == 1
        assert_found(ran, "lost-write", at_least=5)

    @pytest.mark.docker
    def test_clean_with_timestamps_of_one_clock(self, tmp_path: Path) -> None:
        options = f"ops=read-write,writes=quorum,reads=quorum,timestamps=client,{self.ahead}"
        ran = run(tmp_path, *self.common, "--time", "45", "--opts", options)
        assert_clean(ran, oks=50, fs=("read", "write"), faults=("clock",))

    @pytest.mark.docker
    def test_clean_with_lightweight_transactions(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--time", "45", "--opts", self.ahead)
        assert_clean(ran, oks=50, fs=("read", "write", "cas"), faults=("clock",))


class TestC3LostUpdateByReadCheckWrite:
    common = ("--target", "cassandra", "--workload", "register")

    @pytest.fixture(autouse=True)
    def docker(self) -> None:
        need_docker(CASSANDRA)

    @pytest.mark.docker
    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--faults", "none", "--time", "20", "--opts", "cas=read-write")
        assert ran.code == 1
        assert_found(ran, "lost-update")

    @pytest.mark.docker
    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--faults", ",".join(ALL_FAULTS), "--time", "90")
        assert_clean(ran, oks=200, fs=("read", "write", "cas"), faults=ALL_FAULTS)


class TestR1WritesLostInAFailover:
    common = ("--target", "redis", "--workload", "register")

    @pytest.fixture(autouse=True)
    def docker(self) -> None:
        need_docker(REDIS)

    @pytest.mark.docker
    def test_dirty(self, tmp_path: Path) -> None:
        options = "partition-shape=primary,partition-direction=both"
        ran = run(tmp_path, *self.common, "--faults", "partition", "--time", "45", "--rate", "60", "--opts", options)
        assert ran.code == 1
        assert ran.effective("partition") > 0
        assert_found(ran, "lost-write")

    @pytest.mark.docker
    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--nodes", "1", "--faults", "none", "--time", "15")
        assert_clean(ran, oks=5_000, fs=("read", "write", "cas"))
