"""The agent's channel over ssh: its stdin is the channel, so it reads its end when the controller or the way is gone.

When the controller dies, even by kill -9, the kernel closes the connection and the host's sshd the agent's stdin. When
the way dies without a word, the agent misses the heartbeats and heals by itself after its lease (15 s).
"""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Iterator, Sequence

import paramiko

from harness.nodes.ssh_connect import Connection


class SshChannel:
    """Implements `harness.nodes.agent_client.Channel`."""

    def __init__(self, connection: Connection, argv: Sequence[str], *, close_timeout_s: float = 25.0) -> None:
        """Raises OSError when the host opens no session, or starts no program in it."""
        self._channel = connection.channel()
        self._close_timeout_s = close_timeout_s
        self._ended = threading.Event()
        self._stderr = b""
        try:
            self._channel.exec_command(shlex.join(argv))
        except (paramiko.SSHException, EOFError) as error:
            self._channel.close()
            raise OSError(f"{connection.login.name}: no program could be started there: {error}") from error

    @property
    def stderr(self) -> str:
        """The last lines that came on stderr: why a channel ended."""
        with contextlib.suppress(OSError):
            while self._channel.recv_stderr_ready():
                self._stderr = (self._stderr + self._channel.recv_stderr(65536))[-2000:]
        failure = self._channel.get_transport().saved_exception
        connection = f"the connection failed: {failure or type(failure).__name__}" if failure is not None else ""
        return self._stderr.decode(errors="replace").strip() or connection

    def write(self, data: bytes) -> None:
        try:
            self._channel.sendall(data)
        except (paramiko.SSHException, EOFError) as error:
            raise OSError(str(error) or type(error).__name__) from error

    def lines(self) -> Iterator[bytes]:
        rest = b""
        try:
            while data := self._channel.recv(1 << 16):
                *whole, rest = (rest + data).split(b"\n")
                yield from whole
        finally:
            self._ended.set()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._channel.shutdown_write()
        self._ended.wait(self._close_timeout_s)
        with contextlib.suppress(Exception):
            self._channel.close()
