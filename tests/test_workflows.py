"""What the hosted CI runs is what .ci/run runs; the nightly matrix names only what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.registry import find_target, own_nemeses
from nemeses import NEMESES

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_is_one_that_ci_runs(path: Path) -> None:
    commands = re.findall(r"^\s*(?:- )?run: (.+)$", path.read_text(), re.M)
    own = (ROOT / ".ci" / "run").read_text()
    assert commands
    for command in commands:
        assert command == ".ci/run" or command in own, f"{path.name}: .ci/run never runs {command!r}"


def test_the_nightly_matrix_names_what_exists() -> None:
    rows = re.findall(r"- \{target: (\S+), image: \S+, workload: (\S+), faults: \"(\S+)\"", WORKFLOWS[1].read_text())
    assert len(rows) >= 8
    for target, workload, faults in rows:
        assert workload in find_target(target).workloads, (target, workload)
        assert set(faults.split(",")) <= set(NEMESES) | set(own_nemeses(find_target(target))), (target, faults)


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_the_workflows_are_valid() -> None:
    done = subprocess.run(["actionlint", *map(str, WORKFLOWS)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
