"""The rows of the track record on Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from targets.redis.target import Redis
from tests.e2e.runs import need_docker, run
from tests.e2e.track_record.rows import assert_clean, assert_found

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True, scope="module")
def _engine() -> None:
    need_docker(Redis.default_image)


class TestR1WritesLostInAFailover:
    common = ("--target", "redis", "--workload", "register")

    def test_dirty(self, tmp_path: Path) -> None:
        options = "partition-shape=primary,partition-direction=both"
        ran = run(tmp_path, *self.common, "--faults", "partition", "--time", "45", "--rate", "60", "--opts", options)
        assert ran.code == 1
        assert ran.effective("partition") > 0
        assert_found(ran, "lost-write")

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--nodes", "1", "--faults", "none", "--time", "15")
        assert_clean(ran, oks=5_000, fs=("read", "write", "cas"))
