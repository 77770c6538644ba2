"""How long the linearizability checker takes on the histories that its peers were measured on.

    python -m benchmarks.linearizability --generator gen_history.py [--cases linearizability.json.gz] [--row TEXT]

Rows: work, ours (CPU seconds of a warm check, the best of some; reading not counted), the peer's time on the same kind
of machine as it was measured. Histories are made anew with the generator that the peers' measurements used (`kind n -c
clients --info rate --stale n --badval --seed s -o path`), so that a row can be repeated; `--cases` are recorded
histories with peers' verdicts. Memory is the process' peak after the row. Compare a peer live with
`benchmarks.porcupine`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checkers.linearizability.key_value_model import KeyValue
from checkers.linearizability.linearizable import Linearizable
from harness.checker import CheckOptions
from harness.history import History
from harness.reading import read_history


@dataclass(frozen=True)
class Row:
    """arguments: of the generator, one list for each history. verdicts: those that are right. peer: as measured."""

    work: str
    arguments: Sequence[str]
    verdicts: tuple[str, ...]
    peer: str


SEEDS = (1, 2, 3)
ROWS = (
    Row("register r/w/cas, 10 clients, 10k ops", ["10000 -c 10"], ("valid",), "Porcupine 0.33 s, 0.5 GB"),
    Row("register r/w/cas, 10 clients, 40k ops", ["40000 -c 10"], ("valid",), "Porcupine 2.05 s, 6.4 GB"),
    Row("register r/w/cas, 10 clients, 100k ops", ["100000 -c 10"], ("valid",), "Porcupine out of memory"),
    Row("the same without info", ["100000 -c 10 --info 0"], ("valid",), "Porcupine out of memory"),
    Row(
        "1k ops, 20-50 clients, a bad value, 2 % crashed",
        [f"1000 -c {clients} --info 0.02 --stale 1 --badval --seed {seed}" for clients in (20, 50) for seed in SEEDS],
        ("invalid",),
        "Porcupine unknown after 60 s",
    ),
    Row(
        "10k ops, 5-10 clients, 1 % crashed, a bad value",
        [f"10000 -c {clients} --stale 1 --badval --seed {seed}" for clients in (5, 10) for seed in SEEDS],
        ("invalid",),
        "Knossos (linear, wgl, both) > 30 s",
    ),
    Row(
        "10k ops, 5-10 clients, none crashed, a stale read",
        [f"10000 -c {clients} --info 0 --stale 1 --seed {seed}" for clients in (5, 10) for seed in SEEDS],
        ("valid", "invalid"),
        "",
    ),
    Row(
        "10k ops, 5-20 clients, 1 % crashed, valid",
        [f"10000 -c {clients} --seed {seed}" for clients in (5, 20) for seed in SEEDS],
        ("valid",),
        "",
    ),
)


def checked(checker: Linearizable, history: History, options: CheckOptions, repeat: int) -> tuple[str, float]:
    """(verdict, CPU seconds of the fastest check)."""
    fastest = float("inf")
    for _ in range(repeat):
        began = time.process_time()
        verdict = checker.check(history, options)
        fastest = min(fastest, time.process_time() - began)
    return verdict.verdict, fastest


def peak_mb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def show(work: str, seconds: Sequence[float], peer: str) -> None:
    """One row of the table."""
    least, most = min(seconds), max(seconds)
    took = f"{least:.3f}" if len(seconds) == 1 else f"{least:.3f} - {most:.3f}"
    print(f"{work:<52}{took:>16} s{peak_mb():8,.0f} MB   {peer}", flush=True)


def generated(generator: Path, arguments: str, folder: Path) -> History:
    """A history made by the generator."""
    path = folder / "h.edn"
    subprocess.run([sys.executable, str(generator), "cas", *arguments.split(), "-o", str(path)], check=True)
    return read_history(path)


def recorded(path: Path) -> Iterator[tuple[str, str, list[tuple[dict[str, Any], History]]]]:
    """(work, peer's time, cases) of recorded histories with peers' verdicts."""
    with gzip.open(path) as file:
        cases = json.load(file)
    etcd = [case for case in cases if case["name"].startswith("etcd")]
    made = [case for case in cases if case["model"].startswith("cas-register") and case not in etcd]
    for what, some in (("recorded etcd registers", etcd), ("made registers of up to 10k ops", made)):
        known = sum(case.get("peer_check_us_min") or 0 for case in some) / 1e6
        yield f"{len(some)} {what}", f"Porcupine {known:.2f} s", [(c, History.from_ops(c["history"])) for c in some]
    for case in cases:
        if case["model"].startswith("kv"):
            ops = [{**op, "value": [op["key"], op["value"]]} for op in case["history"]]
            peer = f"Porcupine {case['peer_check_us_min'] / 1e6:.3f} s"
            yield f"key-value store {case['name']}", peer, [(case, History.from_ops(ops))]


def main() -> None:
    """Measure every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", type=Path, help="the program that makes histories")
    parser.add_argument("--cases", type=Path, help="recorded histories with peers' verdicts")
    parser.add_argument("--row", default="", help="only rows whose work holds this text")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    registers = Linearizable()
    if arguments.cases:
        for work, peer, cases in recorded(arguments.cases):
            if arguments.row not in work:
                continue
            total = 0.0
            for case, history in cases:
                keyed = case["model"].startswith("kv")
                checker = Linearizable(lambda initial: KeyValue(initial or "")) if keyed else registers
                options = CheckOptions(workload={} if keyed else {"initial": case["initial"]})
                verdict, took = checked(checker, history, options, arguments.repeat)
                expected = "valid" if case["linearizable"] else "invalid"
                assert verdict == expected, f"{case['name']}: {verdict}, the peer says {expected}"
                total += took
            show(work, [total], peer)
    if arguments.generator:
        with tempfile.TemporaryDirectory() as name:
            for row in ROWS:
                if arguments.row not in row.work:
                    continue
                seconds = []
                for each in row.arguments:
                    history = generated(arguments.generator, each, Path(name))
                    verdict, took = checked(registers, history, CheckOptions(), arguments.repeat)
                    assert verdict in row.verdicts, f"{each}: {verdict}, expected {' or '.join(row.verdicts)}"
                    seconds.append(took)
                show(row.work, seconds, row.peer)


if __name__ == "__main__":
    main()
