"""One TCP connection to one Redis server or Sentinel: no pool, no retry, no redirect.

Redis' own client library reconnects and sends again by itself; a test must know which command went where, and how
often. hiredis packs commands and reads replies; the socket is opened once.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import hiredis

from harness.target import DidNotHappen, Timeouts, Unknown
from targets.redis.errors import judged

NONE_ASKED = ("without any password configured", "no password is set")
"""What a server says that asks for none."""


class Connection:
    """Connected when made, and logged in where there is a password.

    Raises OSError when the server does not accept, hiredis' errors when it refuses the password.
    """

    def __init__(self, host: str, port: int, timeouts: Timeouts, *, password: str = "") -> None:
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._socket = socket.create_connection((host, port), timeout=timeouts.connect_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timeouts = timeouts
        self._usable = True
        if password:
            try:
                self._log_in(password)
            except BaseException:
                self.close()
                raise

    def _log_in(self, password: str) -> None:
        try:
            self.ask("AUTH", password)
        except hiredis.ReplyError as error:
            if not any(words in str(error) for words in NONE_ASKED):
                raise

    def ask(self, *command: str) -> Any:
        """The answer to a question at connecting, within the connect timeout. Raises OSError, hiredis' errors."""
        answer = self._exchange(command)
        if isinstance(answer, hiredis.ReplyError):
            raise answer
        return answer

    def ready(self) -> None:
        """From now on commands have the driver's timeout."""
        self._socket.settimeout(self._timeouts.request_s)

    def command(self, *command: str) -> Any:
        """One command and its reply. Raises DidNotHappen or Unknown by the table of errors, ReplyError if none fits.

        A connection that broke or timed out may have delivered the command: Unknown, and lost.
        """
        if not self._usable:
            raise DidNotHappen("the connection was closed before the command", lost=True)
        try:
            answer = self._exchange(command)
        except TimeoutError as error:
            raise Unknown("no answer in time") from error
        except (OSError, hiredis.ProtocolError) as error:
            raise Unknown(f"connection lost: {type(error).__name__}") from error
        if isinstance(answer, hiredis.ReplyError):
            raise judged(answer) from answer
        return answer

    def _exchange(self, command: tuple[str, ...]) -> Any:
        self._usable = False
        self._socket.sendall(hiredis.pack_command(command))  # type: ignore[arg-type]
        while (answer := self._reader.gets()) is False:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._reader.feed(data)
        self._usable = True
        return answer

    def close(self) -> None:
        """Shut the socket at once, from any thread: a blocked `command` ends with Unknown."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._socket.close()
