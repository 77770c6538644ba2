"""Goal: etcd keeps its word while operators work on it and members come and go, and the runs show that they did.

Method: whole runs as a user starts them. Short cuts and pauses, so that no fault keeps another from being had.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.op import PRIMARIES
from targets.etcd.target import Etcd
from tests.e2e.runs import Ran, need_docker, run
from tests.e2e.track_record.rows import assert_clean

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True, scope="module")
def _engine() -> None:
    need_docker(Etcd.default_image)


def terms_of(ran: Ran) -> set[int]:
    """Of all leaders that were observed."""
    history = ran.history
    ops = (history.op(place) for place in range(len(history)))
    return {leader["term"] for op in ops if op.f == PRIMARIES and op.type == "info" for leader in op.value}


def test_watchers_see_everything_across_compactions_and_partitions(tmp_path: Path) -> None:
    faults = ("partition", "compaction", "defrag", "snapshot")
    common = ("--target", "etcd", "--workload", "watch", "--nodes", "3", "--time", "20")
    ran = run(tmp_path, *common, "--faults", ",".join(faults), "--opts", "hold=1,rest=2")
    assert_clean(ran, oks=200, fs=("write", "watch"), faults=faults)
    stats = ran.verdict["checkers"]["watch"]["stats"]
    assert stats["compacted"] > 0, "the final watchers ask from the beginning, which is gone"
    assert stats["events"] > stats["writes"] / 2


def test_members_leave_and_join_while_others_pause(tmp_path: Path) -> None:
    """The rate keeps the log below 5,000 entries: above, a member that joins can hang (targets/etcd/README.md)."""
    faults = ("membership", "pause")
    common = ("--target", "etcd", "--workload", "register", "--nodes", "3", "--time", "25", "--rate", "120")
    ran = run(tmp_path, *common, "--faults", ",".join(faults), "--opts", "hold=2,rest=4")
    assert_clean(ran, oks=200, fs=("read", "write", "cas"), faults=faults)
    assert terms_of(ran), "who leads was observed"
