"""PostgreSQL: two commits in one order for readers, in the other for SERIALIZABLE (the track record's row P7).

A commit becomes visible to others first (`ProcArrayEndTransaction`), then gives back its locks (`ProcReleaseLocks`),
and only then counts as committed for what makes transactions serializable (`ReleasePredicateLocks`, which gives it its
number). Nothing keeps two commits in one order in both. Where B becomes visible before A, but A counts as committed
before B, and A has read what B changed, the edge from A to B is forgotten when B's turn comes: A came first, it seems,
so that no third one could be hurt. A third one can: C, which began between the two, sees B's change and not A's.

    A read y without what B appended       so A came before B
    C read y with what B appended          so B came before C
    C read x without what A appended       so C came before A

It is a matter of microseconds, and one of the finds of `postgres_p7` was this, unless B has much to give back: here it
holds many advisory locks, as a query over a table of many partitions holds locks on each. With one lock instead of
thousands C is refused, as it should be. The clients are three; every round has keys of its own, and is recorded as
transactions on lists, which the checker judges at the end.

    python -m benchmarks.hunts.postgres_commit_order --rounds 100 --servers local:18,local:16
    python -m benchmarks.hunts.postgres_commit_order --rounds 100 --servers local:18,local:16 --locks 1
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.hunts.postgres_p7 import Setting, serving
from benchmarks.hunts.record import Record
from checkers.transactions.list_append import ListAppend
from harness.checker import CheckOptions
from harness.errors import FaultlineError, InfrastructureError
from harness.nodes.base import Node
from harness.op import Op, invoke
from harness.reading import read_history
from harness.target import Timeouts
from targets.postgres.connection import Connection, ServerError
from targets.postgres.target import Postgres

LOCKS = 60_000
"""Some 500 are enough on an idle machine; on a busy one A comes late more often."""
MAX_CONNECTIONS = 1500
"""With room for 90,000 locks (by default it is some 7,500), and with row P8 out of reach."""
BEGIN = "BEGIN ISOLATION LEVEL SERIALIZABLE"
WAIT_S = Timeouts().op_s
X, Y = "x", "y"


class Client:
    """One connection and the transaction that it is in."""

    def __init__(self, connection: Connection, process: int, record: Record) -> None:
        self._connection, self._process, self._record = connection, process, record
        self._asked: Op | None = None

    def begin(self, micro_ops: list[list[Any]]) -> None:
        """With a snapshot."""
        self._asked = self._record.add(invoke("txn", micro_ops).replace(process=self._process))
        self._connection.execute(BEGIN)
        self._connection.execute("SELECT 1")

    def run(self, sql: str) -> Any:
        """The value of the first row."""
        rows = self._connection.execute(sql).rows
        return rows[0][0] if rows else None

    def read(self, table: str, key: int) -> list[int]:
        return [1] if self.run(f"SELECT v FROM {table} WHERE k = {key}") else []

    def append(self, table: str, key: int) -> None:
        self.run(f"UPDATE {table} SET v = v || '1' WHERE k = {key}")

    def commit(self, *reads: list[int]) -> bool:
        """Whether it did. reads: what its reads returned, in their order."""
        assert self._asked is not None
        try:
            self._connection.execute("COMMIT")
        except ServerError as error:
            self._record.add(self._asked.replace(type="fail", error=error.sqlstate))
            return False
        answers = iter(reads)
        done = [[f, key, next(answers) if f == "r" else value] for f, key, value in self._asked.value]
        self._record.add(self._asked.replace(type="ok", value=done))
        return True

    def give_up(self) -> None:
        """A transaction that only looked."""
        assert self._asked is not None
        self._connection.execute("ROLLBACK")
        self._record.add(self._asked.replace(type="fail", error="gave up"))


def play(a: Client, b: Client, c: Client, key: int, locks: int) -> str:
    """One round: `found`, `refused` (C had to roll back), or `missed` (A was late). Raises ServerError."""
    x, y = 2 * key, 2 * key + 1
    a.begin([["append", x, 1], ["r", y, None]])
    b.begin([["append", y, 1]])
    a.append(X, key)
    seen_by_a = a.read(Y, key)
    b.run(f"SELECT count(pg_advisory_xact_lock(n)) FROM generate_series(1, {locks}) n")
    b.append(Y, key)
    committing = threading.Thread(target=b.commit)
    committing.start()
    until_s = time.monotonic() + WAIT_S
    while True:
        c.begin([["r", y, None], ["r", x, None]])
        if seen_by_c := c.read(Y, key):
            break
        c.give_up()
        if time.monotonic() > until_s:
            raise InfrastructureError("B's commit was never seen")
    a.commit(seen_by_a)
    committing.join()
    try:
        before_a = c.read(X, key)
    except ServerError:
        c.give_up()
        return "refused"
    if not c.commit(seen_by_c, before_a):
        return "refused"
    return "missed" if before_a else "found"


def hunt(server: str, rounds: int, locks: int, seed: int, path: Path) -> Counter[str]:
    """What the rounds ended in. Raises FaultlineError, ServerError."""
    counts: Counter[str] = Counter()
    record = Record(path)
    try:
        with serving(server, Setting("commit order", limit=MAX_CONNECTIONS), f"order-{seed}") as (target, cluster):
            node = cluster.nodes[0]
            prepare(target, node, rounds)
            a, b, c = (Client(target.connect(node), process, record) for process in range(3))
            for key in range(1, rounds + 1):
                counts[play(a, b, c, key, locks)] += 1
    finally:
        record.close()
    return counts


def prepare(target: Postgres, node: Node, rounds: int) -> None:
    """A row for each round in both tables, with room beside it: an update then touches no index page."""
    connection = target.connect(node)
    for table in (X, Y):
        connection.execute(f"CREATE TABLE {table} (k int PRIMARY KEY, v text NOT NULL) WITH (fillfactor = 50)")
        connection.execute(f"INSERT INTO {table} SELECT n, '' FROM generate_series(1, {rounds}) n")
        connection.execute(f"ANALYZE {table}")
    connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--servers", default="local:18", help="local:18, local:16, or images, in turn")
    parser.add_argument("--locks", type=int, default=LOCKS, help="how many B holds when it commits")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--keep", type=Path, default=Path("results/hunts"), help="where to keep the records")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    verdicts = []
    for server in given.servers.split(","):
        path = given.keep / f"postgres-commit-order-{server.replace(':', '-')}-{given.seed}.jsonl"
        try:
            counts = hunt(server, given.rounds, given.locks, given.seed, path)
        except (FaultlineError, ServerError) as error:
            print(f"{server}: {error}")
            return 3
        verdict = ListAppend().check(read_history(path), CheckOptions(model="serializable", workload={}))
        verdicts.append(verdict.verdict)
        figures = ", ".join(f"{number} {name}" for name, number in counts.most_common())
        found = ", ".join(f"{number} {name}" for name, number in sorted(verdict.anomaly_counts.items()))
        print(f"{server}, {given.locks} locks: {figures}; {verdict.verdict} ({found or 'nothing'}): {path}", flush=True)
    return 1 if "invalid" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
