"""MongoDB as a target: a replica set of the vendor's unmodified image, one member in each pod.

The members start empty; the first one is told the set's configuration (`replSetInitiate`), they elect a primary, and
the start has ended when one leads and all others follow. Settings are the vendor's, but for three: how long a
transaction may stay open (a minute would keep the keys of an abandoned one locked for a minute), how long a member
lingers when it is stopped, and how much memory it takes for its cache.

A member keeps its data in the node's own directory, so that one that left can be emptied before it joins again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

import pymongo.errors

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import Cluster, Database, Node, node_named, program_on, require_database
from harness.options import Option
from harness.target import Claim, KnownIssue, Leader, SessionFactory, Timeouts
from nemeses.base import Nemesis
from targets.mongodb import on_host, replica_set
from targets.mongodb.claims import TRANSACTIONAL, claim, level_of
from targets.mongodb.documents import (
    COUNTERS,
    ELEMENTS,
    REGISTERS,
    CounterSession,
    RegisterSession,
    Sessions,
    SetSession,
)
from targets.mongodb.driver import Driver
from targets.mongodb.faults import CATCH_UP_S, STEPPED_DOWN_S, Freeze, StepDown
from targets.mongodb.known_issues import KNOWN_ISSUES
from targets.mongodb.links import MODES, PORT, SET_NAME
from targets.mongodb.transactions import ACCOUNTS, LISTS, AppendSession, BankSession

START_TIMEOUT_S: Final = 90.0
MEMBER_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.2
CACHE_GB: Final = 0.25
"""WiredTiger's cache: its least. The default is half of the machine's memory, for each member."""
WAY_OUT: Final = "install it there as MongoDB's manual says; no distribution's packages have it"
LINGER_MS: Final = 100
"""How long a member that is told to end goes on answering; 15 s by default."""

OFFERED: Final[Mapping[str, Option]] = {
    "write_concern": Option(
        "majority",
        "who has a write when it is acknowledged: the primary, a majority, a majority's disks",
        ("1", "majority", "journaled"),
    ),
    "read_concern": Option(
        "strongest",
        "what reads return; MongoDB's own default is local: what may be rolled back later",
        ("strongest", "local", "available", "majority", "snapshot", "linearizable"),
    ),
    "read_preference": Option("primary", "which member answers reads", tuple(MODES)),
    "causal": Option("off", "whether a client's operations are in a causally consistent session", ("off", "on")),
    "retryable_writes": Option(
        "off", "on: the driver follows the primary and sends a write again by itself, as in applications", ("off", "on")
    ),
    "transactions": Option(
        "on", "append, bank: one transaction for an op, or its statements one by one", ("on", "off")
    ),
    "cas_command": Option(
        "update", "register: by which command a value is compared and set", ("update", "find-and-modify")
    ),
}
"""Those that decide what a client asks for."""


class MongoDB:
    """See the module's docstring, and README.md."""

    name: ClassVar[str] = "mongodb"
    doc: ClassVar[str] = "MongoDB, a replica set of three; transactions, read and write concerns that you choose"
    substrates: ClassVar[tuple[str, ...]] = ("docker", "ssh")
    default_image: ClassVar[str] = "mongo:8.0"
    default_nodes: ClassVar[int] = 3
    most_nodes: ClassVar[int] = 7
    default_workload: ClassVar[str] = "append"
    options: ClassVar[Mapping[str, Option]] = {
        **OFFERED,
        "election_timeout_ms": Option(
            10_000, "after how long without a primary the others elect one", least=500, most=60_000
        ),
        "transaction_lifetime_s": Option(
            10, "how long a transaction may stay open (MongoDB's own default: 60)", least=1, most=3600
        ),
    }
    workloads: ClassVar[Mapping[str, SessionFactory]] = {
        "append": Sessions(AppendSession, LISTS),
        "register": Sessions(RegisterSession, REGISTERS),
        "set": Sessions(SetSession, ELEMENTS),
        "set-final": Sessions(SetSession, ELEMENTS),
        "counter": Sessions(CounterSession, COUNTERS, lambda options: [{"_id": 0, "total": 0}]),
        "bank": Sessions(
            BankSession,
            ACCOUNTS,
            lambda options: [{"_id": n, "balance": options["balance"]} for n in range(options["accounts"])],
        ),
        "causal": Sessions(RegisterSession, REGISTERS),
    }
    faults: ClassVar[tuple[str, ...]] = ("partition", "kill", "pause", "clock", "stepdown")
    nemeses: ClassVar[tuple[Nemesis, ...]] = (StepDown(), Freeze())
    known_issues: ClassVar[tuple[KnownIssue, ...]] = KNOWN_ISSUES

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None:
        refuse_what_does_not_go(workload, options)
        self.installed = options.get("installed") == "yes"
        if self.installed:
            on_host.check_installed(options, self.options)
        self.image, self.chosen, self.timeouts = image, options, timeouts
        self.level = level_of(workload, options)
        self.set_name = SET_NAME
        self._nodes: dict[str, Node] = {}
        self._may_drop = False

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim:
        return claim(workload, options)

    def start(self, cluster: Cluster) -> None:
        """Every member, then the set, then until one leads and all others follow. Raises InfrastructureError."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        if self.installed:
            on_host.use_installed(cluster)
            for node in cluster.nodes:
                node.start_db()
            self.set_name, self._nodes = on_host.members_there(cluster)
        else:
            self._make_set(cluster, deadline_s)
        for node in cluster.nodes:
            self._await(node, deadline_s, "has no primary", replica_set.serves, starting=True)
        self._await_whole(cluster, deadline_s)
        if self.installed:
            self._at_primary(cluster, on_host.refuse_database)
            self._may_drop = True

    def _make_set(self, cluster: Cluster, deadline_s: float) -> None:
        self.know(cluster)
        for node in cluster.nodes:
            self._empty(node)
            node.install(self._member(node, own_host=cluster.substrate == "ssh"))
        for node in cluster.nodes:
            node.start_db()
        for node in cluster.nodes:
            self._await(node, deadline_s, "does not answer", lambda said: True, starting=True)
        config = replica_set.first_config(list(self._nodes), self.chosen["election_timeout_ms"])
        try:
            replica_set.initiate(cluster.nodes[0].endpoint(PORT), config)
        except pymongo.errors.PyMongoError as error:
            raise InfrastructureError(f"the replica set could not be initiated: {error}") from error

    def know(self, cluster: Cluster) -> None:
        """Which node is which `address:port`; members name each other so."""
        self._nodes = {f"{node.address}:{node.port(PORT)}": node for node in cluster.nodes}

    def _empty(self, node: Node) -> None:
        path = data_path(node)
        node.run("sh", "-c", f"rm -rf '{path}' && mkdir -p '{path}' && chmod 777 '{path}'")

    def _member(self, node: Node, *, own_host: bool) -> Database:
        """own_host: a host of the user's, where it listens on the address that the others know, and nowhere else."""
        program = program_on(node, "mongod", way_out=WAY_OUT) if own_host else "mongod"
        listen = ("--bind_ip", node.address) if own_host else ("--bind_ip_all",)
        return Database(
            image=self.image,
            argv=[
                *(program, "--replSet", SET_NAME, *listen, "--port", str(node.port(PORT))),
                *("--dbpath", data_path(node), "--wiredTigerCacheSizeGB", str(CACHE_GB)),
                *("--setParameter", f"transactionLifetimeLimitSeconds={self.chosen['transaction_lifetime_s']}"),
                *("--setParameter", f"shutdownTimeoutMillisForSignaledShutdown={LINGER_MS}"),
            ],
            ports=(PORT,),
        )

    def stop(self, cluster: Cluster) -> None:
        if self._may_drop:
            self._at_primary(cluster, on_host.drop_database)
        for node in cluster.nodes:
            node.stop_db()

    def await_node(self, node: Node, timeout_s: float) -> None:
        """Until the member leads, or follows a primary that it knows. Raises InfrastructureError."""
        self._await(node, time.monotonic() + timeout_s, "knows no primary", replica_set.serves)

    def _await(
        self,
        node: Node,
        deadline_s: float,
        problem: str,
        fulfilled: Callable[[dict[str, Any]], bool],
        *,
        starting: bool = False,
    ) -> None:
        said = "nothing"
        while True:
            try:
                answer = replica_set.hello(node.endpoint(PORT))
                if fulfilled(answer):
                    return
                said = str({key: answer.get(key) for key in ("isWritablePrimary", "secondary", "primary", "info")})
            except pymongo.errors.PyMongoError as error:
                said = f"{type(error).__name__}: {error}"
                if starting:
                    require_database(node)
            if time.monotonic() > deadline_s:
                raise InfrastructureError(f"{node.name}: MongoDB {problem}: {said[:300]}")
            time.sleep(POLL_S)

    def _await_whole(self, cluster: Cluster, deadline_s: float) -> None:
        """Until every member is in order in the primary's eyes."""
        while True:
            with (
                contextlib.suppress(InfrastructureError, pymongo.errors.PyMongoError),
                self.at_primary(cluster) as driver,
            ):
                states = replica_set.states(driver)
                if len(states) == len(cluster.nodes) and set(states.values()) <= set(replica_set.SERVING):
                    return
            if time.monotonic() > deadline_s:
                raise InfrastructureError("not every member of the replica set became a primary or a secondary in time")
            time.sleep(POLL_S)

    def version(self, node: Node) -> str:
        """The server's version, e.g. `8.0.4`. Raises InfrastructureError."""
        try:
            with replica_set.asked(node.endpoint(PORT)) as driver:
                return str(driver.client.admin.command("buildInfo")["version"])
        except pymongo.errors.PyMongoError as error:
            raise InfrastructureError(f"{node.name} does not tell its version: {error}") from error

    def leaders(self, cluster: Cluster) -> list[Leader]:
        """The members that say that they lead, and in which term; those that don't answer are left out."""
        found = []
        for node in cluster.nodes:
            with contextlib.suppress(pymongo.errors.PyMongoError):
                found.append(replica_set.leader(node.name, replica_set.hello(node.endpoint(PORT))))
        return [leader for leader in found if leader is not None]

    def primaries(self, cluster: Cluster) -> list[str]:
        """Names of the members that say that they lead: in a partition there may be two; the newest first."""
        return [leader.node for leader in sorted(self.leaders(cluster), key=lambda one: -int(one.term or 0))]

    def endpoint_of(self, host: str) -> tuple[str, int]:
        """Where the controller reaches the member that others call `address:port`."""
        if host in self._nodes:
            return self._nodes[host].endpoint(PORT)
        address, _, port = host.rpartition(":")
        return address, int(port)

    @contextlib.contextmanager
    def at_primary(self, cluster: Cluster) -> Iterator[Driver]:
        """A connection to the primary, for what an operator does. Raises InfrastructureError, pymongo's errors."""
        until = time.monotonic() + MEMBER_TIMEOUT_S
        while not (names := self.primaries(cluster)):
            if time.monotonic() > until:
                raise InfrastructureError(f"no node led within {MEMBER_TIMEOUT_S:g} s")
            time.sleep(POLL_S)
        with replica_set.asked(node_named(cluster, names[0]).endpoint(PORT)) as driver:
            yield driver

    def _at_primary(self, cluster: Cluster, do: Callable[[Driver], None]) -> None:
        """Raises InfrastructureError."""
        try:
            with self.at_primary(cluster) as driver:
                do(driver)
        except pymongo.errors.PyMongoError as error:
            raise InfrastructureError(f"the MongoDB that is there: {error}") from error

    def leave(self, cluster: Cluster, node: Node) -> None:
        """Depose the node if it leads, take it out of the configuration, stop it, remove its data."""
        host = f"{node.address}:{node.port(PORT)}"
        try:
            if node.name in self.primaries(cluster):
                with replica_set.asked(node.endpoint(PORT)) as driver:
                    driver.client.admin.command(
                        "replSetStepDown", STEPPED_DOWN_S, secondaryCatchUpPeriodSecs=CATCH_UP_S, force=True
                    )
            with self.at_primary(cluster) as driver:
                replica_set.reconfigure(driver, lambda config: replica_set.without(config, host), MEMBER_TIMEOUT_S)
        except pymongo.errors.PyMongoError as error:
            raise InfrastructureError(f"{node.name} could not leave the set: {error}") from error
        node.stop_db()
        self._empty(node)

    def join(self, cluster: Cluster, node: Node) -> None:
        """Start it empty, add it to the configuration, wait until it has copied everything."""
        host = f"{node.address}:{node.port(PORT)}"
        deadline_s = time.monotonic() + MEMBER_TIMEOUT_S
        node.start_db()
        self._await(node, deadline_s, "does not answer", lambda said: True)
        try:
            with self.at_primary(cluster) as driver:
                replica_set.reconfigure(driver, lambda config: replica_set.with_member(config, host), MEMBER_TIMEOUT_S)
        except pymongo.errors.PyMongoError as error:
            raise InfrastructureError(f"{node.name} could not join the set: {error}") from error
        self._await(node, deadline_s, "has not joined", replica_set.serves)


def data_path(node: Node) -> str:
    """Where a member keeps its data: in the node's own directory, which outlives the database's processes."""
    return f"{node.home}/mongodb"


def refuse_what_does_not_go(workload: str, options: Mapping[str, Any]) -> None:
    """What the server or the driver would refuse at every op. Raises UsageError."""
    level, preference = level_of(workload, options), options["read_preference"]
    together = workload in TRANSACTIONAL and options["transactions"] == "on"
    if together and level in ("available", "linearizable"):
        raise UsageError(f"option read_concern={level}: a transaction takes local, majority or snapshot")
    if together and preference != "primary":
        raise UsageError(
            f"option read_preference={preference}: a transaction reads from the primary (transactions=off)"
        )
    if options["causal"] == "on" and level in ("available", "linearizable"):
        raise UsageError(f"option causal=on needs read_concern=local, majority or snapshot, not {level}")
    if level == "linearizable" and preference != "primary":
        raise UsageError(f"option read_concern=linearizable is for read_preference=primary, not {preference}")
    if options["retryable_writes"] == "on" and options["causal"] == "on" and preference != "primary":
        raise UsageError("option retryable_writes=on follows the primary: it goes with read_preference=primary")
