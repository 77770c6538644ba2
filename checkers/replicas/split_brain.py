"""Split brain: two nodes that both act as the one in charge.

Two proofs, each for itself:

1. **Primaries.** The harness polls every node through the run (`harness.observing`), under process `nemesis`:

       invoke  primaries  null
       info    primaries  [{"node": "n1", "primary": "n1", "term": 7}, {"node": "n2", "primary": "n1", "term": 7}, ...]

   who it believes to be primary (null: nobody) and in which term (Raft's term, PostgreSQL's timeline, MongoDB's
   election term; null: not known). A node that names itself was acting as primary at some moment of that poll. Two
   nodes that do so in the same term at overlapping times are `split-brain`: in one poll; in two polls that overlap; or
   one before and after the other, in the same term all along (it did not itself say otherwise in between). In different
   terms the one with the lower term may only not have heard yet, and of terms that nobody knows nothing follows: both
   are told as figures (`stale_primaries`), and are no anomaly. Every healthy cluster shows them when its leader is cut
   off.

2. **Histories.** Two updates of one version of a value both lived on: see `checkers.replicas.forks`.

Sources: Raft's election safety (Ongaro and Ousterhout, 2014, section 5.2); Jepsen's analyses of RabbitMQ, Elasticsearch
and PostgreSQL failovers. Cost: O(polls × nodes²) and O(n log n).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.replicas.forks import SPLIT_BRAIN, forks
from checkers.replicas.observations import NOTHING, Observations, observations_of
from checkers.values import show
from harness.checker import CheckOptions
from harness.history import INVOKE, OK, History, HistoryError
from harness.op import PRIMARIES
from harness.verdict import Anomaly, Verdict


@dataclass(frozen=True)
class Claim:
    """What a node said in a poll from `begin` to `end` (places). leads: whether it named itself."""

    node: str
    term: Hashable
    begin: int
    end: int
    record: int
    leads: bool = True


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
        words = list(_words_of(history))
        claims = [word for word in words if word.leads]
        seen = observations_of(history) if self.histories and history.has_invocations else Observations()
        findings = [*_same_term(words), *forks(seen)]
        stats = {"polls": _polls(history), "claims": len(claims), "stale_primaries": len(stale_primaries(claims))}
        if self.histories:
            stats["updates"] = sum(put.old is not NOTHING for put in seen.puts)
        return verdict_of(self.name, findings, options, model=options.model or "strict-serializable", stats=stats)


# -- primaries


def has_polls(history: History) -> bool:
    """Whether the record holds polls of primaries in this harness' form: another's nemesis may use the word too."""
    values = [history.value[place] for place in _places(history).tolist()]
    polls = [value for value in values if isinstance(value, list | tuple)]
    return (
        bool(polls)
        and all(value is None or isinstance(value, list | tuple) for value in values)
        and all(_is_report(report) for poll in polls for report in poll)
    )


def claims_of(history: History) -> Iterator[Claim]:
    """Every node's word that it leads, in the order of the polls. Raises HistoryError for a poll of another shape."""
    return (word for word in _words_of(history) if word.leads)


def _words_of(history: History) -> Iterator[Claim]:
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
        if value is not None and not isinstance(value, list | tuple):
            raise HistoryError(f"index {index}: expected [{{node, primary, term}}, ...], got {show(value)}")
        for report in value or ():
            if not _is_report(report):
                raise HistoryError(f"index {index}: expected [{{node, primary, term}}, ...], got {show(report)}")
            leads = report["primary"] is not None and str(report["primary"]) == str(report["node"])
            yield Claim(str(report["node"]), report.get("term"), begin, place, index, leads)


def _is_report(report: Any) -> bool:
    if not isinstance(report, dict) or "node" not in report or "primary" not in report:
        return False
    return report.get("term") is None or type(report["term"]) in (int, str)


def _places(history: History) -> np.ndarray:
    """Of the records of polls; a client's op of that name is none."""
    if PRIMARIES not in history.f_names:
        return np.empty(0, np.int64)
    return np.flatnonzero((history.f == history.f_names.index(PRIMARIES)) & ~history.client)


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


def _same_term(words: list[Claim]) -> Iterator[Finding]:
    by_term: dict[Hashable, dict[str, list[Tenure]]] = defaultdict(lambda: defaultdict(list))
    for node, tenures in _tenures(words).items():
        for tenure in tenures:
            if tenure[0].term is not None:
                by_term[tenure[0].term][node].append(tenure)
    for term, nodes in by_term.items():
        for one, other in itertools.combinations(nodes, 2):
            met = next(
                (
                    (mine, its)
                    for mine, its in itertools.product(nodes[one], nodes[other])
                    if mine[0].begin <= its[1].end and its[0].begin <= mine[1].end
                ),
                None,
            )
            if met is not None:
                yield _two(term, *met)


Tenure = tuple[Claim, Claim]
"""The first and the last claim of a node to lead in one term, between which it never said otherwise."""


def _tenures(words: list[Claim]) -> dict[str, list[Tenure]]:
    ended: dict[str, list[Tenure]] = defaultdict(list)
    lasting: dict[str, dict[Hashable, Tenure]] = {}
    for _, poll in itertools.groupby(words, key=lambda word: word.record):
        said: dict[str, list[Claim]] = defaultdict(list)
        for word in poll:
            said[word.node].append(word)
        for node, own in said.items():
            before = lasting.get(node, {})
            vague = any(word.leads and word.term is None for word in own)
            now = dict(before) if vague else {}
            for word in own:
                if word.leads:
                    now[word.term] = (before.get(word.term, (word, word))[0], word)
            ended[node] += [tenure for term, tenure in before.items() if term not in now]
            lasting[node] = now
    for node, tenures in lasting.items():
        ended[node] += tenures.values()
    return ended


def _two(term: Hashable, first: tuple[Claim, Claim], second: tuple[Claim, Claim]) -> Finding:
    records = sorted({claim.record for claim in (*first, *second)})
    sentence = (
        f"Nodes {first[0].node} and {second[0].node} both acted as primary in term {show(term)} at the same time "
        f"(polls at ops {', '.join(map(str, records))}): whatever one acknowledges, the other does not know."
    )
    return Finding(Anomaly(SPLIT_BRAIN, records, sentence, key=term, sub_history=records), ALWAYS)
