"""The cluster: nodes that pass ops on to a leader, and the troubles on the way. A model for `harness.simulation`.

    client → node → leader: the transaction, statement by statement, commit → node → client

Every step takes a time drawn from the seed. A node can be down, paused, or cut off from the leader; when the leader is,
a new one is elected a moment later, and transactions that were running end unknown. What is sent to where it can't
arrive waits, and arrives late or never: an op whose client has given up long ago may still happen. So every kind of
completion occurs, and an `info` op may have happened or not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from harness.op import Op
from harness.simulation import Clock, Finish
from harness.target import DidNotHappen, Unknown
from targets.simulated.programs.base import Programs
from targets.simulated.store import Store, Transaction

LOCAL_READ = "local-read"
MS_NS = 1_000_000
ELECTION_NS = 200 * MS_NS
REPLICATION_LAG_NS = (5 * MS_NS, 60 * MS_NS)
"""How far replicas are behind: what a stale read misses, and what is lost with a leader (flaws)."""
FAILOVER_EVERY_NS = (300 * MS_NS, 700 * MS_NS)
"""With the flaw lost-write the leader changes this often, also where no fault is injected."""
SPLIT_EVERY_NS, SPLIT_NS = (100 * MS_NS, 400 * MS_NS), (300 * MS_NS, 500 * MS_NS)
"""With the flaw split-brain: how long after one split the next begins, and how long it lasts; longer than an election,
so that two leaders serve at once."""
JUMPING_LAG_NS = (0, 150 * MS_NS)
"""With the flaw non-monotonic-read: how far the replica is behind that answers a read."""
CHANCE_TWICE, CHANCE_MISSED, CHANCE_UNDONE = 0.05, 0.03, 0.03
"""Of a commit, with the flaws duplicate, diverged-replicas (for each replica) and lost-element."""
UNDONE_AFTER_NS = (0, 100 * MS_NS)
WAIT_NS = 20 * MS_NS
REFUSED_MS = 50
"""How long a client takes to find out that a node is down, its pause before the next attempt included."""
NO_LEADER_AFTER_NS = 1000 * MS_NS
CHANCE_LOST_REQUEST, CHANCE_LOST_ANSWER, CHANCE_DROPPED = 0.002, 0.002, 0.02
CHANCE_ROLLED_BACK = 0.03


class SimulatedNode:
    """up, paused, cut (off from the nodes that are not cut). boots: how often it has started. leads: the term in which
    it believes that it leads, None if it does not; who is cut off may believe so for longer than it is true."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.up, self.paused, self.cut = True, False, False
        self.boots = 0
        self.leads: int | None = None
        self.lag_ns = 0
        self.snapshot = 0
        self.replica = Store()


@dataclass(frozen=True)
class Usurper:
    """A leader that was cut off and goes on, or one that a minority chose. store: a fork, for as long as that."""

    leader: SimulatedNode
    store: Store
    term: int


