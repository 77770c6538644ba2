"""Runs the `faultline` command as a user does, and reads what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.history import History
from harness.reading import read_history
from harness.store import RunFolder

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Ran:
    """One finished `faultline test`: exit code, what it printed, and its folder's content."""

    code: int
    output: str
    folder: RunFolder

    @property
    def results(self) -> dict[str, Any]:
        return json.loads(self.folder.results.read_text())

    @property
    def verdict(self) -> dict[str, Any]:
        return self.results["verdict"]

    @property
    def counts(self) -> dict[str, int]:
        """Anomalies found, by type."""
        return self.verdict["anomaly_counts"]

    @property
    def history(self) -> History:
        return read_history(self.folder.path)

    def oks(self, *fs: str) -> int:
        """How many ops of these kinds succeeded."""
        stats = self.verdict["checkers"]["stats"]["stats"]["by_f"]
        return sum(stats[f]["ok"] for f in fs if f in stats)

    def effective(self, kind: str) -> int:
        """How many faults of a kind were seen to take effect."""
        return sum(window.took_effect for window in self.history.windows() if window.fault.kind == kind)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "faultline", *arguments]


def faultline(*arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """The command with its output."""
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=timeout_s)


def run(results: Path, *arguments: str, timeout_s: float = 600) -> Ran:
    """`faultline test ...` with its results in a folder of the test's own."""
    done = subprocess.run(
        command("test", *arguments, "--results", str(results)),
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    print(done.stdout)
    return Ran(done.returncode, done.stdout, RunFolder((results / "latest").resolve()))


def docker_missing(*images: str) -> str | None:
    """Why a test that needs these images can't run here; None when it can."""
    from harness.errors import FaultlineError
    from harness.images import is_here

    try:
        absent = [image for image in images if not is_here(image)]
    except FaultlineError as error:
        return str(error)
    return f"images {', '.join(absent)} are not here: run `make images`" if absent else None


def need_docker(*images: str, optional: bool = False) -> None:
    """Skip the test, saying what is missing, when there is no engine or no image; .ci/run lets nothing be skipped.

    optional: but these images, which no packages hold: their tests run where a registry answers, as at night.
    """
    reason = docker_missing(*images)
    if reason is not None and optional:
        pytest.skip(f"{', '.join(images)}: neither here nor in any package; needs an image registry")
    if reason is not None:
        (pytest.fail if "FAULTLINE_SKIP_NOTHING" in os.environ else pytest.skip)(reason)
