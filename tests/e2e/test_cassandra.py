"""Goal: the workloads that only Cassandra has, and its own faults, work in whole runs.

Method: as a user runs them. Where nothing is promised, the run asks for what must hold all the same: nothing torn,
nothing lost, replicas that end up equal or, without hints, do not.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from targets.cassandra.target import Cassandra
from tests.e2e.runs import need_docker, run
from tests.e2e.track_record.rows import assert_clean, assert_found

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
CASSANDRA = ("--target", "cassandra")


@pytest.fixture(autouse=True, scope="module")
def _engine() -> None:
    need_docker(Cassandra.default_image)


def test_acknowledged_elements_outlive_a_member_that_leaves_and_joins(tmp_path: Path) -> None:
    """The node comes back empty and fetches its data, while operators flush, compact, repair and clean up.

    None of these can be had on a node that is away, and a repair whose own node leaves never ends. So the seed is one
    by which n4 leaves first, and each of the others is done elsewhere three times before it may meet n4.
    """
    faults = ("membership", "flush", "compact", "repair", "cleanup")
    ran = run(
        tmp_path,
        *CASSANDRA,
        *("--workload", "set-final", "--faults", ",".join(faults), "--time", "40", "--seed", "1089"),
        *("--nodes", "4", "--rate", "40", "--opts", "writes=quorum,reads=all"),
        timeout_s=840,
    )
    first = {window.fault.kind: window.fault.nodes for window in reversed(ran.history.windows())}
    assert {kind for kind in faults if first[kind] == ["n4"]} == {"membership"}, "draws have changed: find another seed"
    assert_clean(ran, oks=100, fs=("add",), faults=faults)


def test_batches_are_whole_in_the_end(tmp_path: Path) -> None:
    ran = run(tmp_path, *CASSANDRA, "--workload", "batch", "--faults", "pause", "--time", "20")
    assert_clean(ran, oks=100, fs=("write", "read"), faults=("pause",))
    assert ran.verdict["checkers"]["atomic-batches"]["stats"]["final_reads"] >= 20


def test_lists_by_lightweight_transactions(tmp_path: Path) -> None:
    ran = run(tmp_path, *CASSANDRA, "--workload", "append", "--faults", "none", "--time", "20", "--opts", "max-ops=2")
    assert_clean(ran, oks=100, fs=("txn",))
    assert ran.verdict["model"] == "strict-serializable"


def test_without_hints_replicas_stay_different(tmp_path: Path) -> None:
    """At ONE nobody mends what a replica has missed while it was cut off."""
    ran = run(
        tmp_path,
        *CASSANDRA,
        *("--workload", "register", "--faults", "partition", "--time", "15"),
        *("--opts", "ops=read-write,writes=one,reads=one,hints=off,final=converge,partition-direction=both"),
    )
    assert ran.code == 1
    assert_found(ran, "diverged-replicas")
