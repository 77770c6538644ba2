"""Goal: a pod is what the design says it is, and nothing of it stays in force when its controller is gone.

Method: real etcd processes in pods, looked at from the sandbox, from the controller, and from the engine itself.
"""

from __future__ import annotations

import email.utils
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from harness.errors import InfrastructureError
from harness.nodes import docker as pods
from harness.nodes import docker_engine
from harness.nodes.base import CommandFailed, Database
from harness.nodes.docker import DockerCluster
from harness.nodes.docker_labels import CLUSTER
from harness.nodes.docker_node import DockerNode
from targets.etcd.target import Etcd
from tests.e2e.runs import need_docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]
IMAGE = Etcd.default_image
CONFIG = "/etc/etcd/etcd.yaml"
NET_ADMIN, SYS_PTRACE = 12, 19


def single(node: DockerNode) -> Database:
    """An etcd of one member, configured by a file, its data on the volume."""
    config = {
        "name": node.name,
        "data-dir": "/var/lib/etcd/member",
        "listen-client-urls": "http://0.0.0.0:2379",
        "advertise-client-urls": f"http://{node.name}:2379",
    }
    return Database(
        image=IMAGE,
        argv=["/usr/local/bin/etcd", f"--config-file={CONFIG}"],
        ports=(2379, 2380),
        data_dir="/var/lib/etcd",
        files={CONFIG: json.dumps(config)},
    )


