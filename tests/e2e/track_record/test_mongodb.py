"""The rows of the track record on MongoDB. They run where the vendor's image is: no packages hold a mongod."""

from __future__ import annotations

from pathlib import Path

import pytest

from targets.mongodb.target import MongoDB
from tests.e2e.runs import need_docker, run
from tests.e2e.track_record.rows import assert_clean, assert_found

PRIMARY_ALONE = "partition-shape=primary,partition-direction=both,hold=20,rest=15"
"""Longer than an election takes: the primary that is cut off goes on for ten seconds, then another leads."""

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True, scope="module")
def _image() -> None:
    need_docker(MongoDB.default_image, optional=True)


class TestM1RolledBackWrites:
    common = (
        "--target",
        "mongodb",
        "--workload",
        "set-final",
        "--faults",
        "partition",
        "--time",
        "60",
        "--rate",
        "200",
    )

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"write_concern=1,{PRIMARY_ALONE}")
        assert ran.code == 1
        assert ran.effective("partition") > 0
        assert_found(ran, "lost-write")

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"write_concern=journaled,{PRIMARY_ALONE}")
        assert_clean(ran, oks=1_000, fs=("add",), faults=("partition",))


class TestM2DirtyReads:
    common = ("--target", "mongodb", "--workload", "register", "--faults", "partition", "--time", "60", "--rate", "60")

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"read_concern=local,{PRIMARY_ALONE}")
        assert ran.code == 1
        assert ran.effective("partition") > 0
        assert ran.counts

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--opts", f"read_concern=linearizable,{PRIMARY_ALONE}")
        assert_clean(ran, oks=500, fs=("read", "write", "cas"), faults=("partition",))


class TestM3BrokenSnapshots:
    common = ("--target", "mongodb", "--workload", "append", "--faults", "partition", "--time", "60", "--rate", "200")

    def test_dirty(self, tmp_path: Path) -> None:
        options = f"write_concern=1,read_concern=snapshot,{PRIMARY_ALONE}"
        ran = run(tmp_path, *self.common, "--model", "snapshot-isolation", "--opts", options)
        assert ran.code == 1
        assert ran.effective("partition") > 0
        assert ran.counts

    def test_clean(self, tmp_path: Path) -> None:
        options = f"write_concern=majority,read_concern=snapshot,{PRIMARY_ALONE}"
        ran = run(tmp_path, *self.common, "--model", "snapshot-isolation", "--opts", options)
        assert ran.verdict["verdict"] == "valid", ran.output
        assert ran.oks("txn") >= 1_000
        assert ran.effective("partition") > 0


class TestM4LegalWriteSkew:
    common = ("--target", "mongodb", "--workload", "append", "--faults", "none", "--time", "20")

    def test_dirty(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common, "--model", "serializable")
        assert ran.code == 1
        assert_found(ran, "G2-item")

    def test_clean(self, tmp_path: Path) -> None:
        ran = run(tmp_path, *self.common)
        assert ran.verdict["verdict"] == "valid", ran.output
        assert ran.results["verdict"]["model"] == "snapshot-isolation"
        assert ran.oks("txn") >= 1_000
        assert_found(ran, "G2-item")
        assert "serializable" in ran.verdict["not"] + ran.verdict["also_not"]
