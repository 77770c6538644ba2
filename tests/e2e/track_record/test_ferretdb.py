"""The rows of the track record on FerretDB."""

from __future__ import annotations

from pathlib import Path

import pytest

from targets.ferretdb.target import FerretDB
from tests.e2e.runs import need_docker, run
from tests.e2e.track_record.rows import assert_clean, assert_found

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True, scope="module")
def _engine() -> None:
    need_docker(FerretDB.default_image)


class TestF1UpdatesOfOneDocumentAreLost:
    common = ("--target", "ferretdb", "--concurrency", "4")

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--workload", "counter", "--faults", "none", "--time", "8")
        assert ran.code == 1
        assert_found(ran, "wrong-count", at_least=10)
        assert "known issue" in ran.output

    def test_dirty_lists(self, tmp_path: Path) -> None:
        options = ("--opts", "max-ops=1,keys=3,writes-per-key=20")
        ran = run(tmp_path, *self.common, "--workload", "append", "--faults", "none", "--time", "8", *options)
        assert ran.code == 1
        assert_found(ran, "lost-write", "incompatible-order", at_least=5)

    def test_clean(self, tmp_path: Path) -> None:
        options = ("--faults", "kill,pause,clock", "--time", "25")
        ran = run(tmp_path, *self.common, "--workload", "set", *options)
        assert_clean(ran, oks=100, fs=("add",), faults=("kill", "pause", "clock"))
