"""Nasty files, and what each must give: so many records, or one clear error that names the line; never a traceback.

`corpus/expected.json` says what. Files that are large or deep are made here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from exact_reading import read_exactly, records

from harness.cli import main
from harness.errors import Exit
from harness.history import HistoryError
from harness.reading import read_history

CORPUS = Path(__file__).parent / "corpus"
EXPECTED: dict[str, dict[str, Any]] = json.loads((CORPUS / "expected.json").read_text())


def test_every_file_is_expected() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {*EXPECTED, "expected.json"}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_nasty_file(name: str) -> None:
    expected = EXPECTED[name]
    if "error" in expected:
        with pytest.raises(HistoryError) as raised:
            read_history(CORPUS / name)
        assert f"{name} {expected['error']}" in str(raised.value)
        return
    history = read_history(CORPUS / name)
    assert len(history) == expected["records"]
    assert records(history) == records(read_exactly((CORPUS / name).read_bytes(), name))


@pytest.mark.parametrize("workload", ["append", "register"])
def test_the_command_line_says_it_in_one_line(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name, expected in EXPECTED.items():
        code = main(["check", str(CORPUS / name), "--workload", workload, "--json"])
        printed = capsys.readouterr()
        told = json.loads(printed.out)
        assert told["verdict"] in ("valid", "invalid", "unknown"), name
        assert code == Exit.USAGE or "error" not in expected, name
        if code == Exit.USAGE:
            assert told["error"] and re.fullmatch(r"faultline: [^\n]*\n", printed.err), name


OP = "{{:type :ok, :process 0, :f :txn, :value [[:r 1 {}]]}}\n"


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("h.edn", OP.format("[" * 1_000_000), "line 1: nested deeper"),
        ("h.edn", OP.format("nil") + OP.format("(" * 1_000_000), "line 2: nested deeper"),
        ("h.edn", OP.format("#a " * 300_000 + "1"), "line 1: nested deeper"),
        ("h.jsonl", '{"value": ' + "[" * 1_000_000, "line 1: nested too deeply"),
        ("h.jsonl", '{"a":' * 1_000_000, "line 1: nested too deeply"),
        ("h.json", "[" * 1_000_000, "nested too deeply"),
        ("h.jsonl", '\n{"value": ' + "[" * 200 + "]" * 200 + "}", "line 2: nested too deeply"),
        ("h.json", '[{"value": ' + "[" * 200 + "]" * 200 + "}]", "nested too deeply"),
        ("h.edn", OP.format('"' + "x" * 10_000_000), "line 1: the text ends inside a string"),
        ("h.edn", OP.format("9" * 10_000_000), "line 1: a number of 10000000 digits is too long"),
        ("h.jsonl", '{"index": ' + "9" * 10_000_000 + "}\n", "line 1: "),
        ("h.edn", OP.format("1" + "x" * 10_000_000), "line 1: .* is neither a number nor a name"),
        ("h.edn", "]" * 1_000_000, "line 1: ']' closes nothing"),
        ("h.edn", OP.format("nil")[:-2] + "\n" + OP.format("nil") * 100_000, "line 1: the text ends before"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else value,
)
@pytest.mark.timeout(60)
def test_a_large_or_deep_file_that_is_none(tmp_path: Path, name: str, text: str, error: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(HistoryError) as raised:
        read_history(tmp_path / name)
    message = str(raised.value)
    assert re.search(error, message) and len(message) < 500


@pytest.mark.timeout(60)
def test_lines_of_ten_megabytes(tmp_path: Path) -> None:
    many = list(range(1_300_000))
    listed = "[" + " ".join(map(str, many)) + "]"
    text = OP.format(listed) + OP.format("nil") + OP.format('"' + "a\\n" * 3_000_000 + '"')
    (tmp_path / "h.edn").write_text(text)
    history = read_history(tmp_path / "h.edn")
    assert history.value[0] == [["r", 1, many]]
    assert history.value[1] == [["r", 1, None]]
    assert history.value[2] == [["r", 1, "a\n" * 3_000_000]]


@pytest.mark.timeout(60)
def test_a_million_blank_lines_comments_and_discarded_forms(tmp_path: Path) -> None:
    text = "\n" * 1_000_000 + ";\n" * 2_000 + "#_ x\n" * 2_000 + OP.format("nil")
    (tmp_path / "h.edn").write_text(text)
    assert len(read_history(tmp_path / "h.edn")) == 1
    (tmp_path / "h.edn").write_text(text + "{")
    with pytest.raises(HistoryError, match="line 1004002: the text ends"):
        read_history(tmp_path / "h.edn")
