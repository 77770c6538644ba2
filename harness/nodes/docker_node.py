"""One node of the docker substrate: a pod of two containers (see `harness.nodes.docker`)."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors

from harness.errors import InfrastructureError
from harness.nodes import docker_exec
from harness.nodes.agent_client import AgentClient
from harness.nodes.base import CommandFailed, Completed, Database, LogLine
from harness.nodes.docker_images import resolve

HOME = "/faultline/home"
"""In both containers: where a target may put files."""

DATA = "/faultline/data"
"""In the sandbox: the volume that is the database's data_dir in its own container."""

SHM_BYTES = 256 * 1024 * 1024
"""The engine's default of 64 MiB is too little for PostgreSQL's parallel queries."""

SETTLE_S = 0.3
"""A database with settings that it does not take ends within this; looked at after the first start only."""


class DockerNode:
    """Implements `harness.nodes.base.Node`. Made by `DockerCluster`, which opens its sandbox and its agent."""

    home = HOME
    agent: AgentClient
    database: Database | None

    def __init__(
        self,
        client: docker.DockerClient,
        *,
        labels: Mapping[str, str],
        name: str,
        address: str,
        sandbox: str,
        prefix: str,
    ) -> None:
        """sandbox: id of the running sandbox container. prefix: begins the names of its containers and volumes.

        labels: those of the database's container.
        """
        self.name = name
        self.address = address
        self.sandbox = sandbox
        self.database = None
        self.published: dict[int, int] | None = None
        """container port → port on loopback, where the pod's own address can't be reached from here."""
        self.image: dict[str, str] = {}
        self._client = client
        self._labels = dict(labels)
        self._prefix = prefix
        self._container: str | None = None
        self._started_before = False

    def port(self, port: int) -> int:
        return port

    def endpoint(self, port: int) -> tuple[str, int]:
        if self.published is None:
            return self.address, port
        if port not in self.published:
            raise InfrastructureError(
                f"{self.name}: port {port} is not reachable: the engine's containers have no address that this machine "
                f"can dial, and the image exposes only {sorted(self.published)}"
            )
        return "127.0.0.1", self.published[port]

    def run(self, *argv: str, stdin: str | None = None, timeout_s: float = 30.0) -> Completed:
        return self.agent.run(*argv, stdin=stdin, timeout_s=timeout_s)

    def db_run(self, *argv: str, stdin: str | None = None, timeout_s: float = 30.0) -> Completed:
        return docker_exec.run(self._client, self._installed(), self.name, argv, stdin=stdin, timeout_s=timeout_s)

    def put(self, local: Path, remote: str) -> None:
        self.agent.put(local, remote)

    def get(self, remote: str, local: Path) -> None:
        self.agent.get(remote, local)

    def log_stream(self) -> Iterator[LogLine]:
        if self._container is None:
            return
        rest = b""
        try:
            for piece in self._client.api.logs(self._container, stream=True, follow=False):
                *whole, rest = (rest + piece).split(b"\n")
                yield from (LogLine(self.name, line.decode(errors="replace")) for line in whole)
        except docker.errors.DockerException as error:
            raise InfrastructureError(f"{self.name}: the engine did not give the database's log: {error}") from error
        if rest:
            yield LogLine(self.name, rest.decode(errors="replace"))

    def install(self, database: Database) -> None:
        """Create the database's container beside the sandbox. One installed before is replaced; its data stays."""
        image = resolve(self._client, database.image)
        if self._container is not None:
            self._client.api.remove_container(self._container, force=True, v=True)
            self._container, self._started_before = None, False
        api = self._client.api
        binds = [f"{self._prefix}-home:{HOME}"]
        if database.data_dir:
            binds.append(f"{self._prefix}-data:{database.data_dir}")
        host = api.create_host_config(
            network_mode=f"container:{self.sandbox}",
            pid_mode=f"container:{self.sandbox}",
            binds=binds,
            shm_size=SHM_BYTES,
            mem_limit=f"{database.mem_mb}m" if database.mem_mb else None,
        )
        try:
            self._container = api.create_container(
                image.id,
                command=list(database.argv) or None,
                environment=dict(database.env),
                host_config=host,
                labels=self._labels,
                name=f"{self._prefix}-db",
            )["Id"]
            if database.files:
                api.put_archive(self._container, "/", _archive(database.files))
        except docker.errors.APIError as error:
            raise InfrastructureError(
                f"{self.name}: the container of {database.image!r} could not be made: {error.explanation or error}"
            ) from error
        digests = image.attrs.get("RepoDigests") or []
        self.image = {"image": database.image, "digest": (digests[0] if digests else image.id)}
        self.database = database

    def start_db(self) -> None:
        container = self._installed()
        if self.agent.request("tree")["root"] is not None:
            return
        self.agent.request("await-empty", timeout_s=20.0)
        self._await_exit(10.0)
        try:
            self._client.api.start(container)
        except docker.errors.APIError as error:
            raise InfrastructureError(
                f"{self.name}: the database could not be started: {error.explanation or error}"
            ) from error
        try:
            self.agent.request("database-started", timeout_s=30.0)
        except CommandFailed as error:
            raise InfrastructureError(
                f"{self.name}: the database did not come up: {error}{self._last_words()}"
            ) from error
        if not self._started_before:
            time.sleep(SETTLE_S)
        if not self._state()["Running"]:
            raise InfrastructureError(f"{self.name}: the database ended as soon as it was started{self._last_words()}")
        self._started_before = True

    def stop_db(self, timeout_s: float = 20.0) -> None:
        if self._container is None:
            return
        try:
            self._client.api.stop(self._container, timeout=max(1, round(timeout_s)))
        except docker.errors.APIError as error:
            raise InfrastructureError(
                f"{self.name}: the database could not be stopped: {error.explanation or error}"
            ) from error

    def db_pids(self) -> list[int]:
        return list(self.agent.request("tree")["pids"])

    def write_log(self, path: Path) -> None:
        """Everything that the database printed, in one file."""
        with path.open("w", encoding="utf-8") as file:
            for line in self.log_stream():
                file.write(line.text + "\n")

    def _installed(self) -> str:
        if self._container is None:
            raise InfrastructureError(f"{self.name}: no database is installed")
        return self._container

    def _await_exit(self, timeout_s: float) -> None:
        """The engine learns of a killed container a moment after the kernel; only then can it start it again."""
        until = time.monotonic() + timeout_s
        while self._state()["Running"]:
            if time.monotonic() > until:
                raise InfrastructureError(
                    f"{self.name}: the engine says that the database's container runs, but it has no process"
                )
            time.sleep(0.02)

    def _state(self) -> dict[str, Any]:
        return dict(self._client.api.inspect_container(self._installed())["State"])

    def _last_words(self) -> str:
        state = self._state()
        if state["Running"]:
            return ""
        lines = [line.text for line in self.log_stream() if line.text.strip()][-5:]
        return f" (its container ended with {state['ExitCode']}: {' | '.join(lines)[-800:]})"


def _archive(files: dict[str, str]) -> bytes:
    """A tar of text files, readable by all, owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode, entry.mtime = len(data), 0o644, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
