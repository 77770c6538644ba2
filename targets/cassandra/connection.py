"""One socket to one Cassandra node, speaking the native protocol: no pool, no retry, no speculation, no other node.

The official driver is built to hide failures: it keeps a control connection, follows the cluster's topology, retries
and moves on. A test must know which request went where, and how often. So only the driver's codec is used
(`cassandra.protocol`), over a plain blocking socket: one request out, one answer in. Opening one takes about a
millisecond, where a `Cluster` object takes hundreds.

A frame of protocol version 4: version, flags, stream (2), opcode, body length (4), body.
"""

from __future__ import annotations

import io
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from cassandra import ConsistencyLevel
from cassandra.protocol import ErrorMessage, ProtocolHandler, QueryMessage, ReadyMessage, ResultMessage, StartupMessage

from harness.target import Timeouts, Unknown
from targets.cassandra.errors import judged

PORT: Final = 9042
PROTOCOL_VERSION: Final = 4
CQL_VERSION: Final = "3.0.0"
HEADER: Final = struct.Struct(">BBhBi")
Row = dict[str, Any]


class Connection:
    """Connected, up to the server's READY, when made. Raises OSError or ErrorMessage when the node does not answer.

    Used by one thread; `close` may come from another.
    """

    def __init__(self, host: str, port: int, timeouts: Timeouts) -> None:
        self._stream = 0
        self._socket = socket.create_connection((host, port), timeout=timeouts.connect_s)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer = self._exchange(StartupMessage(CQL_VERSION, {}))
            if isinstance(answer, ErrorMessage):
                raise answer
            if not isinstance(answer, ReadyMessage):
                raise OSError(f"{host}:{port} asked for {answer.name}; only open clusters are tested")
            self._socket.settimeout(timeouts.request_s)
        except BaseException:
            self._socket.close()
            raise

    def query(
        self,
        statement: str,
        values: Sequence[int | None] = (),
        *,
        level: int = ConsistencyLevel.QUORUM,
        timestamp_us: int | None = None,
        conditional: bool = False,
        in_parts: bool = False,
    ) -> list[Row]:
        """One request and its rows, all of them in one answer: paging is not asked for.

        values: for the `?` of the statement, whole numbers of 32 bits, or null.

        conditional: a lightweight transaction, whose serial level is SERIAL. timestamp_us None: the server's own.
        in_parts: an unlogged batch over several partitions, of which some may be written when others are refused.
        Raises DidNotHappen or Unknown by the table of errors, ErrorMessage if none fits. A connection that broke or
        timed out may have delivered the request: Unknown, and lost.
        """
        serial = ConsistencyLevel.SERIAL if conditional else None
        message = QueryMessage(statement, level, serial_consistency_level=serial, timestamp=timestamp_us)
        message.query_params = [None if value is None else value.to_bytes(4, "big", signed=True) for value in values]
        try:
            answer = self._exchange(message)
        except TimeoutError as error:
            raise Unknown("no answer in time") from error
        except OSError as error:
            raise Unknown(f"connection lost: {type(error).__name__}") from error
        if isinstance(answer, ErrorMessage):
            raise judged(answer, conditional=conditional, in_parts=in_parts) from answer
        assert isinstance(answer, ResultMessage), answer
        return [dict(zip(answer.column_names, row)) for row in answer.parsed_rows or []]

    def _exchange(self, message: Any) -> Any:
        self._stream = self._stream % 32767 + 1
        frame = ProtocolHandler.encode_message(
            message, self._stream, PROTOCOL_VERSION, compressor=None, allow_beta_protocol_version=False
        )
        self._socket.sendall(frame)
        _, flags, stream, opcode, length = HEADER.unpack(self._receive(HEADER.size))
        body = self._receive(length)
        if stream != self._stream:
            raise OSError(f"answer to request {stream} while {self._stream} was asked")
        return ProtocolHandler.decode_message(PROTOCOL_VERSION, None, stream, flags, opcode, body, None, None)

    def _receive(self, count: int) -> bytes:
        received = io.BytesIO()
        while received.tell() < count:
            part = self._socket.recv(count - received.tell())
            if not part:
                raise ConnectionResetError("the node closed the connection")
            received.write(part)
        return received.getvalue()

    def close(self) -> None:
        """Shut the socket at once, from any thread: a blocked `query` ends with Unknown."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()


class Clock:
    """Strictly increasing microseconds of this machine's clock: one source of timestamps for all sessions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_us = 0

    def next_us(self) -> int:
        """A timestamp above all earlier ones."""
        with self._lock:
            self._last_us = max(self._last_us + 1, time.time_ns() // 1000)
            return self._last_us
