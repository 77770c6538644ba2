"""Goal: generators, rules and checkers tell a flawed store from a sound one. Method: every flaw, many seeds.

The store is small enough to see that it is right without a flaw, and what exactly each flaw leaves out. A sound store
that is judged invalid, or a flaw that goes unseen, is a defect of a generator, of the rules for ops, or of a checker.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.errors import InfrastructureError, UsageError
from harness.history import History
from harness.judging import judge
from harness.op import Op
from harness.options import with_defaults
from harness.plan import TestPlan
from harness.registry import find_workload
from harness.target import Timeouts
from harness.verdict import Verdict
from harness.workload import Workload
from targets.simulated.programs import REGISTRY
from targets.simulated.run import simulate_workload
from targets.simulated.store import FLAWS, Store, Transaction
from targets.simulated.target import Simulated

WORKLOADS: dict[str, Workload] = {name: find_workload(name) for name in REGISTRY}

COMBINATIONS = [(name, flaw) for name, programs in REGISTRY.items() for flaw in programs.named_as]
AGAIN = "duplicate-elements"
MAY_ALSO_SHOW = {
    "dirty-read": ("stale-read", "lost-update"),
    "lost-update": ("lost-update", "lost-write", AGAIN),
    "lost-write": ("lost-write", "lost-update", "stale-read", AGAIN),
    "split-brain": ("lost-write", "lost-update", "stale-read", AGAIN),
    "duplicate": ("lost-write", "lost-update", "stale-read", AGAIN),
    "non-monotonic-read": ("stale-read", "lost-write"),
    "diverged-replicas": ("stale-read", "lost-write"),
    "lost-element": ("lost-write", "lost-update", "stale-read", AGAIN),
}
"""What else a flaw's history may truly hold: whose update was overwritten lost a write; what was read and then rolled
back, or lost, makes those who read afterwards look late; two that read one uncommitted value and write lose an
update; a queue whose dequeue is lost hands its value out again; final reads that are all old make lost what is
late. No other flaw may be called by such a name."""
WEAKEST = "read-uncommitted"
NEEDS_EVERY_ANSWER = {("queue", "lost-element")}
"""Where one lost answer at the end, a drain's, leaves open what is missing: without trouble there is none."""
SCALE = max(1, int(os.environ.get("FAULTLINE_EXAMPLES", "600")) // 2000)
quickly = settings(deadline=None, max_examples=2 * SCALE, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 2**32 - 1)
troubles = st.sampled_from(["some", "none"])


def history(
    name: str,
    flaw: str,
    seed: int,
    *,
    trouble: str = "some",
    time_s: float = 1.5,
    given: Mapping[str, str] = MappingProxyType({}),
    **more: Any,
) -> list[Op]:
    options = {**with_defaults(WORKLOADS[name].options, given), "flaw": flaw, "trouble": trouble}
    plan = TestPlan(
        target="simulated", workload=name, on="simulated", nodes=5, options=options, seed=seed, time_s=time_s, **more
    )
    return simulate_workload(WORKLOADS[name], plan)


def judged(name: str, ops: list[Op], **given: str) -> Verdict:
    """By all checkers of the workload, with the options of the run that `history` makes."""
    return judge(
        History.from_ops(ops),
        WORKLOADS[name],
        model=Simulated.claim(name, {}).model or "",
        options=with_defaults(WORKLOADS[name].options, given),
        ran=True,
    )


@pytest.mark.parametrize("name", WORKLOADS)
@quickly
@given(seed=seeds, trouble=troubles)
def test_without_a_flaw_it_is_valid(name: str, trouble: str, seed: int) -> None:
    verdict = judged(name, history(name, "none", seed, trouble=trouble, time_s=1.0))
    assert (verdict.verdict, verdict.anomaly_counts) == ("valid", {}), verdict.anomalies[:1]


@pytest.mark.parametrize("name, flaw", COMBINATIONS)
@settings(quickly, max_examples=SCALE)
@given(seed=seeds, trouble=troubles)
@example(seed=1, trouble="none")
def test_every_flaw_is_found_and_named(name: str, flaw: str, trouble: str, seed: int) -> None:
    if (name, flaw) in NEEDS_EVERY_ANSWER:
        trouble = "none"
    verdict = judged(name, history(name, flaw, seed, trouble=trouble, time_s=2.0))
    assert verdict.verdict == "invalid"
    named = REGISTRY[name].named_as[flaw]
    assert verdict.anomaly_counts.get(named, 0) > 0, verdict.anomaly_counts
    assert any(anomaly.type == named and anomaly.counts for anomaly in verdict.anomalies)
    for other in ("stale-read", "lost-update", "lost-write", "duplicate-elements"):
        if other in verdict.anomaly_counts:
            assert other in MAY_ALSO_SHOW.get(flaw, (flaw,)), verdict.anomaly_counts


@pytest.mark.parametrize("name, flaw", COMBINATIONS)
def test_whatever_is_judged_all_that_was_found_is_shown(name: str, flaw: str) -> None:
    """The same record against what the store claims and against the weakest level: the same findings, which rule out
    the same models, each marked by whether it counts; only the verdict differs."""
    record = History.from_ops(history(name, flaw, 1, trouble="none", time_s=1.0, rate_hz=600))
    claim = Simulated.claim(name, {}).model
    options = with_defaults(WORKLOADS[name].options, {})
    strong, weak = (judge(record, WORKLOADS[name], model=model, options=options) for model in (claim, WEAKEST))
    assert weak.anomaly_counts == strong.anomaly_counts
    assert (weak.not_, weak.also_not) == (strong.not_, strong.also_not)
    assert {anomaly.type for anomaly in weak.anomalies} == set(weak.anomaly_types)
    assert any(anomaly.counts for anomaly in weak.anomalies) is (weak.verdict == "invalid")
    if weak.verdict == "unknown":
        assert name == "register", "no level of transactions is decided by what linearizability forbids"


@pytest.mark.parametrize("name", [name for name, programs in REGISTRY.items() if "split-brain" in programs.named_as])
def test_two_leaders_in_one_term_are_seen(name: str) -> None:
    verdict = judged(name, history(name, "split-brain", 3, time_s=4.0, rate_hz=200))
    observed = verdict.checkers["split-brain"]
    assert observed.anomaly_counts["split-brain"] > 0
    assert any("acted as primary in term" in anomaly.sentence for anomaly in observed.anomalies)
    assert all(anomaly.counts for anomaly in observed.anomalies if anomaly.key is not None)


@quickly
@given(seed=seeds)
def test_a_leader_that_has_not_heard_yet_is_no_split_brain(seed: int) -> None:
    """Cut off, it goes on to call itself leader in its old term: seen, and no anomaly."""
    verdict = judged("register", history("register", "none", seed, time_s=6.0, rate_hz=100))
    assert (verdict.verdict, verdict.anomaly_counts) == ("valid", {})


def test_leaders_that_have_not_heard_yet_are_counted() -> None:
    runs = [judged("register", history("register", "none", seed, time_s=6.0, rate_hz=100)) for seed in range(4)]
    counts = [run.stats["split-brain"]["stale_primaries"] for run in runs]
    assert sum(counts) > 0


CONVERGING = [name for name in WORKLOADS if "local-read" in REGISTRY[name].by_f]


@pytest.mark.parametrize("name", CONVERGING)
@settings(quickly, max_examples=SCALE)
@given(seed=seeds, trouble=troubles)
@example(seed=1, trouble="some")
def test_replicas_that_lag_agree_in_the_end(name: str, trouble: str, seed: int) -> None:
    ops = history(name, "none", seed, trouble=trouble, rate_hz=500, given={"final": "converge"})
    verdict = judged(name, ops, final="converge")
    assert (verdict.verdict, verdict.anomaly_counts) == ("valid", {}), verdict.anomalies[:1]
    convergence = verdict.checkers["convergence"].stats
    assert convergence["nodes"] == 5 and convergence["compared"] > 0
    assert 0 <= convergence["agreed_within_s"] < 5
    assert {op.node for op in ops if op.f == "local-read" and op.type == "ok"} == {f"n{n}" for n in range(1, 6)}


@pytest.mark.parametrize("name", CONVERGING)
@settings(quickly, max_examples=SCALE)
@given(seed=seeds, trouble=troubles)
@example(seed=1, trouble="some")
def test_replicas_that_never_agree_are_found(name: str, trouble: str, seed: int) -> None:
    given = {"final": "converge"}
    ops = history(name, "diverged-replicas", seed, trouble=trouble, time_s=2.0, rate_hz=500, given=given)
    verdict = judged(name, ops, final="converge")
    assert verdict.verdict == "invalid"
    assert verdict.anomaly_counts["diverged-replicas"] > 0
    assert "agreed_within_s" not in verdict.checkers["convergence"].stats


def test_local_reads_are_judged_by_nobody_else() -> None:
    """A replica's answer is old by right: with a stale replica the same run without its reads has the same verdict."""
    ops = history("register", "none", 5, rate_hz=300, given={"final": "converge"})
    late = [
        op.replace(value=[op.value[0], 10**9]) if op.f == "local-read" and op.type == "ok" and op.node == "n2" else op
        for op in ops
    ]
    verdict = judged("register", late, final="converge")
    assert {name for name, part in verdict.checkers.items() if part.verdict != "valid"} == {"convergence"}


@pytest.mark.parametrize(
    ("flaw", "bound_ms", "expected"), [("none", 1, 0), ("stale-read", 1, 10), ("stale-read", 500, 0)]
)
def test_reads_older_than_the_bound_are_found(flaw: str, bound_ms: int, expected: int) -> None:
    """Replicas are 5 to 60 ms behind; the leader answers without a flaw."""
    bound = {"max_staleness_ms": str(bound_ms)}
    verdict = judged("register", history("register", flaw, 2, trouble="none", given=bound), **bound)
    staleness = verdict.checkers["staleness"]
    assert staleness.anomaly_counts.get("too-stale", 0) >= expected
    assert (staleness.verdict == "invalid") == bool(expected)
    assert (staleness.stats.get("staleness_ms_max", 0) > 1) == (flaw == "stale-read")
    assert staleness.stats.get("staleness_ms_max", 0) < 100


def test_every_flaw_can_be_shown() -> None:
    assert {flaw for _, flaw in COMBINATIONS} == set(FLAWS) - {"none"}


def digest(ops: list[Op]) -> str:
    return hashlib.sha256(b"\n".join(map(msgspec.json.encode, ops))).hexdigest()


@pytest.mark.parametrize("name", WORKLOADS)
def test_same_seed_same_history_byte_for_byte(name: str) -> None:
    one = digest(history(name, "none", 11))
    assert one == digest(history(name, "none", 11))
    assert one != digest(history(name, "none", 12))


ANOTHER_PROCESS = "from tests.targets.test_simulated import *; print(digest(history('append', 'none', 11)))"


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_same_seed_same_history_in_another_process(hash_seed: str) -> None:
    """Python's order of sets of strings differs between processes; nothing may depend on it."""
    done = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS],
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == digest(history("append", "none", 11)), done.stderr


