"""How the workloads' ops become etcd requests.

register: one key `register/<k>`, its value the number as text. A read is one range; a write one put; a compare-and-set
one transaction that compares the value (or that the key was never written) and puts.

append: one key `append/<k>` a list, as JSON. A transaction of reads alone is one etcd transaction of ranges. One with
appends reads all its keys so, then writes every changed list in one etcd transaction, if no key has changed since
(their mod_revisions, of the keys that it only read too). "Compare failed" is certain: nothing happened.
"""

from __future__ import annotations

import http.client
import json
from typing import Any, Protocol

from harness.nodes.base import Cluster, Node
from harness.op import Op
from harness.target import DidNotHappen, SessionContext, Unknown
from targets.etcd.gateway import CLIENT_PORT, Gateway, encoded, found, put_of, range_of


class EtcdSession:
    """What all sessions share: one gateway, and how reads are asked for."""

    def __init__(self, gateway: Gateway, context: SessionContext) -> None:
        self._gateway = gateway
        self._context = context
        self._serializable = context.options["reads"] == "serializable"

    def close(self) -> None:
        self._gateway.close()


class RegisterSession(EtcdSession):
    """`read`, `write` and `cas` of one register, see `workloads.register`."""

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def invoke(self, op: Op) -> Op:
        number, value = op.value
        key = f"register/{number}"
        if op.f == "read":
            text, _ = found(self._gateway.post("/v3/kv/range", range_of(key, serializable=self._serializable)))
            return op.replace(type="ok", value=[number, None if text is None else int(text)])
        if op.f == "write":
            self._gateway.post("/v3/kv/put", put_of(key, str(value)))
            return op.replace(type="ok")
        assert op.f == "cas", op.f
        old, new = value
        self._compare_and_set(key, old, new)
        return op.replace(type="ok")

    def _compare_and_set(self, key: str, old: int | None, new: int) -> None:
        if old is None:
            compare = {"key": encoded(key), "target": "VERSION", "result": "EQUAL", "version": "0"}
        else:
            compare = {"key": encoded(key), "target": "VALUE", "result": "EQUAL", "value": encoded(str(old))}
        request = {
            "compare": [compare],
            "success": [{"requestPut": put_of(key, str(new))}],
            "failure": [{"requestRange": {"key": encoded(key)}}],
        }
        answer = self._gateway.post("/v3/kv/txn", request)
        if not answer.get("succeeded", False):
            text, _ = found(answer["responses"][0]["response_range"])
            raise DidNotHappen(f"compare failed: it held {'nothing' if text is None else text}")


class AppendSession(EtcdSession):
    """`txn` of list appends and reads, see `workloads.append`."""

    def is_read(self, op: Op) -> bool:
        return all(f == "r" for f, _, _ in op.value)

    def invoke(self, op: Op) -> Op:
        keys = list(dict.fromkeys(str(key) for _, key, _ in op.value))
        if self.is_read(op):
            lists, _ = self._read(keys, serializable=self._serializable)
            return op.replace(type="ok", value=_applied(op.value, lists))
        try:
            lists, revisions = self._read(keys, serializable=False)
        except Unknown as error:
            raise DidNotHappen(f"reading before the write: {error}", lost=error.lost) from error
        self._context.between_statements()
        done = _applied(op.value, lists)
        changed = dict.fromkeys(str(key) for f, key, _ in op.value if f == "append")
        self._write({key: lists[key] for key in changed}, revisions)
        return op.replace(type="ok", value=done)

    def _read(self, keys: list[str], *, serializable: bool) -> tuple[dict[str, list[Any]], dict[str, int]]:
        """Every key's list and mod_revision, at one revision of the store."""
        ranges = [{"requestRange": range_of(_path(key), serializable=serializable)} for key in keys]
        answer = self._gateway.post("/v3/kv/txn", {"success": ranges})
        lists, revisions = {}, {}
        for key, response in zip(keys, answer["responses"]):
            text, revisions[key] = found(response["response_range"])
            lists[key] = [] if text is None else json.loads(text)
        return lists, revisions

    def _write(self, lists: dict[str, list[Any]], revisions: dict[str, int]) -> None:
        compare = [
            {"key": encoded(_path(key)), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}
            for key, revision in revisions.items()
        ]
        puts = [{"requestPut": put_of(_path(key), json.dumps(items))} for key, items in lists.items()]
        answer = self._gateway.post("/v3/kv/txn", {"compare": compare, "success": puts})
        if not answer.get("succeeded", False):
            raise DidNotHappen("compare failed: a key changed since it was read")


def _path(key: str) -> str:
    return f"append/{key}"


def _applied(micro_ops: list[Any], lists: dict[str, list[Any]]) -> list[Any]:
    """The micro-ops with their reads filled in, applied in order to `lists` (which is changed)."""
    done = []
    for f, key, value in micro_ops:
        items = lists[str(key)]
        if f == "append":
            items.append(value)
            done.append([f, key, value])
        else:
            done.append([f, key, list(items)])
    return done


class SessionMaker(Protocol):
    def __call__(self, gateway: Gateway, context: SessionContext, /) -> Any: ...


class Sessions:
    """A SessionFactory: etcd needs no tables."""

    def __init__(self, make: SessionMaker) -> None:
        self._make = make

    def setup(self, target: Any, cluster: Cluster) -> None:
        """Nothing to make: keys come into being when they are written."""

    def made(self, target: Any, gateway: Gateway, context: SessionContext) -> Any:
        """The session on a gateway that is connected."""
        return self._make(gateway, context)

    def open(self, target: Any, node: Node, context: SessionContext) -> Any:
        host, port = node.endpoint(CLIENT_PORT)
        try:
            return self.made(target, Gateway(host, port, context.timeouts), context)
        except (OSError, http.client.HTTPException) as error:
            raise DidNotHappen(f"{node.name} did not answer: {type(error).__name__}", lost=True) from error
