"""A call of the gateway that is answered by many messages: a watch, a snapshot, a lease that is kept alive.

The answer is one HTTP response in chunks, one JSON object a line: {"result": ...}, or {"error": ...} at the end. It has
a connection of its own, and no `Grpc-Timeout`: it lasts until one side ends it.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping
from typing import Any

from targets.etcd.errors import GatewayError
from targets.etcd.gateway import shut


class Stream:
    """One call. The constructor returns when the server begins to answer.

    Raises OSError, http.client.HTTPException, GatewayError; after any of them the stream is of no more use.
    """

    def __init__(self, host: str, port: int, path: str, body: Mapping[str, Any], *, timeout_s: float) -> None:
        self._http = http.client.HTTPConnection(host, port, timeout=timeout_s)
        self._http.auto_open = 0
        try:
            self._http.connect()
            self._socket: socket.socket = self._http.sock
            self._http.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
            self._response = self._http.getresponse()
        except BaseException:
            self._http.close()
            raise

    def next(self, until_s: float) -> dict[str, Any] | None:
        """The next message's result; None at the end. until_s: by `time.monotonic()`. Raises TimeoutError too."""
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no message in time")
        self._socket.settimeout(left_s)
        status, line = self._response.status, self._response.readline()
        if not line:
            return None
        try:
            message = json.loads(line)
        except ValueError:
            raise GatewayError(status, -1, line[:200].decode(errors="replace")) from None
        if "result" in message:
            return dict(message["result"])
        error = message.get("error", message)
        fields = error if isinstance(error, dict) else message
        code: Any = fields.get("grpc_code", fields.get("code", -1))
        raise GatewayError(status, code, str(fields.get("message", error)))

    def close(self) -> None:
        """Shut the socket at once, from any thread."""
        shut(self._socket)
