"""What the hosted CI runs is what .ci/run runs; the nightly matrix names only what exists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.planning import Request, make_plan
from harness.registry import find_target

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_is_one_that_ci_runs(path: Path) -> None:
    commands = re.findall(r"^\s*(?:- )?run: (.+)$", path.read_text(), re.M)
    own = (ROOT / ".ci" / "run").read_text()
    assert commands
    for command in commands:
        assert command == ".ci/run" or command in own, f"{path.name}: .ci/run never runs {command!r}"


def test_each_row_of_the_nightly_matrix_is_a_run_that_can_be_asked_for() -> None:
    rows = [
        {name: quoted or plain for name, quoted, plain in re.findall(r'([\w-]+): (?:"([^"]*)"|([^",}]+))', row)}
        for row in re.findall(r"^ +- \{(target: .+)\}$", WORKFLOWS[1].read_text(), re.M)
    ]
    assert len(rows) >= 8
    for row in rows:
        assert row["workload"] in find_target(row["target"]).workloads or row.get("track-record") == "yes", row
        if "track-record" not in row:
            plan = make_plan(
                Request(
                    target=row["target"],
                    workload=row["workload"],
                    on="docker",
                    image=row["image"] or None,
                    nodes=int(row["nodes"]) if "nodes" in row else None,
                    faults=tuple(row["faults"].split(",")),
                    options=dict(option.split("=") for option in row["opts"].split(",") if option),
                )
            )
            assert ",".join(plan.faults) == row["faults"]


def test_each_night_checkers_are_compared_with_brute_force() -> None:
    jobs = re.split(r"^  (\w+):$", WORKFLOWS[1].read_text().partition("\njobs:\n")[2], flags=re.M)
    proof = dict(zip(jobs[1::2], jobs[2::2], strict=True))["prove"]
    assert 'PROVE: "yes"' in proof and "run: .ci/nightly" in proof
    environment = {**os.environ, "PROVE": "yes", "MAKEFLAGS": "-n"}
    done = subprocess.run([ROOT / ".ci" / "nightly"], env=environment, capture_output=True, text=True, timeout=60)
    assert re.search(r"FAULTLINE_EXAMPLES=20000 .*pytest .* tests/checkers", done.stdout), done.stderr


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_the_workflows_are_valid() -> None:
    done = subprocess.run(["actionlint", *map(str, WORKFLOWS)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
