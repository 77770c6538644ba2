"""How long the list-append checker takes, and how much memory, on histories of Jepsen's form.

    python -m benchmarks.list_append h.edn [more.edn ...] [--model M] [--repeat 3]

Reading, making columns and checking are timed apart; the first check (which loads compiled code) is a row of its own.
Histories such as `{:index 0, :time 1, :type :invoke, :process 0, :f :txn, :value [[:append 1 2] [:r 3 nil]]}`, one op a
line with integers for keys and values, are made by a generator of the same workload.
"""

from __future__ import annotations

import argparse
import gc
import re
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from checkers.list_append import ListAppend
from checkers.txn_columns import columns_of
from harness.checker import CheckOptions
from harness.history import History

_KEYWORD = re.compile(rb":([a-z]+)")
_FIELD = re.compile(rb'"(index|time|type|process|f|value)" ')


def read_simple_edn(path: str) -> list[dict[str, Any]]:
    """Op maps of a file whose lines are turned into JSON by rewriting keywords: enough for generated histories."""
    ops = []
    decode = msgspec.json.Decoder().decode
    with open(path, "rb") as lines:
        for line in lines:
            text = _KEYWORD.sub(rb'"\1"', line).replace(b" nil", b" null")
            head, value = text.split(b'"value" ', 1)
            value = re.sub(rb"(?<=[\]\w\"]) (?=[\[\w\"-])", b",", value)
            ops.append(decode(_FIELD.sub(rb'"\1":', head) + b'"value":' + value))
    return ops


def timed(what: str, work: Callable[[], Any]) -> Any:
    """Run and print the seconds that it took."""
    begin = time.perf_counter()
    result = work()
    print(f"  {what:<34}{time.perf_counter() - begin:8.3f} s")
    return result


def main() -> None:
    """Measure each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--model", default=None)
    parser.add_argument("--repeat", type=int, default=3)
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
        ops = timed("read (simple reader)", partial(read_simple_edn, path))
        history = timed("history", partial(History.from_ops, ops))
        del ops
        for _ in range(arguments.repeat):
            columns = timed("columns", partial(columns_of, history))
            verdict = timed("check", partial(checker.check_columns, columns, options))
        gc.enable()
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
        print(f"  {verdict.verdict} {verdict.anomaly_counts} {verdict.stats}; peak {peak_mb:,.0f} MB")


if __name__ == "__main__":
    main()
