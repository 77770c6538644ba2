"""The rows of the track record on etcd."""

from __future__ import annotations

from pathlib import Path

import pytest

from targets.etcd.target import Etcd
from tests.e2e.runs import need_docker, run
from tests.e2e.track_record.rows import ALL_FAULTS, assert_clean, assert_found

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True, scope="module")
def _engine() -> None:
    need_docker(Etcd.default_image)


class TestE1StaleSerializableReads:
    common = ("--target", "etcd", "--workload", "register")

    def test_dirty(self, tmp_path: Path) -> None:
        options = ("--opts", "reads=serializable", "--model", "linearizable")
        ran = run(tmp_path, *self.common, "--faults", "none", "--time", "15", *options)
        assert ran.code == 1
        assert_found(ran, "stale-read")

    def test_clean(self, tmp_path: Path) -> None:
        options = ("--nodes", "3", "--opts", "read-percent=90", "--time", "80")
        ran = run(tmp_path, *self.common, "--faults", ",".join(ALL_FAULTS), *options)
        assert_clean(ran, oks=2_000, fs=("read",), faults=ALL_FAULTS)


class TestE2UpdatesLostUnderALock:
    common = ("--target", "etcd", "--workload", "lock", "--nodes", "3", "--faults", "stall", "--time", "20")
    stalls = "ttl_s=1,locks=5,stall-chance=0.1,stall-length=2.6"
    """etcd makes a lease of one second last two."""

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"{self.stalls},guard=none")
        assert ran.code == 1
        assert_found(ran, "lost-update")

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", self.stalls)
        assert_clean(ran, oks=100, fs=("acquire", "update", "release"), faults=("stall",))
