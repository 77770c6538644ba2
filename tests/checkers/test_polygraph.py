"""The polygraph on questions whose answer is plain to see, and on whole runs of a store with snapshot isolation."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.polygraph import history_of
from checkers.transactions import polygraph_clauses
from checkers.transactions.dependency_graph import PASS, PROCESS, RW, WR, WW, Graph
from checkers.transactions.polygraph import Answer, Must, OpenKeys, decide
from checkers.transactions.polygraph_clauses import Clauses, contradictory_part
from checkers.transactions.rw_register_edges import known_dependencies, open_keys
from checkers.transactions.rw_register_versions import versions_of
from checkers.transactions.txn_columns import Form, columns_of
from harness.history import History


def graph(txns: int, edges: list[tuple[int, int, int]]) -> Graph:
    columns = [np.array([edge[i] for edge in edges], np.int32) for i in range(3)]
    none = np.full(len(edges), -1, np.int32)
    return Graph(txns, txns, columns[0], columns[1], columns[2].astype(np.int8), none, none)


def keys(*versions: list[tuple[int, list[int]]]) -> OpenKeys:
    """For each key its versions as (writer, readers)."""
    flat = [version for key in versions for version in key]
    readers = [reader for _, some in flat for reader in some]
    return OpenKeys(
        np.arange(len(versions), dtype=np.int32),
        np.cumsum([0] + [len(key) for key in versions]).astype(np.int64),
        np.array([writer for writer, _ in flat], np.int32),
        np.full(len(flat), -1, np.int32),
        np.cumsum([0] + [len(some) for _, some in flat]).astype(np.int64),
        np.array(readers, np.int32),
        np.full(len(readers), -1, np.int32),
    )


def ask(known: Graph, versions: OpenKeys, must: Must, seconds: float = 60) -> Answer:
    return decide(known, versions, must, deadline=time.monotonic() + seconds)


def test_two_blind_writes_fit_in_some_order() -> None:
    answer = ask(graph(2, []), keys([(0, []), (1, [])]), Must.SERIALIZABLE)
    assert answer.possible
    assert sorted(answer.order.tolist()) == [0, 1]


def test_an_order_that_is_known_is_kept() -> None:
    known = graph(3, [(1, 2, WR), (2, 0, WW)])
    answer = ask(known, keys([(0, []), (1, [2])]), Must.SNAPSHOT)
    assert answer.possible
    assert answer.order.tolist() == [1, 0]


def test_readers_that_saw_each_version_after_the_other_leave_no_order() -> None:
    known = graph(4, [(0, 2, WR), (1, 3, WR), (1, 2, WR), (0, 3, WR)])
    versions = keys([(0, [2]), (1, [3])])
    assert ask(known, versions, Must.DEPENDENCIES).possible
    for must in (Must.VIEW, Must.SNAPSHOT, Must.SERIALIZABLE):
        answer = ask(known, versions, must)
        assert answer.possible is False
        assert answer.conflict is not None
        assert answer.conflict.txns == [0, 1, 2, 3]
        assert answer.conflict.choices == [(0, 1, 0)]
        assert len(answer.conflict.cycles) == 2


def test_a_long_fork_breaks_snapshot_isolation_and_not_consistent_view() -> None:
    known = graph(4, [(0, 2, WR), (1, 3, WR), (2, 1, RW), (3, 0, RW)])
    versions = keys([(0, []), (2, [])])
    assert ask(known, versions, Must.VIEW).possible
    answer = ask(known, versions, Must.SNAPSHOT)
    assert answer.possible is False
    assert answer.conflict is not None
    assert answer.conflict.choices == []
    assert len(answer.conflict.cycles) == 1


def test_a_reader_that_is_named_twice_counts_once() -> None:
    known = graph(3, [(0, 2, WR), (0, 2, WR)])
    answer = ask(known, keys([(0, [2, 2, 0]), (1, [])]), Must.SERIALIZABLE)
    assert answer.possible


def test_no_time_is_no_answer() -> None:
    known = graph(4, [(0, 2, WR), (1, 3, WR), (0, 3, RW), (1, 2, RW), (2, 0, RW)])
    ring = graph(40, [(i, (i + 1) % 40, RW) for i in range(0, 40, 2)])
    versions = keys(*([(i, []), ((i + 1) % 40, [])] for i in range(40)))
    answer = ask(ring, versions, Must.SNAPSHOT, seconds=-1)
    assert answer.possible is not False
    assert ask(known, keys([(0, []), (1, [])]), Must.SNAPSHOT, seconds=-1).possible is not True


def test_the_solver_and_the_search_without_one_agree_on_clauses(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    for _ in range(60):
        clauses = [
            frozenset(tuple(sorted(rng.choice(7, 2, replace=False).tolist())[:: rng.choice([1, -1])]) for _ in range(3))
            for _ in range(int(rng.integers(3, 30)))
        ]
        found = []
        for solver in (polygraph_clauses.Solver, None):
            with monkeypatch.context() as patch:
                patch.setattr(polygraph_clauses, "Solver", solver)
                search = Clauses()
                for clause in clauses:
                    search.add(clause)
                chosen = search.solve(time.monotonic() + 10)
                search.close()
                if chosen is None:
                    part = contradictory_part(clauses, time.monotonic() + 10)
                    assert part
                else:
                    for clause in clauses:
                        assert any((b, a) in chosen for a, b in clause)
                found.append(chosen is None)
        assert found[0] == found[1]


def judged(flaw: str, must: Must, zipf: bool) -> bool | None:
    ops = history_of(400, 6, 60, 8, zipf=zipf, rmw=0.2, flaw=flaw, seed=7)
    columns = columns_of(History.from_ops(ops), Form.RW_REGISTER)
    txn = columns.txn_of_mop()
    versions = versions_of(columns, txn, False)
    known = known_dependencies(columns, txn, versions)
    known = known.subset((known.kind <= PASS) | (known.kind == PROCESS))
    answer = decide(
        known, open_keys(columns, txn, versions), must, deadline=time.monotonic() + 60, hint=columns.completed
    )
    return answer.possible


@pytest.mark.parametrize("zipf", [False, True])
def test_runs_of_a_store_with_snapshot_isolation_fit_it(zipf: bool) -> None:
    assert judged("none", Must.SNAPSHOT, zipf) is True


@pytest.mark.parametrize("zipf", [False, True])
@pytest.mark.parametrize("flaw", ["lost-update", "long-fork", "causality"])
def test_planted_flaws_are_found(flaw: str, zipf: bool) -> None:
    assert judged(flaw, Must.SNAPSHOT, zipf) is False


def test_planted_write_skew_breaks_serializability_alone() -> None:
    assert judged("write-skew", Must.SNAPSHOT, False) is True
    assert judged("write-skew", Must.SERIALIZABLE, False) is False
