"""Which nodes are taken, and the stall nemesis: no cluster needed."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nemeses
from harness.errors import UsageError
from harness.fault import Fault
from harness.nodes.base import CommandFailed
from harness.options import with_defaults
from harness.stall import StallGate
from nemeses.base import Setting
from nemeses.choose import on_each, some_nodes
from nemeses.clock import MAX_OFFSET_S, Clock
from nemeses.stall import Stall


def setting(count: int = 3, gate: StallGate | None = None, **options: object) -> Setting:
    cluster = SimpleNamespace(nodes=[SimpleNamespace(name=f"n{i}") for i in range(1, count + 1)])
    given_options = {name.replace("_", "-"): value for name, value in options.items()}
    return Setting(cluster, None, gate or StallGate(), given_options)  # type: ignore[arg-type]


def test_every_family_is_registered_under_its_kind():
    assert list(nemeses.NEMESES) == ["partition", "kill", "pause", "clock", "stall", "membership"]
    assert all(nemesis.kind == kind for kind, nemesis in nemeses.NEMESES.items())
    for nemesis in nemeses.NEMESES.values():
        assert with_defaults(nemesis.options, {}).keys() == nemesis.options.keys()


@given(st.integers(min_value=1, max_value=12), st.randoms(use_true_random=False))
def test_some_nodes_are_some_of_the_nodes(count: int, rng: random.Random):
    names = [f"n{i}" for i in range(count)]
    chosen = some_nodes(rng, names)
    assert 1 <= len(chosen) == len(set(chosen)) <= count
    assert chosen == [name for name in names if name in chosen]


def test_one_node_is_the_most_likely_and_all_are_possible():
    rng = random.Random(1)
    sizes = Counter(len(some_nodes(rng, ["n1", "n2", "n3", "n4", "n5"])) for _ in range(1000))
    assert sizes[1] > 400
    assert sizes[5] > 50
    assert set(sizes) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("share, sizes", [("one", {1}), ("minority", {1, 2}), ("majority", {3, 4}), ("all", {5})])
@pytest.mark.parametrize("kind", ["kill", "pause"])
def test_how_many_nodes_are_taken_can_be_settled(kind: str, share: str, sizes: set[int]):
    told = setting(5, **{f"{kind}_nodes": share})
    rng = random.Random(2)
    assert {len(nemeses.NEMESES[kind].plan(told, rng)[0]) for _ in range(100)} == sizes


def test_all_nodes_are_done_before_an_error_is_told():
    done = []

    def do(node: SimpleNamespace) -> str:
        if node.name == "n1":
            raise CommandFailed("n1", ["x"], 1, "no")
        done.append(node.name)
        return node.name

    cluster = setting().cluster
    with pytest.raises(CommandFailed):
        on_each(cluster, ["n1", "n2", "n3"], do)  # type: ignore[arg-type]
    assert sorted(done) == ["n2", "n3"]
    assert on_each(cluster, [], do) == {}  # type: ignore[arg-type]


@given(st.randoms(use_true_random=False), st.floats(min_value=0.5, max_value=MAX_OFFSET_S))
def test_clock_offsets_stay_within_what_was_asked(rng: random.Random, largest: float):
    nodes, params = Clock().plan(setting(5, clock_max=largest), rng)
    assert nodes
    assert 0 < abs(params["offset_s"]) <= largest + 0.001
    assert params["mode"] in ("jump", "strobe")
    assert ("period_ms" in params) == (params["mode"] == "strobe")


def test_a_given_offset_is_one_nodes_jump():
    for seed in range(20):
        nodes, params = Clock().plan(setting(3, clock_offset=60.0), random.Random(seed))
        assert len(nodes) == 1
        assert params == {"mode": "jump", "offset_s": 60.0}


def test_offsets_beyond_an_hour_are_refused():
    with pytest.raises(UsageError, match="clock-offset=7200: must be within ±3600 seconds"):
        Clock().prove(setting(1, clock_offset=7200.0))


def test_a_stall_window_counts_its_own_stalls():
    gate, stall = StallGate(), Stall()
    here = setting(gate=gate, stall_chance=1.0, stall_length=2.5)
    assert stall.prove(here) is None
    assert gate.draw(random.Random(0)) == 0.0, "closed again"
    nodes, params = stall.plan(here, random.Random(0))
    assert (nodes, params) == ([], {"chance": 1.0, "length_s": 2.5})
    gate.count()  # of an earlier window
    fault = Fault(id=7, kind="stall", lane="stall", params=params)
    assert stall.inject(here, fault) == {"took_effect": False}
    assert gate.draw(random.Random(0)) == 2.5
    gate.count()
    gate.count()
    assert stall.heal(here, fault) == {"stalls": 2, "took_effect": True}
    assert gate.draw(random.Random(0)) == 0.0
    empty = Fault(id=8, kind="stall", lane="stall", params=params)
    stall.inject(here, empty)
    assert stall.heal(here, empty) == {"stalls": 0}
    assert stall.heal(here, Fault(id=9, kind="stall", lane="stall")) == {"stalls": 0}, "one that never began"


@pytest.mark.parametrize("options", [{"stall_chance": 0.0}, {"stall_chance": 1.5}, {"stall_length": 0.0}])
def test_senseless_stalls_are_refused(options: dict[str, float]):
    with pytest.raises(UsageError, match="option stall-"):
        Stall().prove(setting(**options))
