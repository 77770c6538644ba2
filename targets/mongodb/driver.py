"""One connection to one server through pymongo: no pool, no retry, no redirect.

Problem: a MongoClient keeps a pool, opens connections anew as it needs them, watches servers in threads of its own,
sends a commit a second time by itself whatever its options say, and when it is closed leaves alone what waits for an
answer. A test must know which request went where, and how often. Yet sessions, cluster times and transactions should
be the driver's own, because that is what users have.

Idea: `directConnection` to one address and a pool that opens one connection in its life (`OneConnection`): whatever
would send again on another ends as `SecondConnection`, before anything is sent. Retries are off; what remains is the
repetition of commitTransaction that the drivers' specification demands even then, and `finish_once` leaves it out. The
watching thread says hello once and then sleeps (`serverMonitoringMode=poll`, an hour between two), so that it never
closes a session's connection; it has a connection of its own, over which nothing but hello goes. `close` shuts the
socket from outside, which ends a wait in any thread.

With `whole_set` (option `retryable_writes=on`) the client is the one that applications have: it finds the primary by
itself, may reconnect, and sends a write a second time under the same transaction number. Then `attempts` counts.

Two of these hooks are not in pymongo's public interface; `tests/targets/test_mongodb_driver.py` counts what is sent.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from typing import Any, Final

import pymongo.errors
from pymongo import MongoClient, monitoring
from pymongo.synchronous.client_session import ClientSession
from pymongo.synchronous.pool import Pool

from harness.target import Timeouts

SELDOM_MS: Final = 3_600_000
"""Between two looks of a client's watching thread: longer than a session lives."""


class SecondConnection(pymongo.errors.AutoReconnect):
    """The driver wanted to open another connection: nothing of this request was sent."""


class Sockets:
    """The sockets on which a client's requests go; at most `most` are opened in its life (None: any number)."""

    def __init__(self, most: int | None) -> None:
        self._lock = threading.Lock()
        self._most, self._begun = most, 0
        self._sockets: list[socket.socket] = []
        self._shut = False

    def begin(self) -> None:
        """One more is to be opened. Raises SecondConnection."""
        with self._lock:
            if self._shut or (self._most is not None and self._begun >= self._most):
                raise SecondConnection("the connection is gone, and a session has only one")
            self._begun += 1

    def add(self, opened: socket.socket) -> None:
        with self._lock:
            self._sockets.append(opened)
            if self._shut:
                shut(opened)

    def shut(self) -> None:
        """Shut all of them, from any thread, and let none be opened any more. Never raises."""
        with self._lock:
            self._shut = True
            for each in self._sockets:
                shut(each)


def shut(one: socket.socket) -> None:
    """Whoever waits for it gets an end of file."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


class OneConnection(Pool):
    """A pool that opens as many connections as its `Sockets` allow; those of watching threads are not counted."""

    def __init__(self, *arguments: Any, sockets: Sockets, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._faultline_sockets = sockets

    def connect(self, handler: Any = None) -> Any:
        if self.is_sdam:
            return super().connect(handler)
        self._faultline_sockets.begin()
        connection = super().connect(handler)
        self._faultline_sockets.add(connection.conn.get_conn)
        return connection


class _Attempts(monitoring.CommandListener):
    """Counts the commands that a client has begun to send."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.count += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


class Driver:
    """A client. `client` is pymongo's; see the module's docstring for what is different about it.

    whole_set: the replica set's name, for a client that finds and changes servers by itself; "" for one connection.
    """

    def __init__(self, host: str, port: int, timeouts: Timeouts, *, whole_set: str = "") -> None:
        self._sockets = Sockets(None if whole_set else 1)
        self._attempts = _Attempts()
        self.whole_set = bool(whole_set)
        mine: dict[str, Any] = (
            {"replicaSet": whole_set, "retryWrites": True, "event_listeners": [self._attempts]}
            if whole_set
            else {
                "directConnection": True,
                "retryWrites": False,
                "serverMonitoringMode": "poll",
                "heartbeatFrequencyMS": SELDOM_MS,
            }
        )
        self.client: MongoClient[dict[str, Any]] = MongoClient(
            host,
            port,
            maxPoolSize=1,
            retryReads=False,
            maxAdaptiveRetries=0,
            connectTimeoutMS=round(timeouts.connect_s * 1000),
            serverSelectionTimeoutMS=round(timeouts.connect_s * 1000),
            waitQueueTimeoutMS=round(timeouts.connect_s * 1000),
            socketTimeoutMS=round(timeouts.request_s * 1000),
            appname="faultline",
            _pool_class=functools.partial(OneConnection, sockets=self._sockets),
            **mine,
        )

    @property
    def attempts(self) -> int:
        """How many commands were begun to be sent; counted only for a whole set."""
        return self._attempts.count

    def hello(self) -> dict[str, Any]:
        """What the server says about itself and its set, over the one connection. Raises pymongo's errors."""
        return dict(self.client.admin.command("hello"))

    def session(self, *, causal: bool) -> ClientSession:
        """A session of the driver's, whose transactions end with one request each."""
        session = self.client.start_session(causal_consistency=causal)
        if not self.whole_set:
            finish_once(session)
        return session

    def close(self) -> None:
        """Shut the connection at once, from any thread; the driver's own tidying up goes on behind. Never raises."""
        self._sockets.shut()
        threading.Thread(target=self._tidy_up, name="closer of a driver", daemon=True).start()

    def _tidy_up(self) -> None:
        with contextlib.suppress(Exception):
            self.client.close()


def finish_once(session: ClientSession) -> None:
    """Commit and abort of this session are sent once each: by pymongo's own way, told that it can't be retried."""

    def finish(command_name: str) -> dict[str, Any]:
        def send(_session: Any, connection: Any, _retryable: bool) -> dict[str, Any]:
            return session._finish_transaction(connection, command_name)

        return session._client._retry_internal(send, session, None, retryable=False, operation=command_name)

    session._finish_transaction_with_retry = finish  # type: ignore[method-assign]
