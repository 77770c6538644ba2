"""`acquire`, `update` and `release` of a lock with a lease, see `workloads.lock`.

A lock is a key `lock/<n>` that exists while somebody holds it; its token is the revision at which it was made. Who
finds none asks for a lease of `ttl_s` seconds (none where that is 0) and makes the key under it, in a transaction that
compares that there is none; who finds one waits a little for it to go. Nobody keeps the lease alive: a client that
stalls would not either. etcd makes a lease last longer than asked where that is less than one and a half election
timeouts (two seconds with its defaults).

An update reads the guarded key `value/<n>` and writes its successor. With `guard=key` it writes in a transaction that
compares the lock's key: it still is the one that this client made. With `guard=none` it just writes, as one would to
another system that knows nothing of the lock.

Releasing is revoking the lease, which takes the key along; without a lease the key is deleted, if it still is the one
that this client made.
"""

from __future__ import annotations

import math
import time
from typing import Any, Final

from harness.op import Op
from harness.target import DidNotHappen, SessionContext, Unknown
from targets.etcd.gateway import Gateway, encoded, found, put_of, range_of
from targets.etcd.sessions import EtcdSession

WAIT_SHARE: Final = 0.2
"""Of an op's deadline: how long a client waits for a lock that somebody holds."""
LOOK_AGAIN_S: Final = 0.03


class LockSession(EtcdSession):
    """See the module's docstring."""

    def __init__(self, gateway: Gateway, context: SessionContext) -> None:
        super().__init__(gateway, context)
        self._ttl_s = math.ceil(context.options["ttl_s"])
        self._guarded = context.options["guard"] == "key"
        self._leases: dict[int, str] = {}
        """token → its lease."""

    def is_read(self, op: Op) -> bool:
        return False

    def invoke(self, op: Op) -> Op:
        lock, token = op.value
        if op.f == "acquire":
            return op.replace(type="ok", value=[lock, self._acquire(lock)])
        if op.f == "update":
            return op.replace(type="ok", value=[lock, self._update(lock, token)])
        assert op.f == "release", op.f
        self._release(lock, token)
        return op.replace(type="ok")

    def _acquire(self, lock: int) -> int:
        key = _lock(lock)
        try:
            self._await_release(key)
            lease = self._granted()
        except Unknown as error:
            raise DidNotHappen(f"before asking for the lock: {error}", lost=error.lost) from error
        request = {
            "compare": [{"key": encoded(key), "target": "CREATE", "result": "EQUAL", "create_revision": "0"}],
            "success": [{"requestPut": put_of(key, str(self._context.process), lease=lease)}],
        }
        answer = self._gateway.post("/v3/kv/txn", request)
        if not answer.get("succeeded", False):
            raise DidNotHappen("somebody else was faster")
        token = int(answer["header"]["revision"])
        if lease:
            self._leases[token] = lease
        return token

    def _await_release(self, key: str) -> None:
        """Until nobody holds the lock, for a while. Raises DidNotHappen, Unknown."""
        until_s = time.monotonic() + WAIT_SHARE * self._context.timeouts.op_s
        while holder := self._gateway.post("/v3/kv/range", range_of(key, serializable=False)).get("kvs"):
            if time.monotonic() > until_s:
                raise DidNotHappen(f"held since revision {holder[0]['create_revision']}")
            time.sleep(LOOK_AGAIN_S)

    def _granted(self) -> str:
        if not self._ttl_s:
            return ""
        return str(self._gateway.post("/v3/lease/grant", {"TTL": str(self._ttl_s)})["ID"])

    def _update(self, lock: int, token: int) -> list[int]:
        key = f"value/{lock}"
        try:
            text, _ = found(self._gateway.post("/v3/kv/range", range_of(key, serializable=False)))
        except Unknown as error:
            raise DidNotHappen(f"reading before the write: {error}", lost=error.lost) from error
        seen = int(text or 0)
        self._context.between_statements()
        request: dict[str, Any] = {"success": [{"requestPut": put_of(key, str(seen + 1))}]}
        if self._guarded:
            request["compare"] = [_mine(lock, token)]
        answer = self._gateway.post("/v3/kv/txn", request)
        if not answer.get("succeeded", False):
            raise DidNotHappen("the lock is no longer held")
        return [token, seen, seen + 1]

    def _release(self, lock: int, token: int) -> None:
        if self._ttl_s:
            self._gateway.post("/v3/lease/revoke", {"ID": self._leases.pop(token)})
            return
        request = {
            "compare": [_mine(lock, token)],
            "success": [{"requestDeleteRange": {"key": encoded(_lock(lock))}}],
        }
        if not self._gateway.post("/v3/kv/txn", request).get("succeeded", False):
            raise DidNotHappen("the lock is no longer held")


def _lock(number: int) -> str:
    return f"lock/{number}"


def _mine(lock: int, token: int) -> dict[str, str]:
    """The comparison that the lock's key is the one made at this revision."""
    return {"key": encoded(_lock(lock)), "target": "CREATE", "result": "EQUAL", "create_revision": str(token)}
