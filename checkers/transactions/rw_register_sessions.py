"""What a client's own session was promised and did not get, in histories of registers.

Problem: a register shows its last value only, so that it depends on the order of the writes what a read misses. The
promises are kept if for each client there is an order of all writes, as the servers that it talked to may have applied
them, in which they are. Transactions play no part (see `session_order`).

Idea: what each guarantee (Terry et al., Session Guarantees for Weakly Consistent Replicated Data, PDIS 1994) demands of
such an order, key by key; a circle breaks it, and without one there is an order.
- read-your-writes: a read shows the client's own write, acknowledged in an earlier transaction, or a later one.
- monotonic-reads: a read shows what the client's read before it showed, or a later write.
- writes-follow-reads: a write comes after what its client had read.
- monotonic-writes: a client's writes keep their order. By itself no read of a register can contradict that.

PRAM and causal memory are more than their guarantees: they demand one order for each client, of its reads and all
writes of all keys, in which each read shows the last write before it. PRAM (Lipton & Sandberg, 1988): each client's own
order is kept in it. Causal (Ahamad et al., Causal Memory, 1995): and so is the order of a write and the reads that saw
it, by whomever, and all that follows from these. J. Brzezinski et al. (From Session Causality to Causal Consistency,
2004) show how they are made of the guarantees. Whether there is such an order is a question to `polygraph` for each
client, about micro-ops.

Cost: O(micro-ops) for the guarantees; one question of that size for each client that read anything for the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from checkers import models
from checkers.transactions.dependency_graph import RW, WR, Graph, graph_of
from checkers.transactions.graph_kernels import components, rows
from checkers.transactions.polygraph import Answer, Must, OpenKeys, decide
from checkers.transactions.polygraph_clauses import OUT_OF_TIME, Undecided
from checkers.transactions.rw_register_edges import ranges
from checkers.transactions.rw_register_explain import Explainer
from checkers.transactions.rw_register_versions import INITIAL, MISSED, OWN, VERSION, Versions
from checkers.transactions.session_order import clients, program_order
from checkers.transactions.txn_columns import WRITE, TxnColumns
from checkers.transactions.value_findings import Found
from harness.compiled import working_time
from harness.history import OK

READ_YOUR_WRITES, MONOTONIC_READS, WRITES_FOLLOW_READS = "read-your-writes", "monotonic-reads", "writes-follow-reads"
PRAM_VIOLATION, SESSION_CAUSALITY = "PRAM-violation", "session-causality"
PROOFS_SHOWN_MAX = 12
PAIRS_MAX = 20_000_000
"""Of a client's reads and writes of one key, for all together."""


@dataclass
class Sessions:
    """found: what breaks promises. undecided: model → why it is not known whether it was kept."""

    found: list[Found] = field(default_factory=list)
    undecided: dict[str, str] = field(default_factory=dict)


