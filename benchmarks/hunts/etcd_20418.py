"""etcd #20418, stale linearizable reads when processes are paused (the track record's row E3), by held messages.

A member that is to answer a read asks its leader for an index, and asks again when half a second passed without an
answer: up to 3.4.41, 3.5.27 and 3.6.8 under the same number. The leader confirms with a heartbeat that it still leads,
and an answer to a heartbeat of that number lets everything pass that was asked up to it. So an answer to the first
heartbeat, from before an election, can confirm the second question, and what was asked between the two passes with
it, though nobody said since that this member still leads. https://github.com/etcd-io/etcd/issues/20418

It takes messages that come late, in a certain order; paused processes and lossy links do that, rarely. Here it is
played in every round, with links that hold messages back (`benchmarks.hunts.links`) and one pause:

    1  a follower asks its leader for an index; the heartbeat is answered, and the answers are held on their way back
    2  the leader is paused; the follower asks again, held behind its answer; the others elect a new leader
    3  a write through the new leader is acknowledged
    4  the old leader goes on, and is asked for a read: it can't know yet that it was deposed
    5  it gets what was held, from the follower first, but only what was sent before the election

A read that step 4 answers with what was there before the write is stale. Without the bug it can't be confirmed, and
ends in "leader changed". All is recorded, each round on a key of its own, and judged as registers at the end.

    python -m benchmarks.hunts.etcd_20418 --rounds 20 --image gcr.io/etcd-development/etcd:v3.5.27
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.hunts.links import Links
from benchmarks.hunts.record import Record
from checkers.linearizability.register_models import Registers
from harness.checker import CheckOptions
from harness.errors import FaultlineError, InfrastructureError
from harness.nodes.base import Cluster, Node, node_named
from harness.nodes.docker import DockerCluster
from harness.op import Op, invoke
from harness.options import with_defaults
from harness.reading import read_history
from harness.target import DidNotHappen, SessionContext, Timeouts
from targets.etcd import members
from targets.etcd.target import Etcd

TIMEOUTS = Timeouts(op_s=6.0, connect_s=1.0)
UNTIL_ASKED_S = 0.08
"""So that a question is at the leader before anything is held, and a heartbeat at the followers."""
BEFORE_ELECTION_S = 0.95
"""After a leader's silence: no follower stands for election before a second has passed (etcd's default)."""
ELECTED_S = 10.0
BETWEEN_S = 0.03
HEALTHY_S = 60.0


class LinkedEtcd(Etcd):
    """Members reach each other through the links."""

    links: Links

    def _install(self, cluster: Cluster) -> None:
        super()._install(cluster)
        urls = {node.name: "http://{}:{}".format(*self.links.address_of[node.name]) for node in cluster.nodes}
        for node in cluster.nodes:
            file = members.config_file(node)
            settings = json.loads(node.run("cat", file).stdout)
            settings["initial-advertise-peer-urls"] = urls[node.name]
            settings["initial-cluster"] = ",".join(f"{name}={url}" for name, url in urls.items())
            node.run("sh", "-c", 'cat > "$0"', file, stdin=json.dumps(settings))


class Rounds:
    """One cluster and the record of what it was asked."""

    def __init__(self, target: LinkedEtcd, cluster: Cluster, record: Record, seed: int) -> None:
        self._target, self._cluster, self._record = target, cluster, record
        self._links = target.links
        self._random = random.Random(seed)
        self._processes = 0
        self._clients = ThreadPoolExecutor(2)

    def play(self, key: int) -> str:
        """One round on a key of its own; what the read of step 4 ended in. Raises FaultlineError."""
        nodes = self._cluster.nodes
        for node in nodes:
            self._target.await_node(node, HEALTHY_S)
        old = self._leader(lambda name: True)
        followers = self._random.sample([node for node in nodes if node is not old], len(nodes) - 1)
        self._done(old, "write", [key, 1])
        try:
            first, late = self._questions(key, old, followers)
        finally:
            self._links.release_all()
        first.result()
        answer = late.result()
        return "stale" if answer.type == "ok" and answer.value == [key, 1] else answer.type

    def _questions(self, key: int, old: Node, followers: list[Node]) -> tuple[Future[Op], Future[Op]]:
        """The steps: the read that is asked of the first follower and the one that is asked of the old leader."""
        self._hold(old, followers)
        first = self._asked(followers[0], "read", [key, None])
        time.sleep(UNTIL_ASKED_S)
        for node in followers:
            self._links.hold(node.name, old.name)
            self._links.release(old.name, node.name)
        time.sleep(UNTIL_ASKED_S)
        silent_s = time.monotonic()
        old.agent.request("pause")
        try:
            self._hold(old, followers)
            self._done(self._leader(lambda name: name != old.name), "write", [key, 2])
        finally:
            old.agent.request("resume")
        late = self._asked(old, "read", [key, None])
        time.sleep(UNTIL_ASKED_S)
        # The first question has to pass before it is asked again: with five members, one other's answer comes first.
        asker, *others = followers
        early = len(followers) // 2 - 1
        for node in (*others[:early], asker, *others[early:]):
            self._links.release(node.name, old.name, silent_s + BEFORE_ELECTION_S)
            time.sleep(BETWEEN_S)
        time.sleep(UNTIL_ASKED_S)
        return first, late

    def _hold(self, node: Node, others: list[Node]) -> None:
        for other in others:
            self._links.hold(node.name, other.name)

    def _leader(self, may_be: Callable[[str], bool]) -> Node:
        until_s = time.monotonic() + ELECTED_S
        while time.monotonic() < until_s:
            for name in self._target.primaries(self._cluster):
                if may_be(name):
                    return node_named(self._cluster, name)
            time.sleep(0.05)
        raise InfrastructureError("no leader was elected")

    def _done(self, node: Node, f: str, value: list[Any]) -> None:
        """Raises InfrastructureError if it did not succeed."""
        answer = self._invoke(node, self._invoked(node, f, value))
        if answer.type != "ok":
            raise InfrastructureError(f"{f} {value} through {node.name} ended in {answer.type}: {answer.error}")

    def _asked(self, node: Node, f: str, value: list[Any]) -> Future[Op]:
        return self._clients.submit(self._invoke, node, self._invoked(node, f, value))

    def _invoked(self, node: Node, f: str, value: list[Any]) -> Op:
        self._processes += 1
        return self._record.add(invoke(f, value).replace(process=self._processes, node=node.name))

    def _invoke(self, node: Node, asked: Op) -> Op:
        """By a client of its own; its completion."""
        context = SessionContext(asked.process, TIMEOUTS, lambda: None, self._target.chosen)
        try:
            with contextlib.closing(Etcd.workloads["register"].open(self._target, node, context)) as session:
                return self._record.add(session.invoke(asked))
        except Exception as error:
            certain = asked.f == "read" or isinstance(error, DidNotHappen)
            return self._record.add(asked.replace(type="fail" if certain else "info", error=str(error)[:200]))


@contextlib.contextmanager
def cluster_of(image: str, nodes: int, seed: int, record: Record) -> Iterator[Rounds]:
    """A new cluster whose messages can be held. Raises FaultlineError."""
    options = with_defaults(Etcd.options, {"reads": "linearizable"})
    target = LinkedEtcd(image=image, options=options, timeouts=TIMEOUTS, workload="register")
    with (
        DockerCluster(run_id=f"hunt-{seed}", nodes=nodes, image=image) as cluster,
        Links(cluster.nodes, members.PEER_PORT) as target.links,
    ):
        target.start(cluster)
        yield Rounds(target, cluster, record, seed)


def hunt(image: str, nodes: int, rounds: int, seed: int, path: Path) -> Counter[str]:
    """What the rounds ended in: `stale`, `ok` (the newest value) or `fail`, and `given up`. The ops go to `path`."""
    counts: Counter[str] = Counter()
    record = Record(path)
    try:
        with cluster_of(image, nodes, seed, record) as cluster:
            for key in range(rounds):
                try:
                    counts[cluster.play(key)] += 1
                except InfrastructureError as error:
                    counts["given up"] += 1
                    print(f"  a round was given up: {error}", flush=True)
    finally:
        record.close()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20, help="with each number of members; five seconds each")
    parser.add_argument("--image", default="gcr.io/etcd-development/etcd:v3.5.27")
    parser.add_argument("--nodes", default="3,5", help="how many members, in turn")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--keep", type=Path, default=Path("results/hunts"), help="where to keep the records")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    verdicts = []
    for nodes in [int(number) for number in given.nodes.split(",")]:
        path = given.keep / f"etcd-20418-{given.seed}-{nodes}.jsonl"
        try:
            counts = hunt(given.image, nodes, given.rounds, given.seed, path)
        except FaultlineError as error:
            print(f"{nodes} members: {error}")
            return 3
        verdict = Registers().check(read_history(path), CheckOptions(workload={}))
        verdicts.append(verdict.verdict)
        figures = ", ".join(f"{number} {name}" for name, number in counts.most_common())
        print(f"{given.image}, {nodes} members: {figures}; {verdict.verdict}: {path}", flush=True)
    return 1 if "invalid" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
