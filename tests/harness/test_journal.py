"""Goal: what was flushed is never lost, what is damaged never taken for whole. Method: cut, fill, kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InfrastructureError
from harness.history import HistoryError
from harness.journal import Journal, read_journal
from harness.op import Op, invoke

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def write(path: Path, count: int) -> list[Op]:
    ops = [Op("invoke", "txn", [["append", n, n], ["r", n, None]], n % 3, n * 10, n) for n in range(count)]
    with Journal(path) as journal:
        for op in ops:
            journal.append(op)
    return ops


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["invoke", "ok", "fail", "info"]), json_values, st.none() | st.text())),
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, records: list[tuple]) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    ops = [Op(kind, "f", value, 7, 5, index, error, "n1") for index, (kind, value, error) in enumerate(records)]
    with Journal(path) as journal:
        for op in ops:
            journal.append(op)
    assert read_journal(path) == (ops, [])
    assert path.read_bytes().count(b"\n") == len(ops)


def test_a_cut_at_any_byte_loses_the_last_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    ops = write(path, 5)
    data = path.read_bytes()
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        kept, notes = read_journal(path)
        whole = data[:size].count(b"\n")
        line_is_complete = data[:size].endswith(b"}")
        assert kept == ops[: whole + line_is_complete]
        assert len(notes) == (not line_is_complete and size > 0 and data[size - 1 : size] != b"\n")


def test_damage_elsewhere_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, 5)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2][:9] + b"\n", *lines[3:]]))
    with pytest.raises(HistoryError, match="line 3"):
        read_journal(path)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(HistoryError, match="line 3: index 3, expected 2"):
        read_journal(path)
    path.write_bytes(b"".join(lines[:4]) + b"\0" * 40 + b"\n")
    with pytest.raises(HistoryError, match="line 5"):
        read_journal(path)
    with pytest.raises(HistoryError, match="No such file"):
        read_journal(tmp_path / "none")


def test_a_value_that_is_no_json_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(invoke("read").replace(index=0))
        with pytest.raises(InfrastructureError, match="can't be written as JSON"):
            journal.append(invoke("write", [1, object()]).replace(index=1))
        journal.append(invoke("read").replace(index=1))
    assert len(read_journal(path)[0]) == 2


def test_it_is_flushed_within_100_ms(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append(invoke("read").replace(index=0))
    journal.tick()
    journal.append(invoke("read").replace(index=1))
    deadline = time.monotonic() + 0.1
    while time.monotonic() < deadline and path.read_bytes().count(b"\n") < 2:
        journal.tick()
        time.sleep(0.005)
    assert path.read_bytes().count(b"\n") == 2
    journal.close()
    journal.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_infrastructure_failure() -> None:
    journal = Journal(Path("/dev/full"))
    journal.append(invoke("read").replace(index=0))
    with pytest.raises(InfrastructureError, match=r"/dev/full: No space left on device; what was recorded"):
        journal.flush()
    with pytest.raises(InfrastructureError, match="has failed before"):
        journal.flush()
    journal.close()


FILLS_A_DISK = """
import resource, signal, sys
from pathlib import Path
from harness.errors import InfrastructureError
from harness.journal import Journal
from harness.op import Op
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_001, 100_001))
journal = Journal(Path(sys.argv[1]))
try:
    for index in range(10_000):
        journal.append(Op("invoke", "write", [index, "some value"], 1, 0, index))
except InfrastructureError as error:
    print(error)
journal.close()
"""


def test_what_fits_on_a_full_disk_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    done = subprocess.run([sys.executable, "-c", FILLS_A_DISK, path], capture_output=True, text=True, timeout=60)
    assert "File too large" in done.stdout, done.stderr
    ops, notes = read_journal(path)
    assert path.stat().st_size == 100_001
    assert len(ops) == path.read_bytes().count(b"\n") > 1000
    assert len(notes) == 1


WRITES_FOR_EVER = """
import sys
from pathlib import Path
from harness.journal import Journal
from harness.op import Op
journal = Journal(Path(sys.argv[1]))
index = 0
while True:
    journal.append(Op("invoke", "write", [index, "some value"], 1, 0, index))
    journal.tick()
    index += 1
"""


def test_a_writer_killed_with_9_leaves_a_prefix(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    writer = subprocess.Popen([sys.executable, "-c", WRITES_FOR_EVER, path])
    try:
        deadline = time.monotonic() + 30
        while (not path.exists() or path.stat().st_size < 1_000_000) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    ops, _ = read_journal(path)
    assert [op.index for op in ops] == list(range(len(ops)))
    assert len(ops) > 10_000


def test_a_journal_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="can't be written: No such file or directory"):
        Journal(tmp_path / "missing" / "journal.jsonl")
