"""The hunt for G2-item at SERIALIZABLE on PostgreSQL (the track record's row P7).

Reported upstream in 2026 for 18.4: two transactions that each insert a key which the other looked up and did not find
both commit, a few times in a million commits. https://hackorum.dev/topics/139733

Lists are appended to by INSERT ... ON CONFLICT over three tables, at full speed, and every transaction goes into
one graph, whose cycles of any length are sought. Each round draws one of `SETTINGS` in turn:

    keys        how many hot keys there are, chosen exponentially; each is retired after a few appends
    cold        the share of micro-ops that go to a key of their own pair: cold keys are fresh, two clients look for and
                insert them at about the same time, and no lock makes one of them wait
    stall       the share of transactions that pause between two statements, and for how long: what is known to break
                SERIALIZABLE (row P8) is a transaction that stays open while some 1,350 others commit
    limit       the server's max_connections: with 1500 P8 is out of reach, and what is found is something else

What is found is told by kind, and by how many others committed while the transactions of the cycle were open: many
mean P8. The record of a round with a find is kept: `faultline check FILE --workload append --model serializable`.

    python -m benchmarks.hunts.postgres_p7 --seconds 3600 --servers local:18,local:16
    python -m benchmarks.hunts.postgres_p7 --seconds 3600 --servers postgres:18,postgres:17
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from checkers.transactions.list_append import ListAppend
from harness import generator as gen
from harness.checker import CheckOptions
from harness.errors import FaultlineError
from harness.history import OK, History
from harness.interpreter import Interpreter
from harness.journal import Journal
from harness.nodes.base import Cluster
from harness.nodes.docker import DockerCluster
from harness.nodes.local import LocalCluster
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.reading import read_history
from harness.stall import StallGate, StallWindow
from harness.target import Timeouts
from harness.verdict import Anomaly
from targets.postgres.target import Postgres
from workloads.append import APPEND

TIMEOUTS = Timeouts(op_s=8.0)
CLIENTS = 20
COLD_FIRST = 1_000_000_000
"""Cold keys are numbered from here on."""
MANY = 1000
"""Commits while a transaction was open: with so many and more, its anomaly is likely P8's (some 1,350 by default)."""


class Setting(msgspec.Struct, frozen=True):
    """See the module's docstring. deadlock_ms: the server's deadlock_timeout."""

    name: str
    keys: int = 10
    writes_per_key: int = 4
    cold: float = 0.0
    stall: float = 0.0
    stall_s: float = 0.5
    limit: int = 100
    deadlock_ms: int = 1000


SETTINGS = (
    Setting("as reported", deadlock_ms=1000),
    Setting("cold keys", cold=0.5, deadlock_ms=20, limit=1500),
    Setting("slow deadlocks", deadlock_ms=5000),
    Setting("stalls without P8", stall=0.01, cold=0.3, deadlock_ms=20, limit=1500),
    Setting("stalls of 3 s", stall=0.003, stall_s=3.0, cold=0.3, deadlock_ms=20),
    Setting("cold keys alone", keys=2, cold=0.95, deadlock_ms=20, limit=1500),
    Setting("short stalls", stall=0.2, stall_s=0.02, cold=0.7, deadlock_ms=20, limit=1500),
)


class Keys(msgspec.Struct, frozen=True):
    """hot: (key, appended) in use. next_hot, next_cold: not used yet. cold: (key, appended) of the pairs at work."""

    hot: tuple[tuple[int, int], ...]
    next_hot: int
    next_cold: int
    cold: tuple[tuple[int, int], ...] = ()


def transactions(setting: Setting, first: int) -> gen.Generator:
    """Endless transactions of 1 to 4 micro-ops. first: a number from which no key was used."""
    weights = list(itertools.accumulate(2.0**place for place in range(setting.keys)))

    def step(keys: Keys, context: gen.Context) -> tuple[Op, Keys]:
        chance = context.random
        micro_ops: list[list[Any]] = []
        for _ in range(chance.randint(1, 4)):
            is_cold = chance.random() < setting.cold
            pool = list(keys.cold if is_cold else keys.hot)
            if is_cold and len(pool) < 2:
                pool += [(keys.next_cold + number, 0) for number in range(2)]
                keys = msgspec.structs.replace(keys, next_cold=keys.next_cold + 2)
            place = chance.randrange(len(pool)) if is_cold else chance.choices(range(len(pool)), cum_weights=weights)[0]
            key, appended = pool[place]
            if chance.random() < 0.5:
                micro_ops.append(["append", key, appended + 1])
                pool[place] = (key, appended + 1)
                if appended + 1 >= (2 if is_cold else setting.writes_per_key):
                    if is_cold:
                        del pool[place]
                    else:
                        pool[place] = (keys.next_hot, 0)
                        keys = msgspec.structs.replace(keys, next_hot=keys.next_hot + 1)
            else:
                micro_ops.append(["r", key, None])
            keys = msgspec.structs.replace(keys, **{"cold" if is_cold else "hot": tuple(pool)})
        return invoke("txn", micro_ops), keys

    hot = tuple((first + number, 0) for number in range(setting.keys))
    return gen.unfold(Keys(hot, first + setting.keys, COLD_FIRST + first), step)


