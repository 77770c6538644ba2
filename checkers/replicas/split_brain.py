"""Split brain: two nodes that both act as the one in charge.

Two proofs, each for itself:

1. **Primaries.** The harness polls every node through the run (`harness.observing`), under process `nemesis`:

       invoke  primaries  null
       info    primaries  [{"node": "n1", "primary": "n1", "term": 7}, {"node": "n2", "primary": "n1", "term": 7}, ...]

   who it believes to be primary (null: nobody) and in which term (Raft's term, PostgreSQL's timeline, MongoDB's
   election term; null: not known). A node that names itself was acting as primary at some moment of that poll. Two
   nodes that do so in the same term at overlapping times are `split-brain`: in one poll; in two polls that overlap; or
   one before and after the other, in the same term all along. In different terms the one with the lower term may only
   not have heard yet, and of terms that nobody knows nothing follows: both are told as figures (`stale_primaries`), and
   are no anomaly. Every healthy cluster shows them when its leader is cut off.

2. **Histories.** Two updates that happened rest on the same version of a value (a compare-and-set from it, or a
   transaction that read it and wrote), and both lived on: a version of one line was found when a write of the other
   had taken effect, though it had been there before that write began; or each was found when the other had taken
   effect. One copy of the data can lose one of two updates, but then it is gone.

Sources: Raft's election safety (Ongaro and Ousterhout, 2014, section 5.2); Jepsen's analyses of RabbitMQ, Elasticsearch
and PostgreSQL failovers; for forks, Mazières and Shasha, "Building Secure File Systems out of Byzantine Storage", PODC
2002 (fork consistency). Blind writes say nothing about the version they were made on, so they are no proof.
Cost: O(polls × nodes²) and O(n log n).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.client_calls import ClientCall
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.replicas.observations import NOTHING, Observations, Put, observations_of
from checkers.values import show
from harness.checker import CheckOptions
from harness.history import INVOKE, OK, History, HistoryError
from harness.op import PRIMARIES
from harness.verdict import Anomaly, Verdict

SPLIT_BRAIN = "split-brain"


@dataclass(frozen=True)
class Claim:
    """A node named itself in a poll from `begin` to `end` (places)."""

    node: str
    term: Hashable
    begin: int
    end: int
    record: int


class SplitBrain:
    """See the module's docstring. histories: whether the second proof is looked for too.

    stats: `{polls, claims, updates, stale_primaries}`; the last is how many polls saw two that claimed to lead without
    sharing a term.
    """

    name = "split-brain"

    def __init__(self, histories: bool = True) -> None:
        self.histories = histories

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge polls and updates. Raises HistoryError for a poll of another shape."""
        claims = list(claims_of(history))
        seen = observations_of(history) if self.histories else Observations()
        findings = [*_same_term(claims), *_forks(seen)]
        stats = {"polls": _polls(history), "claims": len(claims), "stale_primaries": len(stale_primaries(claims))}
        if self.histories:
            stats["updates"] = sum(put.old is not NOTHING for put in seen.puts)
        return verdict_of(self.name, findings, options, model=options.model or "strict-serializable", stats=stats)


# -- primaries


def has_polls(history: History) -> bool:
    """Whether the record holds polls of primaries in this harness' form: another's nemesis may use the word too."""
    values = [history.value[place] for place in _places(history).tolist() if not history.client[place]]
    polls = [value for value in values if isinstance(value, list | tuple)]
    return (
        bool(polls)
        and all(value is None or isinstance(value, list | tuple) for value in values)
        and all(_is_report(report) for poll in polls for report in poll)
    )


