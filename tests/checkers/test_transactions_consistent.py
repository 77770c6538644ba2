"""Goal: what the small transactional checkers say of one history hangs together, whatever model is asked.

Method: random small histories of the checkers' own tests. A verdict is `invalid` exactly where the models that it rules
out hold the one asked; what breaks a model breaks every stronger one; and how many findings are shown changes nothing.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkers import models
from checkers.transactions.long_fork import LongFork
from checkers.transactions.predicate import Predicate
from checkers.transactions.predicate_closed import ClosedPredicate
from checkers.transactions.write_skew import WriteSkew
from harness.checker import Checker, CheckOptions
from harness.history import History
from harness.op import Op
from harness.verdict import Verdict
from tests.checkers import test_closed_predicate, test_long_fork
from tests.checkers.test_predicate import histories

EXAMPLES = int(os.environ.get("FAULTLINE_EXAMPLES", "600"))
MODELS = sorted(models.REPORTED)
some = settings(
    max_examples=max(25, EXAMPLES // 24), deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def on_call(seed: int) -> list[Op]:
    """Leaves and reads of two pairs with any outcome, by three clients."""
    chance = random.Random(seed)
    ops: list[Op] = []
    for process in range(chance.randint(2, 7)):
        pair, member = chance.randrange(2), chance.randrange(2)
        if chance.random() < 0.6:
            invoked = Op("invoke", "leave", [pair, member, None], process)
            told = chance.choice(["left", "left", "stayed"])
            done = chance.choice([Op("ok", "leave", [pair, member, told], process), invoked.replace(type="info")])
        else:
            invoked = Op("invoke", "read-all", None, process)
            rows = [[each, chance.random() < 0.5, chance.random() < 0.5] for each in range(2)]
            done = Op("ok", "read-all", rows, process)
        place = chance.randint(0, len(ops))
        ops.insert(place, invoked)
        ops.insert(chance.randint(place + 1, len(ops)), done)
    return [op.replace(index=i) for i, op in enumerate(ops)]


def hangs_together(checker: Checker, ops: list[Op]) -> None:
    recorded = History.from_ops(ops)

    def judged(model: str, shown: int = 8) -> Verdict:
        return checker.check(recorded, CheckOptions(model=model, max_shown=shown, time_budget_s=600))

    verdicts = {model: judged(model) for model in MODELS}
    for model, verdict in verdicts.items():
        broken = {*verdict.not_, *verdict.also_not}
        assert (verdict.verdict == "invalid") is (model in broken), (model, verdict)
        for other in MODELS:
            if other in broken or (verdict.verdict == "invalid" and model in models.weaker(other)):
                assert verdicts[other].verdict == "invalid", (model, other, verdict)
    for shown in (0, 1):
        few = judged("strict-serializable", shown)
        for name in ("verdict", "not_", "also_not", "anomaly_counts"):
            assert getattr(few, name) == getattr(verdicts["strict-serializable"], name)


@pytest.mark.parametrize(
    ("checker", "made"),
    [
        (LongFork(), test_long_fork.made),
        (LongFork(), lambda seed: test_long_fork.made(seed, crossing=True)),
        (ClosedPredicate(), test_closed_predicate.made),
        (WriteSkew(), on_call),
    ],
    ids=["long-fork", "long-fork-crossing", "closed-predicate", "write-skew"],
)
@some
@given(seed=st.integers(0, 2**63))
def test_of_each_history(checker: Checker, made: Callable[[int], Any], seed: int) -> None:
    hangs_together(checker, made(seed))


@some
@given(histories())
def test_of_each_history_of_inserts(ops: list[Op]) -> None:
    hangs_together(Predicate(), ops)


def test_a_value_from_nowhere_rules_out_every_model() -> None:
    read = [Op("invoke", "read", [["r", 1, None]], 0), Op("ok", "read", [["r", 1, 7]], 0)]
    assert "read-uncommitted" in LongFork().check(History.from_ops(read), CheckOptions()).not_
