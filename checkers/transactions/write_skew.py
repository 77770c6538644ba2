"""Write skew, from doctors on call: of each pair one at least has to stay, so each leaves only if it sees both on call.

    leave     [pair, member, null]  → ok [pair, member, "left" | "stayed"]
    read-all  null                  → ok [[pair, on_call_0, on_call_1], ...]   pairs that are not listed: both on call

Both members of a pair left: each read the other as on call, so each read came before the other's write. Two
anti-dependencies in a circle, write skew: A5B of Berenson et al., "A Critique of ANSI SQL Isolation Levels" (1995),
G2-item of Adya (1999). It is proven by two acknowledged leaves; and by a read that finds both off call, whatever the
clients were told: nobody is taken off call but by a leave that saw both on.

Beside it, what the same record proves: a leave that failed and yet took effect or was seen (`G1a`), somebody off call
whom nobody took off (`garbage-read`), an acknowledged leave that a later read does not show (`lost-write`; it counts
where the model forbids stale reads, else the read may be an old snapshot).

The final read is one that began when every acknowledged leave had returned. Without one the verdict is `unknown`,
unless a violation is proven anyway. In a history of completions only nothing is known about realtime: a `lost-write` is
not looked for, and a leave may have seen whatever was done anywhere in it. Cost: one pass, O(n).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from checkers import models
from checkers.values import freeze, show
from harness.checker import CheckOptions
from harness.history import FAIL, INFO, INVOKE, OK, History, HistoryError
from harness.verdict import Anomaly, Edge, Judgement, Verdict

NAMES = ("Alice", "Bob")
LOST = "lost-write"
STALE = "stale-read"
"""The evidence of a lost write: which models forbid that a transaction misses what was committed before it began."""
_BOTH_ON = (False, False)


@dataclass(frozen=True)
class Leave:
    """One attempt. outcome: OK, FAIL, INFO (also without completion). left: what it was told, where it was told."""

    pair: Any
    member: int
    process: int
    outcome: int
    left: bool | None
    place: int
    end: int | None
    record: int

    @property
    def happened(self) -> bool:
        """It certainly took its member off call."""
        return self.outcome == OK and bool(self.left)

    @property
    def possible(self) -> bool:
        """It took, or may have taken, its member off call."""
        return self.happened or self.outcome == INFO

    @property
    def who(self) -> str:
        """The member's name and client."""
        return f"{NAMES[self.member]} (member {self.member}, client {self.process})"


@dataclass(frozen=True)
class Look:
    """One successful read of everything. off: frozen pair → (member 0 is off, member 1 is off)."""

    place: int
    record: int
    process: int
    off: dict[Any, tuple[bool, bool]]


@dataclass
class Pair:
    """What is known of one pair."""

    key: Any
    leaves: tuple[list[Leave], list[Leave]] = field(default_factory=lambda: ([], []))


