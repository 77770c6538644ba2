"""`add` and `read` of a set, see `workloads.set`: one key an element, so that adds never meet.

A read is a range over all of them, in pages of `PAGE` keys: the first page as `reads` says, the others at its revision,
so that all of it is one moment's state. A compaction in between ends the read with an error.
"""

from __future__ import annotations

from typing import Any, Final

from harness.op import Op
from targets.etcd.gateway import after, decoded, encoded, put_of
from targets.etcd.sessions import EtcdSession

PREFIX: Final = "set/"
PAGE: Final = 5_000


class SetSession(EtcdSession):
    """See the module's docstring. page: how many keys are asked for at once."""

    page = PAGE

    def is_read(self, op: Op) -> bool:
        return op.f == "read"

    def invoke(self, op: Op) -> Op:
        if op.f == "add":
            self._gateway.post("/v3/kv/put", put_of(_path(op.value), ""))
            return op.replace(type="ok")
        assert op.f == "read", op.f
        return op.replace(type="ok", value=self._read())

    def _read(self) -> list[int]:
        end, elements = after(PREFIX), []
        request: dict[str, Any] = {"key": encoded(PREFIX), "range_end": end, "keys_only": True, "limit": str(self.page)}
        if self._serializable:
            request["serializable"] = True
        while True:
            answer = self._gateway.post("/v3/kv/range", request)
            keys = [decoded(pair["key"]) for pair in answer.get("kvs", [])]
            elements += [int(key.removeprefix(PREFIX)) for key in keys]
            if not answer.get("more"):
                return elements
            revision = request.get("revision", answer["header"]["revision"])
            request |= {"key": encoded(keys[-1] + "\0"), "revision": revision}


def _path(element: int) -> str:
    return f"{PREFIX}{element:010d}"
