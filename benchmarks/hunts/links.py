"""Messages between the nodes of a run, held back and let go again: a proxy in front of every node's peer port.

A partition drops packets, and TCP sends them again when it pleases. To let a message come late, and another one in
between, what a node sends has to wait somewhere: here. `Link.until_s` says up to which moment of sending the chunks of
one direction pass; those that were sent later wait, in order, until it moves on.

The proxies listen on the pods' gateway, an address that only the pods of one run reach, and know a sender by its
address.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from harness.nodes import docker
from harness.nodes.base import Node

CHUNK = 1 << 16
ENOUGH_S = 10.0

Answer = TypeVar("Answer")


@dataclass
class Link:
    """From one node to another. What was sent by `until_s` (monotonic) passes."""

    until_s: float = math.inf
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)


class Links:
    """The proxies of a cluster, from `__enter__` to `__exit__`, in a thread of their own. Addresses are of IPv4."""

    def __init__(self, nodes: Sequence[Node], port: int) -> None:
        """port: where each node listens for its peers."""
        self._nodes, self._port = nodes, port
        self._name_of = {node.address: node.name for node in nodes}
        self._links: dict[tuple[str, str], Link] = {}
        self._servers: list[asyncio.Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.address_of: dict[str, tuple[str, int]] = {}
        """Node → where its peers are to dial it."""

    def __enter__(self) -> Links:
        self._thread.start()
        gateway = str(ipaddress.ip_address(self._nodes[0].address) - docker.FIRST_ADDRESS + 1)
        for node in self._nodes:
            server = self._wait(asyncio.start_server(self._serving(node), gateway, 0))
            self._servers.append(server)
            self.address_of[node.name] = server.sockets[0].getsockname()
        return self

    def __exit__(self, *error: object) -> None:
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ENOUGH_S)
        self._loop.close()

    def hold(self, source: str, to: str) -> None:
        """What the one sends to the other from now on waits."""
        self.release(source, to, time.monotonic())

    def release(self, source: str, to: str, sent_by_s: float = math.inf) -> None:
        """What was sent by this moment goes on now; what came later, or comes, waits."""
        self._wait(self._moving(source, to, sent_by_s))

    def release_all(self) -> None:
        for source, to in list(self._links):
            self.release(source, to)

    def _wait(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(ENOUGH_S)

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:  # again: one that was just accepted begins now
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _moving(self, source: str, to: str, until_s: float) -> None:
        link = self._link(source, to)
        async with link.moved:
            link.until_s = until_s
            link.moved.notify_all()

    def _link(self, source: str, to: str) -> Link:
        return self._links.setdefault((source, to), Link())

    def _serving(self, node: Node) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            source = self._name_of.get(writer.get_extra_info("peername")[0], "")
            try:
                other_reader, other_writer = await asyncio.open_connection(node.address, self._port)
            except OSError:
                writer.close()
                return
            with contextlib.suppress(asyncio.CancelledError):  # at the end
                await asyncio.gather(
                    self._pump(reader, other_writer, self._link(source, node.name)),
                    self._pump(other_reader, writer, self._link(node.name, source)),
                )

        return serve

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
        """One direction of one connection. Reading never waits for what is held, so that each chunk has its time."""
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def passing() -> None:
            while True:
                sent_s, chunk = await chunks.get()
                async with link.moved:
                    while sent_s > link.until_s:
                        await link.moved.wait()
                if not chunk:
                    break
                writer.write(chunk)
                await writer.drain()

        passer = asyncio.create_task(passing())
        chunk = b"begin"
        while chunk:
            try:
                chunk = await reader.read(CHUNK)
            except OSError:
                chunk = b""
            chunks.put_nowait((time.monotonic(), chunk))
        with contextlib.suppress(OSError):
            await passer
        writer.close()
