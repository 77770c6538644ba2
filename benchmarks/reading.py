"""How long it takes to read a history into columns, how much memory, and what a fresh `faultline check` adds.

    python -m benchmarks.reading [h.edn ...] [--workload append] [--repeat 5] [--txns 100000]

Without files a list-append history is made: 10 clients, 10 active keys, up to 32 appends a key, 1-4 micro-ops, 5 %
failed, 1 % unknown; every transaction takes effect at one moment. Each file is measured in a process of its own, so
that the peak of memory is its own: reading (median and best of several; wall clock, and processor time of all
threads), the columns that the checker works on, the peak. The last row is a fresh process that checks a small history,
less the check itself: imports and compiled code from the cache.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from checkers.linearizability.call_columns import calls_of
from checkers.transactions.txn_columns import Form, columns_of
from harness.history import History
from harness.judging import check
from harness.reading import read_history

CLIENTS, KEYS, APPENDS_MAX, MICRO_OPS_MAX = 10, 10, 32, 4
SMALL_TXNS = 2000
COLUMNS: dict[str, Callable[[History], Any]] = {
    "append": columns_of,
    "rw-register": lambda history: columns_of(history, Form.RW_REGISTER),
    "register": calls_of,
}
"""By workload: the columns that its checker works on."""


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--workload", default="append", choices=COLUMNS)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--txns", type=int, default=100_000, help="how large a history to make where none is given")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.paths[0], arguments.workload, arguments.repeat)
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "history.edn"
        if not arguments.paths:
            made.write_text("".join(history_lines(arguments.txns)))
        for path in arguments.paths or [made]:
            options = ["--one", "--workload", arguments.workload, "--repeat", str(arguments.repeat)]
            subprocess.run([sys.executable, "-m", "benchmarks.reading", str(path), *options], check=True)
        made.write_text("".join(history_lines(SMALL_TXNS)))
        measure_fresh(made, arguments.repeat)


def history_lines(txns: int, seed: int = 1) -> Iterator[str]:
    """The lines of a list-append history that is strict serializable."""
    rng = random.Random(seed)
    store: dict[int, list[int]] = {}
    active, appended = list(range(KEYS)), [0] * KEYS
    running: dict[int, tuple[list[str], str, str]] = {}
    index = started = 0
    processes = list(range(CLIENTS))
    while started < txns or running:
        client = rng.randrange(CLIENTS)
        if client in running:
            _, type_, value = running.pop(client)
        elif started < txns:
            started += 1
            asked, done, effects = [], [], []
            for _ in range(rng.randint(1, MICRO_OPS_MAX)):
                slot = min(int(rng.expovariate(0.7)), KEYS - 1)
                if appended[slot] == APPENDS_MAX:
                    active[slot], appended[slot] = max(active) + 1, 0
                key = active[slot]
                if rng.random() < 0.5:
                    asked.append(f"[:r {key} nil]")
                    seen = store.get(key, []) + [element for other, element in effects if other == key]
                    done.append(f"[:r {key} [{' '.join(map(str, seen))}]]")
                else:
                    appended[slot] += 1
                    effects.append((key, appended[slot]))
                    asked.append(f"[:append {key} {appended[slot]}]")
                    done.append(asked[-1])
            fate = rng.random()
            type_ = "info" if fate < 0.01 else "fail" if fate < 0.06 else "ok"
            if type_ != "fail":
                for key, element in effects:
                    store.setdefault(key, []).append(element)
            running[client] = (asked, type_, " ".join(done if type_ == "ok" else asked))
            type_, value = "invoke", " ".join(asked)
        else:
            continue
        yield (
            f"{{:index {index}, :time {index * 90_000}, :type :{type_}, :process {processes[client]}, :f :txn, "
            f":value [{value}]}}\n"
        )
        index += 1
        if type_ == "info":
            processes[client] += CLIENTS


def measure(path: Path, workload: str, repeat: int) -> None:
    """Print the rows of one file."""
    first = Stopwatch()
    history = read_history(path)
    print(f"{path}: {len(history):,} records, {path.stat().st_size / 1e6:,.0f} MB, {os.cpu_count()} cores")
    row("read, the first time", [first.read()])
    times = []
    for _ in range(repeat):
        del history
        watch = Stopwatch()
        history = read_history(path)
        times.append(watch.read())
    row("read", times)
    print(f"  {'peak memory of reading':<34}{peak_mb():8,.0f} MB")
    times = []
    for _ in range(repeat):
        watch = Stopwatch()
        columns = COLUMNS[workload](history)
        times.append(watch.read())
    row(f"columns of {len(columns):,} ops" if columns is not None else "no columns", times)
    print(f"  {'peak memory with columns':<34}{peak_mb():8,.0f} MB")


def measure_fresh(path: Path, repeat: int) -> None:
    """Print what a fresh process adds to a check."""
    command = [sys.executable, "-m", "faultline", "check", str(path), "--workload", "append", "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = []
    for _ in range(repeat):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        watch = Stopwatch()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall_s, _ = watch.read()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        whole.append((wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    check(path, workload="append")
    itself = []
    for _ in range(repeat):
        watch = Stopwatch()
        check(path, workload="append")
        itself.append(watch.read())
    print(f"a fresh faultline check of {SMALL_TXNS:,} transactions")
    row("in all", whole)
    row("the check itself", itself)
    less = [(a - c, b - d) for (a, b), (c, d) in zip(sorted(whole), sorted(itself))]
    row("imports and compiled code", less)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.begin = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """(wall clock, processor time of all threads)."""
        return time.perf_counter() - self.begin[0], time.process_time() - self.begin[1]


def row(what: str, times: list[tuple[float, float]]) -> None:
    """Print the median and the best of some measurements."""
    wall, processor = ([time_s[i] for time_s in times] for i in range(2))
    print(
        f"  {what:<34}{statistics.median(wall):8.3f} s wall, {statistics.median(processor):.3f} s processor"
        f" (best {min(wall):.3f}, {min(processor):.3f})"
    )


def peak_mb() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
