"""Real PostgreSQLs for tests of their target: the embedded one, in a directory of its own, on a free loopback port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from harness.nodes.base import Cluster, Node
from harness.options import with_defaults
from harness.registry import find_workload
from harness.target import SessionContext, Timeouts
from targets.postgres.embedded import install_tree
from targets.postgres.target import Postgres

NOBODY = 65534


class ServerNode:
    """The part of a node that sessions need."""

    address = "127.0.0.1"

    def __init__(self, port: int, name: str = "n1") -> None:
        self.listening, self.name = port, name

    def endpoint(self, port: int) -> tuple[str, int]:
        return ("127.0.0.1", self.listening)


class Server:
    """A running server, or a streaming standby of one. `process` is the postmaster."""

    def __init__(self, settings: Mapping[str, str], *, primary: Server | None = None) -> None:
        self.folder = tempfile.mkdtemp(prefix="faultline-test-postgres-")
        self.data = f"{self.folder}/data"
        self.bin = install_tree("18") / "bin"
        os.chmod(self.folder, 0o755)
        os.mkdir(self.data, 0o700)
        if os.getuid() == 0:
            os.chown(self.data, NOBODY, NOBODY)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        make = [f"{self.bin}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-N", "--locale=C"]
        if primary is not None:
            source = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"]
            make = [f"{self.bin}/pg_basebackup", *source, "-D", self.data, "-R", "-X", "stream", "-c", "fast", "-N"]
        subprocess.run(make, check=True, capture_output=True, timeout=60, **self._as_nobody())
        self.settings = settings
        self.node = cast(Node, ServerNode(self.port, "n1" if primary is None else "n2"))
        self.start()

    def _as_nobody(self) -> dict[str, Any]:
        ids: dict[str, Any] = {"cwd": self.folder, "start_new_session": True}
        return {**ids, "user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else ids

    def start(self) -> None:
        argv = [f"{self.bin}/postgres", "-D", self.data, "-p", str(self.port), "-c", "unix_socket_directories="]
        argv += [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, **self._as_nobody())

    def target(self, workload: str = "append", **options: Any) -> Postgres:
        """The target's object as a run would make it, on this server that is up already."""
        offered = {**Postgres.options, **find_workload(workload).options}
        chosen = with_defaults(offered, {name.replace("__", "-"): value for name, value in options.items()})
        return Postgres(image="", options=chosen, timeouts=Timeouts(), workload=workload)

    def set_up(self, workload: str, **options: Any) -> Postgres:
        """The same with the workload's tables made."""
        target = self.target(workload, **options)
        target.workloads[workload].setup(target, cluster_of(self.node))
        return target

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def cluster_of(*nodes: Node) -> Cluster:
    class Nodes:
        def __init__(self) -> None:
            self.nodes = nodes

    return cast(Cluster, Nodes())


def open_session(
    target: Postgres,
    workload: str,
    node: Node,
    *,
    process: int = 0,
    gap: Callable[[], None] = lambda: None,
    timeouts: Timeouts | None = None,
) -> Any:
    """A session as the interpreter would open it."""
    context = SessionContext(
        process=process, timeouts=timeouts or target.timeouts, between_statements=gap, options=target.chosen
    )
    return target.workloads[workload].open(target, node, context)


@contextmanager
def running(**settings: str) -> Iterator[Server]:
    """A server with these settings, ready to serve, removed at the end."""
    with _serving(Server(settings)) as server:
        yield server


@contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    """A hot standby that streams from a running server, ready to serve, removed at the end."""
    with _serving(Server({}, primary=primary)) as server:
        yield server


@contextmanager
def _serving(server: Server) -> Iterator[Server]:
    try:
        server.target().await_node(server.node, 20)
        yield server
    finally:
        server.stop()


def eventually(true: Callable[[], bool], within_s: float) -> bool:
    """Whether it becomes true in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return true()
