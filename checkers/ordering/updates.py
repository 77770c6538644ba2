"""What compare-and-sets of registers prove by themselves, whatever the order of each client's ops.

Values are unique for their key, so each names the write that it found. A history of single operations on registers is
serializable, without regard to sessions, exactly if no two of them changed the same version (`lost-update`), and none
found what came of itself (`G1c`): all other reads and writes can be put beside the one that they go with. Each breaks
every model that forbids it.

Source: Adya, Weak Consistency, 1999 (G1c, lost update). Cost: O(n).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator

from checkers.findings import Finding
from checkers.ordering.reasons import closed
from checkers.ordering.session_ops import INITIAL, SessionOps
from checkers.values import show, thaw
from harness.verdict import Anomaly


def lone_updates(found: SessionOps) -> Iterator[Finding]:
    """Updates of one version, and updates in a circle."""
    updates: dict[tuple[Hashable, int], list[int]] = defaultdict(list)
    for op, source in found.source.items():
        if found.ops[op].writes:
            updates[found.ops[op].key, source].append(op)
    for (_, source), rivals in updates.items():
        if len(rivals) > 1:
            yield _lost(found, rivals, source)
    done: set[int] = set()
    for start in found.source:
        way: list[int] = []
        op = start
        while op != INITIAL and op not in done:
            done.add(op)
            way.append(op)
            op = found.source.get(op, INITIAL)
        if op in way:
            yield _circle(found, way[way.index(op) :])


def _lost(found: SessionOps, rivals: list[int], source: int) -> Finding:
    told = "; ".join(found.ops[op].text for op in rivals[:12])
    base = "what was there at first" if source == INITIAL else f"what op {found.ops[source].call.record} wrote"
    sentence = f"{len(rivals)} operations each changed {base}, so all but the last of them are lost: {told}."
    return Finding(_anomaly("lost-update", found, rivals, sentence), "lost-update")


def _circle(found: SessionOps, ops: list[int]) -> Finding:
    told = "; ".join(found.ops[op].text for op in ops[:12])
    sentence = f"Each of these found what the next one wrote, round in a circle: {told}."
    return Finding(_anomaly("G1c", found, ops, sentence), "G1c")


def _anomaly(kind: str, found: SessionOps, ops: list[int], sentence: str) -> Anomaly:
    key = found.ops[ops[0]].key
    return Anomaly(
        kind,
        sorted(found.ops[op].call.record for op in ops),
        sentence,
        key=None if key is None else show(thaw(key)),
        sub_history=sorted({record for op in closed(found, ops) for record in found.ops[op].call.records}),
    )
