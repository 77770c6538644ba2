"""How long the rw-register checker takes, and how much memory, beside what Elle was measured at.

    python -m benchmarks.rw_register h.edn [more.edn ...] [--model M] [--repeat 5]
    python -m benchmarks.rw_register --black-box [--lag 100] [--flaw lost-update]

Reading, making columns and checking are timed apart; the first check (which loads compiled code) is a row of its own.
Histories are made by a generator of Jepsen's wr workload: 1 to 4 micro-ops, 10 active keys, at most 32 writes a key,
10 clients, 1 % unknown, 5 % failed.

Elle 0.2.7 on a warm JVM, with wfr-keys: 0.24 s for 10,000 transactions, 2.3 s for 100,000, 24.8 s for 1,000,000; with
linearizable-keys 15.6 s for 10,000. Here both are one: nothing is assumed, and no order of versions is left out.

Black box: a store of snapshot isolation (benchmarks.polygraph), 10,000 transactions of 8 operations, half of them
reads, 10,000 keys, 30 clients, judged against snapshot isolation by the whole checker. PolySI: 47 s.
"""

from __future__ import annotations

import argparse
import resource
import sys
from functools import partial

from benchmarks.list_append import timed
from benchmarks.polygraph import FLAWS, history_of
from checkers.transactions.rw_register import RwRegister
from checkers.transactions.txn_columns import Form, columns_of
from harness.checker import CheckOptions
from harness.history import History
from harness.reading import read_history

POLYSI_S = 47.0
PEER_S = {10_000: 0.24, 100_000: 2.3, 1_000_000: 24.8}


def measured(history: History, model: str | None, repeat: int) -> None:
    """Make columns and check, and print how long each takes."""
    columns = timed("columns", partial(columns_of, history, Form.RW_REGISTER))
    check = partial(RwRegister().check_columns, columns, CheckOptions(model=model))
    timed("first check", check)
    verdict = timed("check", check, repeat, PEER_S.get(len(columns)) if model is None else None)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
    print(f"  {verdict.verdict} {verdict.anomaly_counts} {verdict.stats}; peak {peak_mb:,.0f} MB", *verdict.reasons)


def main() -> None:
    """Measure each file, or black-box snapshot isolation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--model", default=None)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--black-box", action="store_true")
    parser.add_argument("--txns", type=int, default=10_000)
    parser.add_argument("--lag", type=int, default=0, help="how many commits old a snapshot may be")
    parser.add_argument("--flaw", choices=FLAWS, default="none")
    arguments = parser.parse_args()
    for path in arguments.paths:
        print(path)
        measured(timed("read", partial(read_history, path)), arguments.model, arguments.repeat)
    if arguments.black_box:
        print(f"black box, {arguments.txns:,} transactions of 8 operations, lag {arguments.lag}, flaw {arguments.flaw}")
        print(f"  PolySI, for 10,000 without lag {POLYSI_S:10.1f} s")
        ops = history_of(
            arguments.txns, 8, 10_000, 30, zipf=False, rmw=0.1, flaw=arguments.flaw, seed=1, lag=arguments.lag
        )
        model = arguments.model or "snapshot-isolation"
        measured(History.from_ops(ops), model, arguments.repeat)


if __name__ == "__main__":
    main()
