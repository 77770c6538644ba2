"""What the list-append checker says of histories that a person can follow, and of bad input."""

from __future__ import annotations

import random
from typing import Any

import pytest

from checkers import models
from checkers.transactions.list_append import ListAppend
from harness.checker import CheckOptions
from harness.errors import UsageError
from harness.history import History, HistoryError
from harness.verdict import Verdict
from tests.checkers.txn_histories import random_append_history

A = "append"
FINER = {
    "OTV",
    "fractured-read",
    "causality-violation",
    "prefix-violation",
    "session-causality",
    "PRAM-violation",
    "long-fork",
}
"""What else a cycle may be, see checkers.transactions.list_append_levels."""


def ran(*txns: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Concurrent transactions: all are invoked, then all complete. Each is (type, mop, mop ...), a process each."""
    begun = [
        {"type": "invoke", "process": i, "f": "txn", "value": [m if m[0] == A else ["r", m[1], None] for m in mops]}
        for i, (_, *mops) in enumerate(txns)
    ]
    done = [{"type": type_, "process": i, "f": "txn", "value": mops} for i, (type_, *mops) in enumerate(txns)]
    return begun + [op for op in done if op["type"] != "never"]


def one_by_one(*txns: tuple[Any, ...]) -> list[dict[str, Any]]:
    """The same transactions one after the other, each by a client of its own."""
    ops = ran(*txns)
    return [op for i in range(len(txns)) for op in ops if op["process"] == i]


def check(ops: list[dict[str, Any]], model: str | None = None, **options: Any) -> Verdict:
    return ListAppend().check(History.from_ops(ops), CheckOptions(model=model, **options))


def types(ops: list[dict[str, Any]]) -> list[str]:
    return check(ops).anomaly_types


def test_an_empty_history_and_one_with_nothing_to_order_are_valid() -> None:
    assert check([]).verdict == "valid"
    assert check(ran(("ok", ["r", "x", None]))).verdict == "valid"
    assert check(ran(("never", [A, "x", 1]))).verdict == "valid"
    assert check(ran(("ok",), ("fail",), ("info",))).verdict == "valid"


def test_write_skew() -> None:
    ops = ran(
        ("ok", ["r", "x", []], [A, "y", 1]),
        ("ok", ["r", "y", []], [A, "x", 1]),
        ("ok", ["r", "x", [1]], ["r", "y", [1]]),
    )
    verdict = check(ops)
    assert verdict.verdict == "invalid"
    assert verdict.anomaly_types == ["G2-item"]
    assert verdict.anomaly_counts == {"G2-item": 1}
    assert verdict.not_ == ["repeatable-read"]
    (anomaly,) = verdict.anomalies
    assert "write skew" in anomaly.sentence
    assert "read x = []" in anomaly.sentence
    assert [(edge.source, edge.target, edge.kind, edge.key) for edge in anomaly.cycle] in (
        [(3, 4, "rw", "x"), (4, 3, "rw", "y")],
        [(4, 3, "rw", "y"), (3, 4, "rw", "x")],
    )
    below = check(ops, "snapshot-isolation")
    assert below.verdict == "valid"
    assert not below.anomalies[0].counts
    assert below.not_ == verdict.not_


def test_every_write_skew_is_counted() -> None:
    ops = []
    for pair in range(31):
        x, y = 2 * pair, 2 * pair + 1
        ops += [
            {"type": "invoke", "process": 0, "f": "txn", "value": [["r", x, None], [A, y, 1]]},
            {"type": "invoke", "process": 1, "f": "txn", "value": [["r", y, None], [A, x, 1]]},
            {"type": "ok", "process": 0, "f": "txn", "value": [["r", x, []], [A, y, 1]]},
            {"type": "ok", "process": 1, "f": "txn", "value": [["r", y, []], [A, x, 1]]},
        ]
    verdict = check(ops, max_shown=3)
    assert verdict.anomaly_counts == {"G2-item": 31}
    assert len(verdict.anomalies) == 3


def test_lost_update() -> None:
    verdict = check(
        ran(("ok", [A, "x", 1]), ("ok", ["r", "x", [1]], [A, "x", 2]), ("ok", ["r", "x", [1]], [A, "x", 3])),
        "snapshot-isolation",
    )
    assert verdict.verdict == "invalid"
    assert "lost-update" in verdict.anomaly_types
    assert verdict.not_ == ["cursor-stability", "update-atomic"] or "repeatable-read" in verdict.also_not
    sentence = next(a.sentence for a in verdict.anomalies if a.type == "lost-update")
    assert "both read x = [1], and each then appended without seeing the other's append" in sentence


def test_read_skew() -> None:
    verdict = check(ran(("ok", [A, "x", 1], [A, "y", 1]), ("ok", ["r", "x", [1]], ["r", "y", []])))
    assert verdict.anomaly_types == ["G-single-item", "OTV"]
    assert "read skew" in verdict.anomalies[0].sentence
    assert verdict.not_ == ["consistent-view", "monotonic-atomic-view"]


def test_stale_read_counts_only_against_realtime() -> None:
    ops = one_by_one(("ok", [A, "x", 1]), ("ok", ["r", "x", []]))
    assert types(ops) == ["G-single-item-realtime"]
    assert check(ops, "serializable").verdict == "valid"
    assert check(ops, "strong-snapshot-isolation").verdict == "invalid"
    (anomaly,) = check(ops).anomalies
    assert [edge.kind for edge in anomaly.cycle] == ["rw", "realtime"]
    assert "was done" in anomaly.sentence


def test_session_order_is_named_as_such() -> None:
    ops = [
        {"type": "invoke", "process": 0, "f": "txn", "value": [[A, "x", 1]]},
        {"type": "ok", "process": 0, "f": "txn", "value": [[A, "x", 1]]},
        {"type": "invoke", "process": 0, "f": "txn", "value": [["r", "x", None]]},
        {"type": "ok", "process": 0, "f": "txn", "value": [["r", "x", None]]},
    ]
    assert types(ops) == ["G-single-item-process", "read-your-writes"]
    assert check(ops, "strong-session-serializable").verdict == "invalid"
    assert check(ops, "serializable").verdict == "valid"


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        (ran(("fail", [A, "x", 1]), ("ok", ["r", "x", [1]])), {"G1a"}),
        (ran(("ok", [A, "x", 1], [A, "x", 2]), ("ok", ["r", "x", [1]]), ("ok", ["r", "x", [1, 2]])), {"G1b"}),
        (ran(("ok", [A, "x", 1], ["r", "y", [1]]), ("ok", [A, "y", 1], ["r", "x", [1]])), {"G1c"}),
        (
            ran(
                ("ok", [A, "x", 1], [A, "y", 2]),
                ("ok", [A, "x", 2], [A, "y", 1]),
                ("ok", ["r", "x", [1, 2]], ["r", "y", [1, 2]]),
            ),
            {"G0"},
        ),
        (
            ran(("ok", [A, "x", 1]), ("ok", [A, "x", 2]), ("ok", ["r", "x", [1]]), ("ok", ["r", "x", [2]])),
            {"incompatible-order"},
        ),
        (ran(("ok", ["r", "x", [7]])), {"garbage-read"}),
        (ran(("ok", ["r", "x", [1]], [A, "x", 1])), {"future-read"}),
        (ran(("ok", [A, "x", 1], ["r", "x", []])), {"internal"}),
        (ran(("ok", [A, "x", 1]), ("ok", ["r", "x", [1, 1]])), {"duplicate-elements"}),
        (ran(("ok", [A, "x", 1]), ("ok", [A, "x", 1])), {"duplicate-elements"}),
        (ran(("ok", [A, "x", 1], [A, "x", 2]), ("ok", ["r", "x", [2]])), {"cyclic-versions"}),
        (ran(("fail", [A, "x", 1]), ("ok", [A, "x", 2]), ("ok", ["r", "x", [1, 2]])), {"G1a", "dirty-update"}),
        (
            ran(
                ("ok", [A, "x", 1]),
                ("ok", [A, "y", 1]),
                ("ok", ["r", "x", [1]], ["r", "y", []]),
                ("ok", ["r", "x", []], ["r", "y", [1]]),
            ),
            {"G-nonadjacent-item"},
        ),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else "",
)
def test_each_anomaly_by_its_simplest_case(ops: list[dict[str, Any]], expected: set[str]) -> None:
    verdict = check(ops)
    assert expected <= set(verdict.anomaly_types)
    assert set(verdict.anomaly_types) - expected <= {"G-single-item", "G2-item", *FINER}
    assert verdict.verdict == "invalid"
    for anomaly in verdict.anomalies:
        assert anomaly.ops
        assert set(anomaly.ops) <= set(anomaly.sub_history)
        assert "T1 (op " in anomaly.sentence


@pytest.mark.parametrize(
    "ops",
    [
        ran(("ok", ["r", "x", [7]])),
        ran(("ok", ["r", "x", [1]], [A, "x", 1])),
        ran(("ok", [A, "x", 1], ["r", "x", []])),
        ran(("ok", [A, "x", 1], [A, "x", 2]), ("ok", ["r", "x", [2]])),
    ],
)
def test_what_no_execution_explains_is_invalid_under_every_model(ops: list[dict[str, Any]]) -> None:
    for model in models.MODELS:
        assert check(ops, model).verdict == "invalid", model


def test_unknown_outcomes() -> None:
    """One is committed as soon as it is seen; its reads say nothing; it never ended."""
    assert check(ran(("info", [A, "x", 1]), ("ok", ["r", "x", []]))).verdict == "valid"
    assert check(ran(("info", [A, "x", 1]), ("ok", ["r", "x", [1]]))).verdict == "valid"
    assert check(ran(("info", ["r", "x", [9]], [A, "x", 1]), ("ok", ["r", "x", [1]]))).verdict == "valid"
    late = one_by_one(("info", [A, "x", 1]), ("ok", ["r", "x", []]), ("ok", ["r", "x", [1]]))
    assert check(late).verdict == "valid"
    skewed = ran(("info", [A, "x", 1], [A, "y", 1]), ("ok", ["r", "x", [1]], ["r", "y", []]))
    assert types(skewed) == ["G-single-item", "OTV"]


def test_open_orders_matter_for_snapshot_isolation() -> None:
    """T1 read x first and wrote it, so it came before T2 there; T2 read y before T1 wrote it."""
    ops = ran(
        ("ok", ["r", "x", []], [A, "x", 1], [A, "y", 1]),
        ("ok", [A, "x", 2], ["r", "y", []]),
        ("ok", [A, "y", 2]),
    )
    verdict = check(ops, "snapshot-isolation")
    assert verdict.verdict == "invalid"
    assert "G-single-item" in verdict.anomaly_types
    assert "in every possible order" in next(a.sentence for a in verdict.anomalies if a.type == "G-single-item")


def test_without_invocations_realtime_is_unknown() -> None:
    ops = [op for op in one_by_one(("ok", [A, "x", 1]), ("ok", ["r", "x", []])) if op["type"] != "invoke"]
    strict = check(ops, "strict-serializable")
    assert strict.verdict == "unknown"
    assert "invocations" in strict.reasons[0]
    assert check(ops, "serializable").verdict == "valid"
    skew = [op for op in ran(("ok", [A, "x", 1], ["r", "y", [1]]), ("ok", [A, "y", 1])) if op["type"] != "invoke"]
    assert check(skew, "strong-session-serializable").verdict == "valid"
    broken = [op for op in ran(("ok", ["r", "x", [7]])) if op["type"] != "invoke"]
    assert check(broken, "strict-serializable").verdict == "invalid"


def test_a_value_that_may_have_been_appended_twice_leaves_its_key_unknown() -> None:
    ops = ran(("ok", [A, "x", 1]), ("info", [A, "x", 1]), ("ok", ["r", "x", []]))
    verdict = check(ops)
    assert verdict.verdict == "unknown"
    assert "unique" in verdict.reasons[0]
    assert check(ran(("fail", [A, "x", 1]), ("ok", [A, "x", 1]), ("ok", ["r", "x", [1]]))).verdict == "valid"


@pytest.mark.parametrize("values", [(1, 2), ("a", "b"), (1.5, None), (True, 1), (10**30, 2), (1.0, 1), ([1], {"a": 2})])
def test_values_of_any_kind(values: tuple[Any, Any]) -> None:
    one, two = values
    good = ran(("ok", [A, "x", one]), ("ok", [A, "x", two]), ("ok", ["r", "x", [one, two]]))
    assert check(good).verdict == "valid"
    bad = ran(("ok", [A, "x", one], ["r", "y", [two]]), ("ok", [A, "y", two], ["r", "x", [one]]))
    assert types(bad) == ["G1c"]


@pytest.mark.parametrize("key", [0, -5, "k", 10**30, 2**62, None, 1.5, [1, 2]])
def test_keys_of_any_kind(key: Any) -> None:
    bad = ran(("ok", [A, key, 1], ["r", "other", [1]]), ("ok", [A, "other", 1], ["r", key, [1]]))
    assert types(bad) == ["G1c"]


@pytest.mark.parametrize(
    "value",
    [5, "text", [["append", 1]], [["write", 1, 2]], [7], [["r", 1, 5]], [["r", 1, "abc"]], [[None, None, None]]],
)
def test_malformed_values_are_one_clear_error(value: Any) -> None:
    ops = [
        {"type": "invoke", "process": 0, "f": "txn", "value": []},
        {"type": "ok", "process": 0, "f": "txn", "value": value},
    ]
    with pytest.raises(HistoryError, match="op 1"):
        check(ops)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(UsageError, match="snapshot-isolation"):
        check([], "snapshots")


def test_aliases_are_judged_as_what_they_mean() -> None:
    stale = one_by_one(("ok", [A, "x", 1]), ("ok", ["r", "x", []]))
    assert check(stale, "linearizable").verdict == "invalid"
    assert check(stale, "strong-serializable").model == "strict-serializable"


def test_mutations_of_a_valid_history_never_make_it_more_valid() -> None:
    """Flip a read, and the verdict changes or the read was not decided; here: shown elements that nobody wrote."""
    for seed in range(60):
        ops = random_append_history(random.Random(seed), 6, 2, 3, corrupt=False)
        for place, op in enumerate(ops):
            if op["type"] == "ok" and any(m[0] == "r" for m in op["value"]):
                body = [[*m[:2], [*(m[2] or []), 999]] if m[0] == "r" else m for m in op["value"]]
                changed = [*ops[:place], {**op, "value": body}, *ops[place + 1 :]]
                assert check(changed, "read-uncommitted").verdict == "invalid"
                break


def test_many_unread_appends_and_many_readers_take_few_edges() -> None:
    ops = []
    for i in range(400):
        ops += ran(("ok", ["r", "x", []]))
        ops += ran(("ok", [A, "x", i]))
    for i, op in enumerate(ops):
        op["process"] = i // 2
    verdict = check(ops)
    assert verdict.anomaly_types == ["G-single-item-realtime"]
    assert check(ops, "serializable").verdict == "valid"
    everyone = ran(*[("ok", ["r", "x", []], [A, "x", i]) for i in range(60)])
    assert {"lost-update", "G2-item"} <= set(types(everyone))
    assert check(everyone, "serializable").verdict == "invalid"
    assert check(everyone, "monotonic-view").verdict == "valid"


def test_the_sub_history_has_the_read_that_shows_an_unread_append_came_last() -> None:
    def txn(type_: str, process: int, *mops: list[Any]) -> dict[str, Any]:
        return {"type": type_, "process": process, "f": "txn", "value": list(mops)}

    unread, read_, look = [A, "x", 2], [A, "x", 3], ["r", "x", [3]]
    ops = [txn("invoke", 1, unread), txn("ok", 1, unread), txn("invoke", 2, read_), txn("ok", 2, read_)]
    ops += [txn("invoke", 3, ["r", "x", None]), txn("ok", 3, look)]
    found = [anomaly for anomaly in check(ops).anomalies if anomaly.type == "G0-realtime"]
    assert found, "the first append was done before the second began, and is not where it belongs"
    for anomaly in found:
        kept = [op for place, op in enumerate(ops) if place in anomaly.sub_history]
        assert check(kept).verdict == "invalid"


def test_a_budget_that_is_hit_leaves_the_cycles_unknown_and_says_so() -> None:
    skew = ran(("ok", ["r", "x", []], [A, "y", 1]), ("ok", ["r", "y", []], [A, "x", 1]))
    assert check(skew).verdict == "invalid"
    for name, word in (("time_budget_s", "budget of -1 s"), ("memory_budget_mb", "the budget is -1 MB")):
        verdict = check(skew, **{name: -1})
        assert verdict.verdict == "unknown"
        assert word in verdict.reasons[0]
    dirty = ran(("fail", [A, "x", 1]), ("ok", ["r", "x", [1]]))
    assert check(dirty, memory_budget_mb=-1).verdict == "invalid"


def test_sessions_broken_among_writes_alone_are_named_beside_a_worse_cycle() -> None:
    """Found by the oracle: the session edge of a G0-process runs beside a wr edge, with which the cycle is a G1c."""
    ops = [
        {"process": 0, "value": [["append", 0, 1], ["append", 1, 1], ["r", 0, [1]]]},
        {"process": 0, "value": [["append", 1, 2], ["r", 0, [1]], ["r", 1, [2]]]},
    ]
    records = [{"type": type_, "f": "txn", **op} for op in ops for type_ in ("invoke", "ok")]
    verdict = ListAppend().check(History.from_ops(records), CheckOptions(model="strong-session-read-uncommitted"))
    assert verdict.verdict == "invalid"
    assert {"G1c", "G0-process"} <= set(verdict.anomaly_types)


def test_an_order_of_unread_appends_that_cursor_stability_forces_may_be_a_circle() -> None:
    """Found by the oracle: who read a list and appended to it must be next; here it would be next to itself."""
    bodies = [
        [["append", 0, 1]],
        [["append", 0, 2], ["append", 1, 1]],
        [["append", 0, 3], ["r", 0, [1, 2, 3]], ["r", 1, []], ["append", 1, 2]],
    ]
    records = [
        {"type": type_, "f": "txn", "process": 0, "value": body} for body in bodies for type_ in ("invoke", "ok")
    ]
    verdict = ListAppend().check(History.from_ops(records), CheckOptions(model="cursor-stability"))
    assert verdict.verdict == "invalid"
    assert "G-cursor" in verdict.anomaly_types


@pytest.mark.parametrize("itself", [True, False])
@pytest.mark.parametrize("model", ["read-uncommitted", "snapshot-isolation", "serializable", "strict-serializable"])
def test_only_the_middle_one_of_three_appends_is_seen(itself: bool, model: str) -> None:
    three = [A, "y", 1], [A, "y", 2], [A, "y", 3]
    seen = ["r", "y", [2]]
    first = [("ok", seen, *three)] if itself else [("ok", *three), ("ok", seen)]
    verdict = check(one_by_one(*first, ("ok", ["r", "y", []])), model)
    assert verdict.verdict == "invalid"
    assert ("future-read" if itself else "G1b") in verdict.anomaly_types
