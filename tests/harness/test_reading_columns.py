"""Goal: reading bytes into columns means exactly what the exact readers mean, whatever the file holds.

Method: random ops are written in many ways, some bytes are then changed, and the file is read in stretches of random
size by several threads, or as a small file by the exact readers alone. All records must be those of the oracle
(`exact_reading`), which reads one form after the other into objects; where it refuses the file, so must the reader,
naming the same line.
"""

from __future__ import annotations

import dataclasses
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exact_reading import read_exactly, records
from hypothesis import given, settings
from hypothesis import strategies as st
from op_lines import as_edn, as_json_lines, random_ops

from checkers.linearizability.call_columns import calls_of
from checkers.transactions.txn_columns import Form, TxnColumns, columns_of
from harness import history_columns, read_columns
from harness.errors import UsageError
from harness.history import History, HistoryError
from harness.reading import read_history
from harness.value_columns import OTHER, columns_of_values

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
SMALL = 0
"""Stands for reading as a small file is read."""
SEEDS = st.integers(0, 2**32).map(random.Random)
NAMES = st.sampled_from(["h.edn", "h.jsonl"])
PIECES = [bytes([byte]) for byte in b"0123456789 ,:[]{}()\"\\#;-+.eEnilrw\n\r\t_'\xff\xc3\x00\x0c"] + [
    *(b'nil null :r "x" -0 01 [] [ ] #_ #{1} true :x{} ##NaN 1.5 1e5 [[:r 1 [1 2 ]]] \xc3\xa9'.split(b" ")),
    *(b"99999999999999999999,9223372036854775808, :x 1, :index 3,\n\n,#tag ,[1 2],(1 2)".split(b",")),
    *(b';"x":[1.5,{"a":1}],;"value":3,;"type":"ok",;\\n;NaN;Infinity;{"a";[1, 2 ];{;}'.split(b";")),
]


def text_of(rng: random.Random, name: str, count: int) -> bytes:
    ops = random_ops(rng, count)
    plain = rng.choice([0.0, 0.7, 1.0])
    return (as_edn if name.endswith(".edn") else as_json_lines)(rng, ops, plain).encode()


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        begin = rng.randrange(len(changed) + 1)
        end = begin + rng.choice([0, 0, 1, 1, 2, 5, 30])
        changed[begin:end] = rng.choice(PIECES) if rng.random() < 0.8 else b""
    return bytes(changed)


