"""Histories in every form they come in, and a clear error with the line for every file that is none."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.history import History, HistoryError
from harness.history_edn import write_lines
from harness.op import Op
from harness.reading import read_history, read_recording

OPS = [
    Op("invoke", "txn", [["append", 1, 2], ["r", 1, None]], 0, 10, 0, None, "n1"),
    Op("ok", "txn", [["append", 1, 2], ["r", 1, [2]]], 0, 20, 1, None, "n1"),
    Op("invoke", "txn", [["r", 2, None]], 1, 25, 2),
    Op("info", "txn", [["r", 2, None]], 1, 30, 3, "timeout: no answer"),
]
EDN = "".join(write_lines(OPS))
JSON_LINES = "".join(msgspec.json.encode(op).decode() + "\n" for op in OPS)
MAPS = [{"index": op.index, "time": op.time_ns, **_} for op in OPS for _ in [msgspec.to_builtins(op)]]
VECTOR = "[" + EDN.replace("\n", "\n ") + "]\n"
TAGGED = "".join(f"#jepsen.history.Op{line}\n" for line in EDN.splitlines())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("h.edn", EDN),
        ("h.edn", EDN.rstrip("\n")),
        ("h.edn", EDN.replace("\n", "\r\n")),
        ("h.edn", "; a comment\n\n" + EDN),
        ("h.edn", VECTOR),
        ("h.edn", TAGGED),
        ("h.edn", EDN.replace(", ", "\n ")),
        ("h.edn", "\ufeff" + EDN),
        ("h.jsonl", JSON_LINES),
        ("h.json", json.dumps(MAPS)),
        ("h.json", JSON_LINES),
        ("history", EDN),
        ("history", VECTOR),
        ("history", JSON_LINES),
        ("history", json.dumps(MAPS, indent=1)),
        ("journal.jsonl", JSON_LINES),
    ],
)
@pytest.mark.parametrize("gzipped", [False, True])
def test_every_form(tmp_path: Path, name: str, text: str, gzipped: bool) -> None:
    path = tmp_path / (name + ".gz" if gzipped and "." in name else name)
    path.write_bytes(gzip.compress(text.encode()) if gzipped else text.encode())
    history = read_history(path)
    assert [history.op(place) for place in range(len(history))] == OPS
    assert read_history(str(path)).pair.tolist() == [1, 0, 3, 2]


def test_values_and_histories() -> None:
    history = read_history(OPS)
    assert read_history(history) is history
    assert len(read_history(MAPS)) == 4
    assert len(read_history(iter(MAPS))) == 4
    for wrong in (3, {"type": "ok"}, None):
        with pytest.raises(UsageError, match="a history is a path"):
            read_history(wrong)  # type: ignore[arg-type]


def test_a_folder_of_a_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no history"):
        read_history(tmp_path)
    (tmp_path / "history.edn").write_text(EDN)
    assert read_recording(tmp_path).path == tmp_path / "history.edn"
    (tmp_path / "journal.jsonl").write_text(JSON_LINES)
    assert read_recording(tmp_path).path == tmp_path / "journal.jsonl"


@given(st.integers(0, len(JSON_LINES)))
def test_a_journal_cut_anywhere_is_read_up_to_there(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "journal.jsonl").write_text(JSON_LINES[:cut])
        recording = read_recording(folder)
    whole = JSON_LINES[:cut].count("\n")
    last_is_complete = cut < len(JSON_LINES) and JSON_LINES[cut] == "\n"
    assert len(recording.history) == whole + last_is_complete
    cut_line = not JSON_LINES[:cut].endswith("\n") and not last_is_complete and cut > 0
    assert len(recording.notes) == cut_line + (not len(recording.history))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("h.edn", EDN[:-20], "h.edn line 4: the text ends inside a string"),
        ("h.edn", EDN.splitlines()[0] + "\n{:index 1, :type }\n", "h.edn line 2: a map holds a key without a value"),
        ("h.edn", EDN + '"a string"\n', "h.edn line 5: expected an op map"),
        ("h.edn", EDN + "[1 2]\n", "h.edn line 5: expected an op map"),
        ("h.edn", EDN.replace(":type :ok", ":type :done"), "h.edn line 2: type must be one of"),
        ("h.edn", EDN.replace(":value [[:r 2 nil]]", ":value ##NaN"), "h.edn line 3: ##NaN"),
        ("h.edn", EDN.replace(":time 10", ":time " + "9" * 30), "h.edn line 1: time must fit 64 bits"),
        ("h.edn", EDN.replace("nil", "[" * 10_000), "h.edn line 1: nested deeper"),
        ("h.edn", "", "holds no op"),
        ("h.edn", " ; nothing\n", "holds no op"),
        ("h.jsonl", JSON_LINES[:-20], "h.jsonl line 4: is no JSON"),
        ("h.jsonl", JSON_LINES.replace("null", "NaN"), "h.jsonl line 1: is no JSON"),
        ("h.jsonl", JSON_LINES.replace("null", "[" * 100_000), "h.jsonl line 1: nested too deeply"),
        ("h.jsonl", JSON_LINES + "3\n", "h.jsonl line 5: expected an op map"),
        ("h.json", json.dumps(MAPS, indent=1)[:-30], "h.json line"),
        ("h.json", json.dumps([*MAPS, 4]), "h.json op 5: expected an op map"),
        ("h.json", "[" * 100_000, "nested too deeply"),
        ("h.txt", "hello", "neither EDN nor JSON"),
        ("h.edn.gz", EDN, "no complete gzip file"),
    ],
)
def test_a_file_that_is_none_is_named_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(HistoryError, match=message):
        read_history(tmp_path / name)


def test_a_cut_gzip_a_strange_encoding_and_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "h.edn.gz").write_bytes(gzip.compress(EDN.encode())[:-9])
    with pytest.raises(HistoryError, match="no complete gzip file"):
        read_history(tmp_path / "h.edn.gz")
    (tmp_path / "h.edn").write_bytes(EDN.encode() + b"\xff\xfe")
    with pytest.raises(HistoryError, match="line 5: is not UTF-8"):
        read_history(tmp_path / "h.edn")
    with pytest.raises(UsageError, match="no such file"):
        read_history(tmp_path / "absent.edn")


@given(st.text(alphabet='{}[]":,\n \\ntypeinvokprcsf0123#_', max_size=60), st.sampled_from(["edn", "json", "jsonl"]))
def test_any_text_is_a_history_or_a_usage_error(text: str, suffix: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"h.{suffix}"
        path.write_text(text)
        try:
            assert isinstance(read_history(path), History)
        except UsageError:
            pass


def test_a_long_line(tmp_path: Path) -> None:
    reads: list[Any] = list(range(500_000))
    ops = [Op("invoke", "txn", [["r", 1, None]], 0, 1, 0), Op("ok", "txn", [["r", 1, reads]], 0, 2, 1)]
    (tmp_path / "h.edn").write_text("".join(write_lines(ops)))
    assert read_history(tmp_path / "h.edn").value[1] == [["r", 1, reads]]


def test_a_journal_cut_within_a_character_is_read_up_to_its_line(tmp_path: Path) -> None:
    line = msgspec.json.encode(Op("info", "read", None, 0, 3, 1, "é"))
    for cut in range(1, len(line) + 1):
        (tmp_path / "journal.jsonl").write_bytes(
            msgspec.json.encode(Op("invoke", "read", None, 0, 2, 0)) + b"\n" + line[:cut]
        )
        recording = read_recording(tmp_path)
        whole = cut == len(line)
        assert (len(recording.history), len(recording.notes)) == ((2, 0) if whole else (1, 1))
    assert recording.history.error[1] == "é"


def test_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "h.edn"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(EDN,))
    writer.start()
    history = read_history(pipe)
    writer.join()
    assert [history.op(place) for place in range(len(history))] == OPS


def test_lazy_sequences_are_sequences(tmp_path: Path) -> None:
    ops = [Op("ok", "read", place, place, place, place, f"e{place % 3}" if place % 2 else None) for place in range(300)]
    (tmp_path / "h.edn").write_text("".join(write_lines(ops)))
    history = read_history(tmp_path / "h.edn")
    for lazy, values in ((history.value, list(range(300))), (history.error, [op.error for op in ops])):
        assert list(lazy) == values and len(lazy) == 300
        assert lazy[-1] == values[-1] and lazy[290:2:-7] == values[290:2:-7]
        assert [lazy[place] for place in np.arange(300)] == values
        for outside in (300, -301):
            with pytest.raises(IndexError):
                lazy[outside]
    assert list(history.node) == [None] * 300
