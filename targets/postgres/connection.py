"""One connection to a PostgreSQL server, over libpq and nothing above it.

Problem: a session must know exactly what was sent when, must be shut from another thread while a statement waits, and
must cost little, since the clients share two cores with the server. Idea: psycopg's own binding of libpq (`psycopg.pq`)
has all that: a call is one statement, blocks without holding Python's lock, and returns the server's answer with its
SQLSTATE. About 65 µs for a prepared statement on loopback; a cursor of psycopg costs 20 µs more.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Mapping

import psycopg
from psycopg import pq

CANCEL_LIMIT_S = 1.0
"""How long a request to cancel may take; a server that is stopped never answers it."""
GOOD = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)


class ServerError(Exception):
    """The server answered a statement with an error. `lost`: the connection went with it (severity FATAL or PANIC)."""

    def __init__(self, sqlstate: str, message: str, *, lost: bool) -> None:
        super().__init__(f"{sqlstate} {message}")
        self.sqlstate, self.message, self.lost = sqlstate, message, lost


class ConnectionLost(Exception):
    """The connection broke, or was shut, before the server's answer was there."""


class CannotConnect(Exception):
    """No connection: refused, timed out, or the server's handshake said no. Nothing was asked of the database."""


class Answer:
    """What one statement returned: `tag` ("COMMIT", "UPDATE 1") and `rows` of text (None for NULL)."""

    __slots__ = ("_result",)

    def __init__(self, result: pq.abc.PGresult) -> None:
        self._result = result

    @property
    def tag(self) -> str:
        return (self._result.command_status or b"").decode()

    @property
    def rows(self) -> list[list[str | None]]:
        result = self._result
        width = range(result.nfields)
        return [
            [None if (value := result.get_value(row, column)) is None else value.decode() for column in width]
            for row in range(result.ntuples)
        ]


