"""Goal: a stale read is found in an etcd that has issue 20418, and none in one that has not.

Method: a few rounds of the hunt on real clusters, and the verdict on their record. The version with the bug is run
where its image is at hand (`make images ETCD=3.5.27`, or a registry).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hunts.etcd_20418 import hunt
from checkers.linearizability.register_models import Registers
from harness.checker import CheckOptions
from harness.reading import read_history
from targets.etcd.target import Etcd
from tests.e2e.runs import need_docker
from tests.e2e.track_record.rows import WrongVerdict

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

AFFECTED = "gcr.io/etcd-development/etcd:v3.5.27"


def verdict_on(record: Path) -> str:
    return Registers().check(read_history(record), CheckOptions(workload={})).verdict


def test_reads_confirmed_by_late_answers_are_stale(tmp_path: Path) -> None:
    need_docker(AFFECTED, optional=True)
    record = tmp_path / "history.jsonl"
    counts = hunt(AFFECTED, nodes=5, rounds=6, seed=1, record=record)
    assert counts["stale"] > 0, counts
    assert verdict_on(record) == "invalid"


def test_late_answers_confirm_nothing_where_each_question_has_its_own_number(tmp_path: Path) -> None:
    need_docker(Etcd.default_image)
    record = tmp_path / "history.jsonl"
    counts = hunt(Etcd.default_image, nodes=3, rounds=3, seed=1, record=record)
    if counts["stale"]:
        raise WrongVerdict(f"a read was stale: {counts}")
    assert counts["fail"] > 0, f"the old leader was never asked in vain: {counts}"
    assert verdict_on(record) == "valid"
