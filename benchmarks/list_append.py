"""How long the list-append checker takes, and how much memory, beside what Elle was measured at.

    python -m benchmarks.list_append h.edn [more.edn ...] [--model M] [--repeat 5] [--stale] [--stale-every 20]

Reading, making columns and checking these are timed apart, as the median of several (a check of a history is the
last two); the first check (which loads compiled code) is a row of its own. Histories are made by a generator of
Jepsen's workload: 1 to 4 micro-ops, 10 active keys, at most 32 writes a key, 10 clients, 1 % unknown, 5 % failed. With
--stale each is checked once more with every read some versions old: one giant component of cycles, which may cost three
times the valid one; with --stale-every N only one read of so many is old: many components. The ratio is printed for the
check of the history, and of its columns.

Elle 0.2.7 on a warm JVM, measured on two cores of the same kind: 0.24 s for 10,000 transactions, 2.4 s for 100,000
(2.5 s at snapshot isolation), 28.6 s and some 5 GB for 1,000,000.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from checkers.transactions.list_append import ListAppend
from checkers.transactions.txn_columns import READ, TxnColumns, columns_of
from harness.checker import CheckOptions
from harness.history import History
from harness.reading import read_history

PEER_S = {10_000: 0.24, 100_000: 2.4, 1_000_000: 28.6}
VERSIONS_OLD = 3


def with_stale_reads(columns: TxnColumns, every: int = 1) -> TxnColumns:
    """The same history, where one read of so many, of a key that its transaction never writes, is some versions old."""
    own = columns.txn_of_mop().astype(np.int64) * len(columns.keys) + columns.key
    wrote = np.unique(own[columns.function != READ])
    old = (columns.function == READ) & ~np.isin(own, wrote)
    old[np.flatnonzero(old)[np.arange(np.count_nonzero(old)) % every != 0]] = False
    length = np.diff(columns.list_start)
    length = np.where(old, np.maximum(length - VERSIONS_OLD, 0), length)
    start = np.concatenate(([0], np.cumsum(length)))
    place = np.repeat(columns.list_start[:-1] - start[:-1], length) + np.arange(start[-1])
    return dataclasses.replace(columns, list_start=start, element=columns.element[place])


def timed(what: str, work: Callable[[], Any], repeat: int = 1, beside: float | None = None) -> Any:
    """Run, and print the median of the seconds that it took on the clock and on the processor."""
    clock, processor = [], []
    for _ in range(repeat):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        result = work()
        clock.append(time.perf_counter() - begin)
        processor.append(time.process_time() - begin_cpu)
    peer = f"   Elle {beside} s" if beside is not None else ""
    median, cpu = statistics.median(clock), statistics.median(processor)
    print(f"  {what:<34}{median:8.3f} s   processor {cpu:7.3f} s{peer}")
    return result


def compare(columns: Callable[[], Any], valid: Callable[[], Any], broken: Callable[[], Any], repeat: int) -> None:
    """Print how many times a valid history's check a broken one's costs: medians of runs in turns, of process time."""
    seconds: list[list[float]] = [[], [], []]
    for _ in range(repeat):
        for work, own in zip((columns, valid, broken), seconds, strict=True):
            begin = time.process_time()
            work()
            own.append(time.process_time() - begin)
    columns_s, valid_s, broken_s = map(statistics.median, seconds)
    ratio, bare = (columns_s + broken_s) / (columns_s + valid_s), broken_s / valid_s
    print(f"  broken to valid: {ratio:.2f} for the check of a history, {bare:.2f} for that of its columns")


def main() -> None:
    """Measure each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--model", default=None)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--stale", action="store_true")
    parser.add_argument("--stale-every", type=int, default=1)
    arguments = parser.parse_args()
    options = CheckOptions(model=arguments.model)
    checker = ListAppend()
    tiny = [
        {"type": "invoke", "process": 0, "f": "txn", "value": [["append", 0, 1], ["r", 0, None]]},
        {"type": "ok", "process": 0, "f": "txn", "value": [["append", 0, 1], ["r", 0, [1]]]},
    ]
    timed("compiled code loaded", partial(checker.check, History.from_ops(tiny), options))
    for path in arguments.paths:
        print(path)
        gc.disable()
        history = timed("read", partial(read_history, path))
        columns = timed("columns", partial(columns_of, history), arguments.repeat)
        peer = PEER_S.get(round(len(columns), -4))
        valid = partial(checker.check_columns, columns, options)
        show(timed("check", valid, arguments.repeat, peer))
        if arguments.stale:
            stale = with_stale_reads(columns, arguments.stale_every)
            what = f"check, 1 of {arguments.stale_every} reads stale"
            broken = partial(checker.check_columns, stale, options)
            show(timed(what, broken, arguments.repeat))
            compare(partial(columns_of, history), valid, broken, arguments.repeat)
        gc.enable()


def show(verdict: Any) -> None:
    """What was found, and the most memory so far."""
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    print(f"  {verdict.verdict} {verdict.anomaly_counts} {verdict.stats}; peak {peak_mb:,.0f} MB")


if __name__ == "__main__":
    main()
