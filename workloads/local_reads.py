"""Reads of each node's own copy until all nodes agree: the last part of a run that is to tell whether they ever do.

    invoke  local-read  [7, null]   → ok [7, 3]          of a register
    invoke  local-read  null        → ok [1, 2, 17]      of a set

A session answers it from its own node alone: no leader asked, no quorum, no other node (Redis: the server on that node;
Cassandra: consistency ONE; etcd: a serializable read; PostgreSQL: the standby). It is a read, so any error is `fail`.
What it returns may be old, and is judged by `checkers.replicas.convergence` alone.

Every question goes to every node. Those on which the nodes' answers differ are asked again, in rounds with pauses
between, until all agree or `LIMIT_S` has passed. A target whose sessions do this says so by `local_reads = True` at the
workload's session factory (see `harness.target.SessionFactory`); the option `final=converge` then asks for it.

Cost: questions × nodes reads a round; O(questions × nodes) an event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from checkers.replicas.observations import LOCAL_READ
from checkers.values import freeze
from harness.generator import Context, Generator, Pending, unfold
from harness.op import Op, invoke
from harness.options import Option

LIMIT_S: Final = 30.0
"""How long nodes are asked: longer than the checker lets them differ (`checkers.replicas.convergence.PATIENCE_S`)."""
PAUSE_NS: Final = 200_000_000
"""Between two rounds, and before a read that failed is repeated; pauses between rounds grow up to `PAUSE_NS_MOST`."""
PAUSE_NS_MOST: Final = 1_000_000_000
FINAL: Final = Option(
    "read",
    "what ends the run: read: final reads; converge: also reads of each node's own copy until all agree",
    ("read", "converge"),
)
CONVERGE: Final = "converge"
"""The option's value that needs sessions with local reads."""


class Asking(msgspec.Struct, frozen=True):
    """nodes: how many. left: for each node what is not asked yet in this round, by number of the question.
    asked: process → (node, question) in flight. answers: question → node → what it said. waits_ns: node → until when.
    """

    questions: tuple[Any, ...]
    nodes: int
    until_ns: int = -1
    round: int = 0
    left: tuple[tuple[int, ...], ...] = ()
    asked: Mapping[int | str, tuple[int, int]] = {}
    answers: Mapping[int, Mapping[int, Any]] = {}
    waits_ns: Mapping[int, int] = {}

    def open(self) -> list[int]:
        """Numbers of the questions on which the nodes do not agree, by this round's answers."""
        return [
            number
            for number, answers in self.answers.items()
            if len(answers) < self.nodes or len(set(answers.values())) > 1
        ]


def until_all_agree(questions: Sequence[Any], nodes: int) -> Generator:
    """Local reads of these values by every node. nodes: thread i's session talks to node i modulo their number.

    A value of null asks for a set, whose elements may come in any order. Raises ValueError for no nodes.
    """
    if nodes < 1:
        raise ValueError(f"until_all_agree: {nodes} nodes; at least one is needed")
    return unfold(Asking(tuple(questions), nodes), _ask, _hear)


def _ask(asking: Asking, context: Context) -> tuple[Op | Pending, Asking] | None:
    now_ns = context.time_ns
    if asking.until_ns < 0:
        asking = msgspec.structs.replace(asking, until_ns=now_ns + round(LIMIT_S * 1e9))
        asking = _next_round(asking, range(len(asking.questions)), now_ns)
    if now_ns >= asking.until_ns:
        return None
    if not any(asking.left) and not asking.asked:
        disagreed = asking.open()
        if not disagreed:
            return None
        asking = _next_round(asking, disagreed, now_ns + min(PAUSE_NS_MOST, PAUSE_NS * asking.round))
    wakes_ns = [asking.until_ns]
    for thread, process in context.free.items():
        node = thread % asking.nodes
        if not asking.left[node]:
            continue
        if now_ns < asking.waits_ns.get(node, 0):
            wakes_ns.append(asking.waits_ns[node])
            continue
        number, *rest = asking.left[node]
        left = (*asking.left[:node], tuple(rest), *asking.left[node + 1 :])
        op = invoke(LOCAL_READ, asking.questions[number]).replace(process=process)
        asked = {**asking.asked, process: (node, number)}
        return op, msgspec.structs.replace(asking, left=left, asked=asked)
    return Pending(min(wakes_ns)), asking


def _next_round(asking: Asking, questions: Sequence[int], begin_ns: int) -> Asking:
    return msgspec.structs.replace(
        asking,
        round=asking.round + 1,
        left=(tuple(questions),) * asking.nodes,
        answers={number: {} for number in questions},
        waits_ns=dict.fromkeys(range(asking.nodes), begin_ns),
    )


def _hear(asking: Asking, context: Context, event: Op) -> Asking:
    if event.type == "invoke" or event.process not in asking.asked:
        return asking
    node, number = asking.asked[event.process]
    asked = {process: place for process, place in asking.asked.items() if process != event.process}
    if event.type != "ok":
        left = (*asking.left[:node], (*asking.left[node], number), *asking.left[node + 1 :])
        waits_ns = {**asking.waits_ns, node: context.time_ns + PAUSE_NS}
        return msgspec.structs.replace(asking, asked=asked, left=left, waits_ns=waits_ns)
    content = freeze(event.value, event.index)
    if asking.questions[number] is None and isinstance(content, tuple):
        content = frozenset(content)
    answers = {**asking.answers, number: {**asking.answers[number], node: content}}
    return msgspec.structs.replace(asking, asked=asked, answers=answers)