class Connection:
    """Used by one thread; `close` may come from another.

    settings: server settings of this session (`{"statement_timeout": "3000"}`), sent with the handshake. A statement
    with parameters is prepared when it is first used. Raises CannotConnect.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        password: str = "",
        connect_timeout_s: float = 2.0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._busy = False
        self._closed = False
        self._prepared: dict[str, bytes] = {}
        self.warnings: list[str] = []
        """Texts of the WARNINGs that the server has sent."""
        self._pg = _connect(host, port, password, connect_timeout_s, settings or {})
        self._pg.notice_handler = self._on_notice
        self.backend_pid = self._pg.backend_pid

    def execute(self, sql: str, *parameters: str) -> Answer:
        """Send one statement and wait for its answer. Raises ServerError, ConnectionLost."""
        with self._lock:
            if self._closed:
                raise ConnectionLost("the connection was shut")
            self._busy = True
        try:
            return self._execute(sql, parameters)
        except psycopg.Error as error:
            raise ConnectionLost(str(error)) from error
        finally:
            with self._lock:
                self._busy = False
                if self._closed:
                    self._pg.finish()

    def execute_or_cancel(self, sql: str, after_s: float) -> Answer:
        """The same, but the server is asked to cancel what takes longer than `after_s`, as a driver's timeout does.

        Returns after that request has ended too: it can't hit a later statement. Raises as `execute`.
        """
        timer = threading.Timer(after_s, self._cancel)
        timer.daemon = True
        timer.start()
        try:
            return self.execute(sql)
        finally:
            timer.cancel()
            timer.join(2 * CANCEL_LIMIT_S)

    def _cancel(self) -> None:
        """Ask the server, over a connection of the request's own, to cancel what is under way. Never raises."""
        with contextlib.suppress(psycopg.Error, CannotConnect, OSError):
            request = self._pg.cancel_conn()
            try:
                request.start()
                until = time.monotonic() + CANCEL_LIMIT_S
                status = pq.PollingStatus.WRITING
                while status not in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
                    _await_socket(request.socket, status, until, "the request to cancel was not answered")
                    status = pq.PollingStatus(request.poll())
            finally:
                request.finish()

    def _execute(self, sql: str, parameters: tuple[str, ...]) -> Answer:
        if not parameters:
            return Answer(self._checked(self._pg.exec_(sql.encode())))
        name = self._prepared.get(sql)
        if name is None:
            name = f"s{len(self._prepared)}".encode()
            self._checked(self._pg.prepare(name, sql.encode()))
            self._prepared[sql] = name
        return Answer(self._checked(self._pg.exec_prepared(name, [parameter.encode() for parameter in parameters])))

    def _checked(self, result: pq.abc.PGresult) -> pq.abc.PGresult:
        if result.status in GOOD:
            return result
        lost = self._pg.status != pq.ConnStatus.OK
        message = (result.error_message or b"").decode(errors="replace").strip()
        sqlstate = result.error_field(pq.DiagnosticField.SQLSTATE)
        if sqlstate is None:
            raise ConnectionLost(message.partition("\n")[0] or "no answer")
        primary = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or message.encode()
        raise ServerError(sqlstate.decode(), primary.decode(errors="replace"), lost=lost)

    def _on_notice(self, notice: pq.abc.PGresult) -> None:
        if notice.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) == b"WARNING":
            text = notice.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""
            self.warnings.append(text.decode(errors="replace"))

    @property
    def busy(self) -> bool:
        """Whether a statement is under way."""
        return self._busy

    def close(self) -> None:
        """Shut it at once, from any thread. A statement under way ends as ConnectionLost. Never raises."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                if self._busy:
                    _shut(self._pg.socket)
                else:
                    self._pg.finish()
            except (OSError, psycopg.Error):
                pass


def _shut(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as own:
        own.shutdown(socket.SHUT_RDWR)


def _connect(host: str, port: int, password: str, timeout_s: float, settings: Mapping[str, str]) -> pq.abc.PGconn:
    """libpq's non-blocking connect, polled here: its blocking one holds Python's lock while it waits.

    What libpq would take from the environment (PGHOSTADDR, PGOPTIONS ...) is all given: no session of ours may ever
    reach a server that is not the node's.
    """
    try:
        address = socket.gethostbyname(host)
    except OSError as error:
        raise CannotConnect(f"{host}: {error}") from error
    settings = {"application_name": "faultline", **settings}
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    wanted = {
        "host": host,
        "hostaddr": address,
        "port": str(port),
        "user": "postgres",
        "dbname": "postgres",
        "password": password,
        "options": options,
        "sslmode": "disable",
        "gssencmode": "disable",
        "client_encoding": "UTF8",
        "target_session_attrs": "any",
        "passfile": f"{os.devnull}/none",
    }
    conninfo = " ".join(f"{name}='{_quoted(value)}'" for name, value in wanted.items() if value)
    until = time.monotonic() + timeout_s
    connection = pq.PGconn.connect_start(conninfo.encode())
    try:
        _poll(connection, until, f"{host}:{port}: no handshake within {timeout_s:g} s")
    except BaseException:
        connection.finish()
        raise
    return connection


def _poll(connection: pq.abc.PGconn, until: float, late: str) -> None:
    status = pq.PollingStatus.WRITING
    while True:
        if connection.status == pq.ConnStatus.BAD or status == pq.PollingStatus.FAILED:
            raise CannotConnect(connection.error_message.decode(errors="replace").strip().replace("\n", " "))
        if status == pq.PollingStatus.OK:
            return
        _await_socket(connection.socket, status, until, late)
        status = pq.PollingStatus(connection.connect_poll())


def _await_socket(descriptor: int, status: pq.PollingStatus, until: float, late: str) -> None:
    """Until libpq can go on. Raises CannotConnect when it can't in time."""
    event = selectors.EVENT_READ if status == pq.PollingStatus.READING else selectors.EVENT_WRITE
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, event)
        if not selector.select(max(0.0, until - time.monotonic())):
            raise CannotConnect(late)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
