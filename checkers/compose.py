"""One verdict for a run from the verdicts of its checkers.

Invalid outranks unknown outranks valid. `activity` (was the run busy enough?) can make a valid run unknown, never an
invalid one: an anomaly is proven however little was done. Anomalies, their types and the models ruled out are
those of all checkers together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from harness.verdict import Verdict, worst


def compose(verdicts: Mapping[str, Verdict], *, model: str | None = None) -> Verdict:
    """The run's verdict. verdicts: by the checkers' names. model: what was judged against."""
    counts: Counter[str] = Counter()
    types: set[str] = set()
    weakest: set[str] = set()
    stronger: set[str] = set()
    for verdict in verdicts.values():
        counts.update(verdict.anomaly_counts)
        types |= set(verdict.anomaly_types)
        weakest |= set(verdict.not_)
        stronger |= set(verdict.also_not)
    anomalies = [anomaly for verdict in verdicts.values() for anomaly in verdict.anomalies]
    anomalies.sort(key=lambda anomaly: not anomaly.counts)
    judgement = worst(verdict.verdict for verdict in verdicts.values())
    reasons = [reason for verdict in verdicts.values() if verdict.verdict == judgement for reason in verdict.reasons]
    reasons += [reason for verdict in verdicts.values() if verdict.verdict != judgement for reason in verdict.reasons]
    return Verdict(
        verdict=judgement,
        model=model,
        anomaly_types=sorted(types),
        anomaly_counts=dict(sorted(counts.items())),
        not_=sorted(weakest - stronger),
        also_not=sorted(stronger),
        anomalies=anomalies,
        reasons=reasons,
        stats={name: verdict.stats for name, verdict in verdicts.items() if verdict.stats},
        checkers=dict(verdicts),
    )
