"""Verdicts: what checkers return, what `results.json` holds, what the report shows.

Combining verdicts: invalid outranks unknown outranks valid.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

Judgement = Literal["valid", "invalid", "unknown"]
RANK: dict[str, int] = {"valid": 0, "unknown": 1, "invalid": 2}


class Edge(msgspec.Struct, frozen=True):
    """One dependency of a cycle: `source` must come before `target`.

    source, target: history indexes of the two transactions' completions (of the invocation where there is none).
    kind: `ww`, `wr`, `rw`, `process` or `realtime`. key: the key it is about (None for process and realtime).
    why: one sentence from the values: "T3 read x = [1 2], T7 appended 3: so T3 came first".
    """

    source: int
    target: int
    kind: str
    why: str
    key: Any = None


class Anomaly(msgspec.Struct, frozen=True):
    """One proven violation.

    type: Elle's name (`G-single-realtime`, `lost-update`), or the checker's own documented one.
    ops: history indexes of the completions that prove it (sorted).
    sentence: what happened, for a developer without database training, with values and keys.
    counts: whether it counts against the model that was asked.
    cycle: the dependency cycle's edges, in order, where it is one.
    sub_history: indexes of records that suffice to show it again.
    """

    type: str
    ops: list[int]
    sentence: str
    counts: bool = True
    key: Any = None
    cycle: list[Edge] = []
    sub_history: list[int] = []
    details: dict[str, Any] = {}


class Verdict(msgspec.Struct, frozen=True, rename={"not_": "not"}):
    """What one checker, or a whole run, concluded.

    model: the consistency model that was judged against, None where the checker has none.
    anomalies: those shown, at most some of each type; anomaly_counts: how many of each type were found in all.
    not_: the weakest models ruled out; also_not: all stronger ones. From every anomaly, also those that do not count.
    reasons: why it is unknown; or what else a reader must know.
    stats: the checker's figures, by name with unit.
    checkers: the verdicts that this one was combined from, by name.
    """

    verdict: Judgement
    checker: str = ""
    model: str | None = None
    anomaly_types: list[str] = []
    anomaly_counts: dict[str, int] = {}
    not_: list[str] = []
    also_not: list[str] = []
    anomalies: list[Anomaly] = []
    reasons: list[str] = []
    stats: dict[str, Any] = {}
    checkers: dict[str, Verdict] = {}

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON data."""
        return msgspec.to_builtins(self)


def worst(judgements: Iterable[Judgement]) -> Judgement:
    """The judgement that outranks the others; valid for none."""
    return max(judgements, key=RANK.__getitem__, default="valid")
