"""The rows of the track record on Cassandra."""

from __future__ import annotations

from pathlib import Path

import pytest

from targets.cassandra.target import Cassandra
from tests.e2e.runs import need_docker, run
from tests.e2e.track_record.rows import ALL_FAULTS, assert_clean, assert_found

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True, scope="module")
def _engine() -> None:
    need_docker(Cassandra.default_image)


class TestC1StaleAndLostReadsAtOne:
    common = ("--target", "cassandra", "--workload", "register", "--faults", "partition", "--time", "25")

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", "ops=read-write,writes=one,reads=one")
        assert ran.code == 1
        assert ran.effective("partition") > 0
        assert_found(ran, "stale-read", at_least=20)

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common)
        assert_clean(ran, oks=200, fs=("read", "write", "cas"), faults=("partition",))


class TestC2VanishedWritesUnderASkewedClock:
    common = ("--target", "cassandra", "--workload", "register", "--faults", "clock")
    ahead = "clock-offset=60,hold=12"
    """One coordinator's clock, 60 s ahead for 12 s."""

    def test_dirty(self, tmp_path: Path) -> None:
        options = f"ops=read-write,writes=quorum,reads=quorum,timestamps=server,{self.ahead}"
        ran = run(tmp_path, *self.common, "--time", "25", "--opts", options)
        assert ran.code == 1
        assert_found(ran, "lost-write", at_least=5)

    def test_clean_with_timestamps_of_one_clock(self, tmp_path: Path) -> None:
        options = f"ops=read-write,writes=quorum,reads=quorum,timestamps=client,{self.ahead}"
        ran = run(tmp_path, *self.common, "--time", "25", "--opts", options)
        assert_clean(ran, oks=50, fs=("read", "write"), faults=("clock",))

    def test_clean_with_lightweight_transactions(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--time", "25", "--opts", self.ahead)
        assert_clean(ran, oks=50, fs=("read", "write", "cas"), faults=("clock",))


class TestC3LostUpdateByReadCheckWrite:
    common = ("--target", "cassandra", "--workload", "register")

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--faults", "none", "--time", "20", "--opts", "cas=read-write")
        assert ran.code == 1
        assert_found(ran, "lost-update")

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--faults", ",".join(ALL_FAULTS), "--time", "90")
        assert_clean(ran, oks=200, fs=("read", "write", "cas"), faults=ALL_FAULTS)


class TestC4LightweightTransactionHiddenByAPlainWrite:
    """The clients' clock is a minute ahead: what they write plainly hides what a transaction writes afterwards."""

    common = ("--target", "cassandra", "--workload", "register", "--faults", "none", "--time", "15")

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", "writes=quorum,cas=lwt,clients_ahead_s=60")
        assert ran.code == 1
        assert_found(ran, "lost-write", "lost-update", "stale-read", at_least=5)

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", "clients_ahead_s=60")
        assert_clean(ran, oks=100, fs=("read", "write", "cas"))


class TestC5CountersRetriedAfterATimeout:
    """At ALL, with a node stopped for longer than the server waits: the others have counted when it says so."""

    common = ("--target", "cassandra", "--workload", "counter", "--faults", "pause", "--time", "20")
    stops = "writes=all,decrement-percent=0,hold=3,rest=2"

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"retries=once,{self.stops}")
        assert ran.code == 1
        assert ran.effective("pause") > 0
        assert_found(ran, "wrong-count", at_least=5)

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", self.stops)
        assert_clean(ran, oks=100, fs=("add", "read"), faults=("pause",))


class TestC6KilledNodesForgetWhatTheyAcknowledged:
    """All nodes killed at once, at the vendor's default for the commit log: what came after its last marker is gone."""

    common = ("--target", "cassandra", "--workload", "set-final", "--faults", "kill", "--time", "60")
    all_at_once = "writes=quorum,reads=all,kill-nodes=all,hold=1,rest=4"

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"commitlog=periodic,{self.all_at_once}")
        assert ran.code == 1
        assert ran.effective("kill") > 0
        assert_found(ran, "lost-write")

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", self.all_at_once)
        assert_clean(ran, oks=100, fs=("add", "read"), faults=("kill",))
