"""Made-up runs for the report's tests: thousands of transactions with faults, in which a few things went wrong."""

from __future__ import annotations

import random
from typing import Any

from harness.fault import Fault
from harness.history import History
from harness.op import NEMESIS, Op
from harness.plan import TestPlan
from harness.report import NodeLog, ReportInput
from harness.target import Claim, KnownIssue
from harness.verdict import Anomaly, Edge, Verdict

NODES = ("n1", "n2", "n3")
FAULTS = (
    ("partition", ["n1"], {"shape": "one"}, {"dropped_packets": 1432}, 6.0, 11.0),
    ("kill", ["n2"], {}, {"pids": [4121, 4127, 4130], "served_after_s": 1.21}, 14.0, 16.4),
    ("clock", ["n3"], {"mode": "jump", "offset_s": 60.0}, {"skew_s": 59.9998}, 12.5, 21.0),
    ("pause", ["n1"], {}, {"processes": 9}, 19.0, 22.5),
    ("partition", ["n2", "n3"], {"shape": "halves"}, {"dropped_packets": 3210}, 25.0, 29.5),
    ("kill", ["n3"], {}, {"pids": [5120], "served_after_s": 0.84}, 33.0, 34.6),
    ("stall", [], {"chance": 0.005, "length_s": 3.0}, {"stalls": 14}, 30.0, 38.0),
)


PLANTED: tuple[tuple[str, int, float, float, list], ...] = (
    ("ring", 2, 8.010, 0.030, [["append", 60, 1], ["append", 61, 1]]),
    ("ring", 5, 8.020, 0.030, [["r", 60, [1]], ["append", 62, 3]]),
    ("ring", 8, 8.025, 0.050, [["r", 62, [3]], ["r", 61, []]]),
    ("skew", 4, 17.2051, 0.0183, [["r", 40, []], ["append", 41, 1]]),
    ("skew", 7, 17.2093, 0.0211, [["r", 41, []], ["append", 40, 1]]),
    ("lost", 3, 27.311, 0.012, [["r", 52, [1, 4]], ["append", 52, 7]]),
    ("lost", 9, 27.314, 0.015, [["r", 52, [1, 4]], ["append", 52, 8]]),
)
"""(of which anomaly, worker, begin_s, took_s, what it did): the transactions that the anomalies are made of."""


class Recorder:
    """Collects records of many clients and hands them out in order of time, indexed."""

    def __init__(self) -> None:
        self.records: list[tuple[int, int, Op]] = []

    def operation(
        self, begin_s: float, took_s: float, process: int, f: str, asked: Any, outcome: Any, got: Any, error: str | None
    ) -> Op:
        """Record both halves; the completion is returned, to be found again by identity."""
        node = NODES[process % len(NODES)]
        invoke = Op("invoke", f, asked, process, int(begin_s * 1e9), node=node)
        end = Op(outcome, f, got, process, int((begin_s + took_s) * 1e9), error=error, node=node)
        self.records += [(invoke.time_ns, len(self.records), invoke), (end.time_ns, len(self.records) + 1, end)]
        return end

    def fault(
        self, number: int, kind: str, nodes: list[str], params: dict, observed: dict, begin: float, end: float
    ) -> None:
        fault = Fault(number, kind, kind, nodes, params)
        for second, type_, f, value in (
            (begin, "invoke", "inject", fault),
            (
                begin + 0.01,
                "info",
                "inject",
                Fault(number, kind, kind, nodes, params, {"took_effect": True, **observed}),
            ),
            (end - 0.2, "invoke", "heal", fault),
            (end, "info", "heal", fault),
        ):
            op = Op(type_, f, value, NEMESIS, int(second * 1e9))
            self.records.append((op.time_ns, len(self.records), op))

    def finish(self) -> tuple[History, dict[int, int]]:
        """(history, id of a completion → its index)."""
        ordered = [op for _, _, op in sorted(self.records, key=lambda record: record[:2])]
        return History.from_ops([op.replace(index=i) for i, op in enumerate(ordered)]), {
            id(op): i for i, op in enumerate(ordered)
        }


