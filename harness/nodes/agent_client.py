"""The controller's end of a node's agent (`harness.nodes.agent`): feed it, ask it, keep its lease alive.

A `Channel` carries bytes to the agent and lines back: a child process (`PopenChannel`, also around `docker exec -i`
or ssh), or a socket of a substrate's own. The agent's source goes over the channel itself: the first command on the
node is `python3 -u -c BOOTSTRAP`, which reads `<number of bytes>\\n<source>` from its stdin and runs it. So nothing
has to be installed on a node but a bare python3 (3.9 or later; ctypes is not needed).

Requests are JSON lines with an `id`, answered in the order of completion. A thread of its own sends a heartbeat each
second; without it, or at the end of the channel, the agent undoes every fault by itself. Cost of a request: one line
each way, about 0.2 ms.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.nodes.base import AgentLost, CommandFailed, Completed

HEARTBEAT_S = 1.0
"""The agent's lease is 15 s: fifteen heartbeats may be lost before it gives up."""

AGENT_SOURCE = Path(__file__).with_name("agent.py")

BOOTSTRAP = (
    "import os\n"
    "d=b''\n"
    "while d[-1:]!=b'\\n':\n"
    "  c=os.read(0,1)\n"
    "  if not c:raise SystemExit(1)\n"
    "  d+=c\n"
    "n=int(d);d=b''\n"
    "while len(d)<n:\n"
    "  c=os.read(0,n-len(d))\n"
    "  if not c:raise SystemExit(1)\n"
    "  d+=c\n"
    "exec(compile(d,'faultline-agent','exec'),{'__name__':'__main__'})\n"
)
CHUNK_BYTES = 512 * 1024
"""Files travel in pieces of this size, so that heartbeats pass between them."""


class Channel(Protocol):
    """A way to the agent's stdin and from its stdout. `write` and `lines` are used by different threads."""

    def write(self, data: bytes) -> None:
        """Write all of it. Raises OSError when the other end is gone."""
        ...

    def lines(self) -> Iterator[bytes]:
        """Lines of the agent's stdout as they come; ends with the channel."""
        ...

    def close(self) -> None:
        """Let the agent read the end of its stdin, and wait a moment for its own end. Never raises."""
        ...