class SessionJudge:
    """What sessions were promised, and whether they got it; see the module."""

    def __init__(self, columns: TxnColumns, txn: np.ndarray, versions: Versions, limit: int) -> None:
        self._columns, self._txn, self._versions = columns, txn, versions
        self._limit = limit
        number, ordered = clients(columns)
        self._client = number[txn]
        self._in_order = ordered[number][txn]
        counted = versions.committed[txn] & versions.usable[columns.key]
        tells = np.isin(versions.saw, (INITIAL, VERSION, OWN)) & (versions.inner != MISSED)
        self._writes = np.flatnonzero(counted & (columns.function == WRITE))
        self._reads = np.flatnonzero(counted & (columns.function != WRITE) & tells)
        self._program = program_order(columns, txn, versions.committed)

    def judged(self, evidence: set[str], deadline: float) -> Sessions:
        """All promises that nothing found before breaks. deadline: of working_time(), for PRAM and causal."""
        result = Sessions()
        known = set(evidence)
        for name, orders in (
            (READ_YOUR_WRITES, self._read_your_writes),
            (MONOTONIC_READS, self._monotonic_reads),
            (WRITES_FOLLOW_READS, self._writes_follow_reads),
        ):
            if _broken(name, known):
                continue
            try:
                found = self._guarantee(name, *orders())
            except Undecided as error:
                result.undecided[name] = str(error)
                continue
            result.found += [found] if found.count else []
            known |= found.evidence
        for model, name in (("PRAM", PRAM_VIOLATION), ("causal", SESSION_CAUSALITY)):
            if not _broken(model, known):
                found = self._one_order(name, deadline, result, model)
                result.found += [found] if found.count else []
                known |= found.evidence
        return result

    # --- the guarantees: (client or 0, write that comes first, write that must come later or is the same, two micro-ops
    # of the client that demand it: a read, another)

    def _read_your_writes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        acknowledged = self._writes[self._columns.status[self._txn[self._writes]] == OK]
        write, read = self._earlier(acknowledged, self._reads)
        keep = self._txn[write] != self._txn[read]
        write, read = write[keep], read[keep]
        return self._client[read], write, self._source(read), np.stack((read, write))

    def _monotonic_reads(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        reads = self._reads[self._in_order[self._reads]]
        order = np.lexsort((reads, self._columns.key[reads], self._client[reads]))
        reads = reads[order]
        same = (self._client[reads[1:]] == self._client[reads[:-1]]) & (
            self._columns.key[reads[1:]] == self._columns.key[reads[:-1]]
        )
        first, second = reads[:-1][same], reads[1:][same]
        return self._client[second], self._source(first), self._source(second), np.stack((second, first))

    def _writes_follow_reads(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        read, write = self._earlier(self._reads, self._writes)
        return np.zeros(len(read), np.int64), self._source(read), write, np.stack((read, write))

    def _source(self, read: np.ndarray) -> np.ndarray:
        """The write that each read saw; -1 - its key for the state before any."""
        return np.where(
            self._versions.saw[read] == INITIAL,
            -1 - self._columns.key[read].astype(np.int64),
            self._versions.source[read],
        )

    def _earlier(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All pairs of a micro-op of `first` and a later one in `second`, of the same client and key."""
        keys = len(self._columns.keys)
        first, second = first[self._in_order[first]], second[self._in_order[second]]
        group_of_first = self._client[first] * keys + self._columns.key[first]
        order = np.argsort(group_of_first, kind="stable")
        first, group_of_first = first[order], group_of_first[order]
        group = self._client[second] * keys + self._columns.key[second]
        low, high = np.searchsorted(group_of_first, group), np.searchsorted(group_of_first, group, "right")
        if int(np.sum(high - low)) > PAIRS_MAX:
            raise Undecided(
                "clients read and wrote single keys too often for all their reads and writes to be compared"
            )
        which, at = ranges(low, high - low)
        before = first[which] < second[at]
        return first[which[before]], second[at[before]]

    def _guarantee(
        self, name: str, client: np.ndarray, first: np.ndarray, second: np.ndarray, proof: np.ndarray
    ) -> Found:
        """One guarantee: the reads that contradict others, by circles of what is demanded."""
        keep = (first != second) & (first >= 0)
        client, first, second, proof = client[keep], first[keep], second[keep], proof[:, keep]
        most = len(self._columns.function) + len(self._columns.keys) + 1
        low = len(self._columns.keys) + 1
        nodes, place = np.unique(
            np.concatenate((client * most + first + low, client * most + second + low)), return_inverse=True
        )
        source, target = place[: len(first)], place[len(first) :]
        start, by_source = rows(source.astype(np.int32), len(nodes))
        label = components(start, by_source, target.astype(np.int32), len(nodes))
        # nothing comes before the state before any write
        bad = np.flatnonzero((label[source] == label[target]) | (second < 0))
        proofs = np.unique(proof[0, bad])
        if not len(proofs):
            return Found(name)
        explainer = Explainer(self._columns, self._txn, self._versions)
        shown = []
        for read in proofs[: self._limit].tolist():
            some = bad[proof[0, bad] == read][0]
            circle = np.flatnonzero((label[source] == label[source[some]]) & (label[target] == label[source[some]]))
            inside = np.append([some], circle[: 0 if second[some] < 0 else PROOFS_SHOWN_MAX])
            shown.append(explainer.of_a_session(name, *proof[:, inside].tolist()))
        return Found(name, len(proofs), shown, {name})

    # --- one order for each client

    def _one_order(self, name: str, deadline: float, result: Sessions, model: str) -> Found:
        columns, causal = self._columns, name == SESSION_CAUSALITY
        readers = np.unique(self._client[self._reads[self._in_order[self._reads]]])
        base = [self._program]
        if causal:
            base.append(self._read_from(self._reads))
        found = Found(name)
        if causal and not len(readers):
            readers = np.array([-1])
        for client in readers.tolist():
            if working_time() > deadline:
                result.undecided[model] = OUT_OF_TIME
                break
            answer = self._question(base, client, deadline)
            if answer.possible is None:
                result.undecided[model] = answer.reason
            elif answer.conflict is not None:
                found.count += 1
                found.evidence.add(name)
                if len(found.shown) < self._limit:
                    steps = [step for cycle in answer.conflict.cycles for step in cycle]
                    explainer = Explainer(columns, self._txn, self._versions)
                    found.shown.append(explainer.of_micro_ops(name, list(steps)))
        if found.count:
            result.undecided.pop(model, None)
        return found

    def _question(self, base: list[Graph], client: int, deadline: float) -> Answer:
        columns, versions = self._columns, self._versions
        mops = len(columns.function)
        mine = self._reads[(self._client[self._reads] == client) & self._in_order[self._reads]]
        saw_none = mine[versions.saw[mine] == INITIAL]
        _, last = np.unique(columns.key[saw_none][::-1], return_index=True)
        last_of_key = saw_none[::-1][last]
        by_key = self._writes[np.argsort(columns.key[self._writes], kind="stable")]
        start = np.searchsorted(columns.key[by_key], np.arange(len(columns.keys) + 1))
        read_keys = columns.key[last_of_key]
        place, which = ranges(start[read_keys], np.diff(start)[read_keys])
        graph = graph_of(mops, [*base, self._read_from(mine), _edges(mops, RW, last_of_key[which], by_key[place])])
        seen = mine[versions.saw[mine] != INITIAL]
        keys = np.unique(columns.key[seen])
        keys = keys[np.diff(start)[keys] > 1]
        count = np.diff(start)[keys]
        which, _ = ranges(start[keys], count)
        writes = by_key[which]
        version_of = np.full(mops, -1, np.int64)
        version_of[writes] = np.arange(len(writes))
        seen = seen[version_of[versions.source[seen]] >= 0]
        seen = seen[np.argsort(version_of[versions.source[seen]], kind="stable")]
        readers = np.bincount(version_of[versions.source[seen]], minlength=len(writes))
        opened = OpenKeys(
            key=keys.astype(np.int32),
            start=np.concatenate(([0], np.cumsum(count))).astype(np.int64),
            writer=writes.astype(np.int32),
            writer_mop=writes.astype(np.int32),
            reader_start=np.concatenate(([0], np.cumsum(readers))).astype(np.int64),
            reader=seen.astype(np.int32),
            reader_mop=seen.astype(np.int32),
        )
        hint = columns.began[self._txn] * 2
        return decide(graph, opened, Must.SERIALIZABLE, deadline=deadline, hint=hint)

    def _read_from(self, reads: np.ndarray) -> Graph:
        saw = reads[self._versions.saw[reads] != INITIAL]
        return _edges(len(self._columns.function), WR, self._versions.source[saw].astype(np.int64), saw)


def _edges(nodes: int, kind: int, source: np.ndarray, target: np.ndarray) -> Graph:
    """Between micro-ops."""
    source, target = source.astype(np.int32), target.astype(np.int32)
    return Graph(nodes, nodes, source, target, np.full(len(source), kind, np.int8), source, target)


def _broken(model: str, evidence: set[str]) -> bool:
    return any(models.counts_against(name, model) for name in evidence)
