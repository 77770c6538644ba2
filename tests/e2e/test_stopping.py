"""Goal: what a run could not put in order at its end is told, and the run is judged all the same.

Method: the embedded PostgreSQL on `local`, stopped as always, by a target that then says that something is left.
"""

from __future__ import annotations

from pathlib import Path

from tests.e2e.runs import run

TARGET = """
from harness.errors import InfrastructureError
from targets.postgres.target import Postgres

class Untidy(Postgres):
    name = "untidy"
    substrates = ("local",)

    def stop(self, cluster):
        super().stop(cluster)
        raise InfrastructureError("a planted key is left")
"""


def test_what_is_left_behind_is_told(tmp_path: Path) -> None:
    (tmp_path / "untidy.py").write_text(TARGET)
    ran = run(tmp_path / "results", "--target", f"{tmp_path}/untidy.py:Untidy", "--faults", "none", "--time", "3")
    assert "not all was put in order: a planted key is left" in " ".join(ran.output.split())
    assert ran.verdict["verdict"] in ("valid", "unknown") and ran.oks("txn") >= 1
