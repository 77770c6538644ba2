"""Isolation levels of registers between read committed and snapshot isolation, by definition. Brute force.

Of the committed transactions every order is tried. For the levels of A. Cerone, G. Bernardi and A. Gotsman (A Framework
for Transactional Consistency Models with Atomic Visibility, CONCUR 2015) it is the arbitration order AR, and the least
visibility VIS within it is worked out; their axioms are told in `txn_visibility_oracle`. For the two others it is the
order in which transactions install their versions:
- monotonic-atomic-view: every read shows a version that was installed by then, or the state before any; and once a
  transaction has read from another one, it reads nothing older than that other one's versions (Bailis et al., Highly
  Available Transactions, 2014: what was observed does not vanish).
- cursor-stability: the same without the second half; and who reads a key and then writes it reads the version that
  stands right before its own (Adya 1999, PL-CS).

strong-session: the order respects each session's own (VIS contains it); strong: it respects realtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

from tests.checkers.rw_oracle import writes
from tests.checkers.txn_oracle import NONE, REALTIME, SESSION, Txn, transactions

AXIOMS = {
    "read-atomic": (),
    "update-atomic": ("conflict",),
    "causal-cerone": ("transitive",),
    "parallel-snapshot-isolation": ("transitive", "conflict"),
    "prefix": ("prefix",),
    "snapshot-isolation": ("prefix", "conflict"),
    "monotonic-atomic-view": ("observed",),
    "cursor-stability": ("cursor",),
}
STRENGTHS = {"": NONE, "strong-session-": SESSION, "strong-": REALTIME}

Read = tuple[Any, int | None]
"""A key, and the number of the transaction whose version was read, None for the state before any."""


def legal(ops: Sequence[Mapping[str, Any]], models: Sequence[str]) -> dict[str, bool]:
    """Model → whether some execution that it allows could have been seen so. models: of AXIOMS, with strengths."""
    txns = transactions(ops)
    certain = [t for t in txns if t.type == "ok"]
    maybe = [t for t in txns if t.type == "info" and writes(t)]
    found = dict.fromkeys(models, False)
    for count in range(len(maybe) + 1):
        for some in combinations(maybe, count):
            _try([*certain, *some], found)
            if all(found.values()):
                return found
    return found


def _try(txns: list[Txn], found: dict[str, bool]) -> None:
    by = {(key, value): i for i, txn in enumerate(txns) for key, value in writes(txn).items()}
    reads: list[list[Read]] = []
    for i, txn in enumerate(txns):
        mine = _reads(txn, by)
        if mine is None or any(writer == i for _, writer in mine):
            return
        reads.append(mine)
    before = {order: _before(txns, order) for order in STRENGTHS.values()}
    for arrangement in permutations(range(len(txns))):
        place = {i: p for p, i in enumerate(arrangement)}
        if any(w is not None and place[w] > place[i] for i in place for _, w in reads[i]):
            continue
        for model, done in found.items():
            level = next(name for name in sorted(AXIOMS, key=len, reverse=True) if model.endswith(name))
            first = before[STRENGTHS[model.removesuffix(level)]]
            if not done and all(place[a] < place[b] for a, b in first):
                found[model] = _fits(txns, place, reads, first, AXIOMS[level])


def _reads(txn: Txn, by: Mapping[tuple[Any, Any], int]) -> list[Read] | None:
    """What was read of others, in order; None where no version explains it, or an own write was missed."""
    own: dict[Any, Any] = {}
    result: list[Read] = []
    if txn.type != "ok":
        return []
    for name, key, value in txn.mops:
        if name == "w":
            own[key] = value
        elif key in own:
            if own[key] != value:
                return None
        elif value is None:
            result.append((key, None))
        elif (key, value) not in by:
            return None
        else:
            result.append((key, by[key, value]))
    return result


def _before(txns: Sequence[Txn], order: int) -> list[tuple[int, int]]:
    return [
        (i, j)
        for i, a in enumerate(txns)
        for j, b in enumerate(txns)
        if order != NONE and a.type == "ok" and a.end < b.begin and (order == REALTIME or a.process == b.process)
    ]


def _fits(
    txns: list[Txn],
    place: dict[int, int],
    reads: list[list[Read]],
    first: list[tuple[int, int]],
    axioms: tuple[str, ...],
) -> bool:
    def at(writer: int | None) -> int:
        return -1 if writer is None else place[writer]

    wrote = [writes(txn) for txn in txns]
    if axioms == ("observed",):
        return not any(
            source is not None and key in wrote[source] and at(writer) < place[source]
            for mine in reads
            for number, (_, source) in enumerate(mine)
            for key, writer in mine[number + 1 :]
        )
    if axioms == ("cursor",):
        return not any(
            key in wrote[i] and key in wrote[j] and at(writer) < place[j] < place[i]
            for i, mine in enumerate(reads)
            for key, writer in mine
            for j in place
        )
    return _visible(place, reads, wrote, first, axioms)


def _visible(
    place: dict[int, int],
    reads: list[list[Read]],
    wrote: list[dict[Any, Any]],
    first: list[tuple[int, int]],
    axioms: tuple[str, ...],
) -> bool:
    seen = {i: {w for _, w in reads[i] if w is not None} | {a for a, b in first if b == i} for i in place}
    for mine in reads:
        if len(set(mine)) > len(dict(mine)):
            return False  # a key was read twice, and differently
    if "conflict" in axioms:
        for i in place:
            seen[i] |= {j for j in place if place[j] < place[i] and wrote[i].keys() & wrote[j].keys()}
    changed = True
    while changed:
        changed = False
        for i in place:
            wanted = set(seen[i])
            for j in seen[i]:
                if "prefix" in axioms:
                    wanted |= {k for k in place if place[k] < place[j]}
                if "prefix" in axioms or "transitive" in axioms:
                    wanted |= seen[j]
            if wanted != seen[i]:
                seen[i], changed = wanted, True
    return all(
        not any(key in wrote[j] and place[j] > (-1 if writer is None else place[writer]) for j in seen[i])
        for i in place
        for key, writer in reads[i]
    )