def test_every_kind_of_completion_occurs_and_unknown_ops_may_have_happened() -> None:
    """Unknown appends whose values were read have happened; some of those whose key was read later have not."""
    ops = history("append", "none", 5, time_s=30.0, rate_hz=300.0)
    types = Counter(op.type for op in ops if op.process != "nemesis")
    assert types["ok"] > 4000 and types["fail"] > 100 and types["info"] >= 10
    windows = History.from_ops(ops).windows()
    assert {window.fault.kind for window in windows if window.took_effect} == {"partition", "kill", "pause"}
    assert all(window.healed for window in windows)
    read = {
        (key, element)
        for op in ops
        if op.type == "ok"
        for f, key, elements in op.value
        if f == "r"
        for element in elements
    }
    keys = {key for key, _ in read}
    unknown = [
        (key, element)
        for op in ops
        if op.type == "info" and op.process != "nemesis"
        for f, key, element in op.value
        if f == "append" and key in keys
    ]
    happened = [append in read for append in unknown]
    assert True in happened and False in happened
    assert "deadline" in {op.error for op in ops}


def test_a_flaw_that_the_workload_cannot_show_is_refused() -> None:
    with pytest.raises(UsageError, match=r"flaw='read-skew' can't show in workload 'register': choose append"):
        history("register", "read-skew", 1)
    with pytest.raises(UsageError):
        Simulated(image="", options={"flaw": "stale-read"}, timeouts=Timeouts(), workload="write-skew")


