"""Goal: whoever has a history of Jepsen's own tests can have it judged, under Jepsen's name of the workload.

Method: for each of Jepsen's workloads a few lines of EDN as that test's client writes them (keywords, maps, sets,
independent keys, extra fields, faults among them), once right and once wrong; and for those of Jepsen's tests whose ops
say too little or something else, the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.history import HistoryError
from harness.judging import check
from harness.registry import find_workload, own_name
from workloads import JEPSEN_NAMES, REGISTRY

CALL = tuple[int, str, str, str] | tuple[int, str, str, str, str]
"""process, f, the invocation's value, the ok completion's; further fields of both."""
FAULT = "{:type :info, :f :start-partition, :value :majority, :process :nemesis, :time 1, :index 0}"


def edn(calls: Sequence[CALL]) -> str:
    lines = [FAULT]
    for process, f, asked, told, *more in calls:
        for type_, value in (("invoke", asked), ("ok", told)):
            fields = [f":type :{type_}", f":f :{f}", f":process {process}", f":time {len(lines) * 1_000_000}", *more]
            if value:
                fields.insert(2, f":value {value}")
            lines.append("{" + ", ".join(fields) + f", :index {len(lines)}}}")
    return "\n".join(lines) + "\n"


RIGHT: dict[str, list[CALL]] = {
    "bank": [
        (0, "read", "", "{0 10, 1 10}"),
        (0, "transfer", "{:from 0, :to 1, :amount 3}", "{:from 0, :to 1, :amount 3}"),
        (1, "read", "nil", "{0 7, 1 13}"),
    ],
    "set": [(0, "add", "0", "0"), (1, "add", "1", "1"), (2, "read", "nil", "#{0 1}")],
    "set-full": [(0, "add", "0", "0"), (2, "read", "", "[0]"), (1, "add", "1", "1"), (2, "read", "", "(0 1)")],
    "total-queue": [
        (0, "enqueue", "0", "0"),
        (0, "enqueue", "1", "1"),
        (1, "dequeue", "", "0"),
        (2, "drain", "", "(1)"),
        (2, "drain", "", "()"),
    ],
    "unique-ids": [(0, "generate", "", '"n1-1"'), (1, "generate", "", '"n2-1"')],
    "counter": [(0, "add", "1", "1"), (1, "add", "-2", "-2"), (2, "read", "nil", "-1")],
    "lock": [(0, "acquire", "", ""), (0, "release", "", ""), (1, "acquire", "", "")],
    "mutex": [(0, "acquire", "nil", "nil"), (0, "release", "nil", "nil"), (1, "acquire", "nil", "nil")],
    "fenced-lock": [
        (0, "acquire", "", '{:client "c1", :fence 1}'),
        (0, "release", "", '{:client "c1"}'),
        (1, "acquire", "", '{:client "c2", :fence 2}'),
    ],
    "adya": [(0, "insert", "[0 [nil 1]]", "[0 [nil 1]]"), (1, "insert", "[1 [2 nil]]", "[1 [2 nil]]")],
    "long-fork": [
        (0, "txn", "[[:w 0 1]]", "[[:w 0 1]]"),
        (1, "txn", "[[:r 1 nil] [:r 0 nil]]", "[[:r 1 nil] [:r 0 1]]"),
        (0, "txn", "[[:w 1 1]]", "[[:w 1 1]]"),
    ],
    "causal": [
        (0, "read-init", "[0 nil]", "[0 0]", ":link :init, :position 1"),
        (0, "write", "[0 1]", "[0 1]", ":link 1, :position 2"),
        (0, "read", "[0 nil]", "[0 1]", ":link 2, :position 3"),
    ],
    "sequential": [(0, "write", "5", "5"), (1, "read", "5", '[5 [nil "5_1" "5_0"]]')],
    "monotonic": [(0, "inc", "[3 nil]", "[3 1]"), (1, "read", "[4 nil]", "[4 0]"), (1, "read", "[3 nil]", "[3 1]")],
    "list-append": [
        (0, "txn", "[[:append 5 1] [:r 5 nil]]", "[[:append 5 1] [:r 5 [1]]]"),
        (1, "txn", "[[:r 5 nil]]", "[[:r 5 [1]]]"),
    ],
    "wr": [(0, "txn", "[[:w 5 1]]", "[[:w 5 1]]"), (1, "txn", "[[:r 5 nil]]", "[[:r 5 1]]")],
    "linearizable-register": [
        (0, "write", "[0 1]", "[0 1]"),
        (1, "cas", "[0 [1 2]]", "[0 [1 2]]"),
        (2, "read", "[0 nil]", "[0 2]"),
    ],
}
"""By Jepsen's names; the lock tests are those of etcd and Hazelcast, monotonic is Dgraph's `sequential`."""

WRONG: dict[str, tuple[str, list[CALL]]] = {
    "bank": ("wrong-total", [*RIGHT["bank"], (1, "read", "nil", "{0 7, 1 10}")]),
    "set": ("lost-write", [*RIGHT["set"][:2], (2, "read", "", "#{0}")]),
    "set-full": ("stale-read", [*RIGHT["set-full"][:1], (2, "read", "", "[]"), *RIGHT["set-full"][1:]]),
    "total-queue": ("lost-write", [*RIGHT["total-queue"][:3], (2, "drain", "", "()")]),
    "unique-ids": ("duplicate-id", [*RIGHT["unique-ids"], (1, "generate", "", '"n1-1"')]),
    "counter": ("wrong-count", [*RIGHT["counter"], (2, "read", "nil", "1")]),
    "lock": ("two-holders", [*RIGHT["lock"], (0, "acquire", "", ""), (1, "release", "", "")]),
    "mutex": ("held-twice", [*RIGHT["mutex"], (0, "acquire", "nil", "nil")]),
    "fenced-lock": ("held-twice", [*RIGHT["fenced-lock"], (0, "acquire", "", '{:client "c1", :fence 3}')]),
    "adya": ("G2", [*RIGHT["adya"], (1, "insert", "[0 [2 nil]]", "[0 [2 nil]]")]),
    "long-fork": (
        "long-fork",
        [*RIGHT["long-fork"], (2, "txn", "[[:r 0 nil] [:r 1 nil]]", "[[:r 0 nil] [:r 1 1]]")],
    ),
    "causal": ("WriteCOInitRead", [*RIGHT["causal"], (0, "read", "[0 nil]", "[0 0]", ":link 3, :position 4")]),
    "sequential": ("nonsequential", [*RIGHT["sequential"], (1, "read", "5", '[5 ["5_2" nil "5_0"]]')]),
    "monotonic": ("non-monotonic-read", [*RIGHT["monotonic"], (1, "read", "[3 nil]", "[3 0]")]),
    "list-append": ("incompatible-order", [*RIGHT["list-append"], (1, "txn", "[[:r 5 nil]]", "[[:r 5 [2 1]]]")]),
    "wr": ("garbage-read", [*RIGHT["wr"], (1, "txn", "[[:r 5 nil]]", "[[:r 5 7]]")]),
    "linearizable-register": ("stale-read", [*RIGHT["linearizable-register"], (2, "read", "[0 nil]", "[0 1]")]),
}
"""The finding that must be among those told."""


@pytest.mark.parametrize("name", RIGHT)
def test_jepsens_own_histories_are_judged(name: str, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.edn", tmp_path / "wrong.edn"
    right.write_text(edn(RIGHT[name]))
    kind, calls = WRONG[name]
    wrong.write_text(edn(calls))
    assert check(right, workload=name).anomalies == []
    assert check(right, workload=name).verdict == "valid"
    found = check(wrong, workload=name)
    assert (found.verdict, kind in found.anomaly_types) == ("invalid", True), found.anomaly_counts


TIDB: list[CALL] = [
    (0, "inc", "3", "{3 0}"),
    (1, "read", "{3 nil, 4 nil}", "{3 0, 4 -1}"),
    (0, "inc", "4", "{4 0}"),
    (1, "read", "{3 nil, 4 nil}", "{3 0, 4 0}"),
]


def test_counters_that_are_read_together_as_tidbs_monotonic_records_them(tmp_path: Path) -> None:
    file = tmp_path / "history.edn"
    file.write_text(edn(TIDB))
    assert check(file, workload="monotonic", model="strict-serializable").verdict == "valid"
    file.write_text(edn([*TIDB, (2, "read", "{3 nil, 4 nil}", "{3 -1, 4 0}")]))
    found = check(file, workload="monotonic", model="serializable")
    assert (found.verdict, [anomaly.type for anomaly in found.anomalies if anomaly.counts]) == (
        "invalid",
        ["G-nonadjacent-item"],
    )


ROW = "{:val 0, :sts 14710000000000000000000001N, :node 1, :tb 0}"
OTHERS: dict[str, tuple[str, list[CALL], str]] = {
    "CockroachDB's monotonic": (
        "monotonic",
        [(0, "add", "0", ROW), (1, "read", "", f"[{ROW}]")],
        r"known are the ops inc, read, not 'add'",
    ),
    "Fauna's monotonic": (
        "monotonic",
        [(0, "inc", "", '["2018-12-05T22:15:09" 0]')],
        r"expected \[key, null\] \(or a key to increment and {key value, ...}",
    ),
    "etcd's watch": (
        "watch",
        [(0, "watch", "", "{:revision 7, :log [1 2]}")],
        r"expected \[watcher, from, \[\[revision, key, value\], ...\]",
    ),
    "many sets": (
        "set",
        [(0, "add", "[7 0]", "[7 0]"), (1, "read", "[7 nil]", "[7 #{0}]")],
        r"judge with set-linearizable, keyed=yes",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_ops_that_say_something_else_are_refused_with_what_is_expected(name: str, tmp_path: Path) -> None:
    workload, calls, message = OTHERS[name]
    file = tmp_path / "history.edn"
    file.write_text(edn(calls))
    with pytest.raises(HistoryError, match=message):
        check(file, workload=workload)


def test_a_name_of_jepsens_is_never_one_of_ours() -> None:
    assert not JEPSEN_NAMES.keys() & REGISTRY.keys()
    assert {find_workload(name).name for name in JEPSEN_NAMES} == set(JEPSEN_NAMES.values())
    assert own_name("append") == "append"
    with pytest.raises(UsageError, match="unknown workload 'causal-reverse'"):
        check([], workload="causal-reverse")
