"""What a run found, for a CI server: a summary in Markdown on stdout, an annotation on stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Tell of the run in a folder; of one that failed before it was judged, say that."""
    results = folder / "results.json"
    if not results.is_file():
        print(f"### {folder.resolve().name}: not judged\n\nThe run failed before anything was recorded.")
        print("::error title=not judged::the run failed before anything was recorded", file=sys.stderr)
        return
    told = json.loads(results.read_text(encoding="utf-8"))
    verdict, sentence = told["verdict"]["verdict"], " ".join(told["sentence"].split())
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    title = f"{plan['target']} {plan['workload']}"
    print(f"### {title}: {verdict}\n\n{sentence}\n\n| found | how often |\n|---|---|")
    for name, count in told["verdict"]["anomaly_counts"].items():
        print(f"| {name} | {count} |")
    print(f"\nRepeat: `{told['repeat']}`\n")
    if verdict != "valid":
        print(f"::error title={title} is {verdict}::{sentence}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
