"""One object or many, by key: a history that could be judged as the wrong one of them is refused, not judged.

Method: histories of several keys, each key right by itself, as Jepsen's independent workloads record them. Taken for
one object's they would be wrong; so without the option `keyed`, or where a register's reads do not tell, there must be
no verdict. From ops and from a file, which have readers of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.history import HistoryError
from harness.history_edn import write_lines
from harness.judging import check
from harness.op import Op


def ops_of(calls: list[tuple[str, Any, Any]]) -> list[Op]:
    """One client's calls, one after the other: (f, what was asked, the answer)."""
    records = [(type_, f, value) for f, asked, told in calls for type_, value in (("invoke", asked), ("ok", told))]
    return [
        Op(type=type_, f=f, value=value, process=0, time_ns=place, index=place)  # type: ignore[arg-type]
        for place, (type_, f, value) in enumerate(records)
    ]


KEYED: dict[str, list[tuple[str, Any, Any]]] = {
    "queue-linearizable": [("enqueue", [1, 5], [1, 5]), ("dequeue", [2, None], [2, None])],
    "fifo-queue": [
        ("enqueue", [1, 5], [1, 5]), ("enqueue", [2, 6], [2, 6]),
        ("dequeue", [2, None], [2, 6]), ("dequeue", [1, None], [1, 5]),
    ],
    "stack": [("push", [1, 5], [1, 5]), ("pop", [2, None], [2, None])],
    "set-linearizable": [("add", [1, 5], [1, 5]), ("read", [2, None], [2, []])],
    "mutex": [("acquire", [1, None], [1, None]), ("acquire", [2, None], [2, None])],
    "fenced-lock": [("acquire", [1, None], [1, 7]), ("acquire", [2, None], [2, 7])],
    "log": [("append", [1, 5], [1, 5]), ("poll", [1, [0, None]], [1, [0, [5]]])],
}  # fmt: skip


@pytest.mark.parametrize("workload", KEYED)
def test_keys_that_were_not_announced_are_refused(workload: str, tmp_path: Path) -> None:
    ops = ops_of(KEYED[workload])
    file = tmp_path / "history.edn"
    file.write_text("".join(write_lines(ops)))
    for source in (ops, file):
        with pytest.raises(HistoryError, match="keyed=yes"):
            check(source, workload=workload)
        assert check(source, workload=workload, keyed="yes").verdict == "valid"


@pytest.mark.parametrize("keys", [(1, 2), ("x", "y")], ids=["numbers", "strings"])
def test_reads_that_were_invoked_with_their_answers_do_not_tell_keys_from_values(
    keys: tuple[Any, Any], tmp_path: Path
) -> None:
    """Knossos' completed histories are so. As one register of lists they would be wrong: [1 5] was overwritten."""
    one, other = keys
    values: list[tuple[str, Any]] = [
        ("write", [one, 5]), ("write", [other, 6]), ("read", [one, 5]), ("read", [other, 6]),
    ]  # fmt: skip
    ops = ops_of([(f, value, value) for f, value in values])
    file = tmp_path / "history.edn"
    file.write_text("".join(write_lines(ops)))
    for source in (ops, file):
        with pytest.raises(HistoryError, match=r"null or \[key, null\]"):
            check(source, workload="register")


def test_a_read_invoked_with_null_tells_that_there_are_no_keys(tmp_path: Path) -> None:
    lists = ops_of([("write", [1, 5], [1, 5]), ("read", [1, 5], [1, 5]), ("read", None, [1, 6])])
    file = tmp_path / "history.edn"
    file.write_text("".join(write_lines(lists)))
    for source in (lists, file):
        assert check(source, workload="register").verdict == "invalid"


def test_a_store_of_strings_that_nobody_reads_tells_keys_by_its_values(tmp_path: Path) -> None:
    """Its values are strings, so a list of two can only be a key and its string."""
    keyed = ops_of([("put", [1, "a"], [1, "a"]), ("append", ["x", "b"], ["x", "b"])])
    plain = ops_of([("put", "a", "a"), ("append", "b", "b")])
    mixed = ops_of([("put", [1, "a"], [1, "a"]), ("append", "b", "b")])
    file = tmp_path / "history.edn"
    for ops, keys in ((keyed, 2), (plain, 1)):
        file.write_text("".join(write_lines(ops)))
        for source in (ops, file):
            verdict = check(source, workload="kv")
            assert (verdict.verdict, verdict.checkers["linearizable"].stats["keys"]) == ("valid", keys)
    with pytest.raises(HistoryError, match="put needs a string"):
        check(mixed, workload="kv")