class WriteSkew:
    """See the module's docstring."""

    name = "write-skew"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge every pair. Raises HistoryError for a value of another shape."""
        asked = models.canonical(options.model or "serializable")
        timed = history.has_invocations
        pairs = _pairs(history)
        looks = list(_looks(history))
        found: dict[str, list[Anomaly]] = {}
        for key, pair in pairs.items():
            for anomaly in _judge(key, pair, looks, timed):
                found.setdefault(anomaly.type, []).append(_against(asked, anomaly))
        for anomaly in _unknown_pairs(pairs, looks):
            found.setdefault(anomaly.type, []).append(_against(asked, anomaly))
        leaves = [leave for pair in pairs.values() for side in pair.leaves for leave in side]
        last_end = max((leave.end for leave in leaves if leave.outcome == OK and leave.end is not None), default=-1)
        final = any(look.place > last_end for look in looks)
        verdict: Judgement = "valid"
        reasons = []
        if any(anomaly.counts for each in found.values() for anomaly in each):
            verdict = "invalid"
        if not final and any(leave.possible for leave in leaves):
            reasons.append("no read of all pairs succeeded after the last leave: what the database holds is not known")
        if not timed and (leaves or looks) and models.needs_realtime(asked):
            reasons.append(f"the history has no invocations: nothing is known about realtime, which {asked} needs")
        if reasons and verdict == "valid":
            verdict = "unknown"
        weakest, stronger = models.ruled_out(STALE if kind == LOST else kind for kind in found)
        return Verdict(
            verdict=verdict,
            checker=self.name,
            model=asked,
            anomaly_types=sorted(found),
            anomaly_counts={kind: len(found[kind]) for kind in sorted(found)},
            not_=weakest,
            also_not=stronger,
            anomalies=[anomaly for kind in sorted(found) for anomaly in found[kind][: options.max_shown]],
            reasons=reasons,
            stats={
                "pairs": len(pairs),
                "left": sum(leave.happened for leave in leaves),
                "stayed": sum(leave.outcome == OK and not leave.left for leave in leaves),
                "unknown": sum(leave.outcome == INFO for leave in leaves),
                "failed": sum(leave.outcome == FAIL for leave in leaves),
                "pairs_both_left": len(found.get("G2-item", [])),
                "final_reads": len(looks),
            },
        )


def _against(asked: str, anomaly: Anomaly) -> Anomaly:
    """The anomaly, with whether it counts against the model asked."""
    evidence = STALE if anomaly.type == LOST else anomaly.type
    return msgspec.structs.replace(anomaly, counts=models.counts_against(evidence, asked))


def _pairs(history: History) -> dict[Any, Pair]:
    pairs: dict[Any, Pair] = {}
    for place, end in _calls(history, "leave"):
        index = int(history.index[place])
        value = history.value[place]
        if not isinstance(value, list | tuple) or len(value) != 3 or value[1] not in (0, 1):
            raise HistoryError(f"index {index}: the value of leave must be [pair, 0 or 1, null], not {show(value)}")
        outcome = INFO if end < 0 else int(history.type[end])
        left: bool | None = None
        if outcome == OK:
            told = history.value[end]
            if not isinstance(told, list | tuple) or list(told[:2]) != list(value[:2]) or told[2:] not in _TOLD:
                raise HistoryError(
                    f"index {history.index[end]}: an ok leave of {show(value[:2])} must say "
                    f"{show([*value[:2], 'left'])} or {show([*value[:2], 'stayed'])}, not {show(told)}"
                )
            left = told[2] == "left"
        leave = Leave(
            pair=value[0],
            member=int(value[1]),
            process=int(history.process[place]),
            outcome=outcome,
            left=left,
            place=place,
            end=None if end < 0 else end,
            record=index if end < 0 else int(history.index[end]),
        )
        pairs.setdefault(freeze(value[0], index), Pair(value[0])).leaves[leave.member].append(leave)
    return pairs


_TOLD = (["left"], ["stayed"], ("left",), ("stayed",))


def _looks(history: History) -> Iterator[Look]:
    for place, end in _calls(history, "read-all"):
        if end < 0 or history.type[end] != OK:
            continue
        index = int(history.index[end])
        value = history.value[end]
        if not isinstance(value, list | tuple):
            raise HistoryError(f"index {index}: the value of an ok read-all must be a list of pairs, not {show(value)}")
        off: dict[Any, tuple[bool, bool]] = {}
        for row in value:
            if not isinstance(row, list | tuple) or len(row) != 3 or not all(part in (0, 1) for part in row[1:]):
                raise HistoryError(f"index {index}: read-all must list [pair, on call, on call], not {show(row)}")
            off[freeze(row[0], index)] = (not row[1], not row[2])
        yield Look(place, index, int(history.process[place]), off)


def _calls(history: History, f: str) -> Iterator[tuple[int, int]]:
    """The places of each op's invocation and completion (-1: none); without invocations both are the completion's."""
    if f not in history.f_names:
        return
    chosen = history.client & (history.f == history.f_names.index(f))
    if not history.has_invocations:
        for place in np.flatnonzero(chosen).tolist():
            yield place, place
        return
    for place in np.flatnonzero(chosen & (history.type == INVOKE)).tolist():
        yield place, int(history.pair[place])


def _judge(key: Any, pair: Pair, looks: list[Look], timed: bool) -> Iterator[Anomaly]:
    told: set[str] = set()
    for look in looks:
        for proof in _compared(pair, look, look.off.get(key, _BOTH_ON), timed):
            if proof.type not in told:
                told.add(proof.type)
                yield proof
    sides = [_left(key, member, pair, looks) for member in (0, 1)]
    if sides[0] is not None and sides[1] is not None:
        yield _skew(pair, *sides[0], *sides[1])
    first, second = pair.leaves
    for leave in (*first, *second):
        if leave.outcome == OK and not leave.left:
            yield from _stayed(pair, leave, timed)


def _left(key: Any, member: int, pair: Pair, looks: list[Look]) -> tuple[Leave, Look | None] | None:
    """A leave that certainly took this member off call, and the read that shows it where the client was not told so."""
    leaves = pair.leaves[member]
    for leave in leaves:
        if leave.happened:
            return leave, None
    maybe = next((leave for leave in leaves if leave.possible), None)
    look = next((look for look in looks if look.off.get(key, _BOTH_ON)[member]), None)
    return None if maybe is None or look is None else (maybe, look)


def _skew(pair: Pair, first: Leave, first_look: Look | None, second: Leave, second_look: Look | None) -> Anomaly:
    """Both left. The looks prove it where a client was not told so."""
    looks = [look for look in (first_look, second_look) if look is not None]
    seen = f"{first.who} saw both on call and left; {second.who} too. Nobody is on call."
    if looks:
        unsure = " and ".join(
            NAMES[leave.member] for leave, look in ((first, first_look), (second, second_look)) if look is not None
        )
        seen += f" ({unsure} was not told so, but a read by client {looks[0].process} shows it.)"
    records = sorted({first.record, second.record, *(look.record for look in looks)})
    return Anomaly(
        type="G2-item",
        ops=records,
        sentence=(
            f"Pair {show(pair.key)}: {seen} Run one after the other, in either order, the second would have seen that "
            "the first had left, and stayed."
        ),
        key=pair.key,
        cycle=[_edge(first, second), _edge(second, first)],
        sub_history=records,
    )


def _edge(reader: Leave, writer: Leave) -> Edge:
    return Edge(
        source=reader.record,
        target=writer.record,
        kind="rw",
        key=[writer.pair, writer.member],
        why=(
            f"{NAMES[reader.member]}'s transaction read {NAMES[writer.member]} as on call, {NAMES[writer.member]}'s "
            f"took {NAMES[writer.member]} off: so {NAMES[reader.member]}'s came first"
        ),
    )


def _compared(pair: Pair, look: Look, off: tuple[bool, bool], timed: bool) -> Iterator[Anomaly]:
    """What a read shows of each member against what the leaves were told."""
    for member, is_off in enumerate(off):
        leaves = pair.leaves[member]
        name = NAMES[member]
        if is_off and not any(leave.possible for leave in leaves):
            failed = [leave for leave in leaves if leave.outcome == FAIL]
            records = sorted({look.record, *(leave.record for leave in leaves)})
            if failed:
                sentence = f"Pair {show(pair.key)}: {name} is off call, but every attempt to leave failed or stayed."
                yield Anomaly("G1a", records, sentence, key=pair.key, sub_history=records)
            else:
                sentence = f"Pair {show(pair.key)}: {name} is off call, but nobody took {name} off."
                yield Anomaly("garbage-read", records, sentence, key=pair.key, sub_history=records)
        done = next((each for each in leaves if each.happened and each.end is not None and each.end < look.place), None)
        if timed and not is_off and done is not None:
            records = sorted({look.record, done.record})
            sentence = (
                f"Pair {show(pair.key)}: {done.who} left and was told so, but a read that began afterwards (client "
                f"{look.process}) still finds {name} on call: the acknowledged write is missing."
            )
            yield Anomaly(LOST, records, sentence, key=pair.key, sub_history=records)


def _stayed(pair: Pair, leave: Leave, timed: bool) -> Iterator[Anomaly]:
    """A leave that stayed saw somebody off call: was that possible?"""
    assert leave.end is not None
    others = [each for side in pair.leaves for each in side if each is not leave]
    if timed:
        others = [each for each in others if each.place < leave.end]
    if any(each.possible for each in others):
        return
    failed = [each for each in others if each.outcome == FAIL]
    records = sorted({leave.record, *(each.record for each in failed)})
    if failed:
        sentence = (
            f"Pair {show(pair.key)}: {leave.who} stayed, so it saw {failed[0].who} off call, whose leave failed: it "
            "read a write that never took effect."
        )
        yield Anomaly("G1a", records, sentence, key=pair.key, sub_history=records)
    else:
        sentence = f"Pair {show(pair.key)}: {leave.who} stayed, so it saw somebody off call, but nobody had left."
        yield Anomaly("garbage-read", records, sentence, key=pair.key, sub_history=records)


def _unknown_pairs(pairs: dict[Any, Pair], looks: list[Look]) -> Iterator[Anomaly]:
    """Pairs off call that no client ever tried to take off."""
    seen: Counter[Any] = Counter()
    for look in looks:
        for key, off in look.off.items():
            if any(off) and key not in pairs and not seen[key]:
                seen[key] += 1
                sentence = f"Pair {show(key)}: somebody is off call, but nobody tried to leave."
                yield Anomaly("garbage-read", [look.record], sentence, key=key, sub_history=[look.record])
