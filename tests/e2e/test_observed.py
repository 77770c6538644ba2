"""Goal: a whole run tells who led, how far replicas were behind, what was lost, and whether all nodes came to agree.

Method: Redis with Sentinel, a set, its primary cut off with its clients until another one has long been elected. What
they add meanwhile is acknowledged and thrown away when the partition ends. A machine that is too slow may keep the
Sentinels from electing anybody (they wait half a minute when their own clock stumbles): then it is run again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from checkers.replicas.split_brain import claims_of
from harness.judging import check
from targets.redis.target import Redis
from tests.e2e.runs import need_docker, run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def test_a_failover_of_redis_seen_from_outside(tmp_path: Path) -> None:
    need_docker(Redis.default_image)
    options = "partition-shape=primary,partition-direction=both,hold=10,rest=2,down_after_ms=1000,final=converge"
    flags = ("--target", "redis", "--workload", "set", "--faults", "partition", "--time", "14", "--rate", "100")
    for attempt in range(4):
        ran = run(tmp_path / str(attempt), *flags, "--opts", options)
        if ran.counts.get("not-durable") and len({claim.node for claim in claims_of(ran.history)}) > 1:
            break
    assert ran.code == 1, ran.output
    assert ran.effective("partition") > 0
    assert ran.counts["not-durable"] > 0, "acknowledged adds are gone on every node"
    assert "split-brain" not in ran.counts, "the old primary leads in an older epoch, or in none that is known"
    checkers = ran.verdict["checkers"]
    observed = checkers["split-brain"]["stats"]
    assert observed["polls"] > 3
    assert observed["claims"] >= observed["polls"] / 2
    assert checkers["replication-lag"]["stats"]["samples"] > 3
    assert checkers["convergence"]["stats"]["nodes"] == 3
    local = [op.node for op in map(ran.history.op, range(len(ran.history))) if (op.f, op.type) == ("local-read", "ok")]
    assert set(local) == {"n1", "n2", "n3"}
    page = ran.folder.report.read_text("utf-8")
    assert "Who said that it leads" in page and "How far each replica was behind" in page
    again = check(ran.folder.history_edn, workload="set", final="converge")
    assert again.anomaly_counts == ran.counts, "history.edn says the same"
