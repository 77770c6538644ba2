"""Goal: the command says what it does, and what went wrong, in one line with the right exit code.

Method: the real command in a process of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import combined
from harness.errors import Exit

ROOT = Path(__file__).parent.parent.parent
LOST_UPDATE = [
    {"index": 0, "type": "invoke", "process": 0, "f": "txn", "value": [["append", "x", 0]]},
    {"index": 1, "type": "ok", "process": 0, "f": "txn", "value": [["append", "x", 0]]},
    {"index": 2, "type": "invoke", "process": 0, "f": "txn", "value": [["r", "x", None], ["append", "x", 1]]},
    {"index": 3, "type": "invoke", "process": 1, "f": "txn", "value": [["r", "x", None], ["append", "x", 2]]},
    {"index": 4, "type": "ok", "process": 0, "f": "txn", "value": [["r", "x", [0]], ["append", "x", 1]]},
    {"index": 5, "type": "ok", "process": 1, "f": "txn", "value": [["r", "x", [0]], ["append", "x", 2]]},
]


def faultline(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "faultline", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("command", ["test", "check", "heal", "clean", "doctor", "list", "images"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = faultline(command, "--help")
    assert done.returncode == 0
    assert f"example:\n  faultline {command}" in done.stdout


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["dance"], "dance"),
        (["test", "--target", "oracle"], "oracle"),
        (["test", "--opts", "isolation"], "isolation"),
        (["test", "--faults", "earthquake"], "earthquake"),
        (["test", "--runs", "0"], "runs=0"),
        (["check", "nowhere.edn", "--workload", "append"], "nowhere.edn"),
        (["heal", "nowhere"], "nowhere"),
    ],
)
def test_bad_usage_is_exit_2_and_names_the_thing(arguments: list[str], said: str) -> None:
    done = faultline(*arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "workload, faults, option",
    [
        ("append", "none", "keys=0"),
        ("append", "none", "keys=61"),
        ("append", "none", "max-ops=0"),
        ("append", "none", "tables=0"),
        ("append", "none", "max_connections=1"),
        ("append", "none", "lock=for-update"),
        ("append", "kill", "hold=-1"),
        ("append", "kill", "rest=nan"),
        ("append", "kill", "hold=1e99"),
        ("append", "clock", "clock-max=-5"),
        ("append", "clock", "clock-offset=inf"),
        ("write-skew", "stall", "stall-chance=2"),
        ("write-skew", "stall", "stall-length=0"),
        ("write-skew", "none", "pairs=0"),
    ],
)
def test_options_out_of_bounds_are_refused_before_anything_starts(
    workload: str, faults: str, option: str, tmp_path: Path
) -> None:
    done = faultline(
        *("test", "--workload", workload, "--faults", faults, "--opts", option, "--results", str(tmp_path / "results"))
    )
    assert done.returncode == 2, done.stderr
    assert option.partition("=")[0] in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--nodes", "3"], "one server"),
        (["--rate", "nan"], "rate=nan"),
        (["--seed", "-1"], "seed=-1"),
        (["--time", "nan"], "time=nan"),
        (["--target", "simulated", "--workload", "register", "--opts", "read-percent=0"], "read-percent"),
    ],
)
def test_numbers_that_make_no_sense_are_refused_before_anything_starts(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    done = faultline("test", *arguments, "--results", str(tmp_path / "results"))
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert not (tmp_path / "results").exists()


def test_a_full_disk_is_exit_3_and_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "faultline", "list"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 3
    assert done.stderr.splitlines() == ["faultline: [Errno 28] No space left on device"]


def test_a_disk_that_fills_up_during_a_run_is_exit_3_and_what_was_recorded_is_kept(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk."""
    done = subprocess.run(
        [
            *("bash", "-c", 'trap "" XFSZ; ulimit -f 100; exec "$@"', "limited", sys.executable, "-m", "faultline"),
            *("test", "--target", "simulated", "--time", "5", "--seed", "1", "--results", str(tmp_path)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr and "what was recorded" in done.stderr
    journal = next(tmp_path.glob("simulated/*/*/journal.jsonl"))
    assert journal.stat().st_size > 50_000
    assert faultline("check", str(journal.parent)).returncode in (0, 4)


def test_a_reader_that_goes_away_is_no_noise() -> None:
    done = subprocess.run(
        f"{sys.executable} -m faultline list | head -1", shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "Targets\n" and not done.stderr


def test_a_defect_of_our_own_is_never_the_exit_code_of_invalid(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('planted')\n")
    done = faultline("test", "--target", f"{tmp_path}/broken.py:Target")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "faultline: a defect of its own: RuntimeError: planted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_judging_is_one_line(number: signal.Signals, tmp_path: Path) -> None:
    """A fifo that nobody writes to stands for a history that takes long to read."""
    slow = tmp_path / "slow.edn"
    os.mkfifo(slow)
    process = subprocess.Popen(
        [sys.executable, "-m", "faultline", "check", str(slow), "--workload", "append"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    with open(slow, "w"):  # returns when the command has opened it for reading
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 3
    assert said == "faultline: interrupted\n"


def test_list_shows_targets_workloads_faults_and_models() -> None:
    done = faultline("list")
    assert done.returncode == 0
    for word in (
        "postgres",
        "etcd",
        "cassandra",
        "append",
        "register",
        "write-skew",
        "partition",
        "snapshot-isolation",
    ):
        assert word in done.stdout


def write_jsonl(path: Path, ops: list[dict]) -> Path:
    path.write_text("".join(json.dumps(op) + "\n" for op in ops))
    return path


def test_check_prints_one_json_verdict_a_line(tmp_path: Path) -> None:
    bad = write_jsonl(tmp_path / "bad.jsonl", LOST_UPDATE)
    good = write_jsonl(tmp_path / "good.jsonl", LOST_UPDATE[:2])
    done = faultline("check", str(bad), str(good), "--workload", "append", "--model", "serializable", "--json")
    assert done.returncode == 1
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert first["path"] == str(bad) and first["verdict"] == "invalid" and "lost-update" in first["anomaly_types"]
    assert "cursor-stability" in first["not"] and "serializable" in first["also_not"]
    assert second["verdict"] == "valid"


def test_check_of_a_broken_file_names_the_line(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "broken.jsonl", LOST_UPDATE[:3])
    path.write_text(path.read_text() + "{nonsense}\n" + json.dumps(LOST_UPDATE[4]) + "\n")
    done = faultline("check", str(path), "--workload", "append")
    assert done.returncode == 2
    assert "4" in done.stderr and "Traceback" not in done.stderr


def test_check_writes_a_report(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "bad.jsonl", LOST_UPDATE)
    report = tmp_path / "report.html"
    assert faultline("check", str(path), "--workload", "append", "--report", str(report)).returncode == 1
    assert "<html" in report.read_text()


def test_over_several_runs_invalid_outranks_everything() -> None:
    assert combined([Exit.VALID, Exit.INFRASTRUCTURE, Exit.INVALID, Exit.UNKNOWN]) == Exit.INVALID
    assert combined([Exit.VALID, Exit.UNKNOWN]) == Exit.UNKNOWN
    assert combined([Exit.UNKNOWN, Exit.INFRASTRUCTURE]) == Exit.INFRASTRUCTURE
    assert combined([Exit.VALID]) == Exit.VALID
