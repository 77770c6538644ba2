"""Goal: what the hunts found is found again: etcd 20418, with its clean twin, and two commits that pass each other.

Method: a few rounds of each on real servers, and the verdict on their record. The etcd with the bug is run where its
image is at hand (`make images ETCD=3.5.27`, or a registry).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hunts import etcd_20418, postgres_commit_order
from checkers.linearizability.register_models import Registers
from checkers.transactions.list_append import ListAppend
from harness.checker import CheckOptions
from harness.reading import read_history
from targets.etcd.target import Etcd
from tests.e2e.runs import need_docker
from tests.e2e.track_record.rows import WrongVerdict

pytestmark = pytest.mark.timeout(600)

AFFECTED = "gcr.io/etcd-development/etcd:v3.5.27"


def verdict_on(record: Path) -> str:
    return Registers().check(read_history(record), CheckOptions(workload={})).verdict


@pytest.mark.docker
def test_reads_confirmed_by_late_answers_are_stale(tmp_path: Path) -> None:
    need_docker(AFFECTED, optional=True)
    record = tmp_path / "history.jsonl"
    counts = etcd_20418.hunt(AFFECTED, nodes=5, rounds=6, seed=1, path=record)
    assert counts["stale"] > 0, counts
    assert verdict_on(record) == "invalid"


@pytest.mark.docker
def test_late_answers_confirm_nothing_where_each_question_has_its_own_number(tmp_path: Path) -> None:
    need_docker(Etcd.default_image)
    record = tmp_path / "history.jsonl"
    counts = etcd_20418.hunt(Etcd.default_image, nodes=3, rounds=3, seed=1, path=record)
    if counts["stale"]:
        raise WrongVerdict(f"a read was stale: {counts}")
    assert counts["fail"] > 0, f"the old leader was never asked in vain: {counts}"
    assert verdict_on(record) == "valid"


def test_commits_that_pass_each_other_make_a_cycle_at_serializable(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    locks = postgres_commit_order.LOCKS
    counts = postgres_commit_order.hunt("local:18", rounds=10, locks=locks, seed=1, path=path)
    assert counts["found"] > 0, counts
    verdict = ListAppend().check(read_history(path), CheckOptions(model="serializable", workload={}))
    assert verdict.verdict == "invalid"
    assert verdict.anomaly_counts["G2-item"] == counts["found"]