@contextlib.contextmanager
def serving(server: str, setting: Setting, seed: str) -> Iterator[tuple[Postgres, Cluster]]:
    """A new server: `local:18` is the embedded one, anything else an image."""
    kind, _, version = server.partition(":")
    asked: dict[str, Any] = {
        "isolation": "serializable",
        "max_connections": setting.limit,
        "deadlock_timeout_ms": setting.deadlock_ms,
        "fsync": "off",
    }
    if kind == "local":
        asked["version"] = version
    options = with_defaults({**Postgres.options, **APPEND.options}, asked)
    target = Postgres(image="" if kind == "local" else server, options=options, timeouts=TIMEOUTS, workload="append")
    run_id = f"hunt-{seed}"
    cluster: Cluster = (
        LocalCluster(run_id=run_id, nodes=1) if kind == "local" else DockerCluster(run_id=run_id, nodes=1, image=server)
    )
    with cluster:
        target.start(cluster)
        Postgres.workloads["append"].setup(target, cluster)
        try:
            yield target, cluster
        finally:
            target.stop(cluster)


def recorded(target: Postgres, cluster: Cluster, setting: Setting, seconds: float, seed: int, folder: Path) -> int:
    """Let the clients work; the record is folder/journal.jsonl. Returns how many transactions stalled."""
    gate = StallGate()
    if setting.stall:
        gate.open(StallWindow(setting.stall, setting.stall_s))
    factory = Postgres.workloads["append"]
    with Journal(folder / "journal.jsonl") as journal:
        interpreter = Interpreter(
            journal,
            lambda node, context: factory.open(target, node, context),
            cluster.nodes,
            concurrency=CLIENTS,
            timeouts=TIMEOUTS,
            seed=seed,
            options=target.chosen,
            stall_gate=gate,
        )
        try:
            interpreter.run(gen.time_limit(seconds, transactions(setting, 1)))
        finally:
            interpreter.close()
    return gate.stalls


def meanwhile(history: History, anomaly: Anomaly) -> tuple[float, int]:
    """For how long the longest transaction of the anomaly was open, in seconds, and how many committed meanwhile."""
    named = np.isin(history.index, anomaly.ops) & (history.pair >= 0)
    ends = np.sort(np.stack([np.flatnonzero(named), history.pair[named]]), axis=0)
    if not ends.size:
        return 0.0, 0
    lengths_ns = history.time_ns[ends[1]] - history.time_ns[ends[0]]
    begin, end = ends[:, lengths_ns.argmax()]
    return float(lengths_ns.max()) / 1e9, int((history.client & (history.type == OK))[begin:end].sum())


def hunt(server: str, setting: Setting, seconds: float, seed: int, keep: Path) -> Counter[str]:
    """One round. Raises FaultlineError."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="faultline-hunt-") as made:
        folder = Path(made)
        with serving(server, setting, f"p7-{seed}") as (target, cluster):
            counts["stalls"] = recorded(target, cluster, setting, seconds, seed, folder)
        history = read_history(folder / "journal.jsonl")
        counts["commits"] = int((history.client & (history.type == OK)).sum())
        verdict = ListAppend().check(history, CheckOptions(model="serializable", workload={}))
        for anomaly in verdict.anomalies:
            length_s, commits = meanwhile(history, anomaly)
            counts[f"{anomaly.type} beside {'many' if commits >= MANY else 'few'} commits"] += 1
            print(f"  {anomaly.type} ({length_s:.3f} s, {commits} commits): {anomaly.sentence[:400]}", flush=True)
        if verdict.verdict != "valid":
            counts[f"rounds {verdict.verdict}"] += 1
            keep.mkdir(parents=True, exist_ok=True)
            kept = keep / f"postgres-p7-{server.replace(':', '-')}-{seed}.jsonl"
            shutil.copyfile(folder / "journal.jsonl", kept)
            print(f"  {verdict.verdict}: {kept}", flush=True)
    return counts


def told(counts: Mapping[str, int]) -> str:
    """In one line, commits first."""
    rest = ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()) if name != "commits" and number)
    return f"{counts.get('commits', 0):,} commits" + (f", {rest}" if rest else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--servers", default="local:18", help="local:18, local:16, or images, in turn")
    parser.add_argument("--round", type=float, default=60, help="seconds of a round")
    parser.add_argument("--settings", default=",".join(setting.name for setting in SETTINGS), help="in turn")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--keep", type=Path, default=Path("results/hunts"), help="where to keep histories with finds")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    began_s = time.monotonic()
    totals: dict[str, Counter[str]] = {}
    by_name = {setting.name: setting for setting in SETTINGS}
    if unknown := [name for name in given.settings.split(",") if name not in by_name]:
        parser.error(f"no such settings: {', '.join(unknown)}; there are {', '.join(by_name)}")
    settings = [by_name[name] for name in given.settings.split(",")]
    rounds = itertools.cycle(itertools.product(settings, given.servers.split(",")))
    for number, (setting, server) in enumerate(rounds):
        left_s = began_s + given.seconds - time.monotonic()
        if left_s <= 1:
            break
        try:
            counts = hunt(server, setting, min(given.round, left_s), given.seed + number, given.keep)
        except FaultlineError as error:
            counts = Counter({"rounds given up": 1})
            print(f"  given up: {error}", flush=True)
        totals.setdefault(f"{server}, {setting.name}", Counter()).update(counts)
        print(f"{time.monotonic() - began_s:6.0f} s: {server}, {setting.name}: {told(counts)}", flush=True)
    print("in all:", flush=True)
    everything: Counter[str] = Counter()
    for name, counts in sorted(totals.items()):
        everything.update(counts)
        print(f"  {name}: {told(counts)}", flush=True)
    print(f"  {told(everything)}", flush=True)
    return 1 if any(name.startswith("rounds invalid") for name in everything) else 0


if __name__ == "__main__":
    sys.exit(main())
