"""Clients' connections through ssh, for hosts whose database ports this machine can't dial: behind a jump host.

A port on this machine's loopback stands for one of a host: what connects there is carried over the ssh connection and
goes on from the host to its own address. Where nothing listens, the client's connection is reset at once: a session
is open only after the server's handshake, so such an op is `fail`, not unknown.

A tunnel has an ssh connection of its own, made again when it breaks, and the agent's is another. For the ssh library
can answer the end of a stream and then still send what another thread had in hand: sshd ends the whole connection
for that. Sessions through it are lost then, and their ops unknown. For the same reason no end is sent ahead of a close.
Cost: some 20 MB/s and a fraction of a millisecond more an op; two threads a connection.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from harness.errors import InfrastructureError
from harness.nodes.ssh_connect import Connection

FORWARD_TIMEOUT_S = 2.0
PIECE_BYTES = 1 << 16


class Tunnel:
    """`port`, on 127.0.0.1, leads to address:to_port as the host sees it. connect: makes a connection to the host."""

    def __init__(self, connect: Callable[[], Connection], address: str, to_port: int) -> None:
        self._connect, self._address, self._to_port = connect, address, to_port
        self._current: Connection | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, name=f"tunnel-{self.port}", daemon=True).start()

    def close(self) -> None:
        """End it, with all that goes through it. Never raises."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            if self._current is not None:
                self._current.close()

    def _connection(self) -> Connection:
        """The one that is up, or a new one. Raises InfrastructureError, OSError."""
        with self._lock:
            if self._closed:
                raise OSError("the tunnel is closed")
            if self._current is None or not self._current.alive:
                if self._current is not None:
                    self._current.close()
                self._current = None
                self._current = self._connect()
            return self._current

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name=f"tunnel-{self.port}-open", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            channel = self._connection().forward(self._address, self._to_port, FORWARD_TIMEOUT_S)
        except (OSError, InfrastructureError):
            _reset(client)
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        outwards = threading.Thread(target=_carry, args=(client, channel), name=f"tunnel-{self.port}-out", daemon=True)
        outwards.start()
        _carry(channel, client)
        outwards.join()
        client.close()


def _carry(source: Any, sink: Any) -> None:
    """Bytes from one to the other until its end; then both directions end."""
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(PIECE_BYTES):
            sink.sendall(data)
    with contextlib.suppress(Exception):
        if isinstance(sink, socket.socket):
            sink.shutdown(socket.SHUT_RDWR)  # wakes the other direction, which closes the channel
        else:
            sink.close()


def _reset(client: socket.socket) -> None:
    """Close so that the other end sees a reset, not an orderly end."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
