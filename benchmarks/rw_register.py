"""How long the rw-register checker takes, and how much memory, beside what Elle was measured at.

    python -m benchmarks.rw_register h.edn [more.edn ...] [--model M] [--repeat 5]

Reading, making columns and checking are timed apart; the first check (which loads compiled code) is a row of its own.
Histories are made by a generator of Jepsen's wr workload: 1 to 4 micro-ops, 10 active keys, at most 32 writes a key,
10 clients, 1 % unknown, 5 % failed.

Elle 0.2.7 on a warm JVM, with wfr-keys: 0.24 s for 10,000 transactions, 2.3 s for 100,000, 24.8 s for 1,000,000; with
linearizable-keys 15.6 s for 10,000. Here both are one: nothing is assumed, and no order of versions is left out.
"""

from __future__ import annotations

import argparse
import resource
import sys
from functools import partial

from benchmarks.list_append import timed
from checkers.rw_register import RwRegister
from checkers.txn_columns import Form, columns_of
from harness.checker import CheckOptions
from harness.reading import read_history

PEER_S = {10_000: 0.24, 100_000: 2.3, 1_000_000: 24.8}


def main() -> None:
    """Measure each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--model", default=None)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    options = CheckOptions(model=arguments.model)
    for path in arguments.paths:
        print(path)
        history = timed("read", partial(read_history, path))
        columns = timed("columns", partial(columns_of, history, Form.RW_REGISTER))
        check = partial(RwRegister().check_columns, columns, options)
        timed("first check", check)
        verdict = timed("check", check, arguments.repeat, PEER_S.get(len(columns)))
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
        print(f"  {verdict.verdict} {verdict.anomaly_counts} {verdict.stats}; peak {peak_mb:,.0f} MB")


if __name__ == "__main__":
    main()
