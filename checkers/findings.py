"""From a checker's findings to its verdict: what counts against the model asked, what is ruled out, what is shown.

A `Finding` is an anomaly with its evidence: names that `checkers.models` knows, from which follows which models it
rules out. Evidence may say more than the name that users see: a read that goes back within one client is shown as
`non-monotonic-read`, and rules out what `G-single-item-process` does. Cost: O(findings).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Any

import msgspec

from checkers import models
from harness.checker import CheckOptions
from harness.history import History
from harness.verdict import Anomaly, Judgement, Verdict

ALWAYS = "always"
"""Evidence against every model: what no database may do, whatever it promises."""
NEVER_COUNTS = "warning"
"""Evidence against none: a reader should know."""


@dataclass(frozen=True)
class Finding:
    """anomaly: what is shown; whether it counts is worked out from the evidence, one name or more."""

    anomaly: Anomaly
    evidence: str | tuple[str, ...]

    @property
    def names(self) -> set[str]:
        """The evidence as a set."""
        return {self.evidence} if isinstance(self.evidence, str) else set(self.evidence)

    def against(self, model: str) -> bool:
        """Whether it shows that the model was not kept."""
        return any(counts_against(name, model) for name in self.names)


def without_realtime(history: History, judged: Sized, model: str) -> list[str]:
    """Why a history without invocations leaves a model of realtime undecided; [] if it does not. judged: its calls."""
    if history.has_invocations or not len(judged) or not models.needs_realtime(model):
        return []
    return [f"the history has no invocations: nothing is known about realtime, which {model} needs"]


def verdict_of(
    checker: str,
    findings: Iterable[Finding],
    options: CheckOptions,
    *,
    model: str,
    undecided: Iterable[str] = (),
    stats: dict[str, Any] | None = None,
    more: Counter[str] | None = None,
) -> Verdict:
    """The verdict against `model`. undecided: what keeps a history without a finding that counts from being valid.

    more: how many findings of a type there are beyond those given. At most `options.max_shown` of each are shown.
    """
    counts: Counter[str] = Counter()
    shown: list[Anomaly] = []
    invalid = False
    evidence: set[str] = set()
    for finding in findings:
        against = finding.against(model)
        invalid = invalid or against
        evidence |= finding.names
        kind = finding.anomaly.type
        counts[kind] += 1
        if counts[kind] <= options.max_shown:
            shown.append(msgspec.structs.replace(finding.anomaly, counts=against))
    for kind, number in (more or {}).items():
        counts[kind] += number
    reasons = list(undecided)
    judgement: Judgement = "invalid" if invalid else "unknown" if reasons else "valid"
    weakest, stronger = models.ruled_out(evidence - {ALWAYS, NEVER_COUNTS})
    return Verdict(
        verdict=judgement,
        checker=checker,
        model=model,
        anomaly_types=sorted(counts),
        anomaly_counts=dict(sorted(counts.items())),
        not_=weakest,
        also_not=stronger,
        anomalies=sorted(shown, key=lambda anomaly: (not anomaly.counts, anomaly.type)),
        reasons=reasons,
        stats=stats or {},
    )


def counts_against(evidence: str, model: str) -> bool:
    """Whether such evidence shows that the model was not kept."""
    if evidence in (ALWAYS, NEVER_COUNTS):
        return evidence == ALWAYS
    return models.counts_against(evidence, model)
