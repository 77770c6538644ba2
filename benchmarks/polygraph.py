"""How fast snapshot isolation of registers is decided without any hint of the version orders.

    python -m benchmarks.polygraph [--txns 10000] [--ops 8] [--keys 10000] [--zipf] [--sessions 30] [--lag 100]
        [--flaw lost-update]

The histories are those of a store that keeps snapshot isolation: every transaction reads its snapshot, the first of two
concurrent writers of a key commits, the other fails. With --lag a snapshot may be that many commits old. Half of the
operations are reads; writes are blind, or of a key that the transaction read (--rmw). A flaw is planted once, in the
middle. Times are CPU time; making the history's columns, the known edges and the decision are timed apart.
"""

from __future__ import annotations

import argparse
import bisect
import random
import resource
import sys
import time
from itertools import accumulate
from typing import Any

import numpy as np

from checkers.transactions.cycle_kinds import Timing
from checkers.transactions.cycles import find_cycles
from checkers.transactions.dependency_graph import PASS, PROCESS
from checkers.transactions.polygraph import Must, decide
from checkers.transactions.rw_register import RwRegister
from checkers.transactions.rw_register_edges import known_dependencies, open_keys
from checkers.transactions.rw_register_versions import versions_of
from checkers.transactions.txn_columns import Form, columns_of
from harness.checker import CheckOptions
from harness.history import History

Op = dict[str, Any]
FLAWS = ("none", "lost-update", "long-fork", "write-skew", "causality")


class Store:
    """Versions of every key by commit time, and the record of what the clients did."""

    def __init__(self) -> None:
        self._versions: dict[int, tuple[list[int], list[int]]] = {}
        self.now = 0
        self.ops: list[Op] = []
        self._value = 0

    def read(self, key: int, at: int) -> int | None:
        """The value that a key had at a time."""
        times, values = self._versions.get(key, ([], []))
        place = bisect.bisect_right(times, at)
        return values[place - 1] if place else None

    def written_since(self, key: int, at: int) -> bool:
        """Whether a commit wrote the key after a time."""
        times = self._versions.get(key, ([], []))[0]
        return bool(times) and times[-1] > at

    def fresh(self) -> int:
        """A value that was never written."""
        self._value += 1
        return self._value

    def install(self, writes: dict[int, int]) -> None:
        """Commit."""
        self.now += 1
        for key, value in writes.items():
            times, values = self._versions.setdefault(key, ([], []))
            times.append(self.now)
            values.append(value)

    def record(self, type_: str, process: int, body: list[list[Any]]) -> None:
        """One line of the history."""
        self.ops.append({"type": type_, "process": process, "f": "txn", "value": body, "index": len(self.ops)})


def history_of(
    txns: int, ops: int, keys: int, sessions: int, *, zipf: bool, rmw: float, flaw: str, seed: int, lag: int = 0
) -> list[Op]:
    """Op maps of a run. lag: how many commits old a snapshot may be at most."""
    rng = random.Random(seed)
    store = Store()
    weights = list(accumulate(1 / (i + 1) for i in range(keys))) if zipf else None
    numbers = range(keys)
    running: dict[int, dict[str, Any]] = {}
    begun = 0
    planted = flaw == "none"
    while begun < txns or running:
        process = rng.randrange(sessions)
        if begun >= txns and process not in running:
            process = rng.choice(list(running))
        if process not in running:
            if begun >= txns // 2 and not planted:
                planted = True
                _plant(store, flaw, keys, sessions)
            begun += 1
            chosen = rng.choices(numbers, cum_weights=weights, k=ops)
            kinds = [rng.random() < 0.5 for _ in chosen]
            at = max(0, store.now - rng.randint(0, lag)) if lag else store.now
            running[process] = {"at": at, "keys": chosen, "reads": kinds}
            body = _body(store, rng, running[process], rmw)
            running[process]["body"] = body
            store.record("invoke", process, [[f, k, None if f == "r" else v] for f, k, v in body])
            continue
        txn = running.pop(process)
        writes = {key: value for name, key, value in txn["body"] if name == "w"}
        if any(store.written_since(key, txn["at"]) for key in writes):
            store.record("fail", process, txn["body"])
            continue
        if writes:
            store.install(writes)
        store.record("ok", process, txn["body"])
    return store.ops


def _body(store: Store, rng: random.Random, txn: dict[str, Any], rmw: float) -> list[list[Any]]:
    own: dict[int, int] = {}
    seen: list[int] = []
    body: list[list[Any]] = []
    for key, reads in zip(txn["keys"], txn["reads"], strict=True):
        if reads:
            body.append(["r", key, own.get(key, store.read(key, txn["at"]))])
            seen.append(key)
            continue
        if seen and rng.random() < rmw:
            key = rng.choice(seen)
        own[key] = store.fresh()
        body.append(["w", key, own[key]])
    return body


