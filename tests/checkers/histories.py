"""Short ways to write histories in tests."""

from __future__ import annotations

from typing import Any

from harness.checker import CheckOptions
from harness.history import History


def history(*records: tuple[Any, ...]) -> History:
    """Records as (type, process, f, value[, error[, node]]), a millisecond apart."""
    ops = []
    for place, (type_, process, f, value, *rest) in enumerate(records):
        op = {"index": place, "time": place * 1_000_000, "type": type_, "process": process, "f": f, "value": value}
        op.update(zip(("error", "node"), rest))
        ops.append(op)
    return History.from_ops(ops)


def fault(
    type_: str, f: str, id_: int, kind: str, observed: dict[str, Any] | None = None, error: str | None = None
) -> Any:
    """A record of a fault's life."""
    value = {"id": id_, "kind": kind, "lane": kind, "nodes": ["n1"], "params": {}}
    if observed is not None:
        value["observed"] = observed
    return (type_, "nemesis", f, value, error)


def asked(model: str | None = None, **workload: Any) -> CheckOptions:
    """Options with a model and the workload's own."""
    return CheckOptions(model=model, workload=workload)
