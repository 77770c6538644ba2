"""The shapes of partitions, as pure functions: for any number of nodes, each shape is what it is called."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stall import StallGate
from nemeses.base import Setting
from nemeses.partition import LEAST_NODES, Partition, cut, cut_pairs

counts = st.integers(min_value=2, max_value=15)
rngs = st.randoms(use_true_random=False)


def names(count: int) -> list[str]:
    return [f"n{number}" for number in range(1, count + 1)]


def hears(drops: dict[str, list[str]], nodes: list[str]) -> dict[str, set[str]]:
    return {node: set(nodes) - set(drops.get(node, ())) for node in nodes}


@given(counts)
def test_halves(count: int):
    heard = hears(cut("halves", names(count), False), names(count))
    sides = {frozenset(side) for side in heard.values()}
    assert sorted(len(side) for side in sides) == sorted([count // 2, count - count // 2])


@given(counts)
def test_one(count: int):
    heard = hears(cut("one", names(count), False), names(count))
    assert heard["n1"] == {"n1"}
    assert all(heard[other] == set(names(count)) - {"n1"} for other in names(count)[1:])


@given(st.integers(min_value=4, max_value=15))
def test_majorities_ring(count: int):
    heard = hears(cut("majorities-ring", names(count), False), names(count))
    assert all(len(side) > count / 2 for side in heard.values()), "everybody hears a majority"
    assert all(side != set(names(count)) for side in heard.values()), "nobody hears all"
    assert len({frozenset(side) for side in heard.values()}) == count, "no two the same"


@given(st.integers(min_value=3, max_value=15))
def test_bridge(count: int):
    heard = hears(cut("bridge", names(count), False), names(count))
    assert heard["n1"] == set(names(count)), "the bridge hears all"
    sides = {frozenset(heard[node] - {"n1"}) for node in names(count)[1:]}
    assert len(sides) == 2
    assert abs(len(min(sides, key=len)) - len(max(sides, key=len))) <= 1


@given(st.sampled_from(list(LEAST_NODES)), counts, st.booleans())
def test_one_way_cuts_one_side_of_every_pair(shape: str, count: int, reverse: bool):
    if count < LEAST_NODES[shape]:
        return
    drops = cut(shape, names(count), True, reverse)
    pairs = {(node, other) for node, others in drops.items() for other in others}
    assert not pairs & {(other, node) for node, other in pairs}
    assert {frozenset(pair) for pair in pairs} == {frozenset(pair) for pair in cut_pairs(shape, names(count))}


@given(counts, rngs, st.sampled_from(["mix", "both", "one-way"]))
def test_plans_only_what_fits_and_never_names_a_stranger(count: int, rng: random.Random, direction: str):
    cluster = SimpleNamespace(nodes=[SimpleNamespace(name=name) for name in names(count)])
    setting = Setting(cluster, None, StallGate(), {"partition-direction": direction})  # type: ignore[arg-type]
    nodes, params = Partition().plan(setting, rng)
    assert nodes, "some packets will be dropped"
    assert nodes == list(params["cut"])
    assert LEAST_NODES[params["shape"]] <= count
    assert {other for others in params["cut"].values() for other in others} | set(nodes) <= set(names(count))
    assert all(node not in others for node, others in params["cut"].items()), "nobody is cut from itself"
    assert params["one_way"] == (direction == "one-way") or direction == "mix"


def test_the_same_seed_plans_the_same():
    cluster = SimpleNamespace(nodes=[SimpleNamespace(name=name) for name in names(5)])
    setting = Setting(cluster, None, StallGate(), {})  # type: ignore[arg-type]
    plans = [[Partition().plan(setting, rng) for _ in range(60)] for rng in (random.Random(7), random.Random(7))]
    assert plans[0] == plans[1]
    assert {params["shape"] for _, params in plans[0]} == set(LEAST_NODES)


def test_an_unknown_shape_is_an_error():
    with pytest.raises(ValueError, match="unknown shape 'star'"):
        cut_pairs("star", names(3))
