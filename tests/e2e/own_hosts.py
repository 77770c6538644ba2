"""Hosts as users have them, for tests: containers that run sshd, made by a test and removed by it."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import paramiko

from harness.nodes.docker_images import ensure_sandbox, is_here
from targets.etcd.target import Etcd

RECIPE = Path(__file__).with_name("sshd")
LABEL = "faultline.test-hosts"
USERS = {"root": "/root", "ada": "/home/ada", "bob": "/home/bob"}
UP_WITHIN_S = 60.0


class OwnHost:
    """One container with an ssh server."""

    def __init__(self, container: Any, address: str) -> None:
        self.container, self.address = container, address

    def sh(self, script: str, *, check: bool = True, **how: Any) -> str:
        """What a shell on it prints, looked at from outside of ssh."""
        done = self.container.exec_run(["sh", "-c", script], **how)
        assert not check or done.exit_code == 0, f"{script}: {done.output.decode()}"
        return str(done.output.decode())

    def key(self) -> str:
        """Its host key, as known_hosts lists it after the name."""
        return " ".join(self.sh("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])

    def broken(self) -> list[str]:
        """What a run left here that must not stay: rules, folders, processes of a database or an agent."""
        rules = [rule for rule in self.sh("iptables -S; ip6tables -S").splitlines() if "FAULTLINE" in rule]
        folders = self.sh("ls -d /var/lib/faultline 2>/dev/null", check=False).splitlines()
        processes = self.sh("ps -eo pid,stat,args").splitlines()
        left = [line for line in processes if any(one in line for one in ("etcd", "postgres", "redis", "python3 -u"))]
        return [*rules, *folders, *(line for line in left if " Z" not in line)]


class OwnHosts:
    """Several, on one network, and the files that a user has who may log in to them."""

    def __init__(self, hosts: list[OwnHost], folder: Path) -> None:
        self.hosts = hosts
        self.key, self.known = folder / "id_ecdsa", folder / "known_hosts"
        private = paramiko.ECDSAKey.generate()
        private.write_private_key_file(str(self.key))
        line = f"{private.get_name()} {private.get_base64()} test\n"
        for host in hosts:
            for user, home in USERS.items():
                _put(host, f"{home}/.ssh/authorized_keys", line)
                host.sh(f"chown {user} {home}/.ssh/authorized_keys")
        self.known.write_text("".join(f"{host.address} {host.key()}\n" for host in hosts))

    @property
    def options(self) -> str:
        """Options of a run that log it in."""
        return f"ssh-key={self.key},known-hosts={self.known}"

    def names(self, count: int, user: str = "root") -> str:
        """HOSTS of a run."""
        return ",".join(f"{user}@{host.address}" for host in self.hosts[:count])


def image(client: Any) -> str:
    """The hosts' image, built if it is not here; its name carries the hash of all that decides what it is."""
    sandbox = ensure_sandbox(client)
    text = (RECIPE / "Dockerfile").read_text()
    name = f"faultline-test-host:{hashlib.sha256((text + sandbox + Etcd.default_image).encode()).hexdigest()[:12]}"
    if not is_here(client, name):
        arguments = {"BASE": sandbox, "ETCD": Etcd.default_image}
        arguments |= {key: os.environ[key] for key in ("http_proxy", "https_proxy") if key in os.environ}
        client.images.build(path=str(RECIPE), tag=name, buildargs=arguments, network_mode="host", rm=True, forcerm=True)
    return name


@contextmanager
def own_hosts(count: int, folder: Path) -> Iterator[OwnHosts]:
    """So many hosts, up; removed at the end."""
    client = docker.from_env(timeout=120)
    name = f"faultline-test-{secrets.token_hex(4)}"
    labels = {LABEL: name}
    made: list[Any] = []
    network = None
    try:
        built = image(client)
        network = client.networks.create(name, driver="bridge", labels=labels)
        for number in range(count):
            made.append(
                client.containers.run(
                    built,
                    name=f"{name}-{number + 1}",
                    hostname=f"host{number + 1}",
                    network=name,
                    cap_add=["NET_ADMIN", "SYS_PTRACE"],
                    init=True,
                    labels=labels,
                    detach=True,
                )
            )
        hosts = []
        for container in made:
            container.reload()
            host = OwnHost(container, container.attrs["NetworkSettings"]["Networks"][name]["IPAddress"])
            until = time.monotonic() + UP_WITHIN_S
            while not host.sh("ss -Htln sport = :22", check=False).strip():
                assert time.monotonic() < until, container.logs().decode()
                time.sleep(0.1)
            hosts.append(host)
        yield OwnHosts(hosts, folder)
    finally:
        for container in made:
            container.remove(force=True, v=True)
        if network is not None:
            network.remove()
        client.close()


def _put(host: OwnHost, path: str, text: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size, entry.mode = len(text), 0o600
        archive.addfile(entry, io.BytesIO(text.encode()))
    host.container.put_archive("/", buffer.getvalue())
