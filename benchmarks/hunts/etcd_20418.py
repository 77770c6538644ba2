"""The hunt for etcd #20418: linearizable reads that are stale when processes are paused (the track record's row E3).

etcd asks its leader which index a read must see, and asks again, under the same number, when no answer comes for half a
second. A leader that was deposed while it was paused can take a late answer to the first question, from before, for one
to the second, and with it let pass reads that were asked in between: without any member confirming that it still leads.
Fixed in 3.4.42, 3.5.28 and 3.6.9. https://github.com/etcd-io/etcd/issues/20418

So it takes reads through all members all the time, some of them asked while the leader is paused and others write,
and answers between members that come late. Each round draws one of these ways, and all lengths:

    leader      the leader is paused for longer than it takes to elect another
    two         a follower is paused as well, a little before or after
    late        a link between a follower and the leader is cut, one way, before the pause: what was sent comes late
    storm       every member is paused for a moment, again and again

A writer alone writes growing numbers to one key, and takes another key when an outcome is unknown and in each round. So
a read is stale if it shows less than what had been acknowledged before it was asked. On a find the round's record is
written as a history: `faultline check FILE --workload register` judges it again. With `--reads serializable`, which
may be stale by etcd's own word, the hunt shows that it sees what it hunts.

    python -m benchmarks.hunts.etcd_20418 --seconds 3600 --image gcr.io/etcd-development/etcd:v3.5.27 --nodes 3
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import FaultlineError, InfrastructureError
from harness.nodes.base import Node, node_named
from harness.nodes.docker import DockerCluster
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.target import DidNotHappen, SessionContext, Timeouts
from targets.etcd.target import Etcd

TIMEOUTS = Timeouts(op_s=6.0, connect_s=1.0)
BUSY_READERS, LAZY_READERS = 3, 8
"""For each member: those that read without a pause, and those that think before each read."""
THINK_S = (0.05, 2.0)
WRITE_EVERY_S = 0.01
CALM_S = (0.5, 1.5)
"""Between two rounds."""
LEADER_PAUSE_S = (0.8, 4.0)
FOLLOWER_PAUSE_S = (0.2, 2.0)
WAYS = ("leader", "two", "late", "storm")
TOLD_EVERY_S = 60.0


@dataclass
class Tally:
    """What the hunt did. A lock guards all of it."""

    counts: Counter[str] = field(default_factory=Counter)
    key: int = 0
    key_of_round: int = 0
    """The first one of this round."""
    acknowledged: int = 0
    """The newest value of `key` that was acknowledged; values grow from key to key."""
    ops: list[Op] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    paused: set[str] = field(default_factory=set)

    def record(self, op: Op) -> None:
        """Under the lock."""
        self.ops.append(op.replace(index=len(self.ops), time_ns=time.monotonic_ns()))

    def next_key(self) -> None:
        """Under the lock."""
        self.key, self.acknowledged = self.key + 1, 0


class Client:
    """One reader or writer: sessions to one member, one after the other, each under a process number of its own."""

    processes = itertools.count()

    def __init__(self, target: Etcd, node: Node, tally: Tally) -> None:
        self.node, self.tally, self.process = node, tally, -1
        self._target = target
        self._session: Any = None

    def session(self) -> Any:
        """The open one, or a new one. Raises DidNotHappen."""
        if self._session is None:
            self.process = next(Client.processes)
            context = SessionContext(self.process, TIMEOUTS, lambda: None, self._target.chosen)
            self._session = Etcd.workloads["register"].open(self._target, self.node, context)
        return self._session

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def read(self) -> None:
        """One read; it is compared with what had been acknowledged before."""
        tally = self.tally
        session = self.session()
        with tally.lock:
            key, floor = tally.key, tally.acknowledged
            while_paused = self.node.name in tally.paused
            asked = invoke("read", [key, None]).replace(process=self.process, node=self.node.name)
            tally.record(asked)
        try:
            value = session.invoke(asked).value[1]
        except Exception as error:
            with tally.lock:
                tally.counts["reads failed"] += 1
                tally.record(asked.replace(type="fail", error=str(error)[:80]))
            if getattr(error, "lost", True):
                self.close()
            return
        with tally.lock:
            tally.record(asked.replace(type="ok", value=[key, value]))
            tally.counts["reads"] += 1
            tally.counts["reads asked of a paused member"] += while_paused
            if floor and (value or 0) < floor:
                tally.found.append(f"{self.node.name} answered {value} for key {key}; {floor} was acknowledged before")

    def write(self, value: int) -> None:
        """One write of the one writer. An unknown outcome retires the key."""
        tally = self.tally
        session = self.session()
        with tally.lock:
            asked = invoke("write", [tally.key, value]).replace(process=self.process, node=self.node.name)
            tally.record(asked)
        try:
            session.invoke(asked)
        except DidNotHappen as error:
            with tally.lock:
                tally.record(asked.replace(type="fail", error=str(error)[:80]))
            if error.lost:
                self.close()
        except Exception as error:
            with tally.lock:
                tally.record(asked.replace(type="info", error=str(error)[:80]))
                tally.counts["writes unknown"] += 1
                if asked.value[0] == tally.key:
                    tally.next_key()
            self.close()
        else:
            with tally.lock:
                tally.record(asked.replace(type="ok"))
                tally.counts["writes"] += 1
                if asked.value[0] == tally.key:
                    tally.acknowledged = value


class Hunt:
    """One cluster and its clients, hunted until it is closed."""

    def __init__(self, target: Etcd, cluster: DockerCluster, tally: Tally, seed: str) -> None:
        self.target, self.cluster, self.tally = target, cluster, tally
        self.random = random.Random(seed)
        self._closed = threading.Event()
        jobs: list[Callable[[], None]] = [self._write]
        for node in cluster.nodes:
            jobs += [self._reader(node, (0.0, 0.0))] * BUSY_READERS + [self._reader(node, THINK_S)] * LAZY_READERS
        self._threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUTS.op_s)

    def round(self) -> str:
        """Draw one way and go it; then wait until every member serves. Returns the way. Raises FaultlineError."""
        chance, nodes = self.random, list(self.cluster.nodes)
        leader = self._leader()
        follower = chance.choice([node for node in nodes if node is not leader])
        way = chance.choice(WAYS)
        acts: list[tuple[float, Callable[[float], None], float]] = []
        if way != "storm":
            acts.append((0.7, self._pausing(leader), chance.uniform(*LEADER_PAUSE_S)))
        if way == "two":
            acts.append((chance.uniform(0.0, 1.2), self._pausing(follower), chance.uniform(*FOLLOWER_PAUSE_S)))
        if way == "late":
            ends = [leader, follower] if chance.random() < 0.5 else [follower, leader]
            acts.append((chance.uniform(0.0, 0.75), self._cutting(*ends), chance.uniform(0.1, 1.5)))
        if way == "storm":
            for node in nodes:
                begins = sorted(chance.uniform(0.0, 5.0) for _ in range(3))
                acts += [(begin, self._pausing(node), chance.uniform(*FOLLOWER_PAUSE_S)) for begin in begins]
        threads = [threading.Thread(target=_later, args=act, daemon=True) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60.0)
        for node in nodes:
            self.target.await_node(node, 60.0)
        time.sleep(chance.uniform(*CALM_S))
        return way

    def _leader(self) -> Node:
        until_s = time.monotonic() + 30.0
        while time.monotonic() < until_s:
            leaders = self.target.primaries(self.cluster)
            if leaders:
                return node_named(self.cluster, leaders[0])
            time.sleep(0.1)
        raise InfrastructureError("nobody leads")

    def _pausing(self, node: Node) -> Callable[[float], None]:
        def pause(length_s: float) -> None:
            node.agent.request("pause")
            with self.tally.lock:
                self.tally.paused.add(node.name)
            try:
                time.sleep(length_s)
            finally:
                with self.tally.lock:
                    self.tally.paused.discard(node.name)
                node.agent.request("resume")

        return pause

    def _cutting(self, node: Node, source: Node) -> Callable[[float], None]:
        def cut(length_s: float) -> None:
            node.agent.request("drop", key="late", sources=[source.address])
            try:
                time.sleep(length_s)
            finally:
                node.agent.request("undrop", key="late")

        return cut

    def _reader(self, node: Node, think_s: tuple[float, float]) -> Callable[[], None]:
        def read() -> None:
            chance, client = random.Random(), Client(self.target, node, self.tally)
            while not self._closed.wait(chance.uniform(*think_s)):
                try:
                    client.read()
                except DidNotHappen:
                    self._closed.wait(0.1)
            client.close()

        return read

    def _write(self) -> None:
        clients = [Client(self.target, node, self.tally) for node in self.cluster.nodes]
        chance = random.Random()
        for value in itertools.count(1):
            if self._closed.wait(WRITE_EVERY_S):
                break
            able = [client for client in clients if client.node.name not in self.tally.paused] or clients
            with contextlib.suppress(DidNotHappen):
                chance.choice(able).write(value)
        for client in clients:
            client.close()


def _later(after_s: float, act: Callable[[float], None], length_s: float) -> None:
    time.sleep(after_s)
    act(length_s)


@contextlib.contextmanager
def hunting(image: str, nodes: int, reads: str, tally: Tally, seed: str) -> Iterator[Hunt]:
    """A new cluster with its clients at work."""
    options = with_defaults(Etcd.options, {"reads": reads})
    target = Etcd(image=image, options=options, timeouts=TIMEOUTS, workload="register")
    with DockerCluster(run_id=f"hunt-{seed}", nodes=nodes, image=image) as cluster:
        target.start(cluster)
        hunt = Hunt(target, cluster, tally, seed)
        try:
            yield hunt
        finally:
            hunt.close()


def kept(tally: Tally, first_key: int, folder: Path) -> Path:
    """The record of a round with a find, as a history: the ops on the round's own keys."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"etcd-20418-{time.time_ns()}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for op in tally.ops:
            if op.value[0] < first_key:
                continue
            fields = {
                name: getattr(op, name) for name in ("type", "f", "value", "process", "time_ns", "index", "error")
            }
            file.write(json.dumps({name: value for name, value in fields.items() if value is not None}) + "\n")
    return path


