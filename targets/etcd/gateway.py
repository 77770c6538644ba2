"""One HTTP connection to one etcd member's JSON gateway: no pool, no retry, no redirect.

etcd's clients retry and balance by themselves; a test must know which request went where, and how often. The gateway
(`/v3/kv/...`, part of every etcd) needs only `http.client`, whose connection is one socket that is never reopened
(`auto_open` off). Each request asks the server to give up after 60 % of the deadline (`Grpc-Timeout`), so that most
late requests end with etcd's own error, on a connection that lives on.

What the gateway speaks: keys and values in base64, 64-bit numbers as strings, fields that are zero left out.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, Final

from harness.nodes.base import Node
from harness.target import DidNotHappen, Timeouts, Unknown
from targets.etcd.errors import GatewayError, judged

CLIENT_PORT: Final = 2379
NO_ANSWER: Final = (OSError, http.client.HTTPException, GatewayError, DidNotHappen, Unknown)
"""What a request to a member may raise; for those who ask several and can do without one."""


class Gateway:
    """Connected when made. Raises OSError, HTTPException or GatewayError when the server does not answer."""

    def __init__(self, host: str, port: int, timeouts: Timeouts) -> None:
        self.address = (host, port)
        self._headers = {
            "Content-Type": "application/json",
            "Grpc-Timeout": f"{max(1, round(timeouts.server_s * 1000))}m",
        }
        self._http = http.client.HTTPConnection(host, port, timeout=timeouts.connect_s)
        self._http.auto_open = 0
        try:
            self._http.connect()
            self._socket: socket.socket = self._http.sock
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._version: str = self._exchange("GET", "/version", None)["etcdserver"]
            self._socket.settimeout(timeouts.request_s)
        except BaseException:
            self._http.close()
            raise

    @property
    def version(self) -> str:
        """The server's version, from its answer at connecting."""
        return self._version

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One request and its answer. Raises DidNotHappen or Unknown by the table of errors, GatewayError if none fits.

        A connection that broke or timed out may have delivered the request: Unknown, and lost.
        """
        try:
            return self._exchange("POST", path, body)
        except GatewayError as error:
            raise judged(error) from error
        except TimeoutError as error:
            raise Unknown("no answer in time") from error
        except http.client.NotConnected as error:
            raise DidNotHappen("the connection was closed before the request", lost=True) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unknown(f"connection lost: {type(error).__name__}") from error

    def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        self._http.request(method, path, data, self._headers)
        with self._http.getresponse() as response:
            status, text = response.status, response.read()
        try:
            answer = json.loads(text)
        except ValueError:
            raise GatewayError(status, -1, text[:200].decode(errors="replace")) from None
        if status != 200 or not isinstance(answer, dict):
            fields = answer if isinstance(answer, dict) else {}
            raise GatewayError(status, fields.get("code", -1), str(fields.get("message", fields.get("error", answer))))
        return answer

    def close(self) -> None:
        """Shut the socket at once, from any thread: a blocked `post` ends with Unknown."""
        shut(self._socket)


def shut(connection: socket.socket) -> None:
    """End it for whoever waits on it, in any thread."""
    for end in (lambda: connection.shutdown(socket.SHUT_RDWR), connection.close):
        try:
            end()
        except OSError:
            pass


def ask(node: Node, path: str, body: Mapping[str, Any], timeouts: Timeouts) -> dict[str, Any]:
    """One request on a connection of its own. Raises what `NO_ANSWER` holds."""
    with contextlib.closing(Gateway(*node.endpoint(CLIENT_PORT), timeouts)) as gateway:
        return gateway.post(path, body)


def get(node: Node, path: str, timeout_s: float) -> str:
    """The body of a plain GET on the client port, whatever its status. Raises OSError, http.client.HTTPException."""
    host, port = node.endpoint(CLIENT_PORT)
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=timeout_s)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode(errors="replace")


def encoded(text: str) -> str:
    """A key or value as the gateway wants it."""
    return base64.b64encode(text.encode()).decode()


def decoded(text: str) -> str:
    """A key or value as the gateway gave it."""
    return base64.b64decode(text).decode()


def after(prefix: str) -> str:
    """The first key behind all that begin with the prefix, as the end of a range."""
    return encoded(prefix[:-1] + chr(ord(prefix[-1]) + 1))


def found(answer: Mapping[str, Any]) -> tuple[str | None, int]:
    """(value, mod_revision) of a one-key range's answer; (None, 0) when there is no such key."""
    pairs = answer.get("kvs", [])
    if not pairs:
        return None, 0
    return decoded(pairs[0].get("value", "")), int(pairs[0]["mod_revision"])


def range_of(key: str, *, serializable: bool) -> dict[str, Any]:
    """The request that reads one key."""
    return {"key": encoded(key), "serializable": True} if serializable else {"key": encoded(key)}


def put_of(key: str, value: str, *, lease: str = "") -> dict[str, Any]:
    """The request that writes one key, under a lease where one is named."""
    put = {"key": encoded(key), "value": encoded(value)}
    return put | {"lease": lease} if lease else put
