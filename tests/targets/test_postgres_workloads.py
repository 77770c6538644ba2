"""Goal: each workload's ops do on a real PostgreSQL what their workload says; what is refused had no effect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.op import Op, invoke
from harness.target import DidNotHappen
from tests.e2e.runs import run
from tests.targets.postgres_server import Server, open_session, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def sessions(server: Server, workload: str, count: int = 2, gap: Any = lambda: None, **options: Any) -> list[Any]:
    """Sessions on fresh tables; the first calls `gap` between its statements."""
    target = server.set_up(workload, **options)
    gaps = [gap] + [lambda: None] * (count - 1)
    return [open_session(target, workload, server.node, process=i, gap=each) for i, each in enumerate(gaps)]


def test_a_register(server: Server) -> None:
    first, other = sessions(server, "register")
    assert first.invoke(invoke("read", [1, None])) == Op("ok", "read", [1, None])
    with pytest.raises(DidNotHappen, match="compare failed: it did not hold 4"):
        first.invoke(invoke("cas", [1, [4, 5]]))
    assert first.invoke(invoke("cas", [1, [None, 5]])) == Op("ok", "cas", [1, [None, 5]])
    with pytest.raises(DidNotHappen, match="compare failed: it did not hold nothing"):
        other.invoke(invoke("cas", [1, [None, 6]]))
    assert other.invoke(invoke("write", [1, 6])) == Op("ok", "write", [1, 6])
    assert other.invoke(invoke("cas", [1, [6, 7]])).type == "ok"
    assert first.invoke(invoke("read", [1, None])).value == [1, 7]
    assert first.is_read(invoke("read", [1, None])) and not first.is_read(invoke("write", [1, 2]))


def test_registers_in_transactions(server: Server) -> None:
    first, other = sessions(server, "rw-register")
    written = [["w", 1, 1], ["r", 1, None], ["w", 1, 2], ["r", 2, None]]
    assert first.invoke(invoke("txn", written)).value == [["w", 1, 1], ["r", 1, 1], ["w", 1, 2], ["r", 2, None]]
    assert other.invoke(invoke("txn", [["r", 1, None]])).value == [["r", 1, 2]]
    assert first.is_read(invoke("txn", [["r", 1, None]])) and not first.is_read(invoke("txn", written))


def test_a_set_shows_an_element_as_often_as_it_was_inserted(server: Server) -> None:
    first, other = sessions(server, "set")
    for element in (2, 1, 2):
        assert first.invoke(invoke("add", element)) == Op("ok", "add", element)
    assert sorted(other.invoke(invoke("read")).value) == [1, 2, 2]


def test_ids_grow(server: Server) -> None:
    first, other = sessions(server, "unique-ids")
    assert [each.invoke(invoke("generate")).value for each in (first, other, first)] == [1, 2, 3]


@pytest.mark.parametrize("add", ["server", "read-write"])
def test_a_counter(server: Server, add: str) -> None:
    first, other = sessions(server, "counter", add=add)
    assert first.invoke(invoke("add", 5)) == Op("ok", "add", 5)
    assert other.invoke(invoke("add", -2)).type == "ok"
    assert first.invoke(invoke("read")).value == 3


def test_reading_and_writing_back_loses_what_came_in_between_at_read_committed_only(server: Server) -> None:
    for isolation, lost in (("read-committed", True), ("serializable", False)):
        others: list[Any] = []
        mine, other = sessions(
            server,
            "counter",
            gap=lambda: others[0].invoke(invoke("add", 10)),  # noqa: B023
            add="read-write",
            isolation=isolation,
        )
        others.append(other)
        if lost:
            mine.invoke(invoke("add", 1))
            assert other.invoke(invoke("read")).value == 1
        else:
            with pytest.raises(DidNotHappen):
                mine.invoke(invoke("add", 1))
            assert other.invoke(invoke("read")).value == 10


def test_a_bank(server: Server) -> None:
    first, other = sessions(server, "bank", accounts=3, balance=10)
    assert first.invoke(invoke("read")).value == [[0, 10], [1, 10], [2, 10]]
    transfer = invoke("transfer", {"from": 0, "to": 2, "amount": 4})
    assert first.invoke(transfer) == transfer.replace(type="ok")
    with pytest.raises(DidNotHappen, match="not enough in 0"):
        other.invoke(invoke("transfer", {"from": 0, "to": 1, "amount": 7}))
    assert other.invoke(invoke("read")).value == [[0, 6], [1, 10], [2, 14]]


def test_rows_are_inserted_where_a_search_finds_none(server: Server) -> None:
    first, other = sessions(server, "predicate")
    assert first.invoke(invoke("read", [7, None])).value == [7, []]
    assert first.invoke(invoke("insert", [7, [14, None]])) == Op("ok", "insert", [7, [14, None]])
    with pytest.raises(DidNotHappen, match="too late"):
        other.invoke(invoke("insert", [7, [None, 15]]))
    assert other.invoke(invoke("insert", [8, [None, 17]])).type == "ok"
    assert [first.invoke(invoke("read", [key, None])).value for key in (7, 8)] == [[7, [14]], [8, [17]]]


@pytest.mark.parametrize(("isolation", "both"), [("serializable", False), ("repeatable-read", True)])
def test_two_searches_that_find_nothing_can_both_insert_below_serializable_only(
    server: Server, isolation: str, both: bool
) -> None:
    others: list[Any] = []
    rival = invoke("insert", [3, [None, 7]])
    mine, other = sessions(
        server, "predicate", gap=lambda: others.pop().invoke(rival) if others else None, isolation=isolation
    )
    others.append(other)
    if both:
        assert mine.invoke(invoke("insert", [3, [6, None]])).type == "ok"
    else:
        with pytest.raises(DidNotHappen, match="40001"):
            mine.invoke(invoke("insert", [3, [6, None]]))
    assert sorted(other.invoke(invoke("read", [3, None])).value[1]) == ([6, 7] if both else [7])


def test_groups_of_keys_for_long_forks(server: Server) -> None:
    first, other = sessions(server, "long-fork")
    written = invoke("write", [["w", 1, 1]])
    assert first.invoke(written) == written.replace(type="ok") and not first.is_read(written)
    read = invoke("read", [["r", 2, None], ["r", 1, None]])
    assert other.is_read(read) and other.invoke(read).value == [["r", 2, None], ["r", 1, 1]]


def test_indexes_can_be_built_anew_beside_the_clients(tmp_path: Path) -> None:
    ran = run(tmp_path, "--workload", "register", "--faults", "reindex", "--time", "5", "--opts", "hold=0.1,rest=0.5")
    assert (ran.code, ran.counts) == (0, {}), ran.output
    assert ran.effective("reindex") >= 1


@pytest.mark.parametrize(
    "workload",
    ["register", "rw-register", "set", "set-final", "unique-ids", "counter", "bank", "predicate", "long-fork"],
)
def test_whole_runs_are_valid_at_serializable(workload: str, tmp_path: Path) -> None:
    ran = run(tmp_path, "--workload", workload, "--faults", "none", "--time", "4")
    assert (ran.code, ran.counts) == (0, {}), ran.output


@pytest.mark.parametrize(
    "workload, options, found",
    [
        ("bank", "isolation=read-committed", "wrong-total"),
        ("counter", "isolation=read-committed,add=read-write", "wrong-count"),
        ("rw-register", "isolation=repeatable-read,keys=5", "G2-item"),
    ],
)
def test_what_weak_levels_allow_is_found(workload: str, options: str, found: str, tmp_path: Path) -> None:
    ran = run(tmp_path, "--workload", workload, "--faults", "none", "--time", "6", "--opts", options)
    assert ran.counts.get(found, 0) > 0, ran.output
    assert (ran.code == 1) == ("read-committed" in options)
