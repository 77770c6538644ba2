"""`write` and `watch`, see `workloads.watch`: a session follows all keys `watch/...` on one stream, as long as it can.

A watch op first asks (linearizably) at which revision the newest event is, then waits until the session's stream has
delivered it, or part of the way at least, and answers with what the stream gave, in its order. The stream stays open
from op to op; it is opened anew only where it began after the revision asked for. So a stream is at times up to date,
at times far behind (nobody reads it between two ops), and when a session was lost another one, to another member
perhaps, goes on where the watcher stopped.

The stream is a second connection to the same member. Nothing is retried: when it breaks, the op fails and the session
is lost.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from typing import Any, Final
from weakref import WeakKeyDictionary

from harness.errors import InfrastructureError
from harness.nodes.base import Cluster
from harness.op import Op
from harness.target import SessionContext, Unknown
from targets.etcd.errors import GatewayError, judged
from targets.etcd.gateway import NO_ANSWER, Gateway, after, ask, decoded, encoded, put_of, range_of
from targets.etcd.sessions import EtcdSession, Sessions
from targets.etcd.stream import Stream

PREFIX: Final = "watch/"
KEPT: Final = 20_000
"""How many events a session keeps, for watchers that ask for older ones."""

Event = list[Any]
"""[revision, key, value]."""


class Compacted(Exception):
    """The server has no events before this revision any more."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"compacted up to revision {revision}")
        self.revision = revision


class Feed:
    """All events from revision `first` on, as one stream delivers them."""

    def __init__(self, stream: Stream, first: int) -> None:
        self.first = first
        self.newest = first - 1
        self._stream = stream
        self._events: list[Event] = []
        self._out_of_order: int | None = None

    def read(self, last: int, until_s: float) -> None:
        """Take messages until the event at revision `last` has come. Raises Compacted, and what `Stream.next` does."""
        while self.newest < last:
            message = self._stream.next(until_s)
            if message is None:
                raise http.client.HTTPException("the stream has ended")
            if message.get("canceled"):
                if "compact_revision" in message:
                    raise Compacted(int(message["compact_revision"]))
                raise GatewayError(200, -1, f"watch canceled: {message.get('cancel_reason', 'no reason')}")
            for event in message.get("events", ()):
                self._take(event)

    def given(self, begin: int) -> list[Event]:
        """What came from revision `begin` on; also what came against the order, once."""
        events, place = self._events, len(self._events)
        while place > 0 and events[place - 1][0] >= begin:
            place -= 1
        if self._out_of_order is not None:
            place, self._out_of_order = min(place, self._out_of_order), None
        return events[place:]

    def forget(self) -> None:
        """Drop the oldest events beyond those that are kept."""
        if len(self._events) > KEPT and self._out_of_order is None:
            del self._events[: len(self._events) - KEPT]
            self.first = self._events[0][0]

    def close(self) -> None:
        self._stream.close()

    def _take(self, event: dict[str, Any]) -> None:
        pair = event["kv"]
        revision = int(pair["mod_revision"])
        if self._out_of_order is None and self._events and revision <= self._events[-1][0]:
            self._out_of_order = len(self._events) - 1
        key, text = int(decoded(pair["key"]).removeprefix(PREFIX)), decoded(pair.get("value", ""))
        self._events.append([revision, key, int(text) if text else None])
        self.newest = max(self.newest, revision)


class WatchSession(EtcdSession):
    """See the module's docstring. earliest: the run's first revision; what was before is none of its watchers'."""

    def __init__(self, gateway: Gateway, context: SessionContext, earliest: int = 1) -> None:
        super().__init__(gateway, context)
        self._earliest = earliest
        self._feed: Feed | None = None

    def is_read(self, op: Op) -> bool:
        return op.f == "watch"

    def invoke(self, op: Op) -> Op:
        if op.f == "write":
            key, value = op.value
            answer = self._gateway.post("/v3/kv/put", put_of(f"{PREFIX}{key}", str(value)))
            return op.replace(type="ok", value=[key, value, int(answer["header"]["revision"])])
        assert op.f == "watch", op.f
        watcher, begin, _ = op.value
        last = self._newest_event()
        if last < begin:
            return op.replace(type="ok", value=[watcher, begin, [], begin])
        try:
            events = self._follow(max(begin, self._earliest), last)
        except Compacted as compacted:
            self._drop()
            if compacted.revision <= begin:
                raise Unknown(f"{compacted}, though asked from {begin}") from None
            return op.replace(type="ok", value=[watcher, begin, "compacted", compacted.revision])
        return op.replace(type="ok", value=[watcher, begin, *events])

    def close(self) -> None:
        if self._feed is not None:
            self._feed.close()
        super().close()

    def _newest_event(self) -> int:
        """The revision of the newest write to any of the keys; 0 where there is none. Keys are never deleted."""
        request = {
            "key": encoded(PREFIX),
            "range_end": after(PREFIX),
            "sort_target": "MOD",
            "sort_order": "DESCEND",
            "limit": "1",
            "keys_only": True,
        }
        pairs = self._gateway.post("/v3/kv/range", request).get("kvs", [])
        return int(pairs[0]["mod_revision"]) if pairs else 0

    def _follow(self, begin: int, last: int) -> tuple[list[Event], int]:
        """(events from `begin` on, the revision up to before which these are all). Raises Compacted."""
        request_s = self._context.timeouts.request_s
        now_s = time.monotonic()
        try:
            if self._feed is not None and begin < self._feed.first:
                self._drop()
            if self._feed is None:
                self._feed = self._open(begin, request_s)
            feed = self._feed
            try:
                feed.read(last, now_s + request_s / 2)
            except TimeoutError:
                if feed.newest < begin:
                    raise
                self._drop()
            events, end = feed.given(begin), feed.newest + 1
            feed.forget()
            return events, end
        except GatewayError as error:
            self._drop()
            raise judged(error) from error
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise Unknown(f"watching: {type(error).__name__}: {error}") from error

    def _open(self, begin: int, timeout_s: float) -> Feed:
        create = {"key": encoded(PREFIX), "range_end": after(PREFIX), "start_revision": str(begin)}
        stream = Stream(*self._gateway.address, "/v3/watch", {"create_request": create}, timeout_s=timeout_s)
        return Feed(stream, begin)

    def _drop(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            with contextlib.suppress(OSError):
                feed.close()


class WatchSessions(Sessions):
    """Their SessionFactory: it remembers at which revision the run began, on a cluster that was there before."""

    def __init__(self) -> None:
        super().__init__(WatchSession)
        self._earliest: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def setup(self, target: Any, cluster: Cluster) -> None:
        """Raises InfrastructureError when no member says where the history is."""
        said: Exception | None = None
        for node in cluster.nodes:
            try:
                answer = ask(node, "/v3/kv/range", range_of(PREFIX, serializable=False), target.timeouts)
            except NO_ANSWER as error:
                said = error
                continue
            self._earliest[target] = int(answer["header"]["revision"]) + 1
            return
        raise InfrastructureError(f"no member answers: {said}")

    def made(self, target: Any, gateway: Gateway, context: SessionContext) -> WatchSession:
        return WatchSession(gateway, context, self._earliest.get(target, 1))
