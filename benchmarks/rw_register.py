"""How long the rw-register checker takes, and how much memory, beside what Elle was measured at.

    python -m benchmarks.rw_register h.edn [more.edn ...] [--model M] [--repeat 5] [--stale] [--opts wfr_keys]
    python -m benchmarks.rw_register --black-box [--lag 100] [--flaw lost-update]

Reading, making columns and checking these are timed apart (a check of a history is the last two); the first check
(which loads compiled code) is a row of its own.
Histories are made by a generator of Jepsen's wr workload: 1 to 4 micro-ops, 10 active keys, at most 32 writes a key,
10 clients, 1 % unknown, 5 % failed. With --stale each is checked once more with every read some versions old: one giant
component of cycles, which may cost three times the valid one; with --stale-every N only one read of so many is old:
many small components. The ratio is printed for the check of the history, and of its columns.

Elle 0.2.7 on a warm JVM, with wfr-keys: 0.24 s for 10,000 transactions, 2.3 s for 100,000, 24.8 s for 1,000,000; with
linearizable-keys 15.6 s for 10,000. Here both are one: nothing is assumed, and no order of versions is left out.

Black box: a store of snapshot isolation (benchmarks.polygraph), 10,000 transactions of 8 operations, half of them
reads, 10,000 keys, 30 clients, judged against snapshot isolation by the whole checker. PolySI: 47 s.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.list_append import VERSIONS_OLD, compare, timed
from benchmarks.polygraph import FLAWS, history_of
from checkers.transactions.rw_register import RwRegister
from checkers.transactions.txn_columns import READ, Form, TxnColumns, columns_of
from harness.checker import CheckOptions
from harness.history import OK, History
from harness.reading import read_history

POLYSI_S = 47.0
PEER_S = {10_000: 0.24, 100_000: 2.3, 1_000_000: 24.8}


def with_stale_reads(columns: TxnColumns, every: int = 1) -> TxnColumns:
    """The same history, where one read of so many, of a key that its transaction never writes, is some versions old."""
    txn = columns.txn_of_mop()
    own = txn.astype(np.int64) * len(columns.keys) + columns.key
    written = columns.function != READ
    some = np.diff(columns.list_start) == 1
    old = (columns.function == READ) & ~np.isin(own, np.unique(own[written])) & some
    old[np.flatnonzero(old)[np.arange(np.count_nonzero(old)) % every != 0]] = False
    versions = np.flatnonzero(written & (columns.status[txn] == OK))
    versions = versions[np.lexsort((columns.completed[txn[versions]], columns.key[versions]))]
    values = int(max(columns.value.max(initial=0), columns.element.max(initial=0))) + 1
    name = columns.key[versions].astype(np.int64) * values + columns.value[versions]
    place = np.argsort(name)
    element, length = columns.element.copy(), np.diff(columns.list_start)
    reads = np.flatnonzero(old)
    seen = columns.key[reads].astype(np.int64) * values + element[columns.list_start[reads]]
    at = place[np.minimum(np.searchsorted(name[place], seen), len(place) - 1)]
    reads, at = reads[name[at] == seen], at[name[at] == seen]
    before = at - VERSIONS_OLD
    there = (before >= 0) & (columns.key[versions[before]] == columns.key[reads])
    element[columns.list_start[reads[there]]] = columns.value[versions[before[there]]]
    length[reads[~there]] = 0
    kept = np.repeat(length > 0, np.diff(columns.list_start))
    return dataclasses.replace(
        columns, element=element[kept], list_start=np.concatenate(([0], np.cumsum(length))).astype(np.int64)
    )


def measured(columns: TxnColumns, options: CheckOptions, repeat: int, beside: float | None = None) -> Callable[[], Any]:
    """Check, and print how long it takes. Returns what was measured."""
    check = partial(RwRegister().check_columns, columns, options)
    timed("first check", check)
    verdict = timed("check", check, repeat, beside)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
    print(f"  {verdict.verdict} {verdict.anomaly_counts} {verdict.stats}; peak {peak_mb:,.0f} MB", *verdict.reasons)
    return check


def main() -> None:
    """Measure each file, or black-box snapshot isolation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--model", default=None)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--stale", action="store_true")
    parser.add_argument("--stale-every", type=int, default=1)
    parser.add_argument("--opts", nargs="*", default=(), help="wfr_keys, sequential_keys, linearizable_keys")
    parser.add_argument("--black-box", action="store_true")
    parser.add_argument("--txns", type=int, default=10_000)
    parser.add_argument("--lag", type=int, default=0, help="how many commits old a snapshot may be")
    parser.add_argument("--flaw", choices=FLAWS, default="none")
    arguments = parser.parse_args()
    options = CheckOptions(model=arguments.model, workload=dict.fromkeys(arguments.opts, True))
    for path in arguments.paths:
        print(path)
        history = timed("read", partial(read_history, path))
        make_columns = partial(columns_of, history, Form.RW_REGISTER)
        columns = timed("columns", make_columns, arguments.repeat)
        peer = PEER_S.get(len(columns)) if arguments.model is None else None
        valid = measured(columns, options, arguments.repeat, peer)
        if arguments.stale:
            print(f"  one of {arguments.stale_every} reads {VERSIONS_OLD} versions old")
            broken = measured(with_stale_reads(columns, arguments.stale_every), options, arguments.repeat)
            compare(make_columns, valid, broken, arguments.repeat)
    if arguments.black_box:
        print(f"black box, {arguments.txns:,} transactions of 8 operations, lag {arguments.lag}, flaw {arguments.flaw}")
        print(f"  PolySI, for 10,000 without lag {POLYSI_S:10.1f} s")
        ops = history_of(
            arguments.txns, 8, 10_000, 30, zipf=False, rmw=0.1, flaw=arguments.flaw, seed=1, lag=arguments.lag
        )
        options = CheckOptions(model=arguments.model or "snapshot-isolation")
        measured(columns_of(History.from_ops(ops), Form.RW_REGISTER), options, arguments.repeat)


if __name__ == "__main__":
    main()