def eventually(condition: Callable[[], bool], within_s: float) -> float:
    """Seconds until it held. Fails when it does not in time."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - began


def answers(node: DockerNode) -> bool:
    try:
        node.db_run("etcdctl", "--dial-timeout=1s", "--command-timeout=1s", "endpoint", "health", timeout_s=5)
    except CommandFailed:
        return False
    return True


def refuses(node: DockerNode) -> bool:
    """Whether nothing listens for clients. (A killed process's last thread closes its sockets a moment later.)"""
    try:
        socket.create_connection(node.endpoint(2379), 2).close()
    except ConnectionRefusedError:
        return True
    return False


def dials(node: DockerNode, host: str, port: int) -> bool:
    """Whether a pod can connect to another."""
    code = f"import socket; socket.create_connection(({host!r}, {port}), 1)"
    try:
        node.run("python3", "-c", code)
    except CommandFailed:
        return False
    return True


@pytest.fixture(scope="module", autouse=True)
def _engine() -> None:
    need_docker(IMAGE)


@pytest.fixture(scope="module")
def cluster() -> Iterator[DockerCluster]:
    with DockerCluster(run_id="test-pods", nodes=3, image=IMAGE) as made:
        for node in made.nodes:
            node.install(single(node))
            node.start_db()
        for node in made.nodes:
            eventually(lambda node=node: answers(node), 20)
        yield made


class TestAPod:
    def test_nodes_have_fixed_addresses_and_know_each_other_by_name(self, cluster: DockerCluster) -> None:
        assert [node.name for node in cluster.nodes] == ["n1", "n2", "n3"]
        assert [int(node.address.rsplit(".", 1)[1]) for node in cluster.nodes] == [11, 12, 13]
        for node in cluster.nodes:
            assert node.run("hostname").stdout.strip() == node.name
            for other in cluster.nodes:
                assert dials(node, other.name, 2379)

    def test_the_controller_reaches_it(self, cluster: DockerCluster) -> None:
        for node in cluster.nodes:
            assert node.port(2379) == 2379
            socket.create_connection(node.endpoint(2379), 2).close()

    def test_database_has_no_more_rights_than_its_image_asks_for(self, cluster: DockerCluster) -> None:
        node = cluster.nodes[0]
        (pid,) = node.db_pids()
        status = node.run("cat", f"/proc/{pid}/status").stdout
        effective = int(next(line for line in status.splitlines() if line.startswith("CapBnd")).split()[1], 16)
        assert not effective >> NET_ADMIN & 1
        assert not effective >> SYS_PTRACE & 1
        ours = int(next(x for x in node.run("cat", "/proc/self/status").stdout.splitlines() if "CapEff" in x)[7:], 16)
        assert ours >> NET_ADMIN & 1
        assert ours >> SYS_PTRACE & 1

    def test_killed_database_starts_again_with_its_data(self, cluster: DockerCluster) -> None:
        node = cluster.nodes[0]
        node.db_run("etcdctl", "put", "kept", "yes")
        before = node.db_pids()
        assert node.agent.request("kill")["pids"] == before
        assert node.db_pids() == []
        eventually(lambda: refuses(node), 2)
        address = node.address
        node.start_db()
        after = node.db_pids()
        assert len(after) == 1 and after != before
        eventually(lambda: answers(node), 20)
        assert node.db_run("etcdctl", "get", "kept", "--print-value-only").stdout == "yes\n"
        assert node.address == address
        node.start_db()
        assert node.db_pids() == after, "starting what runs does nothing"

    def test_paused_and_stopped(self, cluster: DockerCluster) -> None:
        node = cluster.nodes[2]
        node.agent.request("pause")
        assert set(node.agent.request("tree")["states"].values()) == {"T"}
        assert not answers(node)
        node.agent.request("resume")
        eventually(lambda: answers(node), 10)
        node.stop_db()
        assert node.db_pids() == []
        node.stop_db()
        node.start_db()
        eventually(lambda: answers(node), 20)

    def test_partition_between_two_pods_outlives_the_database(self, cluster: DockerCluster) -> None:
        first, second, third = cluster.nodes
        first.agent.request("drop", key="p", sources=[second.address])
        try:
            assert not dials(second, "n1", 2379)
            assert dials(third, "n1", 2379)
            socket.create_connection(first.endpoint(2379), 2).close()
            assert first.agent.request("dropped", key="p")["packets"] > 0
            first.agent.request("kill")
            first.start_db()
            eventually(lambda: answers(first), 20)
            assert not dials(second, "n1", 2379)
            assert dials(third, "n1", 2379)
        finally:
            first.agent.request("undrop", key="p")
        assert dials(second, "n1", 2379)

    def test_data_and_files_are_seen_by_both(self, cluster: DockerCluster, tmp_path: Path) -> None:
        node = cluster.nodes[1]
        assert "member" in node.run("ls", "/faultline/data").stdout
        ours, back = tmp_path / "ours", tmp_path / "back"
        ours.write_bytes(os.urandom(700_000))
        node.put(ours, f"{node.home}/ours")
        node.get(f"{node.home}/ours", back)
        assert back.read_bytes() == ours.read_bytes()
        node.db_run("etcdctl", "snapshot", "save", f"{node.home}/snapshot", timeout_s=20)
        assert node.run("stat", "-c", "%s", f"{node.home}/snapshot").stdout.strip() != "0"

    def test_commands_in_the_database_container(self, cluster: DockerCluster) -> None:
        node = cluster.nodes[0]
        node.db_run("etcdctl", "put", "big", stdin="x" * 300_000)
        assert node.db_run("etcdctl", "get", "big", "--print-value-only").stdout == "x" * 300_000 + "\n"
        with pytest.raises(CommandFailed, match="ended with 1"):
            node.db_run("etcdctl", "no-such-command")
        with pytest.raises(CommandFailed, match="no-such-program"):
            node.db_run("no-such-program")
        began = time.monotonic()
        with pytest.raises(CommandFailed, match="timed out"):
            node.db_run("etcdctl", "watch", "never", timeout_s=1)
        assert time.monotonic() - began < 3

    def test_logs_and_facts(self, cluster: DockerCluster, tmp_path: Path) -> None:
        cluster.collect_logs(tmp_path)
        for node in cluster.nodes:
            text = (tmp_path / node.name / "database.log").read_text()
            assert "etcd-version" in text
            assert [line.text for line in node.log_stream()][: text.count("\n")] == text.splitlines()
        facts = cluster.describe()
        assert facts["engine"].startswith("Docker ")
        assert facts["image"] == IMAGE
        assert "sha256:" in facts["digest"]
        cluster.check()


class TestTrouble:
    def test_published_ports_where_pods_cannot_be_dialled(self) -> None:
        with DockerCluster(run_id="test-published", nodes=2, image=IMAGE, publish=True) as made:
            for node in made.nodes:
                node.install(single(node))
                node.start_db()
                eventually(lambda node=node: answers(node), 20)
                host, port = node.endpoint(2379)
                assert host == "127.0.0.1"
                with socket.create_connection((host, port), 2) as connection:
                    connection.sendall(b"GET /version HTTP/1.0\r\n\r\n")
                    assert b"etcdserver" in connection.recv(4096)
            with pytest.raises(InfrastructureError, match="port 5432 is not reachable"):
                made.nodes[0].endpoint(5432)

    def test_sandbox_that_exits_is_noticed(self) -> None:
        with DockerCluster(run_id="test-sandbox", nodes=1, image=IMAGE) as made:
            made.check()
            client = docker_engine.connect()
            client.api.kill(made.nodes[0].sandbox)
            client.close()
            eventually(lambda: not made.nodes[0].agent.alive, 5)
            with pytest.raises(InfrastructureError, match="n1: its sandbox container exited"):
                made.check()

    def test_database_that_ends_at_once_says_why(self) -> None:
        with DockerCluster(run_id="test-ends", nodes=1, image=IMAGE) as made:
            node = made.nodes[0]
            node.install(Database(image=IMAGE, argv=["/usr/local/bin/etcd", "--config-file=/no-such-file"]))
            with pytest.raises(
                InfrastructureError, match=r"n1: the database (ended as soon|did not come up).*no-such-file"
            ):
                node.start_db()

    def test_missing_image_is_named_with_the_way_out(self) -> None:
        with (
            pytest.raises(InfrastructureError, match=r"image 'faultline-none:1' is not here.*make images"),
            DockerCluster(run_id="test-missing", nodes=1, image="faultline-none:1"),
        ):
            pass

    def test_failure_while_pods_come_up_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client = docker_engine.connect()
        made = DockerCluster(run_id="test-half", nodes=3, image=IMAGE)

        def fails(node: DockerNode) -> None:
            assert node.name != "n2", "planted"

        monkeypatch.setattr(made, "_open_agent", fails)
        with pytest.raises(AssertionError, match="planted"):
            made.__enter__()
        assert left(client, CLUSTER + "=" + made._prefix) == []
        client.close()


CONTROLLER = """
import sys, time
from harness.nodes.docker import DockerCluster
from tests.e2e.test_pods import IMAGE, single
with DockerCluster(run_id=sys.argv[1], nodes=2, image=IMAGE) as made:
    for node in made.nodes:
        node.install(single(node))
        node.start_db()
    first, second = made.nodes
    first.agent.request("drop", key="p", sources=[second.address])
    first.agent.request("clock", offset_s=3600.0)
    second.agent.request("pause")
    print(made._prefix, "http://%s:%d" % first.endpoint(2379), flush=True)
    time.sleep(600)
"""


def left(client: docker.DockerClient, label: str) -> list[str]:
    """Containers, networks and volumes with a label."""
    chosen = {"label": label}
    return [
        *(one["Id"] for one in client.api.containers(all=True, filters=chosen)),
        *(one["Id"] for one in client.api.networks(filters=chosen)),
        *(one["Name"] for one in client.api.volumes(filters=chosen)["Volumes"] or []),
    ]


class TestDeadMansSwitch:
    """The controller is killed with -9 while a partition, a pause and a skewed clock are in force."""

    @pytest.fixture
    def controller(self) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
        process = subprocess.Popen(
            [sys.executable, "-c", CONTROLLER, f"test-killed-{os.getpid()}"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        try:
            assert process.stdout is not None
            name, url = process.stdout.readline().split()
            yield process, name, url
        finally:
            process.kill()
            process.wait()
            pods.clean()

    def test_nothing_stays_in_force(self, controller: tuple[subprocess.Popen[str], str, str]) -> None:
        process, name, url = controller
        client = docker_engine.connect()
        sandboxes = [client.containers.get(f"{name}-{node}") for node in ("n1", "n2")]

        def in_force() -> list[str]:
            rules = sandboxes[0].exec_run(["iptables", "-S"]).output.decode()
            states = sandboxes[1].exec_run(["ps", "-eo", "stat,comm"]).output.decode()
            return [
                *(line for line in rules.splitlines() if "DROP" in line),
                *(line for line in states.splitlines() if line.startswith("T")),
            ]

        assert len(in_force()) == 2, in_force()
        eventually(lambda: abs(skew_s(url) - 3600) < 5, 5)
        assert not [line for line in pods.clean() if name in line], "its controller lives"
        process.send_signal(signal.SIGKILL)
        process.wait()
        eventually(lambda: in_force() == [] and abs(skew_s(url)) < 5, 2.0)
        removed = pods.clean()
        assert any(line == f"container {name}-n1" for line in removed)
        assert left(client, f"{CLUSTER}={name}") == []
        client.close()


def skew_s(url: str) -> float:
    """How far the database's own clock is ahead, by the Date of what it answers (whole seconds)."""
    with urllib.request.urlopen(f"{url}/version", timeout=3) as answer:
        told = email.utils.parsedate_to_datetime(answer.headers["Date"])
    return told.timestamp() - time.time()