def read(data: bytes, name: str, stretch_bytes: int) -> History:
    """The history in these bytes, as large files are read, in such stretches; SMALL: as small ones are."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / name
        path.write_bytes(data)
        if stretch_bytes != SMALL:
            patch.setattr(read_columns, "STRETCH_BYTES", stretch_bytes)
            patch.setattr(read_columns, "WALK_FROM_BYTES", 0)
            patch.setattr(history_columns, "WALK_FROM_RECORDS", 0)
        return read_history(path)


def line_of(message: str) -> int:
    return int(message.split()[2].rstrip(":"))


def agree(data: bytes, name: str, stretch_bytes: int) -> History | None:
    """Assert that reader and oracle agree; the history, None for a file that is none."""
    expected: Any
    try:
        expected = records(read_exactly(data, name))
    except (HistoryError, UnicodeDecodeError) as error:
        expected = error
    try:
        history = read(data, name, stretch_bytes)
        assert repr(records(history)) == repr(expected)
        return history
    except UsageError as error:
        message = str(error)
    if isinstance(expected, UnicodeDecodeError):
        assert "is not UTF-8 text" in message or line_of(message) <= data.count(b"\n", 0, expected.start) + 1
    elif isinstance(expected, HistoryError):
        if "the text ends" in message or "nothing follows" in message:
            assert line_of(message) <= line_of(str(expected))
        else:
            assert message == str(expected)
    else:
        assert not expected and "holds no op" in message
    return None


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS, NAMES, st.sampled_from([SMALL, 1, 150, 4000]))
def test_records_are_those_of_the_exact_reader(rng: random.Random, name: str, stretch_bytes: int) -> None:
    history = agree(text_of(rng, name, rng.randrange(12)), name, stretch_bytes)
    if history is None:
        return
    assert history.numbers is not None
    shapes = history.numbers.shape
    of_objects = columns_of_values(history.value)
    known = shapes != OTHER
    assert (shapes == of_objects.shape)[known].all()
    for place in range(len(history)):
        assert history.value[-1 - place] == history.value[len(history) - 1 - place]
    assert list(history.value[1:3]) == list(history.value)[1:3]


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(SEEDS, NAMES, st.sampled_from([SMALL, 1, 150, 4000]))
def test_so_they_are_when_bytes_are_changed(rng: random.Random, name: str, stretch_bytes: int) -> None:
    agree(mutated(rng, text_of(rng, name, rng.choice([1, 2, 2, 3, 8]))), name, stretch_bytes)


@settings(max_examples=EXAMPLES, deadline=None)
@given(SEEDS, NAMES, st.sampled_from(list(Form)))
def test_columns_of_numbers_are_those_of_objects(rng: random.Random, name: str, form: Form) -> None:
    try:
        history = read(text_of(rng, name, rng.randrange(16)), name, 4000)
    except UsageError:
        return
    assert history.numbers is not None
    by_objects = dataclasses.replace(history, numbers=None)
    assert same_columns(history, by_objects, form)
    calls, calls_by_objects = calls_of(history), calls_of(by_objects)
    if calls is not None:
        assert calls_by_objects is not None
        for column in dataclasses.fields(calls):
            assert np.array_equal(getattr(calls, column.name), getattr(calls_by_objects, column.name))


def same_columns(history: History, other: History, form: Form) -> bool:
    results: list[TxnColumns | str] = []
    for source in (history, other):
        try:
            results.append(columns_of(source, form))
        except HistoryError as error:
            results.append(str(error))
    one, two = results
    if isinstance(one, str) or isinstance(two, str):
        return bool(one == two)
    for column in dataclasses.fields(one):
        if column.name == "history":
            continue
        a, b = getattr(one, column.name), getattr(two, column.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, column.name
            a, b = a.tolist(), b.tolist()
        if a != b:
            return False
    return True


def test_columns_of_numbers_are_no_copy_of_the_objects_path() -> None:
    """A plain history goes without objects: taking its values away changes nothing."""
    rng = random.Random(1)
    ops = [
        {"type": type_, "process": 0, "f": "txn", "value": [["append", rng.randrange(9), place], ["r", 1, [place]]]}
        for place in range(50)
        for type_ in ("invoke", "ok")
    ]
    for stretch_bytes in (SMALL, 4000):
        history = read(as_edn(rng, ops, 1.0).encode(), "h.edn", stretch_bytes)
        blind = dataclasses.replace(history, value=None)
        assert same_columns(history, blind, Form.LIST_APPEND)


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize(
    "value",
    [
        "[[:append 1 2] [:r 1 nil]]",
        "[[:append 1 nil]]",
        "[[:append 1 [2]]]",
        "[[:r 1 2]]",
        "[[:r 1 [2]]]",
        "[[:w 1 2] [:r 1 3]]",
        "[[:w 1 nil]]",
        "[]",
        "nil",
        "3",
        "[1 2]",
        "[[:r :x nil]]",
        '[["r" 1 nil]]',
        "[[:r 1]]",
    ],
)
@pytest.mark.parametrize("type_", ["ok", "fail", "info"])
def test_each_value_of_a_transaction(form: Form, value: str, type_: str) -> None:
    lines = [f"{{:type {t}, :process 0, :f :txn, :value {value}}}\n" for t in (":invoke", f":{type_}")]
    for text in ("".join(lines), lines[1]):
        for stretch_bytes in (SMALL, 4000):
            history = read(text.encode(), "h.edn", stretch_bytes)
            assert same_columns(history, dataclasses.replace(history, numbers=None), form)


def test_strange_lines_between_many_others(tmp_path: Path) -> None:
    """Every buffer of the reader is outgrown, and strange lines come in runs."""
    rng = random.Random(7)
    ops: list[dict[str, Any]] = []
    for place in range(1200):
        read = list(range(rng.choice([0, 1, 90])))
        value: Any = (
            [["r", k, read] for k in range(rng.choice([0, 1, 20]))] if place % 3 else rng.choice([None, 3, "x"])
        )
        if 500 < place < 800:
            value = {"a": place}
        ops.append({"type": "ok", "process": place, "f": f"f{place % 200}", "value": value, "error": "e" * (place % 7)})
    for name, text in (("h.edn", as_edn(rng, ops, 0.99)), ("h.jsonl", as_json_lines(rng, ops, 0.99))):
        for stretch_bytes in (1000, 4 << 20):
            assert agree(text.encode(), name, stretch_bytes) is not None


def test_a_stretch_of_a_form_that_spans_lines_is_read_again(tmp_path: Path) -> None:
    """Lines inside a vector or a string look like ops, and are none of their own."""
    line = "{:type :ok, :process 0, :f :read, :value nil}\n"
    text = (
        line + "[" + line * 50 + "]\n" + '{:type :ok, :process 1, :f :read, :value "\n' + line * 50 + '"}\n' + line * 3
    )
    history = agree(text.encode(), "h.edn", 60)
    assert history is not None and len(history) == 1 + 50 + 1 + 3
