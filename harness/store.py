"""The folder that a run leaves behind: `results/<target>/<workload>/<UTC time>-<seed>/`, and `results/latest`.

plan.json        the plan, with the seed
environment.json versions, digests, kernel, faults proved and missing
journal.jsonl    every record as it happened, one JSON op a line (crash-safe)
history.edn      the same as Jepsen's op maps
results.json     the verdict
report.html      the report
junit.xml        the same for CI servers: invalid is a failure, what could not be judged an error
nodes/<name>/    each node's database log
lock             pid of the controller; held (flock) while it lives
"""

from __future__ import annotations

import datetime
import fcntl
import os
import re
from pathlib import Path
from typing import IO, Any

import msgspec

from harness.errors import InfrastructureError, UsageError
from harness.plan import TestPlan


class RunFolder:
    """Names of the files of one run, and the JSON in them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan = path / "plan.json"
        self.environment = path / "environment.json"
        self.journal = path / "journal.jsonl"
        self.history_edn = path / "history.edn"
        self.results = path / "results.json"
        self.report = path / "report.html"
        self.junit = path / "junit.xml"
        self.nodes = path / "nodes"
        self.lock = path / "lock"

    @property
    def run_id(self) -> str:
        """The name under which the run's containers and directories are known: unique, without odd characters."""
        return re.sub(r"[^a-z0-9]+", "-", self.path.name.lower())

    def read_plan(self) -> TestPlan:
        """The run's plan. Raises UsageError when this is no run's folder."""
        try:
            return msgspec.json.decode(self.plan.read_bytes(), type=TestPlan)
        except FileNotFoundError:
            raise UsageError(f"{self.path} is no run's folder: it has no plan.json") from None
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise UsageError(f"{self.plan}: {error}") from None

    def read_environment(self) -> dict[str, Any]:
        """What was recorded of the environment; {} when the run ended before it was."""
        try:
            return msgspec.json.decode(self.environment.read_bytes(), type=dict)
        except FileNotFoundError:
            return {}

    def write_json(self, path: Path, value: Any) -> None:
        """Write one of the folder's JSON files, replacing it as a whole."""
        whole = msgspec.json.format(msgspec.json.encode(value), indent=2)
        half = path.with_suffix(".tmp")
        try:
            half.write_bytes(whole + b"\n")
            half.replace(path)
        except OSError as error:
            raise InfrastructureError(
                f"can't write {path}: {error.strerror} (free some space, or choose --results)"
            ) from error

    def hold(self) -> IO[str]:
        """Take the lock for as long as the returned file stays open. Raises UsageError while another run holds it."""
        file = self.lock.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise UsageError(f"the controller of {self.path} still lives (pid {self.holder()})") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        return file

    def holder(self) -> str:
        """The pid in the lock file, "?" when there is none."""
        try:
            return self.lock.read_text().strip() or "?"
        except FileNotFoundError:
            return "?"

    def held(self) -> bool:
        """Whether the run's controller lives."""
        if not self.lock.exists():
            return False
        with self.lock.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
        return False


def new_run(results: Path, plan: TestPlan) -> RunFolder:
    """Make the folder of a new run and point `latest` to it. Raises InfrastructureError."""
    name = _plain(plan.target)
    now = datetime.datetime.now(datetime.UTC)
    path = results / name / _plain(plan.workload) / f"{now:%Y%m%dT%H%M%S.%f}Z-{plan.seed}"
    try:
        path.mkdir(parents=True)
        latest, next_latest = results / "latest", results / f".latest-{os.getpid()}"
        next_latest.symlink_to(path.relative_to(results))
        next_latest.replace(latest)
    except OSError as error:
        raise InfrastructureError(f"can't make {path}: {error.strerror} (choose another --results)") from error
    folder = RunFolder(path)
    folder.write_json(folder.plan, plan)
    return folder


def _plain(name: str) -> str:
    """A name as a folder: `path/to/file.py:Name` is `Name`."""
    return name.rpartition(":")[2]
