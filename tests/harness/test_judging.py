"""What a reader must know of how a record was read is in the verdict; a whole simulated run, twice, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.history import HistoryError
from harness.judging import check, claim_of, judge_run
from harness.plan import TestPlan
from harness.registry import find_target, target_names
from harness.runner import Run, run
from harness.store import RunFolder
from harness.telling import tell_run


def simulated(results: Path, **asked: object) -> Run:
    return run(results, target="simulated", workload="register", time_s=1.0, seed=7, concurrency=6, **asked)


def cut(path: Path) -> int:
    """Break off in the middle of the last line; its number."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    return len(lines)


def test_a_cut_journal_is_judged_and_the_verdict_says_so(tmp_path: Path) -> None:
    done = simulated(tmp_path)
    assert done.verdict.verdict == "valid"
    assert done.verdict.reasons == []
    last = cut(done.folder.journal)
    note = f"journal.jsonl ends in the middle of line {last}: that line was left out, everything before counts"
    verdict, _ = tell_run(done.folder)
    assert verdict.verdict == "valid"
    assert verdict.reasons == [note]
    assert judge_run(done.folder).reasons == [note]
    assert note in check(done.folder.path).reasons
    assert note in check(done.folder.journal, workload="register").reasons
    assert note in json.loads(done.folder.results.read_text())["verdict"]["reasons"]


def test_a_run_that_was_killed_before_its_first_op_is_unknown(tmp_path: Path) -> None:
    done = simulated(tmp_path)
    done.folder.journal.write_text("")
    verdict = judge_run(done.folder)
    assert verdict.verdict == "unknown"
    assert "journal.jsonl holds no op yet" in verdict.reasons


def test_a_run_of_old_has_the_defaults_of_options_that_came_later(tmp_path: Path) -> None:
    done = simulated(tmp_path)
    plan = json.loads(done.folder.plan.read_text())
    done.folder.plan.write_text(json.dumps({**plan, "options": {}}))
    assert judge_run(done.folder).verdict == "valid"
    for name in target_names():
        for workload in find_target(name).workloads:
            assert claim_of(TestPlan(target=name, workload=workload, on="local")) is not None


def test_same_seed_same_files_byte_for_byte(tmp_path: Path) -> None:
    folders: list[RunFolder] = []
    for name in ("one", "two"):
        done = simulated(tmp_path / name, options={"flaw": "stale-read"})
        assert done.verdict.verdict == "invalid"
        assert "stale read" in done.sentence
        assert "stale" in done.folder.report.read_text()
        folders.append(done.folder)
    one, two = folders
    assert one.history_edn.read_bytes() == two.history_edn.read_bytes()
    assert one.journal.read_bytes() == two.journal.read_bytes()


INVOKE, OK = '{"type": "invoke", "process": 0, ', '{"type": "ok", "process": 0, '


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "h.edn",
            "; recorded by hand\n\n{:index 7, :type :invoke, :process 0, :f :add, :value 1}\n"
            "{:index 9, :type :ok, :process 0, :f :add, :value 1}\n"
            '{:index 10, :type :invoke, :process 0, :f :add,\n :value "x"}\n',
            r"h.edn line 5 \(index 10\): add needs a whole number, not x",
        ),
        (
            "h.jsonl",
            f'{INVOKE}"f": "add", "value": 1}}\n\n{OK}"f": "add", "value": 1}}\n{INVOKE}"f": "add", "value": 1.5}}\n',
            r"h.jsonl line 4 \(index 2\): add needs a whole number, not 1.5",
        ),
        (
            "h.json",
            f'[{INVOKE}"f": "add", "value": "x"}}]',
            r"h.json op 1 \(index 0\): add needs a whole number, not x",
        ),
    ],
)
def test_a_record_that_a_checker_refuses_is_named_with_its_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(HistoryError, match=message):
        check(tmp_path / name, workload="counter-linearizable")


def test_a_list_of_ops_has_no_lines() -> None:
    ops = [{"type": "invoke", "process": 0, "f": "add", "value": "x"}]
    with pytest.raises(HistoryError, match=r"^index 0: add needs"):
        check(ops, workload="counter-linearizable")
