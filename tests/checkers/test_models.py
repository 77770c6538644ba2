"""The lattice: against the published table where it is there, and by its own rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checkers import models
from harness.errors import UsageError

PUBLISHED = Path(__file__).parents[2] / "../shared/cases/consistency_models.json"
OUR_OWN = {"garbage-read", "future-read"}
"""Anomalies that we hold against every model, and the published table does not."""
MORE = {
    model: {"cyclic-versions", "duplicate-elements"}
    for model in ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads", "PRAM", "causal")
} | {
    "parallel-snapshot-isolation": {
        *("G-single", "G-single-item", "lost-update", "G-cursor", "G-monotonic"),
    },
    "update-atomic": {"G-cursor"},
}
"""What we forbid more by the models' own definitions; the published table leaves those open."""
NOTHING = ["monotonic-reads", "monotonic-writes", "read-uncommitted", "read-your-writes", "writes-follow-reads"]
"""The weakest models, all of which what no execution shows rules out."""


@pytest.mark.skipif(not PUBLISHED.exists(), reason="../shared/cases/consistency_models.json is not there")
def test_what_each_model_prohibits_is_what_is_published() -> None:
    table = json.loads(PUBLISHED.read_text())
    names = table["canonical-model-names"]
    for model in models.MODELS:
        published = table["anomalies-prohibited-by"].get(names.get(model, model))
        if published is None:
            continue
        expected = {a for a in published if not a.endswith("cycle-exists") and a != "G-SIb"} - OUR_OWN
        ours = {a for a in expected | set(table["implied-anomalies"]) - OUR_OWN if models.counts_against(a, model)}
        # the published table stops at the session and realtime variants that it names itself
        extra = {a for a in ours - expected if not a.endswith(("-process", "-realtime"))}
        assert expected <= ours, (model, expected - ours)
        assert not extra - {"GSIb", "GSI", "GSIa"} - MORE.get(model, set()), (model, extra)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="../shared/cases/consistency_models.json is not there")
def test_implications_are_the_published_ones() -> None:
    table = json.loads(PUBLISHED.read_text())
    for model, implied in table["models"].items():
        try:
            name = models.canonical(model)
        except UsageError:
            continue
        for other in implied:
            try:
                weaker = models.canonical(other)
            except UsageError:
                continue
            assert weaker in models.weaker(name), (model, other)


@pytest.mark.parametrize(
    ("anomalies", "weakest"),
    [
        ([], []),
        (["G0"], ["read-uncommitted"]),
        (["G1a"], ["read-committed"]),
        (["incompatible-order"], ["read-committed"]),
        (["G2-item"], ["repeatable-read"]),
        (["G2"], ["serializable"]),
        (["lost-update"], ["cursor-stability", "update-atomic"]),
        (["G-single-item"], ["consistent-view", "repeatable-read"]),
        (["G-nonadjacent-item"], ["repeatable-read", "snapshot-isolation"]),
        (["internal"], ["read-atomic"]),
        (["internal", models.NON_REPEATABLE_READ], ["read-atomic", "repeatable-read"]),
        (["internal", models.MISSED_OWN_WRITE], NOTHING),
        (["garbage-read"], NOTHING),
        (["G1c-process"], ["strong-session-read-committed"]),
        (["G-single-item-process"], ["strong-session-snapshot-isolation"]),
        (["G-single-item-realtime"], ["strong-snapshot-isolation"]),
        (["G2-item-realtime"], ["strict-serializable"]),
        (["read-your-writes"], ["read-your-writes"]),
        (["read-your-writes", "G-single-item-process"], ["read-your-writes"]),
        (["writes-follow-reads"], ["writes-follow-reads"]),
        (["session-causality"], ["causal"]),
        (["OTV"], ["consistent-view", "monotonic-atomic-view"]),
        (["fractured-read"], ["consistent-view", "read-atomic", "repeatable-read"]),
        (["G-cursor"], ["cursor-stability", "update-atomic"]),
        (["long-fork"], ["prefix", "repeatable-read"]),
        (["G0-realtime", "G2-item"], ["repeatable-read", "strong-read-uncommitted"]),
    ],
)
def test_the_weakest_models_ruled_out(anomalies: list[str], weakest: list[str]) -> None:
    not_, also_not = models.ruled_out(anomalies)
    assert not_ == weakest
    assert not set(not_) & set(also_not)
    for model in also_not:
        assert any(other in models.weaker(model) for other in not_)


def test_what_breaks_a_weaker_model_breaks_every_stronger_one() -> None:
    for kind in (*models.CYCLES, "lost-update", "internal", "G1a", "G1b", "duplicate-elements"):
        for variant in (kind, kind + "-process", kind + "-realtime"):
            for model in models.MODELS:
                if any(models.counts_against(variant, weaker) for weaker in models.weaker(model)):
                    assert models.counts_against(variant, model)


def test_every_strength_exists_and_orders() -> None:
    assert models.canonical("linearizable") == models.canonical("strong-serializable") == "strict-serializable"
    assert "strong-session-repeatable-read" in models.weaker("strict-serializable")
    assert models.counts_against("G-single-item-process", "strong-session-consistent-view")
    assert not models.counts_against("G-single-item-realtime", "strong-session-consistent-view")
    assert models.needs_realtime("strict-serializable")
    assert models.needs_realtime("strong-read-committed")
    assert not models.needs_realtime("strong-session-serializable")
    with pytest.raises(UsageError, match="read-commited"):
        models.canonical("read-commited")


def test_every_published_model_is_known() -> None:
    if not PUBLISHED.exists():
        pytest.skip("../shared/cases/consistency_models.json is not there")
    for model in json.loads(PUBLISHED.read_text())["all-models"]:
        assert models.canonical(model) in models.MODELS, model


def test_session_guarantees_make_up_causal() -> None:
    assert models.weaker("PRAM") == {"PRAM", "read-your-writes", "monotonic-reads", "monotonic-writes"}
    assert models.weaker("causal") == models.weaker("PRAM") | {"causal", "writes-follow-reads"}
    assert "causal" in models.weaker("strong-session-snapshot-isolation")
    assert "causal" not in models.weaker("serializable")
    assert not models.counts_against("long-fork", "parallel-snapshot-isolation")