class PopenChannel:
    """A channel through a child process, in a session of its own so that Ctrl-C does not reach it."""

    def __init__(self, argv: Sequence[str], *, close_timeout_s: float = 10.0) -> None:
        self._close_timeout_s = close_timeout_s
        self.process = subprocess.Popen(
            list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        self._stderr = b""
        threading.Thread(target=self._read_stderr, name="agent-stderr", daemon=True).start()

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._stderr = (self._stderr + line)[-2000:]

    @property
    def stderr(self) -> str:
        """The last lines that came on stderr: why a channel ended."""
        return self._stderr.decode(errors="replace").strip()

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def lines(self) -> Iterator[bytes]:
        assert self.process.stdout is not None
        yield from self.process.stdout

    def close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        try:
            self.process.wait(self._close_timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def bootstrap_argv(python: str = "python3") -> list[str]:
    """The command that a channel must run on the node."""
    return [python, "-u", "-c", BOOTSTRAP]


class _Waiter:
    """One request that waits for its answer."""

    __slots__ = ("answer", "done")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: dict[str, Any] | None = None


class AgentClient:
    """Implements `harness.nodes.base.Agent`.

    open_channel: makes a channel whose other end runs `bootstrap_argv`. node: the node's name, for messages.
    config: fields of the agent's `hello` (see `harness.nodes.agent`): at least `scope`, "children" or "pod".
    on_event: called with each event line, e.g. {"event": "database-ended", ...}, from the reader's thread.

    `hello` holds the agent's first answer: what it can do, what it healed. The constructor returns once the agent has
    healed what an earlier one left. Raises AgentLost when no agent comes up.
    """

    def __init__(
        self,
        open_channel: Callable[[], Channel],
        node: str,
        config: Mapping[str, Any],
        *,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        start_timeout_s: float = 30.0,
    ) -> None:
        self.node = node
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiter] = {}
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._lost: str | None = None
        self._last_words = ""
        self._closed = threading.Event()
        try:
            self._channel = open_channel()
            source = AGENT_SOURCE.read_bytes()
            self._channel.write(b"%d\n" % len(source) + source)
        except OSError as error:
            raise AgentLost(f"{node}: no agent could be started: {error}") from error
        threading.Thread(target=self._read, name=f"agent-{node}-reader", daemon=True).start()
        threading.Thread(target=self._beat, name=f"agent-{node}-heartbeat", daemon=True).start()
        try:
            self.hello = self.request("hello", timeout_s=start_timeout_s, node=node, **config)
        except Exception as error:
            self._abandon(str(error))
            self._channel.close()
            if isinstance(error, AgentLost):
                raise
            raise AgentLost(f"{node}: the agent did not start: {error}") from error

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._lost is None and not self._closed.is_set()

    @property
    def lost(self) -> str | None:
        """Why the agent was lost, None while it was not."""
        return self._lost

    def request(self, what: str, *, timeout_s: float = 10.0, **fields: Any) -> dict[str, Any]:
        """Ask and wait. Raises CommandFailed for an error answer or none in time, AgentLost when the agent is gone."""
        number, waiter = next(self._ids), _Waiter()
        line = json.dumps({"id": number, "what": what, **fields}, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            if self._lost is not None:
                raise AgentLost(self._lost)
            self._waiting[number] = waiter
        try:
            self._write(line)
            if not waiter.done.wait(timeout_s):
                raise CommandFailed(self.node, ["agent", what], None, f"no answer within {timeout_s:g} s")
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        answer = waiter.answer
        if answer is None:
            raise AgentLost(self._lost or f"{self.node}: the agent is gone")
        if "error" in answer:
            raise CommandFailed(self.node, ["agent", what], 1, str(answer["error"]))
        return answer

    def run(self, *argv: str, stdin: str | None = None, timeout_s: float = 30.0, **fields: Any) -> Completed:
        """Run a command where the agent is; fields: `cwd`, `env`. Raises CommandFailed."""
        answer = self.request(
            "run", timeout_s=timeout_s + 5.0, argv=list(argv), stdin=stdin, limit_s=timeout_s, **fields
        )
        if answer["rc"] != 0:
            raise CommandFailed(self.node, argv, answer["rc"], answer["stdout"] + answer["stderr"])
        return Completed(list(argv), answer["stdout"], answer["stderr"])

    def put(self, local: Path, remote: str) -> None:
        """Copy a file to the node, with its executable bit. Raises CommandFailed."""
        mode = local.stat().st_mode & 0o777
        with local.open("rb") as file:
            offset = 0
            while True:
                piece = file.read(CHUNK_BYTES)
                data = base64.b64encode(piece).decode()
                self.request("put", timeout_s=30.0, path=remote, offset=offset, data=data, mode=mode)
                offset += len(piece)
                if len(piece) < CHUNK_BYTES:
                    return

    def get(self, remote: str, local: Path) -> None:
        """Copy a file from the node. Raises CommandFailed."""
        with local.open("wb") as file:
            while True:
                answer = self.request("get", timeout_s=30.0, path=remote, offset=file.tell(), bytes=CHUNK_BYTES)
                piece = base64.b64decode(answer["data"])
                file.write(piece)
                if not piece:
                    return

    def close(self) -> None:
        """End the agent: it undoes every fault (and on `local` stops its database) first. Never raises."""
        if self._closed.is_set():
            return
        with contextlib.suppress(CommandFailed, AgentLost):
            self.request("end", timeout_s=15.0)
        self._closed.set()
        self._abandon(f"{self.node}: the agent was ended")
        self._channel.close()

    def _write(self, data: bytes) -> None:
        try:
            with self._write_lock:
                self._channel.write(data)
        except (OSError, ValueError) as error:
            self._abandon(f"{self.node}: the agent is gone: {error}")
            raise AgentLost(str(self._lost)) from error

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_S) and self._lost is None:
            with contextlib.suppress(AgentLost):
                self._write(b'{"what":"heartbeat"}\n')

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._channel.lines():
                try:
                    answer = json.loads(line)
                except ValueError:
                    continue
                if not isinstance(answer, dict):
                    continue
                number = answer.get("id")
                if number is None:
                    if answer.get("event") == "ending":
                        self._last_words = f"it ended because of {answer.get('why')}"
                    if self._on_event is not None:
                        self._on_event(answer)
                    continue
                with self._lock:
                    waiter = self._waiting.get(number)
                if waiter is not None:
                    waiter.answer = answer
                    waiter.done.set()
        last_words = self._last_words or getattr(self._channel, "stderr", "")
        self._abandon(f"{self.node}: the agent's channel ended" + (f": {last_words}" if last_words else ""))

    def _abandon(self, reason: str) -> None:
        """No agent any more: wake all who wait."""
        with self._lock:
            if self._lost is None:
                self._lost = reason
            waiting = list(self._waiting.values())
        for waiter in waiting:
            waiter.done.set()