class SimulatedCluster:
    """A `harness.simulation.Model`. programs: the workload's. flaw: see `targets.simulated.store`.
    trouble: whether messages get lost. clock: the simulation's. initial: what is in the store before anything happens.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        programs: Programs,
        flaw: str,
        trouble: bool,
        seed: int,
        clock: Clock,
        initial: Mapping[Hashable, Any] = MappingProxyType({}),
    ) -> None:
        self.nodes = {name: SimulatedNode(name) for name in names}
        self.store = Store()
        self._programs = programs
        self._flaw = flaw
        self._trouble = trouble
        self._random = random.Random(f"{seed}/cluster")
        self._clock = clock
        self._leader: SimulatedNode | None = self.nodes[names[0]]
        self._term = 0
        self.nodes[names[0]].leads = 0
        for node in list(self.nodes.values())[1:]:
            node.lag_ns = self._random.randint(*REPLICATION_LAG_NS)
        self._usurper: Usurper | None = None
        if initial:
            for store in (self.store, *(node.replica for node in self.nodes.values())):
                store.commit(dict(initial), 0)
        if flaw == "lost-write":
            self._fail_over_now_and_then()
        elif flaw == "split-brain" and len(names) > 2:
            self._after_between(SPLIT_EVERY_NS, self._split_now_and_then)

    # -- what the simulation calls

    def is_read(self, op: Op) -> bool:
        return self._programs.writes_nothing(op)

    def begin(self, op: Op, clock: Clock, finish: Finish) -> None:
        assert op.node is not None
        node = self.nodes[op.node]
        if not node.up:
            self._after(REFUSED_MS, lambda: finish(DidNotHappen("could not connect: refused", lost=True)))
            return
        boots = node.boots

        def answer(outcome: Any) -> None:
            if node.boots != boots:
                outcome = Unknown("connection reset")
            elif self._trouble and not isinstance(outcome, Exception) and self._random.random() < CHANCE_LOST_ANSWER:
                outcome = Unknown("the answer was lost")
            self._when_running(node, boots, lambda: self._after(0.5, lambda: finish(outcome)))

        def arrived() -> None:
            if node.boots != boots:
                finish(Unknown("connection reset"))
            elif self._trouble and self._random.random() < CHANCE_LOST_REQUEST:
                finish(Unknown("the request was lost"))
            elif (replica := self._replica_for(op, node)) is not None:
                self._run(op, *replica, lambda: True, answer)
            else:
                self._find_leader(op, node, answer, self._clock.now_ns + NO_LEADER_AFTER_NS)

        self._after(0.5, lambda: self._when_running(node, boots, arrived))

    # -- what fault lanes call

    def kill(self, name: str) -> None:
        """The node is down: its clients' connections break."""
        node = self.nodes[name]
        node.up, node.leads = False, None
        node.boots += 1
        self._depose(node)

    def start(self, name: str) -> None:
        """It is up again."""
        self.nodes[name].up = True

    def pause(self, name: str, paused: bool) -> None:
        """It stops, or goes on where it was."""
        self.nodes[name].paused = paused
        if paused:
            self._depose(self.nodes[name])

    def cut(self, names: Sequence[str]) -> None:
        """These nodes, fewer than half, reach only each other; () ends it."""
        self._end_usurper()
        for node in self.nodes.values():
            node.cut = node.name in names
        leader = self._leader
        if leader is not None and leader.cut:
            self._depose(leader)
        if self._flaw == "split-brain":
            able = [node for node in self.nodes.values() if node.cut and node.up and not node.paused]
            if able:
                self._usurper = Usurper(leader if leader in able else able[0], self.store.fork(), self._term)
                self._usurper.leader.leads = self._term

    def leaders(self) -> list[tuple[str, int]]:
        """(node, term) of each node that answers and says that it leads."""
        found = []
        for node in self.nodes.values():
            if node.leads is not None and node.up and not node.paused:
                if not node.cut and node.leads < self._term:
                    node.leads = None  # it has heard of the new term
                else:
                    found.append((node.name, node.leads))
        return found

    # -- on the way

    def _find_leader(self, op: Op, node: SimulatedNode, answer: Callable[[Any], None], until_ns: int) -> None:
        leader, usurper = self._leader, self._usurper
        cut_off = node.cut and usurper is None
        if not node.up or cut_off or (leader is None and not node.cut):
            if self._clock.now_ns < until_ns:
                self._clock.after(WAIT_NS, lambda: self._find_leader(op, node, answer, until_ns))
            else:
                answer(DidNotHappen("no leader"))
            return
        term, store = self._term, self.store
        if node.cut:
            assert usurper is not None
            leader, store, term = usurper.leader, usurper.store, usurper.term

        def here() -> bool:
            return self._usurper is usurper if store is not self.store else self._term == term

        def arrived() -> None:
            if not here():
                answer(Unknown("the leader is gone"))
            else:
                assert leader is not None
                done = lambda outcome: self._return(node, outcome, answer)  # noqa: E731
                self._run(op, store, store.now, here, done, leader=leader.name, term=term)

        self._carry(node, arrived)

    def _return(self, node: SimulatedNode, outcome: Any, answer: Callable[[Any], None]) -> None:
        self._carry(node, lambda: answer(outcome))

    def _carry(self, node: SimulatedNode, then: Callable[[], None]) -> None:
        """A message between a node and its leader: it arrives once they can reach each other again, or never."""

        def attempt() -> None:
            if node.up and (not node.cut or self._usurper is not None):
                then()
            elif self._random.random() >= CHANCE_DROPPED:
                self._clock.after(WAIT_NS, attempt)

        self._after(0.5, attempt)

    def _when_running(self, node: SimulatedNode, boots: int, then: Callable[[], None]) -> None:
        """As soon as the node is not paused (at once when it was killed meanwhile)."""
        if node.paused and node.boots == boots:
            self._clock.after(WAIT_NS, lambda: self._when_running(node, boots, then))
        else:
            then()

    def _run(
        self,
        op: Op,
        store: Store,
        snapshot: int,
        here: Callable[[], bool],
        done: Callable[[Any], None],
        *,
        leader: str = "",
        term: int = 0,
        again: bool = False,
    ) -> None:
        """The transaction itself. here: whether the leader that began it still leads. again: it has run before."""
        transaction = Transaction(store, self._flaw, snapshot, leader=leader, term=term)
        program: Generator[None, None, Op] = self._programs.by_f[op.f](op, transaction, store)

        def step() -> None:
            if not here():
                transaction.abort()
                done(Unknown("the leader is gone"))
                return
            try:
                next(program)
            except StopIteration as end:
                completion = end.value
                self._after(0.4, lambda: commit(completion))
            except DidNotHappen as reason:
                transaction.abort()
                done(reason)
            else:
                self._after(0.3, step)

        def commit(completion: Op) -> None:
            outcome: Any = completion
            if not here():
                transaction.abort()
                outcome = Unknown("the leader is gone")
            elif self._may_roll_back(op):
                transaction.abort()
                outcome = DidNotHappen("rolled back")
            else:
                try:
                    self._commit(op, transaction, store, again, repeat)
                except DidNotHappen as reason:
                    outcome = reason
            done(outcome)

        def repeat() -> None:
            self._after(5, lambda: self._run(op, store, store.now, here, ignore, leader=leader, term=term, again=True))

        step()

    def _commit(self, op: Op, transaction: Transaction, store: Store, again: bool, repeat: Callable[[], None]) -> None:
        """Commit, and do what the flaw does with a commit. Raises DidNotHappen for a conflict."""
        writes, flaw, now_ns = list(transaction.writes), self._flaw, self._clock.now_ns
        twice = flaw == "duplicate" and not again and bool(writes) and self._random.random() < CHANCE_TWICE
        if twice and op.f in self._programs.gives_out:
            transaction.abort()
            return
        transaction.commit(now_ns)
        if twice:
            repeat()
        elif flaw == "lost-element" and writes and self._random.random() < CHANCE_UNDONE:
            write = self._random.choice(writes)
            at_once = self._random.random() < 0.5
            self._after_between((0, 0) if at_once else UNDONE_AFTER_NS, lambda: store.undo(write, self._clock.now_ns))
        elif flaw == "diverged-replicas" and writes:
            for node in self.nodes.values():
                if self._random.random() >= CHANCE_MISSED:
                    node.replica.apply(writes, now_ns)

    def _may_roll_back(self, op: Op) -> bool:
        flawed = self._flaw == "dirty-read"
        return (
            (flawed or self._trouble)
            and not self._programs.writes_nothing(op)
            and self._random.random() < CHANCE_ROLLED_BACK
        )

    def _replica_for(self, op: Op, node: SimulatedNode) -> tuple[Store, int] | None:
        """The store and the snapshot that a node answers a read from by itself (local reads, and flaws); None: the
        leader must."""
        if not self._programs.writes_nothing(op):
            return None
        if self._flaw == "stale-read" and node is not self._leader:
            return self.store, self._replica_snapshot(node)
        if self._flaw == "non-monotonic-read":
            lag_ns = self._random.randint(*JUMPING_LAG_NS)
            return self.store, self.store.snapshot_at(self._clock.now_ns - lag_ns)
        if self._flaw == "diverged-replicas":
            return node.replica, node.replica.now
        if op.f == LOCAL_READ:
            return self.store, self._replica_snapshot(node)
        return None

    def _replica_snapshot(self, node: SimulatedNode) -> int:
        """What has reached a replica; never less than before."""
        node.snapshot = max(node.snapshot, self.store.snapshot_at(self._clock.now_ns - node.lag_ns))
        return node.snapshot

    # -- leaders

    def _depose(self, node: SimulatedNode) -> None:
        if self._usurper is not None and node is self._usurper.leader:
            self._end_usurper()
        if node is not self._leader:
            return
        self._leader = None
        self._term += 1
        if self._flaw == "lost-write":
            lag_ns = self._random.randint(*REPLICATION_LAG_NS)
            self.store.lose(self.store.snapshot_at(self._clock.now_ns - lag_ns))
        self._clock.after(ELECTION_NS, self._elect)

    def _end_usurper(self) -> None:
        if self._usurper is not None and self._usurper.leader is not self._leader:
            self._usurper.leader.leads = None
        self._usurper = None

    def _elect(self) -> None:
        able = [node for node in self.nodes.values() if node.up and not node.paused and not node.cut]
        if 2 * len(able) > len(self.nodes):
            self._leader = self._random.choice(able)
            self._leader.leads = self._term
        else:
            self._clock.after(ELECTION_NS, self._elect)

    def _fail_over_now_and_then(self) -> None:
        if self._leader is not None:
            self._depose(self._leader)
        self._clock.after(self._random.randint(*FAILOVER_EVERY_NS), self._fail_over_now_and_then)

    def _split_now_and_then(self) -> None:
        """Cut the leader off, alone or with others, unless a partition is in force; end it a while later."""
        nodes = list(self.nodes.values())
        leader = self._leader
        if leader is not None and not any(node.cut for node in nodes):
            others = [node.name for node in nodes if node is not leader]
            count = self._random.randint(0, (len(nodes) - 1) // 2 - 1)
            self.cut([leader.name, *self._random.sample(others, count)])
            usurper = self._usurper

            def end() -> None:
                if self._usurper is usurper:
                    self.cut(())

            self._after_between(SPLIT_NS, end)
        self._after_between(
            (SPLIT_EVERY_NS[0] + SPLIT_NS[1], SPLIT_EVERY_NS[1] + SPLIT_NS[1]), self._split_now_and_then
        )

    def _after_between(self, bounds_ns: tuple[int, int], action: Callable[[], None]) -> None:
        self._clock.after(self._random.randint(*bounds_ns), action)

    def _after(self, mean_ms: float, action: Callable[[], None]) -> None:
        """Do it after a time between half the mean and, rarely, many times it."""
        draw = 0.5 + self._random.expovariate(2.0)
        self._clock.after(round(mean_ms * draw * MS_NS), action)


def ignore(outcome: Any) -> None:
    """What becomes of an answer that nobody waits for."""
