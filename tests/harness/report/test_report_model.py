"""The report's pure part: what it says, draws and packs, against plain recounts of the same record."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import itertools
import json
import random
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import bank_of_lists

from harness.history import History
from harness.op import Op
from harness.report import ReportInput, cycle, figures, findings, series, strip, values
from harness.report.model import make_page
from harness.report.operations import Operation, Operations
from harness.target import Claim
from harness.verdict import Anomaly, Edge, Verdict


@pytest.fixture(scope="module")
def run() -> ReportInput:
    return bank_of_lists()


def completions(history: History) -> list[tuple[Op, Op | None]]:
    """Invocations with their completions, found the slow way."""
    open_by_process: dict[object, Op] = {}
    pairs = []
    for op in (history.op(place) for place in range(len(history))):
        if op.process == "nemesis":
            continue
        if op.type == "invoke":
            open_by_process[op.process] = op
        else:
            pairs.append((open_by_process.pop(op.process), op))
    return [*pairs, *((op, None) for op in open_by_process.values())]


def test_operations_agree_with_the_records_one_by_one(run: ReportInput) -> None:
    operations = Operations.of(run.history)
    expected = {
        (begin.index, end.index if end else None, begin.process, end.type if end else "info")
        for begin, end in completions(run.history)
    }
    found = set()
    for row in range(len(operations)):
        op = operations.one(row)
        begin = int(run.history.index[operations.begin[row]])
        found.add((begin, op.index if op.completed else None, op.process, op.outcome))
        assert operations.row_of(begin) == operations.row_of(op.index) == row
    assert found == expected
    assert operations.row_of(10**9) is None


def test_stats_errors_and_facts_count_every_operation(run: ReportInput) -> None:
    page = make_page(run)
    pairs = completions(run.history)
    (row,) = page.stats
    assert row.total == len(pairs)
    assert row.ok == sum(end is not None and end.type == "ok" for _, end in pairs)
    assert row.info == sum(end is None or end.type == "info" for _, end in pairs)
    assert sum(error.count for error in page.errors) == row.fail + row.info
    assert page.facts[0][0] == f"{len(pairs):,}"
    assert [fault.kind for fault in page.faults] == [
        "partition",
        "clock",
        "kill",
        "pause",
        "partition",
        "stall",
        "kill",
    ]
    assert "served after 1.21 s" in page.faults[2].observed


def test_the_longest_stretch_without_success_is_the_brute_force_one(run: ReportInput) -> None:
    operations = Operations.of(run.history)
    done = sorted(end.time_ns for _, end in completions(run.history) if end is not None and end.type == "ok")
    edges = [int(operations.begin_ns.min()), *done, int(operations.end_ns.max())]
    begin, end = figures.longest_outage(operations)
    assert end - begin == max(b - a for a, b in itertools.pairwise(edges))
    nodes = {row.node: row for row in figures.availability_rows(operations, run.history.windows())}
    assert set(nodes) == {"all together", "n1", "n2", "n3"}
    assert "pause of n1" in nodes["n1"].during


def test_findings_have_those_that_count_first_and_their_proof(run: ReportInput) -> None:
    page = make_page(run)
    assert [(f.type, f.count) for f in page.findings] == [("G2-item", 31), ("G-single", 1), ("lost-update", 2)]
    skew = page.findings[0].examples[0]
    assert skew.picture is not None and skew.when is not None
    assert [(s.source, s.target, s.kind) for s in skew.steps] == [("T1", "T2", "rw"), ("T2", "T1", "rw")]
    assert skew.rows[0].did == ["read 40 → []", "append 1 to 41"]
    assert all(row.proves for row in skew.rows)
    assert "clock of n3" in skew.during
    assert page.findings[2].examples[0].picture is None


def test_an_anomaly_that_does_not_count_is_shown_as_allowed_and_last() -> None:
    run = bank_of_lists()
    allowed = [
        a if a.type != "G2-item" else Anomaly(a.type, a.ops, a.sentence, counts=False) for a in run.verdict.anomalies
    ]
    verdict = Verdict("invalid", anomalies=allowed, anomaly_counts=run.verdict.anomaly_counts)
    page = make_page(ReportInput(history=run.history, verdict=verdict))
    assert [(f.type, f.counts) for f in page.findings] == [
        ("G-single", True),
        ("lost-update", True),
        ("G2-item", False),
    ]


def test_the_headline_says_the_verdict_once_and_examples_stand_apart() -> None:
    run = bank_of_lists()
    told = "Invalid: not serializable: write skew seen 40 times. For example: Pair 7. Nobody."
    told += " This is a known issue: X (link)."
    page = make_page(dataclasses.replace(run, sentence=told))
    assert page.sentence == "Not serializable: write skew seen 40 times."
    assert page.more == "For example: Pair 7. Nobody.", "known issues have a place of their own"
    assert "X (link)" in make_page(dataclasses.replace(run, sentence=told, known_issues=[])).more


def test_names_follow_the_sentence() -> None:
    history = History.from_ops(
        [
            Op(t, "txn", [["r", 1, []]], p, 1000 * i, i)
            for i, (t, p) in enumerate([("invoke", 0), ("ok", 0), ("invoke", 1), ("ok", 1)])
        ]
    )
    edges = [Edge(1, 3, "rw", "T2 missed T1's write (op 3)"), Edge(3, 1, "rw", "because")]
    anomaly = Anomaly(
        "G2-item", [1, 3], "T1 (op 3) and T2 (op 1) missed each other: T2 missed T1's write (op 3)", cycle=edges
    )
    (finding,) = findings.make(Verdict("invalid"), [anomaly], Operations.of(history), [])
    (example,) = finding.examples
    assert [(s.source, s.target) for s in example.steps] == [("T2", "T1"), ("T1", "T2")]
    assert {row.index: row.name for row in example.rows} == {3: "T1", 1: "T2"}
    assert example.sentence == "T1 (op 3) and T2 (op 1) missed each other.", "reasons stand in the steps"


@pytest.mark.parametrize(
    ("claim", "asked", "says"),
    [
        (Claim("serializable", "words", "link"), None, "This is what the database promises"),
        (Claim(None, "", ""), None, "promises nothing at these settings. So the workload's own standard"),
        (Claim("snapshot-isolation", "words", "link"), "serializable", "promises snapshot isolation"),
        (None, None, "nobody's promise is known"),
    ],
)
def test_it_says_whose_standard_was_taken(claim: Claim | None, asked: str | None, says: str) -> None:
    run = bank_of_lists(seconds=30)
    assert run.plan is not None
    plan = msgspec.structs.replace(run.plan, model=asked)
    page = make_page(ReportInput(history=run.history, verdict=run.verdict, plan=plan, claim=claim))
    assert page.judged is not None and says in page.judged.who


def unpack(text: str) -> tuple[dict, dict[str, np.ndarray]]:
    raw = gzip.decompress(base64.b64decode(text))
    size = int.from_bytes(raw[:4], "little")
    meta = json.loads(raw[4 : 4 + size])
    columns = {
        c["name"]: np.frombuffer(raw, dtype=c["dtype"], count=c["length"], offset=4 + size + c["offset"])
        for c in meta["columns"]
    }
    return meta, columns


def test_packed_columns_hold_every_operation_exactly(run: ReportInput) -> None:
    operations = Operations.of(run.history)
    meta, columns = unpack(series.pack(run.history, operations, run.history.windows(), {5: "G0"}, 12))
    order = np.argsort(operations.begin_ns, kind="stable")
    begin_ns = np.cumsum(columns["begin"], dtype=np.uint32).astype(np.int64) * meta["tick_ns"]
    assert np.all(np.abs(begin_ns - operations.begin_ns[order]) < meta["tick_ns"])
    assert np.array_equal(columns["outcome"], operations.outcome[order])
    assert sum(int(columns[f"rate_{name}"].sum()) for name in ("ok", "fail", "info")) == len(operations)
    assert meta["drawn"] == meta["total"] == len(operations)
    assert [w["kind"] for w in meta["windows"]].count("kill") == 2
    assert list(meta["proves"].values()) == ["G0"] and columns["guilty"].sum() == 1
    index = np.cumsum(columns["index"], dtype=np.int32)
    assert [operations.one(int(row)).index for row in order[:50]] == index[:50].tolist()


def test_thinning_never_drops_what_proves_something(run: ReportInput, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = Operations.of(run.history)
    guilty = dict.fromkeys(random.Random(1).sample(range(len(operations)), 40), "G2-item")
    monkeypatch.setattr(series, "OPS_MAX", 500)
    monkeypatch.setattr(series, "TEXT_MAX", 4_000)
    meta, columns = unpack(series.pack(run.history, operations, [], guilty))
    assert 500 <= meta["drawn"] <= 540 < meta["total"]
    assert columns["guilty"].sum() == 40 == len(meta["proves"])
    assert set(meta["proves"]) <= set(meta["texts"]), "guilty operations keep their text"
    assert sum(map(len, meta["texts"].values())) < 12_000
    assert sum(int(columns[f"rate_{name}"].sum()) for name in ("ok", "fail", "info")) == len(operations)
    assert figures.drawn_note(len(operations)).startswith("500 of")


def test_rows_of_the_timeline_hold_one_operation_at_a_time(run: ReportInput) -> None:
    operations = Operations.of(run.history)
    rows = series.pack_rows(operations)
    assert rows.max() + 1 <= 16
    for row in range(rows.max() + 1):
        mine = np.flatnonzero(rows == row)
        by_process = sorted((operations.begin_ns[i], operations.end_ns[i], operations.process[i]) for i in mine)
        for (_, end, process), (begin, _, other) in itertools.pairwise(by_process):
            assert begin >= end or process == other


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


@given(st.sampled_from(["txn", "read", "write", "cas", "leave", "add"]), anything, st.booleans())
def test_any_value_becomes_bounded_words(f: str, value: object, known: bool) -> None:
    assert len(values.one_line(f, value, known=known, width=80)) <= 80
    assert all(len(line) <= 60 for line in values.lines(f, value, known=known, width=44))
    assert len(values.short(value, 30)) <= 30


def test_operations_in_words() -> None:
    assert values.lines("txn", [["append", "x", 1], ["r", "y", [1, 2]], ["w", 3, 4]]) == [
        "append 1 to x",
        "read y → [1 2]",
        "write 3 = 4",
    ]
    assert values.lines("txn", [["r", "y", None]], known=False) == ["read y"], "nobody knows what it read"
    assert values.one_line("read", [5, 7]) == "read 5 → 7"
    assert values.one_line("read", None) == "read → nothing"
    assert values.one_line("cas", [5, [1, 2]]) == "set 5 to 2 if it is 1"
    assert values.one_line("cas", [1, 2]) == "set to 2 if it is 1"
    long = values.micro_op(["r", 1, list(range(500))])
    assert long.endswith("499] (500)") and len(long) <= 44


def ring_of(count: int, text: str = "x", lines: int = 2) -> tuple[list[Edge], dict[int, Operation], dict[int, str]]:
    edges = [
        Edge(i, (i + 1) % count, ("ww", "wr", "rw", "process", "realtime")[i % 5], text, text) for i in range(count)
    ]
    operations = {
        i: Operation(i, i, "n1", "txn", [["r", text, [1]]] * lines, "ok", None, i * 1000, i * 1000 + 5000, True)
        for i in range(count)
    }
    return edges, operations, {i: f"T{i + 1}" for i in range(count)}


@pytest.mark.parametrize("count", range(2, 9))
def test_a_cycles_boxes_and_labels_neither_overlap_nor_leave_the_picture(count: int) -> None:
    edges, operations, names = ring_of(count, lines=count)
    picture = cycle.draw(edges, operations.get, names)
    assert picture is not None
    root = ElementTree.fromstring(picture)
    width, height = (float(v) for v in root.get("viewBox", "").split()[2:])
    rectangles = [tuple(float(r.get(k, "0")) for k in ("x", "y", "width", "height")) for r in root.iter("rect")]
    assert len(rectangles) == 2 * count
    for x, y, w, h in rectangles:
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
    for (x, y, w, h), (x2, y2, w2, h2) in itertools.combinations(rectangles, 2):
        assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y, "two boxes or labels overlap"


def test_a_cycle_that_can_not_be_drawn_is_left_to_words() -> None:
    edges, operations, names = ring_of(9)
    assert cycle.draw(edges, operations.get, names) is None
    edges, operations, names = ring_of(3)
    assert cycle.draw(edges, lambda index: None, names) is None


def test_pictures_escape_what_they_show() -> None:
    hostile = "</svg><script>&\"'"
    edges, operations, names = ring_of(2, hostile)
    for picture in (
        cycle.draw(edges, operations.get, names),
        strip.draw(list(operations.values()), names, frozenset({0})),
    ):
        assert picture is not None
        root = ElementTree.fromstring(picture)
        assert "script" not in {element.tag for element in root.iter()}
        assert "</svg><script>" in "".join(root.itertext())


def test_faults_in_words() -> None:
    assert figures.measured("served_after_s", 1.25) == "served after 1.25 s"
    assert figures.measured("dropped_packets", 12) == "dropped packets 12"
    assert figures.measured("alive", False) == "not alive"
    assert figures.measured("pids", [1, 2]) == "pids 1, 2"
    assert figures.measured("died", {"n1": list(range(10, 25))}) == "died 15 (10, 11, 12 …)"
    assert figures.measured("took_ms", {"n1": 4.125, "n2": 3}) == "took n1 4.125 ms, n2 3 ms"
    assert figures.measured("skew_s", {"n1": None}) == figures.measured("states", {}) == ""
    assert figures.flat({"a_b": {"c": 1, "d": None}, "e": [], "f": True}) == [("a b · c", "1"), ("f", "yes")]
