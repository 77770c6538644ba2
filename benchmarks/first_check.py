"""What the first check of an installation takes, when nothing is compiled yet, and what a later one does.

    python -m benchmarks.first_check [append rw-register register ...] [--ops 300] [--keep DIR] [--ahead]

Each history is made by the simulated target (`valid`; and `broken`, with a flaw that its workload finds) and judged by
`faultline check` in a fresh process: once with an empty cache of compiled code, once more with the cache that this
left, and then the broken one with it. With --ahead the cache is what `faultline compile` leaves, for all workloads.
Seconds are of the process (CPU), start of the interpreter and imports included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLAWS = {
    "append": "stale-read",
    "rw-register": "stale-read",
    "register": "stale-read",
    "set": "lost-element",
    "set-final": "lost-element",
    "unique-ids": "duplicate",
    "queue": "duplicate",
    "counter": "lost-write",
    "bank": "read-skew",
    "predicate": "write-skew",
    "long-fork": "stale-read",
    "monotonic": "non-monotonic-read",
    "sequential": "non-monotonic-read",
    "causal": "stale-read",
    "lock": "lost-update",
    "watch": "lost-update",
}
"""Workload → what to break for it to be found."""


def faultline(*arguments: str, cache: Path | None = None) -> tuple[float, str]:
    """(CPU seconds, the last line said) of one command in a process of its own."""
    environment = dict(os.environ)
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = str(cache)
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "faultline", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    if done.returncode > 1:
        raise SystemExit(f"faultline {' '.join(arguments)}: {done.stderr or done.stdout}")
    return seconds, "".join(done.stdout.strip().splitlines()[-1:])


def recorded(folder: Path, workload: str, flaw: str, ops: int) -> Path:
    """A run of the simulated target: its folder."""
    place = folder / f"{workload}-{flaw}"
    if not place.is_dir():
        faultline(
            *("test", "--target", "simulated", "--workload", workload, "--opts", f"flaw={flaw}"),
            *("--rate", "50", "--time", str(ops // 50), "--seed", "5", "--results", str(place)),
        )
    return next(path for path in sorted(place.iterdir()) if (path / "plan.json").is_file())


def main() -> None:
    """Measure each workload."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", default=list(FLAWS))
    parser.add_argument("--ops", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="where the histories are kept for another time")
    parser.add_argument("--ahead", action="store_true", help="compile ahead, as installing does")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        ahead = Path(scratch) / "ahead" if arguments.ahead else None
        if ahead is not None:
            print(f"faultline compile: {faultline('compile', cache=ahead)[0]:.1f} CPU s", flush=True)
        print(f"{'':14}{'first':>9}{'later':>9}{'broken, then':>14}{'later':>9}   CPU s")
        folder = arguments.keep or Path(scratch)
        for workload in arguments.workloads:
            valid = str(recorded(folder, workload, "none", arguments.ops))
            broken = str(recorded(folder, workload, FLAWS[workload], arguments.ops))
            cache = ahead or Path(scratch) / f"cache-{workload}-{time.time_ns()}"
            seen = [faultline("check", path, "--json", cache=cache) for path in (valid, valid, broken, broken)]
            verdicts = " ".join(line.split('"verdict":')[1][:9].strip('", ') for _, line in seen[1:3])
            first, later, other, last = (seconds for seconds, _ in seen)
            print(f"{workload:14}{first:9.1f}{later:9.1f}{other:14.1f}{last:9.1f}   {verdicts}", flush=True)


if __name__ == "__main__":
    main()
