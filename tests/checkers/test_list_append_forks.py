"""Long forks in histories of lists, against their definition tried on all pairs of readers, keys and appends."""

from __future__ import annotations

import os
from itertools import permutations
from typing import Any

from hypothesis import HealthCheck, given, settings

from checkers import models
from checkers.transactions.list_append import ListAppend
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Verdict
from tests.checkers.test_list_append import A, ran
from tests.checkers.txn_graph_oracle import names_by_order
from tests.checkers.txn_histories import Op, append_histories
from tests.checkers.txn_oracle import Txn, transactions

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def check(ops: list[Op], limit: int = 8) -> Verdict:
    return ListAppend().check(History.from_ops(ops), CheckOptions(max_shown=limit))


def forked(ops: list[Op]) -> bool:
    """Whether two readers disagree: one saw an append and missed another, the other the reverse.

    The two are of different keys, which both readers read; of different transactions, which are none of the readers.
    """
    txns = transactions(ops)
    writer = {(k, v): i for i, txn in enumerate(txns) for name, k, v in txn.mops if name == "append"}
    reads = {i: _reads(txn) for i, txn in enumerate(txns) if txn.type == "ok"}
    for one, other in permutations(reads, 2):
        for x, x_one in reads[one]:
            for _, x_other in (read for read in reads[other] if read[0] == x):
                for y, y_one in (read for read in reads[one] if read[0] != x):
                    for _, y_other in (read for read in reads[other] if read[0] == y):
                        first = {writer[x, v] for v in x_one if v not in x_other} - {one, other}
                        second = {writer[y, v] for v in y_other if v not in y_one} - {one, other}
                        if len(first | second) > 1 and first and second:
                            return True
    return False


def _reads(txn: Txn) -> list[tuple[Any, list[Any]]]:
    """Keys and lists; but those after an own append of the key, and those that show a later own one."""
    found, wrote = [], set()
    own = {(k, v) for name, k, v in txn.mops if name == "append"}
    for name, key, value in txn.mops:
        if name == "append":
            wrote.add(key)
        elif key not in wrote and not any((key, v) in own for v in value or ()):
            found.append((key, list(value or ())))
    return found


@thorough
@given(append_histories(txns=6, keys=2, mops=3))
def test_a_long_fork_is_named_exactly_where_two_readers_disagree(ops: list[Op]) -> None:
    if names_by_order(ops) is None:
        return
    verdict = check(ops)
    direct = forked(ops)
    named = "long-fork" in verdict.anomaly_types
    assert named or not direct
    if direct:
        assert {*models.ruled_out(["long-fork"])[0]} <= {*verdict.not_, *verdict.also_not}
    if named and not direct:
        other = set(verdict.anomaly_types) - {"long-fork"}
        assert not any(models.counts_against(name, "prefix") for name in other), verdict.anomaly_types
    for limit in (0, 1):
        assert check(ops, limit).anomaly_counts == verdict.anomaly_counts


def forks(count: int) -> list[tuple[Any, ...]]:
    """So many pairs of keys and of readers that disagree about them, and a read skew among each pair's writers."""
    parts: list[tuple[Any, ...]] = []
    for i in range(count):
        x, y = f"x{i}", f"y{i}"
        parts += [
            ("ok", [A, x, 1]),
            ("ok", [A, y, 1]),
            ("ok", ["r", x, [1]], ["r", y, []]),
            ("ok", ["r", x, []], ["r", y, [1]]),
            ("ok", [A, x, 2], [A, y, 2]),
            ("ok", ["r", y, [1, 2]], ["r", x, [1]]),
        ]
    return parts


def test_every_fork_counts_whatever_is_shown_and_whatever_else_is_there() -> None:
    ops = ran(*forks(12))
    for limit in (0, 1, 8):
        verdict = check(ops, limit)
        assert verdict.anomaly_counts["long-fork"] == 12
        assert verdict.anomaly_counts["OTV"] == 12
        shown = [anomaly for anomaly in verdict.anomalies if anomaly.type == "long-fork"]
        assert len(shown) == limit
        for anomaly in shown:
            assert [edge.kind for edge in anomaly.cycle] == ["rw", "wr", "rw", "wr"]
            kept = [op for i, op in enumerate(ops) if i in anomaly.sub_history]
            assert check(kept).anomaly_counts["long-fork"] == 1


def test_one_writer_torn_both_ways_is_no_fork_and_hides_none() -> None:
    torn = [
        ("ok", [A, "x", 1], [A, "y", 1]),
        ("ok", ["r", "x", [1]], ["r", "y", []]),
        ("ok", ["r", "x", []], ["r", "y", [1]]),
    ]
    assert "long-fork" not in check(ran(*torn)).anomaly_types
    more = [("ok", [A, "x", 2]), ("ok", ["r", "x", [1, 2]], ["r", "y", []])]
    assert check(ran(*torn, *more)).anomaly_counts["long-fork"] == 1


def test_who_read_and_then_wrote_is_no_second_writer() -> None:
    ops = ran(
        ("ok", [A, "y", 1]),
        ("ok", ["r", "x", []], ["r", "y", [1]], [A, "x", 1]),
        ("ok", ["r", "x", [1]], ["r", "y", []]),
    )
    assert "long-fork" not in check(ops).anomaly_types