def claims_of(history: History) -> Iterator[Claim]:
    """Every node's word that it leads, in the order of the polls. Raises HistoryError for a poll of another shape."""
    begins: dict[int, int] = {}
    for place in _places(history).tolist():
        process, value = int(history.process[place]), history.value[place]
        if history.type[place] == INVOKE or (history.type[place] != OK and value is None):
            begins[process] = place
            continue
        begin = begins.pop(process, place)
        if history.type[place] != OK and not isinstance(value, list | tuple):
            continue
        index = int(history.index[place])
        for report in value or ():
            if not _is_report(report):
                raise HistoryError(f"index {index}: expected [{{node, primary, term}}, ...], got {show(report)}")
            if report["primary"] is not None and report["primary"] == report["node"]:
                yield Claim(str(report["node"]), report.get("term"), begin, place, index)


def _is_report(report: Any) -> bool:
    if not isinstance(report, dict) or "node" not in report or "primary" not in report:
        return False
    return report.get("term") is None or type(report["term"]) in (int, str)


def _places(history: History) -> np.ndarray:
    return np.flatnonzero(history.f == history.f_names.index(PRIMARIES) if PRIMARIES in history.f_names else [])


def _polls(history: History) -> int:
    """How many were answered."""
    return sum(isinstance(history.value[place], list | tuple) for place in _places(history).tolist())


def stale_primaries(claims: list[Claim]) -> list[tuple[Claim, Claim]]:
    """Of each poll in which two nodes claimed to lead, and not in one known term, two such claims."""
    polls: dict[int, dict[str, Claim]] = defaultdict(dict)
    for claim in claims:
        polls[claim.record][claim.node] = claim
    pairs = (
        next(
            (
                (one, other)
                for one, other in itertools.combinations(own.values(), 2)
                if one.term is None or one.term != other.term
            ),
            None,
        )
        for own in polls.values()
    )
    return [pair for pair in pairs if pair is not None]


def _same_term(claims: list[Claim]) -> Iterator[Finding]:
    tenures: dict[tuple[Hashable, str], tuple[Claim, Claim]] = {}
    """(term, node) → its first and its last claim in that term."""
    for claim in claims:
        first, _ = tenures.get((claim.term, claim.node), (claim, claim))
        tenures[claim.term, claim.node] = (first, claim)
    by_term: dict[Hashable, list[str]] = defaultdict(list)
    for term, node in tenures:
        if term is not None:
            by_term[term].append(node)
    for term, nodes in by_term.items():
        for place, one in enumerate(nodes):
            for other in nodes[place + 1 :]:
                mine, its = tenures[term, one], tenures[term, other]
                if mine[0].begin <= its[1].end and its[0].begin <= mine[1].end:
                    yield _two(term, mine, its)


def _two(term: Hashable, first: tuple[Claim, Claim], second: tuple[Claim, Claim]) -> Finding:
    records = sorted({claim.record for claim in (*first, *second)})
    sentence = (
        f"Nodes {first[0].node} and {second[0].node} both acted as primary in term {show(term)} at the same time "
        f"(polls at ops {', '.join(map(str, records))}): whatever one acknowledges, the other does not know."
    )
    return Finding(Anomaly(SPLIT_BRAIN, records, sentence, key=term, sub_history=records), ALWAYS)


# -- histories


def _forks(seen: Observations) -> Iterator[Finding]:
    """Pairs of updates of one version that both lived on."""
    updates: dict[tuple[Hashable, Hashable], list[Put]] = defaultdict(list)
    for put in seen.puts:
        if put.old is not NOTHING:
            updates[put.key, put.old].append(put)
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


@dataclass(frozen=True)
class Proof:
    """`sight` found `found`, of the line of `one`, after `over`, of the line of `other`, had taken effect."""

    one: Put
    other: Put
    found: Put
    over: Put
    sight: ClientCall


