"""Goal: registers are judged under the model that is asked, and what a stronger model would miss is shown all the same.

Method: the random histories of replicated registers of `test_sequential` against exhaustive search over all orders;
then examples of each way to answer.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers import models
from checkers.linearizability.register_models import Registers
from checkers.ordering.causal import Causal
from harness.checker import CheckOptions
from harness.history import History
from tests.checkers.histories import asked, history
from tests.checkers.replay_oracle import serial
from tests.checkers.test_sequential import made, thorough, txns_of
from workloads.register import REGISTER


def done(process: int, f: str, value: Any, result: Any = None) -> list[tuple[Any, ...]]:
    return [("invoke", process, f, value), ("ok", process, f, value if result is None else result)]


STALE = (*done(0, "write", [7, 1]), *done(0, "write", [7, 2]), *done(1, "read", [7, None], [7, 1]))
BACK = (*STALE[:4], *done(1, "read", [7, None], [7, 2]), *done(1, "read", [7, None], [7, 1]))
EFFECT_FIRST = (
    *done(0, "write", [1, 1]), *done(0, "write", [2, 1]),
    *done(1, "read", [2, None], [2, 1]), *done(1, "read", [1, None], [1, None]),
)  # fmt: skip
CROSSED = (
    *done(0, "write", [1, 1]), *done(0, "read", [2, None], [2, None]),
    *done(1, "write", [2, 1]), *done(1, "read", [1, None], [1, None]),
)  # fmt: skip


def check(*records: Any, model: str, **options: Any) -> Any:
    return REGISTER.checkers["linearizable"].check(history(*records), asked(model, **options))


@thorough
@given(st.integers(0, 2**63))
def test_each_model_is_what_an_order_explains(seed: int) -> None:
    ops = made(seed, most=7)
    columns, txns = History.from_ops(ops), txns_of(ops)
    for model, order in (("sequential", "session"), ("linearizable", "strict")):
        verdict = Registers().check(columns, CheckOptions(model=model))
        assert verdict.verdict == ("valid" if serial(txns, order) else "invalid")
        assert any(anomaly.counts for anomaly in verdict.anomalies) == (verdict.verdict == "invalid")
    causal = Registers().check(columns, CheckOptions(model="causal"))
    assert causal.verdict == Causal().check(columns, CheckOptions(model="causal")).verdict


def test_a_stale_read_is_sequential_and_still_shown() -> None:
    verdict = check(*STALE, model="sequential")
    assert (verdict.verdict, verdict.checker, verdict.model) == ("valid", "linearizable", "sequential")
    assert verdict.anomaly_counts == {"nonlinearizable": 1, "stale-read": 1}
    assert verdict.not_ == ["linearizable"]
    assert not any(anomaly.counts for anomaly in verdict.anomalies)
    assert not verdict.reasons


def test_a_client_that_goes_back_is_not_sequential() -> None:
    verdict = check(*BACK, model="sequential")
    assert verdict.verdict == "invalid"
    assert [anomaly.type for anomaly in verdict.anomalies if anomaly.counts] == ["nonsequential"]
    assert {"nonlinearizable", "stale-read"} <= set(verdict.anomaly_types)
    assert verdict.not_ == [models.canonical("sequential")]
    assert set(verdict.also_not) == {"linearizable", "strict-serializable"}


@pytest.mark.parametrize(
    ("records", "sequential", "causal"),
    [(STALE, "valid", "valid"), (CROSSED, "invalid", "valid"), (EFFECT_FIRST, "invalid", "invalid")],
)
def test_causal_is_weaker_than_sequential(records: Any, sequential: str, causal: str) -> None:
    assert check(*records, model="sequential").verdict == sequential
    for model in ("causal", "strong-session-causal-cerone"):
        assert check(*records, model=model).verdict == causal


def test_the_initial_value_is_read_as_the_option_says() -> None:
    records = (*done(0, "write", 1), *done(1, "read", None, 0))
    assert check(*records, model="linearizable", initial="0").verdict == "invalid"
    assert check(*records, model="sequential", initial="0").verdict == "valid"


def test_writing_the_initial_value_again_leaves_open_which_one_was_read() -> None:
    records = (*done(0, "read", None, 0), *done(0, "write", 0), *done(0, "write", 1), *done(1, "read", None, 0))
    assert check(*records, model="linearizable", initial=0).verdict == "invalid"
    verdict = check(*records, model="sequential", initial=0)
    assert verdict.verdict == "unknown"
    assert "values must be unique" in verdict.reasons[0]


def test_a_compare_and_set_that_changes_nothing_is_a_read() -> None:
    records = (*done(0, "write", 1), *done(0, "cas", [1, 1]), *done(0, "write", 2), *done(1, "read", None, 1))
    assert check(*records, model="sequential").verdict == "valid"


def test_registers_that_hold_lists_are_not_taken_for_subkeys() -> None:
    records = (
        *done(0, "write", [1, [1, 2]]), *done(0, "write", [1, [3, 4]]), *done(1, "read", [1, None], [1, [1, 2]]),
    )  # fmt: skip
    assert check(*records, model="sequential").verdict == "unknown"


def test_models_that_nobody_decides_stay_unknown() -> None:
    verdict = check(*STALE, model="serializable")
    assert verdict.verdict == "unknown"
    assert "whether it fits serializable was not decided" in verdict.reasons[0]
