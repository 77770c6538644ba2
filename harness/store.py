"""The folder that a run leaves behind: `results/<target>/<workload>/<UTC time>-<seed>/`, and `results/latest`.

    plan.json        the plan, with the seed
    environment.json versions, digests, kernel, faults proved and missing
    journal.jsonl    every record as it happened, one JSON op a line (crash-safe)
    history.edn      the same as Jepsen's op maps
    results.json     the verdict
    report.html      the report
    nodes/<name>/    each node's database log
    lock             pid of the controller while it lives
"""

from __future__ import annotations

from pathlib import Path


class RunFolder:
    """Names of the files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan = path / "plan.json"
        self.environment = path / "environment.json"
        self.journal = path / "journal.jsonl"
        self.history_edn = path / "history.edn"
        self.results = path / "results.json"
        self.report = path / "report.html"
        self.nodes = path / "nodes"
        self.lock = path / "lock"
