"""`grant`, `keep`, `revoke` and `read` of a key under a lease, see `workloads.lease`.

Lease n + 1 belongs to key `lease/<n>`; both numbers are the client's choice, so that every session can renew and revoke
every lease. A grant is two requests, the lease and then the key under it; it is told with the TTL that etcd gave, which
may be longer than the one asked for. Reads are linearizable, whatever `reads` says: a stale one says nothing of a
lease.
"""

from __future__ import annotations

import math

from harness.op import Op
from harness.target import DidNotHappen, SessionContext, Unknown
from targets.etcd.gateway import Gateway, found, put_of, range_of
from targets.etcd.sessions import EtcdSession


class LeaseSession(EtcdSession):
    """See the module's docstring."""

    def __init__(self, gateway: Gateway, context: SessionContext) -> None:
        super().__init__(gateway, context)
        self._ttl_s = math.ceil(context.options["ttl_s"])

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def invoke(self, op: Op) -> Op:
        number, _ = op.value
        if op.f == "read":
            text, _ = found(self._gateway.post("/v3/kv/range", range_of(_key(number), serializable=False)))
            return op.replace(type="ok", value=[number, text is not None])
        lease = str(number + 1)
        if op.f == "grant":
            return op.replace(type="ok", value=[number, self._grant(number, lease)])
        if op.f == "keep":
            return op.replace(type="ok", value=[number, self._keep(lease)])
        assert op.f == "revoke", op.f
        self._gateway.post("/v3/lease/revoke", {"ID": lease})
        return op.replace(type="ok")

    def _grant(self, number: int, lease: str) -> int:
        try:
            given = self._gateway.post("/v3/lease/grant", {"ID": lease, "TTL": str(self._ttl_s)})
        except Unknown as error:
            raise DidNotHappen(f"before the key was written: {error}", lost=error.lost) from error
        self._gateway.post("/v3/kv/put", put_of(_key(number), "held", lease=lease))
        return int(given["TTL"])

    def _keep(self, lease: str) -> int:
        answer = self._gateway.post("/v3/lease/keepalive", {"ID": lease})
        ttl_s = int(answer.get("result", {}).get("TTL", 0))
        if ttl_s <= 0:
            raise DidNotHappen("there is no such lease any more")
        return ttl_s


def _key(number: int) -> str:
    return f"lease/{number}"