def bank_of_lists(seed: int = 7, seconds: float = 40.0, workers: int = 12, poison: str = "") -> ReportInput:
    """A list-append run of a few thousand transactions with a write skew, a lost update and a read skew."""
    rng, record = random.Random(seed), Recorder()
    for number, fault in enumerate(FAULTS):
        record.fault(number, *fault)
    lists: dict[int, list[int]] = {}
    planted: dict[str, list[Op]] = {"ring": [], "skew": [], "lost": []}
    for worker in range(workers):
        now, process = 0.2 + rng.random() / 10, worker
        waiting = [plan for plan in PLANTED if plan[1] == worker]
        while now < seconds:
            before = len(record.records)
            free_at, next_process = _transaction(record, rng, lists, now, process, workers, poison)
            if waiting and free_at > waiting[0][2]:
                del record.records[before:]
                name, _, begin, took, did = waiting.pop(0)
                asked = [["r", key, None] if f == "r" else [f, key, value] for f, key, value in did]
                planted[name].append(record.operation(begin, took, process, "txn", asked, "ok", did, None))
                free_at, next_process = begin + took + 0.02, process
            now, process = free_at, next_process
    history, at = record.finish()
    i = {name: [at[id(op)] for op in sorted(ops, key=lambda op: op.process % workers)] for name, ops in planted.items()}
    anomalies = [
        Anomaly(
            "G2-item",
            i["skew"],
            f"T1 read list 40 and did not see T2's append of 1 to it; T2 read list 41 and did not see T1's "
            f"append.{poison} "
            "Had one run after the other, the second would have seen the first.",
            key=40,
            cycle=[
                Edge(
                    i["skew"][0],
                    i["skew"][1],
                    "rw",
                    f"T1 read 40 = [], T2 appended 1 to it{poison}: so T1 came first.",
                    40,
                ),
                Edge(i["skew"][1], i["skew"][0], "rw", "T2 read 41 = [], T1 appended 1 to it: so T2 came first.", 41),
            ],
        ),
        Anomaly(
            "G-single",
            i["ring"],
            "T3 saw the effect of T2, which had seen T1, but not T1's own append to list 61.",
            cycle=[
                Edge(i["ring"][0], i["ring"][1], "wr", "T1 appended 1 to 60, T2 read [1].", 60),
                Edge(i["ring"][1], i["ring"][2], "wr", "T2 appended 3 to 62, T3 read [3].", 62),
                Edge(i["ring"][2], i["ring"][0], "rw", "T3 read 61 = [], T1 appended 1 to it: so T3 came first.", 61),
            ],
        ),
        Anomaly(
            "lost-update",
            i["lost"],
            "Clients 3 and 9 both read list 52 as [1 4] and both wrote it back with their own element: 7 or 8 is lost.",
            key=52,
            details={"read": [1, 4], "written": [7, 8], f"note{poison}": poison or "both were confirmed"},
        ),
    ]
    verdict = Verdict(
        "invalid",
        checker="list-append",
        model="serializable",
        anomaly_types=["G-single", "G2-item", "lost-update"],
        anomaly_counts={"G2-item": 31, "G-single": 1, "lost-update": 2},
        not_=["repeatable-read", "consistent-view"],
        also_not=["snapshot-isolation", "serializable", "strict-serializable"],
        anomalies=anomalies,
        checkers={
            "list-append": Verdict(
                "invalid", model="serializable", anomaly_counts={"G2-item": 31}, stats={"transactions": 5120}
            ),
            "availability": Verdict("valid", stats={"longest_gap_s": 1.9}),
        },
    )
    return ReportInput(
        history=history,
        verdict=verdict,
        plan=TestPlan(
            target="postgres",
            workload="append",
            on="docker",
            image="postgres:18",
            nodes=3,
            concurrency=workers,
            seed=seed,
            time_s=seconds,
            faults=("partition", "kill", "pause", "clock", "stall"),
            options={"isolation": "serializable"},
        ),
        environment={
            "version": "18.4",
            "kernel": "Linux 6.1.0 x86_64",
            "images": {"postgres:18": "sha256:9f1c…"},
            "faults_proved": ["partition", "kill", "pause", "clock"],
            "log" + poison: poison,
        },
        claim=Claim(
            "serializable",
            "The Serializable isolation level provides the strictest transaction isolation.",
            "https://www.postgresql.org/docs/current/transaction-iso.html",
        ),
        known_issues=[
            KnownIssue(
                "summarized readers",
                "Long transactions can miss conflicts with readers that were summarized.",
                "https://example.org/issue",
                (("9.1", ""),),
            )
        ],
        sentence="Write skew was seen 31 times, read skew once and 2 updates were lost: "
        "PostgreSQL did not keep its promise to be serializable.",
        repeat_command="make test TARGET=postgres WORKLOAD=append FAULTS=partition,kill,pause,clock TIME=40 SEED=7",
        logs=[
            NodeLog(
                node,
                f"nodes/{node}/postgres.log",
                (f"LOG:  database system is ready{poison}", "LOG:  checkpoint starting"),
            )
            for node in NODES
        ],
        unmapped={f"psycopg.errors.Strange{poison}": 3},
        started="2026-11-22 05:12:07 UTC",
    )


def _transaction(
    record: Recorder,
    rng: random.Random,
    lists: dict[int, list[int]],
    now: float,
    process: int,
    workers: int,
    poison: str,
) -> tuple[float, int]:
    """One transaction of a worker; returns when it is free again, and its process."""
    node = NODES[process % len(NODES)]
    bad = [kind for kind, nodes, _, _, begin, end in FAULTS if node in nodes and begin <= now < end]
    took = rng.lognormvariate(-4.6, 0.55)
    asked, got = [], []
    for _ in range(rng.randint(1, 4)):
        key = rng.randint(1, 30)
        if rng.random() < 0.5:
            asked.append(["r", key, None])
            got.append(["r", key, list(lists.get(key, ()))[-40:]])
        else:
            value = len(lists.setdefault(key, [])) + 1
            asked.append(["append", key, value])
            got.append(["append", key, value])
    if "kill" in bad or ("partition" in bad and rng.random() < 0.7):
        if rng.random() < 0.6:
            record.operation(
                now, 0.004, process, "txn", asked, "fail", asked, f"connection refused by {node}:5432{poison}"
            )
            return now + 0.15, process + workers
        record.operation(
            now, 2.0 + rng.random(), process, "txn", asked, "info", asked, f"timeout: no answer within 4 s{poison}"
        )
        return now + 3.1, process + workers
    if "pause" in bad:
        took += 22.5 - now
    if rng.random() < 0.07:
        record.operation(
            now, took, process, "txn", asked, "fail", asked, "could not serialize access due to read/write dependencies"
        )
    else:
        record.operation(now, took, process, "txn", asked, "ok", got, None)
        for f, key, value in got:
            if f == "append":
                lists.setdefault(key, []).append(value)
    return now + took + 0.012 + rng.random() * 0.03, process
