"""FerretDB 1.x as a target: one server that speaks MongoDB's protocol and keeps its data in SQLite.

It is driven by MongoDB's sessions, through MongoDB's driver: what is proved here of connections, errors and op shapes
is proved of the code that drives MongoDB. It takes read and write concerns and ignores them, and refuses transactions,
so neither is offered; the append workload makes sense here with one statement an op (`max-ops=1`).

On a host of the user's (`ON=ssh`) it listens on the node's address alone, and asks for no password.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import msgspec
import pymongo.errors

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster, Database, Node, program_on, require_database
from harness.options import Option
from harness.target import Claim, KnownIssue, SessionContext, SessionFactory, Timeouts
from targets.mongodb import on_host
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
from targets.mongodb.links import PORT
from targets.mongodb.replica_set import asked, hello
from targets.mongodb.target import OFFERED
from targets.mongodb.transactions import LISTS, AppendSession

START_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.1
WAY_OUT: Final = (
    "install FerretDB 1 there (a package of its releases, or its binary in /usr/local/bin), or test one that runs"
    " there: OPTS=installed=yes"
)

AS_ONE_SERVER: Final[Mapping[str, str]] = {
    "write_concern": "1",
    "read_concern": "local",
    "read_preference": "primary",
    "causal": "off",
    "retryable_writes": "off",
    "transactions": "off",
}
"""MongoDB's options as they are for a lone server without transactions."""

LOST_UPDATES: Final = KnownIssue(
    name="updates of one document are not atomic",
    sentence=(
        "FerretDB 1.x reads a document, changes it and writes it back without a transaction: of two updates at the same"
        " time one is lost, though both are acknowledged. The issue says so of its SQLite backend: a document can be"
        " modified between the query and the update."
    ),
    link="https://github.com/FerretDB/FerretDB/issues/3040",
    versions=(("1", "2"),),
    workloads=("append", "counter", "register"),
)


class OneServer(Sessions):
    """A SessionFactory of MongoDB's, with the options that FerretDB does not have."""

    def open(self, target: Any, node: Node, context: SessionContext) -> Any:
        options = {**context.options, **AS_ONE_SERVER}
        return super().open(target, node, msgspec.structs.replace(context, options=options))


class FerretDB:
    """See the module's docstring, and README.md."""

    name: ClassVar[str] = "ferretdb"
    doc: ClassVar[str] = "FerretDB 1.x, MongoDB's protocol over SQLite; one server"
    substrates: ClassVar[tuple[str, ...]] = ("docker", "ssh")
    default_image: ClassVar[str] = "ghcr.io/ferretdb/ferretdb:1.24.0"
    default_nodes: ClassVar[int] = 1
    most_nodes: ClassVar[int] = 1
    default_workload: ClassVar[str] = "counter"
    options: ClassVar[Mapping[str, Option]] = {"cas_command": OFFERED["cas_command"]}
    workloads: ClassVar[Mapping[str, SessionFactory]] = {
        "counter": OneServer(CounterSession, COUNTERS, lambda options: [{"_id": 0, "total": 0}]),
        "append": OneServer(AppendSession, LISTS),
        "register": OneServer(RegisterSession, REGISTERS),
        "set": OneServer(SetSession, ELEMENTS),
        "set-final": OneServer(SetSession, ELEMENTS),
    }
    faults: ClassVar[tuple[str, ...]] = ("kill", "pause", "clock")
    known_issues: ClassVar[tuple[KnownIssue, ...]] = (LOST_UPDATES,)

    level = AS_ONE_SERVER["read_concern"]

    def __init__(self, *, image: str, options: Mapping[str, Any], timeouts: Timeouts, workload: str) -> None:
        self.image, self.chosen, self.timeouts = image, options, timeouts
        self.installed = options.get("installed") == "yes"
        self._may_drop = False

    @classmethod
    def claim(cls, workload: str, options: Mapping[str, Any]) -> Claim:
        """Nothing in so many words: it wants to be MongoDB, whose updates of one document are atomic."""
        words = (
            "FerretDB is designed to be a drop-in replacement for MongoDB; of atomicity and durability its manual says"
            " nothing. MongoDB's: a write operation is atomic on the level of a single document."
        )
        return Claim(None, words, "https://docs.ferretdb.io/v1.24/")

    def start(self, cluster: Cluster) -> None:
        """Raises InfrastructureError."""
        node = cluster.nodes[0]
        if self.installed:
            on_host.use_installed(cluster)
        else:
            self._install(node, own_host=cluster.substrate == "ssh")
        node.start_db()
        self.await_node(node, START_TIMEOUT_S, starting=True)
        if self.installed:
            try:
                with self.at_primary(cluster) as driver:
                    on_host.refuse_database(driver)
            except pymongo.errors.PyMongoError as error:
                raise InfrastructureError(f"{node.name}: the FerretDB that is there: {error}") from error
            self._may_drop = True

    def _install(self, node: Node, *, own_host: bool) -> None:
        state = f"{node.home}/ferretdb"
        node.db_run("mkdir", "-p", state) if own_host else node.run("mkdir", "-p", "-m", "777", state)
        listen = node.address if own_host else ""
        argv = [
            *("--handler=sqlite", f"--sqlite-url=file:{state}/", f"--state-dir={state}"),
            *("--telemetry=disable", f"--listen-addr={listen}:{node.port(PORT)}"),
        ]
        if own_host:
            argv = [program_on(node, "ferretdb", way_out=WAY_OUT), *argv, "--debug-addr=-"]
        node.install(Database(image=self.image, argv=argv, ports=(PORT,), data_dir=state if own_host else ""))

    def stop(self, cluster: Cluster) -> None:
        if self._may_drop:
            try:
                with self.at_primary(cluster) as driver:
                    on_host.drop_database(driver)
            except pymongo.errors.PyMongoError as error:
                raise InfrastructureError(f"the test's database could not be dropped: {error}") from error
        for node in cluster.nodes:
            node.stop_db()

    def await_node(self, node: Node, timeout_s: float, *, starting: bool = False) -> None:
        """Until the server says that it takes writes. starting: one that has ended is not waited for."""
        until = time.monotonic() + timeout_s
        while True:
            try:
                if hello(node.endpoint(PORT)).get("isWritablePrimary"):
                    return
                said = "it takes no writes"
            except pymongo.errors.PyMongoError as error:
                said = f"{type(error).__name__}: {error}"
                if starting:
                    require_database(node)
            if time.monotonic() > until:
                raise InfrastructureError(f"{node.name}: FerretDB did not serve within {timeout_s:.0f} s: {said[:200]}")
            time.sleep(POLL_S)

    def version(self, node: Node) -> str:
        """FerretDB's own version, e.g. `v1.24.0`; as MongoDB it calls itself 7.0.42. Raises InfrastructureError."""
        try:
            with asked(node.endpoint(PORT)) as driver:
                info = driver.client.admin.command("buildInfo")
        except pymongo.errors.PyMongoError as error:
            raise InfrastructureError(f"{node.name} does not tell its version: {error}") from error
        return str(info["ferretdbVersion"])

    def endpoint_of(self, host: str) -> tuple[str, int]:
        """There is no other server that could be named."""
        address, _, port = host.rpartition(":")
        return address, int(port)

    @contextlib.contextmanager
    def at_primary(self, cluster: Cluster) -> Iterator[Driver]:
        """A connection for set-up. Raises pymongo's errors."""
        with asked(cluster.nodes[0].endpoint(PORT)) as driver:
            yield driver