class _Sights:
    """Where each value of some keys was found, and what compare-and-sets made of it (its line)."""

    def __init__(self, seen: Observations, keys: set[Hashable]) -> None:
        self._writes: dict[tuple[Hashable, Hashable], list[Put]] = defaultdict(list)
        self._direct: dict[tuple[Hashable, Hashable], list[ClientCall]] = defaultdict(list)
        children: dict[tuple[Hashable, Hashable], list[Put]] = defaultdict(list)
        lists: set[Hashable] = set()
        for put in seen.puts:
            if put.key not in keys:
                continue
            self._writes[put.key, put.value].append(put)
            if put.grows:
                lists.add(put.key)
            elif put.old is not NOTHING:
                children[put.key, put.old].append(put)
        self._children = children
        for read in seen.reads:
            if read.key in keys:
                for value in (read.value,) if read.elements is None else read.elements:
                    self._direct[read.key, value].append(read.call)
        for put in seen.puts:
            if put.key in keys and put.call.ok and put.old is not NOTHING and put.key not in lists:
                self._direct[put.key, put.old].append(put.call)

    def written_again(self, key: Hashable, version: Hashable) -> bool:
        """Whether a register's value may have been there more than once."""
        made = self._writes.get((key, version), [])
        return len(made) > 1 or (version is None and bool(made))

    def both_lived(self, one: Put, other: Put) -> Proof | None:
        """What shows that neither line ended where the other began, if anything does."""
        return self._came_back(one, other) or self._came_back(other, one)

    def _came_back(self, one: Put, other: Put) -> Proof | None:
        """A version of `one`'s line that was found after a write of `other`'s line had taken effect, though it had been
        there before that write began, or though that write's version was found after it in turn. With one copy of the
        data the later of the two would have overwritten the earlier one for good."""
        theirs = [(put, self._known(put), self._found(put, one)) for put in self._line(other)]
        for put in self._line(one):
            sights = self._found(put, other)
            if not sights:
                continue
            known = self._known(put)
            last = max(sights, key=lambda call: call.place)
            for rival, rival_known, rival_sights in theirs:
                in_turn = any(call.place > known for call in rival_sights)
                if last.place > rival_known and (known < rival.call.place or in_turn):
                    return Proof(one, other, put, rival, last)
        return None

    def _found(self, put: Put, rival: Put) -> list[ClientCall]:
        """Calls that found it; of a list, without the rival's element."""
        sights = self._direct.get((put.key, put.value), [])
        if not put.grows:
            return sights
        both = {id(call) for call in self._direct.get((rival.key, rival.value), [])}
        return [call for call in sights if id(call) not in both]

    def _known(self, put: Put) -> int:
        return min([put.call.end, *(call.end for call in self._direct.get((put.key, put.value), []))])

    def _line(self, put: Put) -> list[Put]:
        """The update, and what compare-and-sets made of it."""
        line, todo, members = [put], [put.value], {put.value}
        while todo and not put.grows:
            for following in self._children.get((put.key, todo.pop()), ()):
                if following.value not in members and len(self._writes[put.key, following.value]) == 1:
                    members.add(following.value)
                    todo.append(following.value)
                    line.append(following)
        return line if len(self._writes[put.key, put.value]) == 1 else []


def _forked(key: Hashable, version: Hashable, proof: Proof) -> Finding:
    def told(put: Put) -> str:
        return f"client {put.call.process} (node {put.call.node}, op {put.call.record}) wrote {show(put.value)}"

    base = show(("list", *version)) if isinstance(version, tuple) and proof.one.grows else show(version)
    sentence = (
        f"Key {show(key)}: {told(proof.one)} and {told(proof.other)}, both on top of {base}. Both lived on: op "
        f"{proof.sight.record} found {show(proof.found.value)} again, of the first one's line, though the second one's "
        f"{show(proof.over.value)} (op {proof.over.call.record}) had been written since. Two histories of the same "
        "data went on side by side."
    )
    calls = (proof.one.call, proof.other.call, proof.found.call, proof.over.call, proof.sight)
    return Finding(
        Anomaly(
            SPLIT_BRAIN,
            sorted({call.record for call in calls}),
            sentence,
            key=key,
            sub_history=sorted({record for call in calls for record in call.records}),
        ),
        ("lost-update", "G-single-item-realtime"),
    )
