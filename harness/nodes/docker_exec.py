"""Commands inside a container, over the engine's attach connection: no docker command, no process on this side.

The engine sends what the command prints in frames of 8 bytes of header (stream 1 stdout, 2 stderr, then the length,
big endian) and a body; what we write is the command's stdin. The connection belongs to this process alone, so when
the controller dies, even by kill -9, the kernel closes it, the engine closes the command's stdin, and an agent reads
its end.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import docker
import docker.errors

from harness.nodes.base import CommandFailed, Completed

STDOUT, STDERR = 1, 2

SEND_TIMEOUT_S = 10
"""An agent that reads nothing for so long is as good as lost; a writer must not hang on it."""


def frames(connection: Any) -> Iterator[tuple[int, bytes]]:
    """(stream, bytes) of each frame that a socket brings, to its end. A frame cut off at the end is dropped."""
    while header := _read(connection, 8):
        stream, length = struct.unpack(">BxxxL", header)
        body = _read(connection, length)
        if len(body) < length:
            return
        yield stream, body


def _read(connection: Any, count: int) -> bytes:
    """Exactly so many bytes, or none at the end."""
    pieces, missing = [], count
    while missing:
        piece = connection.recv(min(missing, 1 << 16))
        if not piece:
            return b""
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


class ExecStream:
    """One running command: its stdin, and frames of what it prints."""

    def __init__(
        self,
        client: docker.DockerClient,
        container: str,
        argv: Sequence[str],
        *,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Raises OSError when the engine can't start it."""
        self._api = client.api
        try:
            created = self._api.exec_create(container, list(argv), stdin=True, environment=environment)
            self.exec_id: str = created["Id"]
            self._holder: Any = self._api.exec_start(self.exec_id, socket=True)
        except (docker.errors.DockerException, OSError) as error:
            raise OSError(f"the engine could not run {argv[0]}: {error}") from error
        self.socket: Any = getattr(self._holder, "_sock", self._holder)
        self.socket.settimeout(None)
        if isinstance(self.socket, socket.socket):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_TIMEOUT_S, 0))

    def write(self, data: bytes) -> None:
        """Raises OSError when the other end is gone or does not read."""
        self.socket.sendall(data)

    def end_input(self) -> None:
        """Let the command read the end of its stdin."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """(stream, bytes) as they come. Raises OSError (TimeoutError when the socket has a timeout)."""
        return frames(self.socket)

    def rc(self, timeout_s: float = 5.0) -> int | None:
        """The command's return code; None while it runs."""
        until = time.monotonic() + timeout_s
        while True:
            state = self._api.exec_inspect(self.exec_id)
            if not state["Running"] and state["ExitCode"] is not None:
                return int(state["ExitCode"])
            if time.monotonic() > until:
                return None
            time.sleep(0.02)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._holder.close()
        with contextlib.suppress(OSError):
            self.socket.close()


class ExecChannel:
    """The agent's channel (`harness.nodes.agent_client.Channel`) into a sandbox."""

    def __init__(
        self, client: docker.DockerClient, container: str, argv: Sequence[str], *, close_timeout_s: float = 5.0
    ) -> None:
        self._stream = ExecStream(client, container, argv)
        self._close_timeout_s = close_timeout_s
        self._ended = threading.Event()
        self._stderr = b""

    @property
    def stderr(self) -> str:
        """The last lines that came on stderr: why a channel ended."""
        return self._stderr.decode(errors="replace").strip()

    def write(self, data: bytes) -> None:
        self._stream.write(data)

    def lines(self) -> Iterator[bytes]:
        rest = b""
        try:
            for stream, data in self._stream.frames():
                if stream == STDERR:
                    self._stderr = (self._stderr + data)[-2000:]
                    continue
                *whole, rest = (rest + data).split(b"\n")
                yield from whole
        finally:
            self._ended.set()

    def close(self) -> None:
        self._stream.end_input()
        self._ended.wait(self._close_timeout_s)
        self._stream.close()


def run(
    client: docker.DockerClient,
    container: str,
    node: str,
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    timeout_s: float = 30.0,
) -> Completed:
    """Run a command in a container to its end. Raises CommandFailed (rc None: out of time; 126: not started)."""
    until = time.monotonic() + timeout_s
    output: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
    try:
        stream = ExecStream(client, container, argv)
    except OSError as error:
        raise CommandFailed(node, argv, 126, str(error)) from error
    try:
        if stdin is not None:
            stream.write(stdin.encode())
        stream.end_input()
        stream.socket.settimeout(max(0.05, until - time.monotonic()))
        for number, data in stream.frames():
            output.setdefault(number, []).append(data)
            stream.socket.settimeout(max(0.05, until - time.monotonic()))
        rc = stream.rc()
    except OSError as error:
        printed = b"".join(output[STDOUT] + output[STDERR]).decode(errors="replace")
        raise CommandFailed(node, argv, None, f"{printed} {error}") from error
    finally:
        stream.close()
    stdout, stderr = (b"".join(output[number]).decode(errors="replace") for number in (STDOUT, STDERR))
    if rc != 0:
        raise CommandFailed(node, argv, rc, stdout + stderr)
    return Completed(list(argv), stdout, stderr)
