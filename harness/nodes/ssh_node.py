"""One host of the user's as a node (see `harness.nodes.ssh`)."""

from __future__ import annotations

import base64
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import InfrastructureError
from harness.nodes.agent_client import CHUNK_BYTES, AgentClient, bootstrap_argv
from harness.nodes.base import Completed, Database, LogLine
from harness.nodes.ssh_channel import SshChannel
from harness.nodes.ssh_connect import Connection
from harness.nodes.ssh_hosts import Host
from harness.nodes.ssh_tunnel import Tunnel

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON_LEAST = (3, 9)

LOOK = r"""
echo "uid=$(id -u)"; echo "user=$(id -un)"; echo "came=$SSH_CONNECTION"; echo "system=$(uname -srm)"
[ -d /run/systemd/system ] && echo systemd=yes
command -v python3 > /dev/null 2>&1 && echo "python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
if [ "$(id -u)" != 0 ]; then
    if command -v sudo > /dev/null 2>&1; then echo "sudo=$(sudo -n python3 -c 'print("works")' 2>&1 | tail -n 1)"
    else echo "sudo=sudo is not installed"; fi
fi
"""
"""What the host is, and what we may do there; for any POSIX sh, changes nothing."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a host told.

    address: its own, to which the ssh connection came; from_address: whence. sudo: "works", or why not; "" for root.
    """

    uid: int
    user: str
    address: str
    from_address: str
    system: str
    python: str
    sudo: str
    systemd: bool

    @property
    def root(self) -> bool:
        """Whether the agent will be root."""
        return self.uid == 0 or self.sudo == "works"


def look(connection: Connection) -> Facts:
    """Raises InfrastructureError for a host on which no agent can run, with what is missing."""
    name = connection.login.name
    try:
        rc, out, err = connection.run("sh", stdin=LOOK)
    except OSError as error:
        raise InfrastructureError(f"host {name}: {error}") from error
    said = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    if "uid" not in said:
        raise InfrastructureError(
            f"host {name}: no command can be run there (sh ended with {rc}): {(err or out)[-300:]}"
        )
    python = said.get("python", "")
    if not python:
        raise InfrastructureError(f"host {name}: python3 is missing there (apt-get install python3)")
    if tuple(int(part) for part in python.split(".")) < PYTHON_LEAST:
        raise InfrastructureError(f"host {name}: its python3 is {python}; the agent needs 3.9 or later")
    came = said.get("came", "").split()
    return Facts(
        uid=int(said["uid"]),
        user=said.get("user", ""),
        address=came[2].partition("%")[0].removeprefix("::ffff:") if len(came) == 4 else "",
        from_address=came[0].partition("%")[0].removeprefix("::ffff:") if len(came) == 4 else "",
        system=said.get("system", ""),
        python=python,
        sudo=said.get("sudo", ""),
        systemd="systemd" in said,
    )