def _plant(store: Store, flaw: str, keys: int, sessions: int) -> None:
    """A few transactions of clients of their own, on keys that others use too.

    They read what they overwrite: else some order of blind writes can often explain even this.
    """
    x, y = keys // 3, keys // 2
    at = store.now
    before = {key: store.read(key, at) for key in (x, y)}
    one, two, three = store.fresh(), store.fresh(), store.fresh()
    bodies = {
        "lost-update": [[["r", x, before[x]], ["w", x, one]], [["r", x, before[x]], ["w", x, two]]],
        "long-fork": [
            [["r", x, before[x]], ["w", x, one]],
            [["r", y, before[y]], ["w", y, two]],
            [["r", x, one], ["r", y, before[y]]],
            [["r", x, before[x]], ["r", y, two]],
        ],
        "write-skew": [[["r", x, before[x]], ["w", y, one]], [["r", y, before[y]], ["w", x, two]]],
        "causality": [
            [["r", x, before[x]], ["w", x, one]],
            [["r", x, one], ["w", y, two]],
            [["r", y, two], ["w", keys // 5, three]],
            [["r", keys // 5, three], ["r", x, before[x]]],
        ],
    }[flaw]
    for i, body in enumerate(bodies):
        store.record("invoke", sessions + i, [[f, k, None if f == "r" else v] for f, k, v in body])
    for i, body in enumerate(bodies):
        store.install({key: value for name, key, value in body if name == "w"})
        store.record("ok", sessions + i, body)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--txns", type=int, default=10_000)
    parser.add_argument("--ops", type=int, default=8)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--sessions", type=int, default=30)
    parser.add_argument("--zipf", action="store_true")
    parser.add_argument("--rmw", type=float, default=0.1)
    parser.add_argument("--flaw", choices=FLAWS, default="none")
    parser.add_argument("--lag", type=int, default=0, help="how many commits old a snapshot may be")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--strength", choices=("plain", "session"), default="session")
    parser.add_argument("--must", choices=[must.name for must in Must], default="SNAPSHOT")
    parser.add_argument("--no-hint", action="store_true")
    parser.add_argument("--time-budget", type=float, default=120)
    parser.add_argument("--whole", default="", help="judge with the whole checker, against this model")
    arguments = parser.parse_args()
    ops = history_of(
        arguments.txns,
        arguments.ops,
        arguments.keys,
        arguments.sessions,
        zipf=arguments.zipf,
        rmw=arguments.rmw,
        flaw=arguments.flaw,
        seed=arguments.seed,
        lag=arguments.lag,
    )
    history = History.from_ops(ops)
    for _ in range(arguments.repeat):
        begin = time.process_time()
        columns = columns_of(history, Form.RW_REGISTER)
        print(f"columns {time.process_time() - begin:.3f} s", end="; ")
        if arguments.whole:
            begin = time.process_time()
            options = CheckOptions(model=arguments.whole, time_budget_s=arguments.time_budget)
            verdict = RwRegister().check_columns(columns, options)
            seconds = time.process_time() - begin
            print(f"check {seconds:.3f} s: {verdict.verdict} {verdict.anomaly_types}", *verdict.reasons)
            continue
        begin = time.process_time()
        txn = columns.txn_of_mop()
        versions = versions_of(columns, txn, False)
        graph = known_dependencies(columns, txn, versions)
        keys = open_keys(columns, txn, versions)
        timing = Timing(columns.status, columns.process, columns.began, columns.completed, columns.timed)
        kinds = sorted(find_cycles(graph, timing, 1).kinds)
        graph = graph.subset((graph.kind <= PASS) | ((graph.kind == PROCESS) & (arguments.strength == "session")))
        print(f"known edges {len(graph)} {time.process_time() - begin:.3f} s {kinds}", end="; ")
        begin = time.process_time()
        hint = np.stack((columns.completed, columns.began))
        if arguments.no_hint:
            hint = np.random.default_rng(0).permutation(len(columns))
        deadline = time.monotonic() + arguments.time_budget
        answer = decide(graph, keys, Must[arguments.must], deadline=deadline, hint=hint)
        print(f"decide {time.process_time() - begin:.3f} s: {answer.possible} {answer.reason}")
        if answer.conflict is not None:
            shape = [len(cycle) for cycle in answer.conflict.cycles]
            print(f"  conflict of {len(answer.conflict.txns)} transactions, cycles {shape[:12]}")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
    print(f"open keys {len(keys) if not arguments.whole else ''}, peak {peak_mb:,.0f} MB")


if __name__ == "__main__":
    main()
