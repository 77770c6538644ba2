"""A verdict in one plain sentence, for the console, the report and whoever has no training in databases.

Valid: every operation fits serializable (12,345 ok).
Valid: every operation fits snapshot-isolation (12,345 ok). Also found: write skew seen 31 times: not serializable.
Invalid: not serializable: write skew seen 31 times. For example: Pair 17: ...
Unknown: only 3 ops succeeded, 100 are needed to prove anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.glossary import term
from harness.verdict import Verdict

_LADDER = (
    "read-uncommitted",
    "read-committed",
    "snapshot-isolation",
    "serializable",
    "strong-session-serializable",
    "strict-serializable",
    "linearizable",
)
"""The models that users know, the weakest first."""


def summary(verdict: Verdict) -> str:
    """The sentence."""
    counting = {anomaly.type for anomaly in verdict.anomalies if anomaly.counts}
    other = {type_: count for type_, count in verdict.anomaly_counts.items() if type_ not in counting}
    also = f" Also found: {_seen(verdict, other)}{_not(verdict)}." if other else ""
    if verdict.verdict == "valid":
        fits = f"every operation fits {verdict.model}" if verdict.model else "nothing contradicts it"
        return f"Valid: {fits}{_ok(verdict)}.{also}"
    if verdict.verdict == "unknown":
        reasons = "; ".join(verdict.reasons[:3]) or "the checkers could not decide"
        return f"Unknown: {reasons}.{also}"
    counts = {type_: count for type_, count in verdict.anomaly_counts.items() if type_ in counting}
    example = next((anomaly.sentence for anomaly in verdict.anomalies if anomaly.counts), "")
    model = f"not {verdict.model}: " if verdict.model else ""
    return f"Invalid: {model}{_seen(verdict, counts)}." + (f" For example: {example}" if example else "")


def _seen(verdict: Verdict, counts: dict[str, int]) -> str:
    return ", ".join(f"{term(type_).noun} {_times(count)}" for type_, count in _in_order(verdict, counts))


def _in_order(verdict: Verdict, counts: dict[str, int]) -> Iterable[tuple[str, int]]:
    """As the anomalies are shown: what explains most first."""
    order = list(dict.fromkeys(anomaly.type for anomaly in verdict.anomalies))
    return sorted(counts.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))


def _times(count: int) -> str:
    return "seen once" if count == 1 else f"seen {count:,} times"


def _not(verdict: Verdict) -> str:
    """The weakest model that users know and that is ruled out."""
    ruled_out = {*verdict.not_, *verdict.also_not}
    known = next((model for model in _LADDER if model in ruled_out), None) or next(iter(verdict.not_), None)
    return f": not {known}" if known else ""


def _ok(verdict: Verdict) -> str:
    figures = verdict.checkers.get("stats")
    return f" ({figures.stats['ok']:,} ok)" if figures is not None else ""
