"""An ssh server in this process, on loopback, for tests of what connects to one. The protocol is real."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paramiko


class Door(paramiko.ServerInterface):
    """Lets in one user with one key; runs commands by a shell; forwards to any address. Counts both."""

    def __init__(self, user: str, key: paramiko.PKey) -> None:
        self.user, self.key = user, key
        self.logins = self.forwards = 0

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if (username, key) != (self.user, self.key):
            return paramiko.AUTH_FAILED
        self.logins += 1
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_execute, args=(channel, command), daemon=True).start()
        return True

    def check_channel_direct_tcpip_request(self, chanid: int, origin: Any, destination: Any) -> int:
        self.forwards += 1
        return paramiko.OPEN_SUCCEEDED


def _execute(channel: paramiko.Channel, command: bytes) -> None:
    stdin = b""
    while data := channel.recv(65536):
        stdin += data
    done = subprocess.run(command, shell=True, input=stdin, capture_output=True)
    channel.sendall(done.stdout)
    channel.sendall_stderr(done.stderr)
    channel.send_exit_status(done.returncode)
    channel.close()


class Server:
    """Listens until it is closed."""

    def __init__(self, door: Door, host_key: paramiko.PKey) -> None:
        self.door, self.host_key = door, host_key
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def known_as(self, name: str = "127.0.0.1") -> str:
        return f"[{name}]:{self.port} {self.host_key.get_name()} {self.host_key.get_base64()}\n"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            transport = paramiko.Transport(client)
            transport.add_server_key(self.host_key)
            self._transports.append(transport)
            with contextlib.suppress(paramiko.SSHException, EOFError):
                transport.start_server(server=self.door, event=threading.Event())
            threading.Thread(target=self._forward, args=(transport,), daemon=True).start()

    def _forward(self, transport: paramiko.Transport) -> None:
        """direct-tcpip channels lead to the one other server of the test; sessions are served elsewhere."""
        while transport.is_active():
            channel = transport.accept(1.0)
            if channel is not None and self.leads_to is not None and self.door.forwards:
                other = socket.create_connection(("127.0.0.1", self.leads_to))
                for source, sink in ((channel, other), (other, channel)):
                    threading.Thread(target=_carry, args=(source, sink), daemon=True).start()

    leads_to: int | None = None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for transport in self._transports:
            transport.close()


def _carry(source: Any, sink: Any) -> None:
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(Exception):
        sink.close()


@contextmanager
def ssh_server(user: str, key: paramiko.PKey) -> Iterator[Server]:
    server = Server(Door(user, key), paramiko.ECDSAKey.generate())
    yield server
    server.close()
