"""PRAM and causal memory of list-append: is there for each client an order of all appends that explains what it read?

Both know no transactions, only what each client did, micro-op after micro-op (see `session_order`). For each client
there must be one order of its reads and everybody's appends, in which each read shows the appends before it:
- PRAM (Lipton & Sandberg, PRAM: A Scalable Shared Memory, 1988): every client's own order is kept in it;
- causal (Ahamad et al., Causal Memory, 1995): and so is the order of an append and the reads that saw it, by whomever,
  and all that follows from these. J. Brzezinski et al. (From Session Causality to Causal Consistency, 2004) show how
  both are made of the session guarantees.

Idea: a list names the appends before it, in their order, and all others came after the read. So for each client all is
known that its order must keep, and there is such an order exactly if that goes in no circle. Chains of virtual nodes
stand for "the first i appends of a key" and "all but these".

Cost: O(micro-ops) for each client that read anything.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from checkers.transactions.cycle_kinds import Cycle, Step
from checkers.transactions.dependency_graph import PASS, RW, WR, WW, Graph
from checkers.transactions.graph_kernels import components, rows
from checkers.transactions.list_append_versions import NOBODY, Versions
from checkers.transactions.polygraph_clauses import OUT_OF_TIME
from checkers.transactions.session_order import clients, program_order
from checkers.transactions.txn_columns import APPEND, READ, TxnColumns
from harness.compiled import working_time
from harness.history import OK

BEGINNINGS_MAX = 16
"""How many edges of a knot are tried for the shortest circle."""


@dataclass
class Broken:
    """count: how many clients have no such order. cycles: for some, their process and a circle of micro-ops. undecided:
    why not all were asked.
    """

    count: int = 0
    cycles: list[tuple[int, Cycle]] = field(default_factory=list)
    undecided: str = ""


class Views:
    """The orders of all clients.

    wanted: bool[n], the transactions to look at, all that may lie on such circles. Reads of others still tell their
    client the order of appends.
    """

    def __init__(self, columns: TxnColumns, txn: np.ndarray, versions: Versions, wanted: np.ndarray) -> None:
        self._columns, self._txn, self._versions = columns, txn, versions
        number, ordered = clients(columns)
        self._client = number[txn]
        shown = versions.committed[txn] & versions.usable[columns.key]
        self._appends = shown & wanted[txn] & (columns.function == APPEND)
        reads = shown & (columns.function == READ) & (columns.status[txn] == OK) & ordered[number][txn]
        plain = versions.agreed[columns.key] & versions.fits
        self._reads = np.flatnonzero(reads & plain)
        self._odd = np.flatnonzero(reads & ~plain)
        self._length = np.diff(columns.list_start)
        self._mops = len(columns.function)
        place = versions.start[:-1] + np.arange(len(versions.length))
        """Where the nodes of each key begin, one for each number of appends from none to all."""
        self._first_of_key = self._mops + place
        self._chain = int(versions.start[-1]) + len(versions.length)
        self._shared = [program_order(columns, txn, wanted & versions.committed), *self._chains()]

    def broken(self, *, causal: bool, limit: int, deadline: float) -> Broken:
        """The clients without such an order. deadline: of working_time()."""
        result = Broken()
        base = [*self._shared]
        if causal:
            base += [self._read_from(self._reads), *(self._odd_read_from(read) for read in self._odd.tolist())]
        readers = np.unique(self._client[np.concatenate((self._reads, self._odd))])
        for client in readers.tolist():
            if working_time() > deadline:
                result.undecided = OUT_OF_TIME
                return result
            graph = _together(self._mops, self._mops + 2 * self._chain, [*base, *self._of_client(client)])
            first, order = rows(graph.source, graph.nodes)
            label = components(first, order, graph.target, graph.nodes)
            inside = np.flatnonzero(label[graph.source] == label[graph.target])
            if not len(inside):
                continue
            result.count += 1
            if len(result.cycles) < limit:
                process = int(self._columns.process[self._txn[np.argmax(self._client == client)]])
                result.cycles.append((process, _shortest(graph, inside)))
        return result

    # --- what all clients share: in the nodes of a key, `i` stands for its first i appends, and then for all but these

    def _chains(self) -> list[Graph]:
        versions = self._versions
        key = np.repeat(np.arange(len(versions.length)), np.diff(versions.start))
        here = self._first_of_key[key] + np.arange(len(key)) - versions.start[key]
        writer = versions.writer
        known = (writer != NOBODY) & self._appends[np.maximum(writer, 0)] & (versions.agreed & versions.usable)[key]
        mop, at = writer[known], here[known]
        rest = here + self._chain
        unread = np.flatnonzero(self._appends & (versions.position < 0) & versions.agreed[self._columns.key])
        end = self._chain + self._first_of_key + np.diff(versions.start)
        return [
            self._edges(WR, mop, at + 1),
            self._edges(WR, here, here + 1),
            self._edges(PASS, at + self._chain, mop),
            self._edges(PASS, rest, rest + 1),
            self._edges(PASS, end[self._columns.key[unread]], unread),
        ]

    def _read_from(self, reads: np.ndarray) -> Graph:
        return self._edges(WR, self._first_of_key[self._columns.key[reads]] + self._length[reads], reads)

    def _odd_read_from(self, read: int) -> Graph:
        writers = self._seen(read)
        return self._edges(WR, writers, np.full(len(writers), read))

    def _seen(self, read: int) -> np.ndarray:
        """The appends that a read in a key of contradicting reads shows, in its order."""
        versions = self._versions
        if read in versions.odd_writers:
            writers = np.array(versions.odd_writers[read], np.int64)
        else:
            start = int(versions.start[self._columns.key[read]])
            writers = versions.writer[start : start + int(self._length[read])]
        writers = writers[writers != NOBODY]
        return writers[self._appends[writers]]

    # --- what one client's reads add

    def _of_client(self, client: int) -> list[Graph]:
        columns, versions = self._columns, self._versions
        reads = self._reads[self._client[self._reads] == client]
        after = self._first_of_key[columns.key[reads]] + self._chain + self._length[reads]
        longest = np.zeros(len(versions.length), np.int64)
        np.maximum.at(longest, columns.key[reads], self._length[reads])
        key = np.repeat(np.arange(len(longest)), longest)
        place = versions.start[key] + np.arange(len(key)) - np.repeat(np.cumsum(longest) - longest, longest)
        writer = versions.writer[place]
        known = (writer != NOBODY) & self._appends[np.maximum(writer, 0)]
        writer, key = writer[known], key[known]
        same = key[1:] == key[:-1]
        parts = [
            self._read_from(reads),
            self._edges(RW, reads, after),
            self._edges(WW, writer[:-1][same], writer[1:][same]),
        ]
        for read in self._odd[self._client[self._odd] == client].tolist():
            seen = self._seen(read)
            others = np.flatnonzero(self._appends & (columns.key == columns.key[read]))
            others = others[~np.isin(others, seen)]
            parts += [
                self._odd_read_from(read),
                self._edges(RW, np.full(len(others), read), others),
                self._edges(WW, seen[:-1], seen[1:]),
            ]
        return parts

    def _edges(self, kind: int, source: np.ndarray, target: np.ndarray) -> Graph:
        """Between nodes: micro-ops, and then those of the chains."""
        source, target = np.asarray(source, np.int32), np.asarray(target, np.int32)
        kinds = np.full(len(source), kind, np.int8)
        return Graph(self._mops, self._mops + 2 * self._chain, source, target, kinds, source, target)


def _together(txns: int, nodes: int, parts: list[Graph]) -> Graph:
    """One graph of several that share their virtual nodes."""
    whole = [np.concatenate([getattr(p, name) for p in parts]) for name in ("source", "target", "kind")]
    return Graph(txns, nodes, whole[0], whole[1], whole[2], whole[0], whole[1])


def _shortest(graph: Graph, inside: np.ndarray) -> Cycle:
    """A circle of micro-ops along edges that lie in knots; one that misses something, where there is one."""
    following: dict[int, list[int]] = {}
    for edge in inside.tolist():
        following.setdefault(int(graph.source[edge]), []).append(edge)
    against = inside[(graph.kind[inside] == RW)]
    best: list[int] = []
    for edge in (against if len(against) else inside)[:BEGINNINGS_MAX].tolist():
        way = _way(graph, following, int(graph.target[edge]), int(graph.source[edge]))
        if way is not None and (not best or len(way) + 1 < len(best)):
            best = [edge, *way]
    steps: list[Step] = []
    begin = next(i for i, edge in enumerate(best) if graph.source[edge] < graph.txns)
    opened = -1
    for edge in best[begin:] + best[:begin]:
        opened = edge if opened < 0 else opened
        if graph.target[edge] < graph.txns:
            source, target = int(graph.source[opened]), int(graph.target[edge])
            steps.append(Step(source, target, int(graph.kind[opened]), source, target))
            opened = -1
    return steps


def _way(graph: Graph, following: dict[int, list[int]], source: int, target: int) -> list[int] | None:
    """The edges of a shortest path."""
    came: dict[int, int] = {source: -1}
    todo = deque([source])
    while todo and target not in came:
        node = todo.popleft()
        for edge in following.get(node, ()):
            if int(graph.target[edge]) not in came:
                came[int(graph.target[edge])] = edge
                todo.append(int(graph.target[edge]))
    if target not in came:
        return None
    way: list[int] = []
    while came[target] >= 0:
        way.append(came[target])
        target = int(graph.source[came[target]])
    return way[::-1]