class SshNode:
    """Implements `harness.nodes.base.Node`. Made by `SshCluster`, which opens its agent."""

    agent: AgentClient
    database: Database | None
    home = ""

    def __init__(self, name: str, host: Host, connection: Connection, facts: Facts, *, tunnel: bool) -> None:
        """tunnel: clients go through the ssh connection."""
        self.name, self.host, self.connection, self.facts = name, host, connection, facts
        self.address = host.address or facts.address
        self.database = None
        self.service: list[str] | None = None
        """How the database is started that is there already; None: it is ours."""
        self.client_port = 0
        """Where a database that is there already listens for clients, if not at its usual port."""
        self._usual_port = 0
        """That port, the first of those that the database was installed with."""
        self._tunnel = tunnel
        self._tunnels: dict[int, Tunnel] = {}
        self._log = ""

    def open_agent(self, config: dict[str, Any], *, wait_s: float = 10.0) -> AgentClient:
        """An agent on the host: its first act is to heal what an earlier one left. Raises AgentLost.

        wait_s: for another one's end, which may still be healing.
        """
        argv = bootstrap_argv()
        if self.facts.uid != 0 and self.facts.root:
            argv = ["sudo", "-n", *argv]
        agent = AgentClient(
            lambda: SshChannel(self.connection, argv),
            f"{self.name} ({self.host})",
            {"scope": "host", "lock_wait_s": wait_s, **config},
            start_timeout_s=30.0 + wait_s,
        )
        self.home, self._log = agent.hello["home"], agent.hello["log"]
        return agent

    def port(self, port: int) -> int:
        return self.client_port if self.client_port and port == self._usual_port else port

    def endpoint(self, port: int) -> tuple[str, int]:
        port = self.port(port)
        if not self._tunnel:
            return self.host.address or self.connection.login.host, port
        if port not in self._tunnels:
            self._tunnels[port] = Tunnel(lambda: Connection(self.connection.login), self.address, port)
        return "127.0.0.1", self._tunnels[port].port

    def run(self, *argv: str, stdin: str | None = None, timeout_s: float = 30.0) -> Completed:
        return self.agent.run(*argv, stdin=stdin, timeout_s=timeout_s)

    def db_run(self, *argv: str, stdin: str | None = None, timeout_s: float = 30.0) -> Completed:
        """As the user that the database runs as."""
        return self.agent.run(*argv, stdin=stdin, timeout_s=timeout_s, as_database=True)

    def put(self, local: Path, remote: str) -> None:
        """Copy a file, or a folder with all that is in it, below the node's home. Raises InfrastructureError."""
        destination = self._inside(remote)
        if not local.is_dir():
            self.agent.put(local, destination)
            return
        self.db_run("mkdir", "-p", destination)
        for path in sorted(local.rglob("*")):
            target = f"{destination}/{path.relative_to(local).as_posix()}"
            if path.is_symlink():
                self.db_run("ln", "-sfn", os.readlink(path), target)
            elif path.is_dir():
                self.db_run("mkdir", "-p", target)
            else:
                self.agent.put(path, target)

    def get(self, remote: str, local: Path) -> None:
        self.agent.get(remote, local)

    def log_stream(self) -> Iterator[LogLine]:
        """What our own database printed; one that was there already keeps its log itself."""
        if self.service is not None or self.database is None:
            return
        with tempfile.TemporaryFile() as copy:
            while True:
                answer = self.agent.request(
                    "get", timeout_s=30.0, path=self._log, offset=copy.tell(), bytes=CHUNK_BYTES
                )
                piece = base64.b64decode(answer["data"])
                copy.write(piece)
                if not piece:
                    break
            copy.seek(0)
            for line in copy:
                yield LogLine(self.name, line.decode(errors="replace").rstrip("\n"))

    def install(self, database: Database) -> None:
        """Write its files. One that is there already is only looked up, by its port. Raises InfrastructureError."""
        self._usual_port = next(iter(database.ports), 0)
        ports = [self.port(port) for port in database.ports]
        if self.service is not None:
            self.agent.request("service", ports=list(dict.fromkeys(ports)), start=self.service)
            self.database = database
            return
        taken = self.agent.request("occupied", address=self.address, ports=ports)["taken"]
        if taken:
            port, who = next(iter(taken.items()))
            raise InfrastructureError(
                f"{self.name}: port {port} of host {self.host} is taken: {who}. Stop that, or, if it is the database "
                "to test, say OPTS=installed=yes"
            )
        for path, text in database.files.items():
            destination = self._inside(path)
            self.db_run("mkdir", "-p", os.path.dirname(destination))
            self.db_run("sh", "-c", 'cat > "$0"', destination, stdin=text)
        self.database = database

    def start_db(self) -> None:
        database = self.database
        if database is None:
            raise InfrastructureError(f"{self.name}: no database is installed")
        if self.service is not None:
            self.agent.request("service-start", timeout_s=75.0, limit_s=30.0)
            return
        self.agent.request(
            "database-start",
            timeout_s=30.0,
            argv=database.argv,
            env={"PATH": PATH, "HOME": self.home, "LANG": "C.UTF-8", **database.env},
            cwd=self.home,
            log=self._log,
            stop_signal=database.stop_signal,
        )

    def stop_db(self, timeout_s: float = 20.0) -> None:
        """One that was there already is left running."""
        if self.service is None:
            self.agent.request("database-stop", timeout_s=timeout_s + 15.0, limit_s=timeout_s)

    def db_pids(self) -> list[int]:
        return list(self.agent.request("tree")["pids"])

    def close(self) -> None:
        """The ways to the host, not what runs there. Never raises."""
        for tunnel in self._tunnels.values():
            with contextlib.suppress(OSError):
                tunnel.close()
        self.connection.close()

    def _inside(self, remote: str) -> str:
        """A path of the node's, absolute or relative to its home. Raises InfrastructureError for one outside of it."""
        path = os.path.normpath(os.path.join(self.home, remote))
        if not (path + "/").startswith(self.home + "/"):
            raise InfrastructureError(f"{self.name}: {remote} is outside of the node's home {self.home}")
        return path
