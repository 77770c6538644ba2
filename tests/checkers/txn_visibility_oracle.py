"""Models of atomic visibility by definition, for a few transactions: is there an abstract execution? Brute force.

A. Cerone, G. Bernardi, A. Gotsman, A Framework for Transactional Consistency Models with Atomic Visibility (CONCUR
2015): an execution is a total order AR of the committed transactions and a relation VIS within it.
- INT: inside of a transaction a read shows what its operations before left.
- EXT: another read shows what the last writer (in AR) of those visible wrote; the initial state if none is.
- read-atomic: INT and EXT. update-atomic: and of two that write the same key the earlier is visible to the later
  (NOCONFLICT). causal-cerone: and VIS is transitive. parallel-snapshot-isolation: causal-cerone and NOCONFLICT. prefix:
  what comes before (in AR) something visible is visible. snapshot-isolation: prefix and NOCONFLICT.
- strong-session: VIS contains the order of each session. strong: it contains realtime order.

Versions of a list are those after each of its writers, in AR. A read after an own append of the same key shows the
version that the transaction is about to install.

For every AR the least VIS that the reads and axioms demand is enough: what is forbidden is only ever too much of it.

And two that have no such definition: monotonic-atomic-view is read committed without a transaction that was seen and
vanishes, read literally; cursor-stability is read committed where who reads and then writes a key reads the version
right before its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

from tests.checkers import txn_oracle
from tests.checkers.txn_oracle import NONE, REALTIME, SESSION, Txn, transactions

AXIOMS = {
    "read-atomic": (),
    "update-atomic": ("conflict",),
    "causal-cerone": ("transitive",),
    "parallel-snapshot-isolation": ("transitive", "conflict"),
    "prefix": ("prefix",),
    "snapshot-isolation": ("prefix", "conflict"),
}
STRENGTHS = {"": NONE, "strong-session-": SESSION, "strong-": REALTIME}


def legal(ops: Sequence[Mapping[str, Any]], model: str) -> bool:
    """Whether some execution that the model allows could have been seen so. model: of AXIOMS, with its strength."""
    level = next(name for name in sorted(AXIOMS, key=len, reverse=True) if model.endswith(name))
    order = STRENGTHS[model.removesuffix(level)]
    txns = transactions(ops)
    certain = [t for t in txns if t.type == "ok"]
    maybe = [t for t in txns if t.type == "info" and t.writes()]
    for count in range(len(maybe) + 1):
        for some in combinations(maybe, count):
            chosen = [*certain, *some]
            if any(_explains(arrangement, AXIOMS[level], order) for arrangement in permutations(chosen)):
                return True
    return False


def _explains(txns: Sequence[Txn], axioms: tuple[str, ...], order: int) -> bool:
    """Whether VIS can be found for this AR."""
    count = len(txns)
    before = [{i for i in range(count) if _precedes(txns[i], txns[j], order)} for j in range(count)]
    if any(i > j for j in range(count) for i in before[j]):
        return False
    visible = [set(each) for each in before]
    forbidden: list[set[int]] = [set() for _ in range(count)]
    for j, txn in enumerate(txns):
        if txn.type == "ok" and not _demands(txns, j, visible[j], forbidden[j]):
            return False
    if "conflict" in axioms:
        for j in range(count):
            visible[j] |= {i for i in range(j) if txns[i].writes() & txns[j].writes()}
    changed = True
    while changed:
        changed = False
        for j in range(count):
            wanted = set(visible[j])
            for i in visible[j]:
                if "prefix" in axioms:
                    wanted |= set(range(i))
                if "prefix" in axioms or "transitive" in axioms:
                    wanted |= visible[i]
            if wanted != visible[j]:
                visible[j] = wanted
                changed = True
    return all(i < j for j in range(count) for i in visible[j]) and not any(
        visible[j] & forbidden[j] for j in range(count)
    )


def _precedes(first: Txn, second: Txn, order: int) -> bool:
    if order == NONE or first is second or first.type != "ok" or first.end > second.begin:
        return False
    return order == REALTIME or first.process == second.process


def _demands(txns: Sequence[Txn], j: int, visible: set[int], forbidden: set[int]) -> bool:
    """What the reads of one transaction say about what it sees; False if no VIS can explain them."""
    state: dict[Any, tuple[Any, ...]] = {}
    own: dict[Any, tuple[Any, ...]] = {}
    for name, key, value in txns[j].mops:
        if name == "append":
            own[key] = (*own.get(key, ()), value)
            continue
        shown = tuple(value or ())
        versions = _versions(txns, key)
        if key in own:
            if key in state and shown != (*state[key], *own[key]):
                return False
            if shown != (*_state_before(txns, j, key), *own[key]):
                return False
            continue
        if key in state:
            if shown != state[key]:
                return False
            continue
        state[key] = shown
        places = [i for i, version in versions if version == shown and i < j]
        if not shown:
            last = -1
        elif not places:
            return False
        else:
            last = places[0]
            visible.add(last)
        forbidden |= {i for i, _ in versions if i > last and i != j}
    return True


def _versions(txns: Sequence[Txn], key: Any) -> list[tuple[int, tuple[Any, ...]]]:
    """(writer, the list after it) of one key, in AR."""
    result: list[tuple[int, tuple[Any, ...]]] = []
    value: tuple[Any, ...] = ()
    for i, txn in enumerate(txns):
        added = [v for name, k, v in txn.mops if name == "append" and k == key]
        if added:
            value = (*value, *added)
            result.append((i, value))
    return result


def _state_before(txns: Sequence[Txn], j: int, key: Any) -> tuple[Any, ...]:
    before = [version for i, version in _versions(txns, key) if i < j]
    return before[-1] if before else ()


def monotonic_atomic_view(ops: Sequence[Mapping[str, Any]]) -> bool:
    """Read committed, and nothing that was seen vanishes."""
    return txn_oracle.legal(ops, "read-committed") and not any(
        _vanishes(reader, transactions(ops)) for reader in transactions(ops) if reader.type == "ok"
    )


def _vanishes(reader: Txn, txns: Sequence[Txn]) -> bool:
    """A read shows another's append last, and a later read misses one of that other's appends."""
    for i, (name, key, value) in enumerate(reader.mops):
        if name != "r" or not value or _own_before(reader, i, key):
            continue
        for writer in txns:
            if writer is reader or ("append", key, value[-1]) not in writer.mops:
                continue
            for k, (later, other, shown) in enumerate(reader.mops[i + 1 :], i + 1):
                if later != "r" or _own_before(reader, k, other):
                    continue
                if any(n == "append" and y == other and v not in (shown or ()) for n, y, v in writer.mops):
                    return True
    return False


def _own_before(txn: Txn, place: int, key: Any) -> bool:
    return any(name == "append" and k == key for name, k, _ in txn.mops[:place])
