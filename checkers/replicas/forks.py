"""Forks: two updates of the same version of a value that both lived on, as two copies of the data have it.

Two updates that happened rest on the same version (a compare-and-set from it, or a transaction that read it and wrote),
and both lived on: a version of one line was found when a write of the other had taken effect, though it had been there
before that write began; or each was found when the other had taken effect. One copy of the data can lose one of two
updates, but then it is gone. A list's versions are all its elements: what others put on top of a lost one may bring it
back, in one copy too. Blind writes say nothing about the version they were made on, so they are no proof; nor is a
history without invocations, which does not say what was there before what.

Source: Mazières and Shasha, "Building Secure File Systems out of Byzantine Storage", PODC 2002 (fork consistency).
Cost: O(n log n); in forked keys also O(pairs of rivals × versions).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from checkers.client_calls import ClientCall
from checkers.findings import Finding
from checkers.replicas.observations import NOTHING, Observations, Put
from checkers.values import show
from harness.verdict import Anomaly

SPLIT_BRAIN = "split-brain"


def forks(seen: Observations) -> Iterator[Finding]:
    """Pairs of updates of one version that both lived on."""
    updates: dict[tuple[Hashable, Hashable], list[Put]] = defaultdict(list)
    for put in seen.puts:
        if put.old is not NOTHING:
            updates[put.key, put.old].append(_whole(put) if put.grows else put)
    forked = {version: rivals for version, rivals in updates.items() if len(rivals) > 1}
    if not forked:
        return
    sights = _Sights(seen, {key for key, _ in forked})
    for (key, version), rivals in forked.items():
        values = [put.value for put in rivals]
        if sights.written_again(key, version) or len(set(values)) < len(values):
            continue
        for place, one in enumerate(rivals):
            for other in rivals[place + 1 :]:
                if one.call is other.call:
                    continue
                proof = sights.both_lived(one, other)
                if proof is not None:
                    yield _forked(key, version, proof)


def _whole(append: Put) -> Put:
    """An append to a list that was read before, with the version that it made as its value."""
    base = append.old if isinstance(append.old, tuple) else ()
    return replace(append, value=(*base, append.value))


@dataclass(frozen=True)
class Proof:
    """`sight` found `found`, of the line of `one`, after `over`, of the line of `other`, had taken effect.

    calls: all that it takes to show it.
    """

    one: Put
    other: Put
    found: Put
    over: Put
    sight: ClientCall
    calls: tuple[ClientCall, ...]


class _Sights:
    """Where each version of some keys was found, and what was made of it (its line)."""

    def __init__(self, seen: Observations, keys: set[Hashable]) -> None:
        self._writes: dict[tuple[Hashable, Hashable], list[Put]] = defaultdict(list)
        self._direct: dict[tuple[Hashable, Hashable], list[ClientCall]] = defaultdict(list)
        self._children: dict[tuple[Hashable, Hashable], list[Put]] = defaultdict(list)
        self._lists: dict[Hashable, dict[Hashable, Put]] = {}
        """list → its versions, each by the append that made it."""
        makers: dict[tuple[Hashable, Hashable], list[Put]] = defaultdict(list)
        for put in seen.puts:
            if put.key not in keys:
                continue
            if put.grows:
                self._lists.setdefault(put.key, {})
                makers[put.key, put.value].append(put)
            else:
                self._writes[put.key, put.value].append(put)
                if put.old is not NOTHING:
                    self._children[put.key, put.old].append(put)
        for read in seen.reads:
            if read.key not in keys:
                continue
            if read.key in self._lists:
                self._version(read.key, read.elements or (), makers)
                self._direct[read.key, read.elements or ()].append(read.call)
            else:
                value = read.value if read.elements is None else ("list", *read.elements)
                self._direct[read.key, value].append(read.call)
        for put in seen.puts:
            if put.key in self._lists and put.grows and isinstance(put.old, tuple) and put.old is not NOTHING:
                self._version(put.key, _whole(put).value, makers)
            elif put.key in keys and put.call.ok and put.old is not NOTHING:
                self._direct[put.key, put.old].append(put.call)

    def _version(self, key: Hashable, version: Any, makers: dict[tuple[Hashable, Hashable], list[Put]]) -> None:
        made = makers.get((key, version[-1]), []) if version else []
        if len(made) == 1 and version not in self._lists[key]:
            self._lists[key][version] = put = replace(made[0], value=version)
            self._writes[key, version].append(put)

    def written_again(self, key: Hashable, version: Hashable) -> bool:
        """Whether a version may have been there more than once."""
        made = self._writes.get((key, version), [])
        return len(made) > 1 or (version is None and bool(made))

    def both_lived(self, one: Put, other: Put) -> Proof | None:
        """What shows that neither line ended where the other began, if anything does."""
        return self._came_back(one, other) or self._came_back(other, one)

    def _came_back(self, one: Put, other: Put) -> Proof | None:
        """A version of `one`'s line that was found after a write of `other`'s line had taken effect, though it had been
        there before that write began, or though that write's version was found after it in turn. With one copy of the
        data the later of the two would have overwritten the earlier one for good."""
        theirs = [(rival, way, self._told(rival), self._found(rival)) for rival, way in self._line(other)]
        for put, way in self._line(one):
            sights = self._found(put)
            if not sights:
                continue
            told = self._told(put)
            last = max(sights, key=lambda call: call.place)
            for rival, rival_way, rival_told, rival_sights in theirs:
                between = next((call for call in rival_sights if call.place > told.end), None)
                before = told.end < rival.call.place
                if last.place > rival_told.end and (before or between is not None):
                    more = () if before or between is None else (between,)
                    calls = (*way, *rival_way, told, rival_told, last, *more)
                    return Proof(one, other, put, rival, last, calls)
        return None

    def _found(self, put: Put) -> list[ClientCall]:
        return self._direct.get((put.key, put.value), [])

    def _told(self, put: Put) -> ClientCall:
        """The call by whose end the version had been there."""
        return min([put.call, *self._found(put)], key=lambda call: call.end)

    def _line(self, put: Put) -> list[tuple[Put, tuple[ClientCall, ...]]]:
        """The update, and what others made of its version; each with the calls on the way from the one to the other."""
        if len(self._writes[put.key, put.value]) != 1:
            return []
        if put.grows:
            size, versions = len(put.value), self._lists[put.key]  # type: ignore[arg-type]
            return [
                (each, (put.call, each.call))
                for version, each in versions.items()
                if version[:size] == put.value  # type: ignore[index]
            ]
        line: list[tuple[Put, tuple[ClientCall, ...]]] = [(put, (put.call,))]
        members = {put.value}
        for last, way in line:
            for following in self._children.get((put.key, last.value), ()):
                if following.value not in members and len(self._writes[put.key, following.value]) == 1:
                    members.add(following.value)
                    line.append((following, (*way, following.call)))
        return line


def _forked(key: Hashable, version: Hashable, proof: Proof) -> Finding:
    def told(put: Put) -> str:
        where = f"node {put.call.node}, " if put.call.node else ""
        did = f"appended {show(put.value[-1])}" if put.grows else f"wrote {show(put.value)}"  # type: ignore[index]
        return f"client {put.call.process} ({where}op {put.call.record}) {did}"

    def shown(version: Any) -> str:
        return show(("list", *version)) if proof.one.grows else show(version)

    found, over = shown(proof.found.value), shown(proof.over.value)
    sentence = (
        f"Key {show(key)}: {told(proof.one)} and {told(proof.other)}, both on top of {shown(version)}. Both lived on: "
        f"op {proof.sight.record} found {found} again, of the first one's line, though the second one's {over} (op "
        f"{proof.over.call.record}) had been written since. Two histories of the same data went on side by side."
    )
    shown_by = (proof.one.call, proof.other.call, proof.found.call, proof.over.call, proof.sight)
    return Finding(
        Anomaly(
            SPLIT_BRAIN,
            sorted({call.record for call in shown_by}),
            sentence,
            key=key,
            sub_history=sorted({record for call in proof.calls for record in call.records}),
        ),
        ("lost-update", "G-single-item-realtime"),
    )
