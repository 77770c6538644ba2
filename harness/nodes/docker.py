"""The docker substrate: each node is a pod of two containers, so that any vendor's image is tested as it ships.

The *sandbox* (our image, with an init) owns the network and pid namespaces, the name and the address, and has the tools
and the rights that faults need (NET_ADMIN, SYS_PTRACE). The *database* container runs the vendor's unmodified image,
joined to those namespaces, with no extra capability. Rules and the address survive the database's death, and a killed
database starts again with its data. A sandbox is never restarted; one that exits is an infrastructure failure.

Addresses are fixed: the network's subnet is one that the engine chose as free, and n1 is its eleventh address. The
controller dials that address where a probe at set-up reaches it (Linux); elsewhere (Docker Desktop) the ports that the
image exposes are published on loopback. Everything carries the run's label (`docker_labels`).

Cost, on two busy cores: 3 s for five pods, 0.3 s to start a killed database again, 1 s to remove all.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import docker
import docker.errors

from harness.errors import InfrastructureError
from harness.nodes import docker_engine, docker_labels
from harness.nodes.agent_client import AgentClient, bootstrap_argv
from harness.nodes.docker_exec import ExecChannel
from harness.nodes.docker_images import ensure_sandbox, resolve
from harness.nodes.docker_labels import CLUSTER, DATABASE_ROLE, ROLE, RUN, SANDBOX_ROLE
from harness.nodes.docker_node import DATA, HOME, DockerNode

FIRST_ADDRESS = 11
"""n1 is .11 of its network, n2 .12; the engine's own gateway is .1."""

NODES_MAX = 200
PROBE_TIMEOUT_S = 2.0
SUBNET_ATTEMPTS = 5

Item = TypeVar("Item")


class DockerCluster:
    """Implements `harness.nodes.base.Cluster`; the pods exist between `__enter__` and `__exit__`."""

    substrate = "docker"

    def __init__(self, *, run_id: str, nodes: int, image: str, publish: bool | None = None) -> None:
        """image: the database's, whose exposed ports are published where needed.

        publish: True publishes them in any case, False never, None as the probe says.
        """
        if not 1 <= nodes <= NODES_MAX:
            raise InfrastructureError(f"docker runs 1 to {NODES_MAX} nodes, not {nodes}")
        self.run_id = run_id
        self.nodes: Sequence[DockerNode] = []
        self._count = nodes
        self._image = image
        self._publish = publish
        self._prefix = f"faultline-{re.sub(r'[^a-zA-Z0-9_.-]', '-', run_id)}-{secrets.token_hex(2)}"
        self._client: docker.DockerClient | None = None
        self._network = ""
        self._addresses: list[str] = []

    def __enter__(self) -> DockerCluster:
        client = self._client = docker_engine.connect()
        try:
            self._sandbox_image = ensure_sandbox(client)
            ports = _exposed(resolve(client, self._image)) if self._image else []
            self._make_network()
            first = self._make_sandbox(1, [])
            publish = self._publish if self._publish is not None else not _reaches(self._addresses[0])
            if publish:
                client.api.remove_container(first.sandbox, force=True)
                first = self._make_sandbox(1, ports)
                _check_published(first)
            rest = _each(range(2, self._count + 1), lambda n: self._make_sandbox(n, ports if publish else []))
            self.nodes = [first, *rest]
            _each(self.nodes, self._open_agent)
        except BaseException as error:
            with contextlib.suppress(InfrastructureError):
                self._remove()
            if isinstance(error, docker.errors.DockerException):
                raise InfrastructureError(f"the pods could not be made: {error}") from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def check(self) -> None:
        for node in self.nodes:
            if node.agent.lost is not None:
                self._check_sandboxes()
                raise InfrastructureError(f"{node.name}: its agent was lost: {node.agent.lost}")
        self._check_sandboxes()

    def collect_logs(self, folder: Path) -> None:
        for node in self.nodes:
            (folder / node.name).mkdir(parents=True, exist_ok=True)
            node.write_log(folder / node.name / "database.log")

    def describe(self) -> Mapping[str, Any]:
        client = self._connected()
        engine = client.version()
        facts: dict[str, Any] = {
            "engine": f"Docker {engine.get('Version', '')} ({engine.get('Os', '')}/{engine.get('Arch', '')})",
            "kernel": engine.get("KernelVersion", ""),
            "sandbox": self._sandbox_image,
        }
        for node in self.nodes:
            facts |= node.image
        facts["reached"] = "published ports" if any(node.published for node in self.nodes) else "pod addresses"
        return facts

    def _connected(self) -> docker.DockerClient:
        if self._client is None:
            raise InfrastructureError("the cluster is not up")
        return self._client

    def _labels(self, node: str = "", role: str = "") -> dict[str, str]:
        return docker_labels.labels(self.run_id, self._prefix, node, role)

    def _make_network(self) -> None:
        """A bridge whose subnet the engine chose as free, made again as our own so that addresses can be fixed."""
        client = self._connected()
        name, marks = self._prefix, self._labels()
        problem = ""
        for _ in range(SUBNET_ATTEMPTS):
            trial = client.api.create_network(f"{name}-trial", driver="bridge", labels=marks)["Id"]
            try:
                subnet = client.api.inspect_network(trial)["IPAM"]["Config"][0]["Subnet"]
            finally:
                client.api.remove_network(trial)
            pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
            try:
                self._network = client.api.create_network(name, driver="bridge", ipam=pool, labels=marks)["Id"]
            except docker.errors.APIError as error:
                problem = str(error.explanation or error)
                continue
            hosts = ipaddress.ip_network(subnet)
            self._addresses = [str(hosts[FIRST_ADDRESS + number]) for number in range(self._count)]
            return
        raise InfrastructureError(
            f"no free subnet for the pods' network: {problem} (`faultline clean` removes old ones)"
        )

    def _make_sandbox(self, number: int, ports: list[int]) -> DockerNode:
        client = self._connected()
        api, name, address = client.api, f"n{number}", self._addresses[number - 1]
        prefix = f"{self._prefix}-{name}"
        for volume in ("home", "data"):
            api.create_volume(f"{prefix}-{volume}", labels=self._labels(name))
        everyone = {f"n{other + 1}": self._addresses[other] for other in range(self._count)}
        host = api.create_host_config(
            cap_add=["NET_ADMIN", "SYS_PTRACE"],
            init=True,
            binds=[f"{prefix}-home:{HOME}", f"{prefix}-data:{DATA}"],
            extra_hosts={other: where for other, where in everyone.items() if other != name},
            port_bindings=dict.fromkeys(ports, ("127.0.0.1", None)),
        )
        endpoint = api.create_endpoint_config(ipv4_address=address, aliases=[name])
        container = api.create_container(
            self._sandbox_image,
            command=["sh", "-c", f"chmod 1777 {HOME} && exec sleep infinity"],
            hostname=name,
            ports=ports,
            host_config=host,
            networking_config=api.create_networking_config({self._network: endpoint}),
            labels=self._labels(name, SANDBOX_ROLE),
            name=prefix,
        )["Id"]
        api.start(container)
        node = DockerNode(
            client,
            labels=self._labels(name, DATABASE_ROLE),
            name=name,
            address=address,
            sandbox=container,
            prefix=prefix,
        )
        if ports:
            bound = api.inspect_container(container)["NetworkSettings"]["Ports"]
            node.published = {port: int(bound[f"{port}/tcp"][0]["HostPort"]) for port in ports}
        return node

    def _open_agent(self, node: DockerNode) -> None:
        node.agent = _agent(self._connected(), node.sandbox, node.name)

    def _check_sandboxes(self) -> None:
        running = {
            one["Id"] for one in self._connected().api.containers(filters={"label": f"{CLUSTER}={self._prefix}"})
        }
        for node in self.nodes:
            if node.sandbox not in running:
                raise InfrastructureError(f"{node.name}: its sandbox container exited")

    def _remove(self) -> None:
        """End the agents (they heal first), then remove every container, network and volume of the run."""
        agents = [node.agent for node in self.nodes if hasattr(node, "agent")]
        _each(agents, AgentClient.close)
        if self._client is not None:
            try:
                docker_labels.remove(self._client, f"{CLUSTER}={self._prefix}", also_living=True)
            except docker.errors.DockerException as error:
                raise InfrastructureError(
                    f"the pods could not be removed (`faultline clean` tries again): {error}"
                ) from error
            finally:
                self._client.close()


