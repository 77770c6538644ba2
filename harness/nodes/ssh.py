"""The ssh substrate: databases on hosts that the user has, one node a host. docs/own-hosts.md says what is touched.

On each host the same agent as everywhere is fed to python3 over an ssh channel, as root or through `sudo -n`. It runs
the database as a daemon of user `nobody` below one folder (/var/lib/faultline), which is removed at the end, or, with
`installed=yes`, finds the service that is there by its port, and never deletes anything of it. Rules are in one own
chain of iptables; they drop what comes from the other nodes' addresses, never the controller's connections.
One run at a time on a host: the agent holds a lock, which the kernel frees when it ends.

Without root there are no partitions, but kill, pause and clock of our own database, in the user's own folder.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import shlex
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from harness.errors import InfrastructureError, UsageError
from harness.nodes import ssh_hosts
from harness.nodes.agent_client import AgentClient
from harness.nodes.base import AgentLost, save_logs
from harness.nodes.ssh_connect import Connection
from harness.nodes.ssh_node import SshNode, look
from harness.nodes.ssh_options import OPTIONS, ROOTS_FOLDER, USERS_FOLDER

HEAL_WAIT_S = 45.0
"""How long `heal` waits for an agent that is still at it: its lease, and twice what stopping a database takes."""

NOT_DONE = "not looked at"
"""In a line of `heal` for a host where nothing could be done."""

Item = TypeVar("Item")


class SshCluster:
    """Implements `harness.nodes.base.Cluster`; its nodes exist between `__enter__` and `__exit__`."""

    substrate = "ssh"

    def __init__(self, *, run_id: str, hosts: Sequence[str], options: Mapping[str, Any], service: str = "") -> None:
        """options: by the names of OPTIONS, or nothing. service: the unit's name where the options say none."""
        self.run_id = re.sub(r"[^A-Za-z0-9_.-]", "-", run_id)
        self.options = {name: option.default for name, option in OPTIONS.items()} | {
            name: value for name, value in options.items() if name in OPTIONS
        }
        self.hosts = [ssh_hosts.parse_host(text) for text in hosts]
        self._service = self.options["service"] or service
        self.nodes: Sequence[SshNode] = []

    def __enter__(self) -> SshCluster:
        try:
            self.nodes = _each(range(len(self.hosts)), self._connect)
            self._check_addresses()
            uncut = self._why_uncut()
            _each(self.nodes, lambda node: self._open(node, uncut=uncut))
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def check(self) -> None:
        for node in self.nodes:
            if node.agent.lost is not None:
                raise InfrastructureError(f"{node.name} ({node.host}): its agent was lost: {node.agent.lost}")

    def collect_logs(self, folder: Path) -> None:
        save_logs(self.nodes, folder, "database.log")

    def describe(self) -> Mapping[str, Any]:
        return {
            "hosts": ", ".join(f"{node.name} = {node.host} ({node.address})" for node in self.nodes),
            "systems": ", ".join(sorted({node.facts.system for node in self.nodes})),
            "agent": ", ".join(
                sorted({f"{node.agent.hello['python']} as uid {node.agent.hello['user']}" for node in self.nodes})
            ),
            "database": "installed there" if self.options["installed"] == "yes" else "ours, removed at the end",
            "reached": "through ssh" if any(self._tunnels(node.host) for node in self.nodes) else "directly",
        }

    def heal(self, wait_s: float) -> list[str]:
        """For runs whose controller is gone: heal and clean each host. What was done, one line each."""
        done: list[str] = []

        def one(number: int) -> None:
            host = self.hosts[number]
            try:
                node = self._connect(number)
                try:
                    agent = node.open_agent(self._config(node), wait_s=wait_s)
                    done.extend(
                        f"{host}: {what.replace('_', ' ')}: {which}"
                        for what, which in agent.hello["healed"].items()
                        if which
                    )
                    agent.close()
                finally:
                    node.close()
            except (InfrastructureError, AgentLost) as error:
                done.append(f"{host}: {NOT_DONE}: {error}")

        _each(range(len(self.hosts)), one)
        return sorted(done)

    def _connect(self, number: int) -> SshNode:
        host, options = self.hosts[number], self.options
        login = ssh_hosts.login(
            host,
            ssh_hosts.read_config(options["ssh-config"]),
            key=options["ssh-key"],
            known_hosts=options["known-hosts"],
            jump=options["jump"],
            timeout_s=options["ssh-timeout"],
        )
        connection = Connection(login)
        try:
            facts = look(connection)
            node = SshNode(f"n{number + 1}", host, connection, facts, tunnel=self._tunnels(host, bool(login.jumps)))
            if not node.address:
                raise InfrastructureError(f"host {host}: it does not say its address: write it, HOSTS={host}/ADDRESS")
            if options["installed"] == "yes":
                node.service, node.client_port = self._start_command(node), options["port"]
        except BaseException:
            connection.close()
            raise
        return node

    def _tunnels(self, host: ssh_hosts.Host, jumps: bool | None = None) -> bool:
        if jumps is None:
            jumps = any(node.host == host and node.connection.login.jumps for node in self.nodes)
        return self.options["tunnel"] == "yes" or (self.options["tunnel"] == "auto" and jumps)

    def _start_command(self, node: SshNode) -> list[str]:
        """How an installed database is started again. Raises InfrastructureError."""
        if not node.facts.root:
            raise InfrastructureError(
                f"host {node.host}: a database that is installed there is not {node.facts.user!r}'s to kill:"
                f" log in as root, or let {node.facts.user} run `sudo -n python3` ({node.facts.sudo})"
            )
        if self.options["start"]:
            return ["sh", "-c", self.options["start"]]
        if not node.facts.systemd:
            raise InfrastructureError(
                f"host {node.host}: systemd does not run there: say how the database is started, OPTS=start=COMMAND"
            )
        rc, _, _ = node.connection.run(shlex.join(["systemctl", "cat", "--", self._service]))
        if rc != 0:
            raise InfrastructureError(
                f"host {node.host}: systemd has no unit {self._service!r} there: name it, OPTS=service=UNIT, "
                "or say how it is started, OPTS=start=COMMAND"
            )
        return ["systemctl", "start", self._service]

    def _config(self, node: SshNode) -> dict[str, Any]:
        """Fields of the agent's hello."""
        return {
            "base": self.options["folder"] or (ROOTS_FOLDER if node.facts.root else USERS_FOLDER),
            "run": self.run_id,
            "user": self.options["user"] if node.facts.root else "",
            "installed": self.options["installed"] == "yes",
            "clock": "vdso",
        }

    def _open(self, node: SshNode, *, uncut: str = "") -> None:
        try:
            node.agent = node.open_agent({**self._config(node), "uncut": uncut})
        except AgentLost as error:
            raise InfrastructureError(str(error)) from error

    def _check_addresses(self) -> None:
        """Every node must be a machine of its own, and be reachable by the others. Raises InfrastructureError."""
        seen: dict[str, SshNode] = {}
        for node in self.nodes:
            if node.address in seen:
                raise InfrastructureError(
                    f"{seen[node.address].host} and {node.host} are the same host ({node.address}); one node a host"
                )
            seen[node.address] = node
            if len(self.nodes) > 1 and ipaddress.ip_address(node.address).is_loopback:
                raise InfrastructureError(
                    f"host {node.host}: the other nodes can't reach it at {node.address}: name it by another address"
                )

    def _why_uncut(self) -> str:
        """Why no partition may be made: where the controller's packets come from a node's address. "" when it may."""
        for node in self.nodes:
            came_from = [each for each in self.nodes if each.facts.from_address == node.address]
            if came_from or _is_own(node.address):
                return (
                    f"this machine talks to the hosts from {node.address}, the address of node {node.name}: a "
                    "partition would cut ssh and the clients; run Faultline on a machine that is no node"
                )
        return ""

    def _remove(self) -> None:
        """End the agents: they heal, stop their databases, remove their folders. Where one was lost, another does."""

        def end(node: SshNode) -> None:
            agent: AgentClient | None = getattr(node, "agent", None)
            lost = agent is not None and agent.lost is not None
            if agent is not None:
                agent.close()
            if lost:
                with contextlib.suppress(InfrastructureError):
                    again = self._connect(self.nodes.index(node))
                    try:
                        again.open_agent(self._config(again), wait_s=HEAL_WAIT_S).close()
                    finally:
                        again.close()
            node.close()

        _each(self.nodes, end)


