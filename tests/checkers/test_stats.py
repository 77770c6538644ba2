"""Statistics and availability: the figures are those of the record, and never a verdict."""

from __future__ import annotations

from checkers.running.availability import Availability
from checkers.running.stats import Stats
from harness.history import History
from tests.checkers.histories import asked, fault, history


def test_counts_latencies_and_errors() -> None:
    records = [
        ("invoke", 0, "read", None),
        ("ok", 0, "read", 1),
        ("invoke", 0, "read", None),
        ("invoke", 1, "write", 3),
        fault("invoke", "inject", 1, "kill"),
        ("ok", 0, "read", 1),
        ("info", 1, "write", 3, "timeout: no answer from n1"),
        ("invoke", 2, "write", 3),
        ("fail", 2, "write", 3, "refused"),
        ("invoke", 4, "write", 3),
    ]
    verdict = Stats().check(history(*records), asked())
    assert verdict.verdict == "valid"
    stats = verdict.stats
    assert (stats["invoked"], stats["ok"], stats["fail"], stats["info"]) == (5, 2, 1, 2)
    assert stats["by_f"]["read"] == {
        "invoked": 2, "ok": 2, "fail": 0, "info": 0,
        "latency_ms_p50": 2.0, "latency_ms_p95": 2.9, "latency_ms_p99": 2.98, "latency_ms_max": 3.0,
    }  # fmt: skip
    assert "inject" not in stats["by_f"]
    assert stats["errors"] == {"timeout": 1, "refused": 1}


def test_nothing_recorded() -> None:
    empty = History.from_ops([])
    assert Stats().check(empty, asked()).stats["ok"] == 0
    assert Availability().check(empty, asked()).stats == {"longest_without_success_s": {}, "windows": []}


def test_gaps_and_recovery() -> None:
    def op(time_s: float, type_: str, process: int, node: str) -> dict[str, object]:
        return {"time": int(time_s * 1e9), "type": type_, "process": process, "f": "read", "value": None, "node": node}

    def nemesis(time_s: float, type_: str, f: str, observed: dict[str, object] | None = None) -> dict[str, object]:
        value = {"id": 1, "kind": "kill", "lane": "kill", "nodes": ["n1"], "observed": observed or {}}
        return {"time": int(time_s * 1e9), "type": type_, "process": "nemesis", "f": f, "value": value}

    records = [
        op(0, "invoke", 0, "n1"), op(1, "ok", 0, "n1"),
        op(1, "invoke", 1, "n2"), op(2, "ok", 1, "n2"),
        nemesis(3, "invoke", "inject"), nemesis(3, "info", "inject", {"took_effect": True}),
        op(4, "invoke", 1, "n2"), op(5, "invoke", 0, "n1"), op(6, "ok", 1, "n2"),
        nemesis(9, "invoke", "heal"), nemesis(10, "info", "heal"),
        op(11, "ok", 0, "n1"),
        op(12, "invoke", 0, "n1"), op(14.5, "ok", 0, "n1"),
        op(15, "invoke", 3, "n3"),
    ]  # fmt: skip
    stats = Availability().check(History.from_ops(records), asked()).stats
    assert stats["longest_without_success_s"] == {"all": 5.0, "n1": 10.0, "n2": 9.0, "n3": 15.0}
    (window,) = stats["windows"]
    assert (window["begin_s"], window["end_s"], window["ok_during"]) == (3.0, 10.0, 1)
    assert window["longest_without_success_s"] == 5.0
    assert window["recovery_s"] == {"all": 4.5, "n1": 4.5, "n2": None, "n3": None}