def clean() -> list[str]:
    """Remove what runs left in the engine whose controller lives no more. Returns what was removed, one thing a line.

    Raises InfrastructureError when no engine answers.
    """
    client = docker_engine.connect()
    try:
        return docker_labels.remove(client, RUN, also_living=False)
    except docker.errors.DockerException as error:
        raise InfrastructureError(f"the engine could not remove what a run left: {error}") from error
    finally:
        client.close()


def heal(run_id: str) -> list[str]:
    """Undo what may still be in force in a run's pods: a new agent's first act is to heal. Returns what was undone.

    Raises InfrastructureError when no engine answers, AgentLost for a pod in which no agent comes up.
    """
    client = docker_engine.connect()
    try:
        labels = [f"{RUN}={run_id}", f"{ROLE}={SANDBOX_ROLE}"]
        done = []
        for sandbox in client.api.containers(filters={"label": labels}):
            name = sandbox["Labels"][docker_labels.NODE]
            agent = _agent(client, sandbox["Id"], name)
            done += [f"{name}: {what} {which}" for what, which in agent.hello["healed"].items() if which]
            agent.close()
        return done
    except docker.errors.DockerException as error:
        raise InfrastructureError(f"the run's pods could not be healed: {error}") from error
    finally:
        client.close()


def _agent(client: docker.DockerClient, sandbox: str, node: str) -> AgentClient:
    """An agent in a sandbox. Raises AgentLost."""
    return AgentClient(lambda: ExecChannel(client, sandbox, bootstrap_argv()), node, {"scope": "pod"})


def _exposed(image: Any) -> list[int]:
    """The TCP ports that an image exposes."""
    exposed = (image.attrs.get("Config") or {}).get("ExposedPorts") or {}
    return sorted(int(port.split("/")[0]) for port in exposed if port.endswith("/tcp"))


def _reaches(address: str) -> bool:
    """Whether this machine can dial a pod: a port without a listener refuses at once, an unreachable host does not."""
    try:
        socket.create_connection((address, 1), timeout=PROBE_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def _check_published(node: DockerNode) -> None:
    """Raises InfrastructureError when neither way leads to the pods. (A published port accepts without a listener.)"""
    for port in (node.published or {}).values():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PROBE_TIMEOUT_S).close()
        except OSError as error:
            raise InfrastructureError(
                f"neither the pods' addresses ({node.address}) nor ports published on loopback can be dialled "
                f"from here ({error}): the Docker engine must run on this machine"
            ) from error


def _each(items: Sequence[Item], do: Callable[[Item], Any]) -> list[Any]:
    """Do it for all at once, in threads; raises the first error after all are done."""
    if not items:
        return []
    with ThreadPoolExecutor(min(8, len(items))) as pool:
        return list(pool.map(do, items))