def test_it_has_no_nodes() -> None:
    target = Simulated(image="", options={"flaw": "none"}, timeouts=Timeouts(), workload="append")
    with pytest.raises(InfrastructureError, match="it has no nodes"):
        target.start(None)  # type: ignore[arg-type]


@given(st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), min_size=1, max_size=4), max_size=5), st.data())
@settings(deadline=None)
def test_without_a_flaw_transactions_are_as_if_one_after_the_other(
    programs: list[list[tuple[bool, int]]], data: st.DataObject
) -> None:
    """Any interleaving of the statements: who commits, commits as if alone at that moment (brute force)."""
    store = Store()
    running: dict[int, Transaction] = {}
    reads: dict[int, list[tuple[int, Any]]] = {number: [] for number in range(len(programs))}
    places = dict.fromkeys(range(len(programs)), 0)
    model: dict[int, tuple[Any, ...]] = {}
    left = list(places)
    while left:
        number = data.draw(st.sampled_from(left))
        transaction = running.setdefault(number, Transaction(store, "none", store.now))
        place = places[number]
        if place < len(programs[number]):
            places[number] += 1
            is_append, key = programs[number][place]
            if is_append:
                transaction.append(key, (number, place))
            else:
                reads[number].append((place, transaction.read(key)))
            continue
        left.remove(number)
        writes = any(is_append for is_append, _ in programs[number])
        if not writes:
            continue
        try:
            transaction.commit(store.now)
        except Exception:
            continue
        seen = dict(reads[number])
        for place, (is_append, key) in enumerate(programs[number]):
            if is_append:
                model[key] = (*model.get(key, ()), (number, place))
            else:
                assert (seen[place] or ()) == model.get(key, ())
    for key, value in model.items():
        assert store.read(key, store.now)[0] == value