def told(counts: Mapping[str, int], found: int, began_s: float) -> str:
    """One line of figures."""
    figures = ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))
    return f"{time.monotonic() - began_s:6.0f} s: {figures}; {found} stale reads"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--image", default="gcr.io/etcd-development/etcd:v3.5.27")
    parser.add_argument("--nodes", default="3,5", help="how many members, in turn")
    parser.add_argument("--reads", default="linearizable", choices=("linearizable", "serializable"))
    parser.add_argument("--cluster-seconds", type=float, default=300, help="when to begin with a new cluster")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--keep", type=Path, default=Path("results/hunts"), help="where to write histories with finds")
    given = parser.parse_args()
    began_s = next_told_s = time.monotonic()
    counts: Counter[str] = Counter()
    found = 0
    print(f"etcd {given.image}, seed {given.seed}", flush=True)
    for number, nodes in enumerate(itertools.cycle([int(text) for text in given.nodes.split(",")])):
        left_s = began_s + given.seconds - time.monotonic()
        if left_s <= 0:
            break
        tally = Tally()
        try:
            with hunting(given.image, nodes, given.reads, tally, f"{given.seed}-{number}") as hunt:
                until_s = time.monotonic() + min(left_s, given.cluster_seconds)
                while time.monotonic() < until_s:
                    counts[f"rounds {hunt.round()}"] += 1
                    with tally.lock:
                        counts += tally.counts
                        tally.counts.clear()
                        first_key = tally.key_of_round
                        tally.next_key()
                        tally.key_of_round = tally.key
                        if tally.found:
                            found += len(tally.found)
                            print(
                                f"FOUND: {tally.found[0]} (with {nodes} members): {kept(tally, first_key, given.keep)}",
                                flush=True,
                            )
                            tally.found.clear()
                        tally.ops.clear()
                    if time.monotonic() > next_told_s:
                        next_told_s += TOLD_EVERY_S
                        print(told(counts, found, began_s), flush=True)
        except FaultlineError as error:
            counts["clusters given up"] += 1
            print(f"a cluster was given up: {error}", flush=True)
    print(told(counts, found, began_s), flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