def heal(run_id: str, hosts: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    """Undo what a run left on its hosts, and remove it. Returns what was done, one line each; also what could not be.

    Any run whose agent is dead is healed: there is one at a time on a host.
    """
    return SshCluster(run_id=run_id, hosts=hosts, options=options).heal(HEAL_WAIT_S)


def check_options(hosts: Sequence[str], options: Mapping[str, Any], problems: list[str]) -> None:
    """Find what is wrong with hosts and options before anything is dialled; each problem a line."""
    for text in hosts:
        try:
            host = ssh_hosts.parse_host(text)
            ssh_hosts.login(host, ssh_hosts.read_config(options["ssh-config"]), jump=options["jump"])
        except UsageError as error:
            if str(error) not in problems:
                problems.append(str(error))
    if len(set(hosts)) < len(hosts):
        problems.append(f"hosts={','.join(hosts)}: one host is named twice; each is one node")
    for name in ("service", "start", "port"):
        if options[name] and options["installed"] != "yes":
            problems.append(f"option {name}={options[name]} is for a database that is there (add installed=yes)")


def _is_own(address: str) -> bool:
    """Whether an address is one of this machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _each(items: Sequence[Item], do: Callable[[Item], Any]) -> list[Any]:
    """Do it for all at once, in threads; then every problem is told in one error."""
    if not items:
        return []
    problems: list[str] = []
    lock = threading.Lock()

    def attempt(item: Item) -> Any:
        try:
            return do(item)
        except (InfrastructureError, UsageError) as error:
            with lock:
                problems.append(str(error))
            return None

    with ThreadPoolExecutor(min(9, len(items))) as pool:
        done = list(pool.map(attempt, items))
    if problems:
        for node in done:
            if isinstance(node, SshNode):
                node.close()
        raise InfrastructureError("\n".join(sorted(set(problems))))
    return done
