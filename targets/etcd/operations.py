"""What an operator does to an etcd cluster at work: defragment a member, compact the history, take a snapshot.

defrag       one member rewrites its file, and answers nothing meanwhile
compaction   revisions before a recent one are dropped on every member; watchers and readers of older ones are refused
snapshot     a member sends all of its data; its checksum is verified
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import random
import time
from typing import Any, Final

from harness.errors import InfrastructureError
from harness.fault import Fault
from harness.nodes.base import Node
from harness.target import Timeouts
from nemeses.base import Setting
from nemeses.choose import on_each
from nemeses.operation import Operation
from targets.etcd.errors import GatewayError
from targets.etcd.gateway import CLIENT_PORT, NO_ANSWER, ask, range_of
from targets.etcd.stream import Stream

PATIENCE: Final = Timeouts(op_s=60.0, connect_s=2.0)
KEPT: Final = (0, 0, 10, 100)
"""How many of the newest revisions a compaction leaves, drawn from these: none is what catches watchers unawares."""
COMPACTED: Final = "required revision has been compacted"
DIGEST_BYTES: Final = 32
"""A snapshot ends with the SHA-256 of all before."""


class Defrag(Operation):
    """A member defragments its data file, and serves nothing until it is done."""

    kind = "defrag"

    def perform(self, setting: Setting, node: Node) -> dict[str, Any]:
        before = _status(node)
        _asked(node, "/v3/maintenance/defragment", {})
        return {"bytes_before": int(before["dbSize"]), "bytes_after": int(_status(node)["dbSize"])}


class Compaction(Operation):
    """Old revisions are dropped, on all members, down to the newest or nearly so."""

    kind = "compaction"

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        nodes, _ = super().plan(setting, rng)
        return nodes, {"keep": rng.choice(KEPT)}

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        keep = int(fault.params["keep"])
        done = on_each(setting.cluster, fault.nodes, lambda node: self._compact(node, keep))
        return {"done": done, "took_effect": True}

    def perform(self, setting: Setting, node: Node) -> dict[str, Any]:
        return self._compact(node, 0)

    def _compact(self, node: Node, keep: int) -> dict[str, Any]:
        """At the revision asked for, or at the newest one where that was compacted before."""
        newest = int(_asked(node, "/v3/kv/range", range_of("newest", serializable=False))["header"]["revision"])
        revision = max(1, newest - keep)
        try:
            _asked(node, "/v3/kv/compaction", {"revision": str(revision), "physical": True})
        except InfrastructureError as error:
            if revision == newest or COMPACTED not in str(error):
                raise
            revision = newest
            _asked(node, "/v3/kv/compaction", {"revision": str(revision), "physical": True})
        return {"revision": revision, "newest": newest}


class Snapshot(Operation):
    """A member streams a snapshot of its data, as for a backup."""

    kind = "snapshot"

    def perform(self, setting: Setting, node: Node) -> dict[str, Any]:
        until_s = time.monotonic() + PATIENCE.op_s
        data = bytearray()
        try:
            stream = Stream(*node.endpoint(CLIENT_PORT), "/v3/maintenance/snapshot", {}, timeout_s=PATIENCE.connect_s)
            try:
                while (message := stream.next(until_s)) is not None:
                    data += base64.b64decode(message.get("blob", ""))
            finally:
                stream.close()
        except (OSError, http.client.HTTPException, GatewayError) as error:
            raise InfrastructureError(f"{node.name}: no snapshot: {type(error).__name__}: {error}") from error
        if hashlib.sha256(data[:-DIGEST_BYTES]).digest() != data[-DIGEST_BYTES:]:
            raise InfrastructureError(f"{node.name}: a snapshot of {len(data)} bytes with a wrong checksum")
        return {"bytes": len(data)}


def _status(node: Node) -> dict[str, Any]:
    return _asked(node, "/v3/maintenance/status", {})


def _asked(node: Node, path: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        return ask(node, path, body, PATIENCE)
    except NO_ANSWER as error:
        raise InfrastructureError(f"{node.name}: {path}: {type(error).__name__}: {error}") from error


NEMESES = (Defrag(), Compaction(), Snapshot())
