"""Idleness proves nothing: each unmet condition is named, and only then is a run unknown."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.running.activity import Activity
from harness.verdict import Verdict
from tests.checkers.histories import asked, fault, history


def op(process: int, f: str = "read", outcome: str | None = "ok") -> list[tuple[Any, ...]]:
    return [("invoke", process, f, None), *([(outcome, process, f, None)] if outcome else [])]


def window(id_: int, kind: str, *inside: Any, took_effect: bool = True, error: str | None = None) -> list[Any]:
    return [
        fault("invoke", "inject", id_, kind),
        fault("info", "inject", id_, kind, {"took_effect": took_effect} if error is None else None, error),
        *inside,
        fault("invoke", "heal", id_, kind),
        fault("info", "heal", id_, kind, {}),
    ]


def check(records: list[Any], fs: tuple[str, ...] = ("read",), floor: int = 2, kinds: tuple[str, ...] = ()) -> Verdict:
    return Activity(fs=fs, floor=floor, fault_kinds=kinds).check(history(*records), asked())


def test_a_busy_run_is_valid() -> None:
    records = [*op(0), *window(1, "kill", *op(1)), *op(2)]
    verdict = check(records, kinds=("kill",))
    assert (verdict.verdict, verdict.reasons) == ("valid", [])
    assert verdict.stats == {"ok": 3, "invoked": 3, "faults": {"kill": 1}}


@pytest.mark.parametrize(
    ("records", "kinds", "fs", "reason"),
    [
        ([], (), ("read",), "no read succeeded"),
        ([*op(0), *op(0)], (), ("read", "write"), "no write succeeded"),
        (op(0), (), ("read",), "only 1 ops succeeded, 2 are needed"),
        ([*op(0), *op(0), *op(0, outcome="fail") * 30], (), ("read",), "only 2 of 32 ops succeeded"),
        ([*op(0), *op(0)], ("kill",), ("read",), "no kill fault was injected"),
        ([*op(0), *op(0), *window(1, "pause", *op(1))], ("kill",), ("read",), "no kill fault was injected"),
        ([*op(0), *window(1, "kill", *op(1), took_effect=False), *op(2)], ("kill",), ("read",), "seen to take effect"),
        ([*op(0), *window(1, "kill", *op(1), error="no pid"), *op(2)], ("kill",), ("read",), r"effect \(no pid\)"),
        ([*op(0), *window(1, "kill"), *op(2)], ("kill",), ("read",), "no op was in flight while a kill"),
        ([*op(0), *op(0), *window(1, "kill", *op(1, outcome="fail"))], ("kill",), ("read",), "invoked after a kill"),
    ],
)
def test_each_unmet_condition_is_named(records: list[Any], kinds: Any, fs: Any, reason: str) -> None:
    import re

    verdict = check(records, fs=fs, kinds=kinds)
    assert verdict.verdict == "unknown"
    assert any(re.search(reason, each) for each in verdict.reasons), verdict.reasons


def test_an_op_that_never_returned_was_in_flight() -> None:
    records = [*op(0), *op(0), ("invoke", 7, "read", None), *window(1, "kill"), *op(2)]
    assert check(records, kinds=("kill",)).verdict == "valid"


def test_only_the_main_phase_counts_but_recovery_shows_that_it_came_back() -> None:
    def mark(name: str) -> tuple[Any, ...]:
        return ("info", "nemesis", "phase", name)

    idle = [mark("ready"), *op(0), *op(0), mark("main"), *op(0), mark("final"), *op(0)]
    assert check(idle).reasons == ["only 1 ops succeeded, 2 are needed to prove anything"]
    busy = [
        mark("ready"),
        mark("main"),
        *op(0),
        *op(0),
        *window(1, "kill", *op(1, outcome="fail")),
        mark("recovery"),
        *op(2),
    ]
    assert check(busy, kinds=("kill",)).verdict == "valid"


def test_other_fs_do_not_count() -> None:
    records = [*op(0), *op(0, f="read-all")]
    assert check(records).reasons == ["only 1 ops succeeded, 2 are needed to prove anything"]
