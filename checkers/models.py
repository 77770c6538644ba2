"""The lattice of consistency models, and which anomalies rule out which of them.

Problem: a history shows some anomalies. Which models has the database then certainly not kept, and does an anomaly
count against the model that was asked for?

Idea: three small tables. `_IMPLIES`: a database that keeps the model on the left keeps those on the right too.
`_PROSCRIBES`: the anomalies that a model forbids by its own definition. `_ANOMALY_IMPLIES`: a cycle on the left is also
one of those on the right. A model then forbids an anomaly if it, or a weaker model, forbids it or something that it
implies. Every isolation level exists in three strengths: plain (any order that explains the values), strong-session
(the order respects each client's own order) and strong (it respects realtime); a stronger one forbids the `-process`
or `-realtime` variant of each cycle that the plain one forbids.

Beside them stand the guarantees for one client's session, which know no transactions (D. Terry et al., Session
Guarantees for Weakly Consistent Replicated Data, 1994), PRAM, which gives the first three of them together, and causal
memory, which gives all four (J. Brzezinski et al., From Session Causality to Causal Consistency, 2004). Both give more:
one order for each client, of its reads and all writes. Causal consistency of transactions as Cerone et al. define it
lets one order of all writes overrule what a client saw, and so implies the four guarantees, and not PRAM.

Sources: A. Adya, Weak Consistency (1999); P. Bailis et al., Highly Available Transactions (2013); A. Cerone et al.,
A Framework for Transactional Consistency Models (2015) and Algebraic Laws for Weak Consistency (2017); Elle (2020),
whose names these are. Where we forbid more than Elle: a value that nobody wrote (`garbage-read`), a read of the own
later write (`future-read`) and a read that misses the own earlier write (`MISSED_OWN_WRITE`) are no execution of any
model; two reads of one transaction that differ (`NON_REPEATABLE_READ`) are none of repeatable read. And by their own
definitions: parallel snapshot isolation forbids every G-single (so it implies consistent-view), update-atomic G-cursor,
read-atomic a fractured read, monotonic-atomic-view a transaction that was seen and vanishes (`OTV`), causal-cerone an
effect without its cause, prefix a long fork. What Elle lists as view-serializable and 1SR is here serializable: a
history of reads and writes can't tell them apart.

Cost: constant; everything is worked out once, for some fifty models.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from harness.errors import UsageError

MISSED_OWN_WRITE = "internal/missed-own-write"
"""Evidence, not a type that is shown: the `internal` anomaly of a transaction that missed its own earlier write."""
NON_REPEATABLE_READ = "internal/non-repeatable-read"
"""Evidence, not a type that is shown: the `internal` anomaly of two reads that differ, with no own write between."""

CYCLES = (
    "G0",
    "G1c",
    "G-single-item",
    "G-single",
    "G-nonadjacent-item",
    "G-nonadjacent",
    "G2-item",
    "G2",
)
"""Kinds of dependency cycles, the ones that rule out more models first. Each has a -process and a -realtime variant."""

_LEVELS = (
    "read-uncommitted",
    "read-committed",
    "monotonic-atomic-view",
    "cursor-stability",
    "monotonic-view",
    "monotonic-snapshot-read",
    "consistent-view",
    "forward-consistent-view",
    "read-atomic",
    "causal-cerone",
    "prefix",
    "update-atomic",
    "parallel-snapshot-isolation",
    "repeatable-read",
    "snapshot-isolation",
    "update-serializable",
    "serializable",
)
"""The isolation levels that come in three strengths."""

_IMPLIES: dict[str, tuple[str, ...]] = {
    "read-committed": ("read-uncommitted",),
    "monotonic-atomic-view": ("read-committed",),
    "cursor-stability": ("read-committed",),
    "monotonic-view": ("read-committed",),
    "monotonic-snapshot-read": ("read-committed",),
    "consistent-view": ("monotonic-view", "cursor-stability"),
    "forward-consistent-view": ("consistent-view",),
    "read-atomic": ("monotonic-atomic-view",),
    "causal-cerone": ("read-atomic",),
    "prefix": ("causal-cerone",),
    "update-atomic": ("read-atomic",),
    "parallel-snapshot-isolation": ("causal-cerone", "update-atomic", "consistent-view"),
    "repeatable-read": ("cursor-stability", "monotonic-atomic-view"),
    "snapshot-isolation": (
        "forward-consistent-view",
        "monotonic-snapshot-read",
        "monotonic-atomic-view",
        "parallel-snapshot-isolation",
        "prefix",
    ),
    "update-serializable": ("forward-consistent-view",),
    "serializable": ("repeatable-read", "update-serializable", "snapshot-isolation"),
}

NO_EXECUTION = ("cyclic-versions", "duplicate-elements", "garbage-read", "future-read", MISSED_OWN_WRITE)
"""What no execution of any model shows."""

_PROSCRIBES: dict[str, tuple[str, ...]] = {
    "read-uncommitted": ("G0", *NO_EXECUTION),
    "read-committed": ("G1",),
    "monotonic-atomic-view": ("OTV",),
    "cursor-stability": ("G-cursor", "lost-update"),
    "monotonic-view": ("G-monotonic",),
    "monotonic-snapshot-read": ("G-MSR",),
    "consistent-view": ("G-single",),
    "forward-consistent-view": ("G-SIb",),
    "read-atomic": ("internal", "fractured-read"),
    "causal-cerone": ("causality-violation",),
    "prefix": ("long-fork", "prefix-violation"),
    "update-atomic": ("lost-update", "G-cursor"),
    "parallel-snapshot-isolation": ("G-single",),
    "repeatable-read": ("G2-item", "lost-update", NON_REPEATABLE_READ),
    "snapshot-isolation": ("G-SI", "G-nonadjacent"),
    "update-serializable": ("G-update",),
    "serializable": ("G2", "predicate-read-miss"),
}

_ANOMALY_IMPLIES: dict[str, tuple[str, ...]] = {
    "G0": ("G1c",),
    "G1a": ("G1",),
    "G1b": ("G1",),
    "G1c": ("G1",),
    "dirty-update": ("G1a",),
    "incompatible-order": ("G1a",),
    "G-single": ("G-nonadjacent", "G-SIb"),
    "G-single-item": ("G-single", "G-nonadjacent-item"),
    "G-nonadjacent": ("G2",),
    "G-nonadjacent-item": ("G-nonadjacent", "G2-item"),
    "G2-item": ("G2",),
    "G-cursor": ("G-single-item",),
    "OTV": ("fractured-read",),
    "fractured-read": ("causality-violation",),
    "causality-violation": ("G-single-item",),
    "prefix-violation": ("G-single-item",),
    "stale-read": ("causality-violation-realtime",),
    "long-fork": ("G-nonadjacent-item",),
    "lost-update": ("G2-item", "write-skew"),
    "write-skew": ("G2",),
}
_IN_SESSIONS = (
    *("G0", "G1", "G1c", *CYCLES[2:]),
    *("OTV", "fractured-read", "G-cursor", "causality-violation", "prefix-violation", "long-fork"),
)
"""Anomalies that have a -process and a -realtime variant."""

GUARANTEES: dict[str, tuple[str, ...]] = {
    "read-your-writes": (),
    "monotonic-reads": (),
    "monotonic-writes": (),
    "writes-follow-reads": (),
    "PRAM": ("read-your-writes", "monotonic-reads", "monotonic-writes"),
    "causal": ("PRAM", "writes-follow-reads"),
}
"""The session guarantees, and what implies them; an anomaly of the same name breaks each of the first four."""

_SESSION, _STRONG = "strong-session-", "strong-"
STRICT = "strict-serializable"
_ALIASES = {
    "strong-serializable": STRICT,
    "linearizable": STRICT,
    "sequential": "strong-session-serializable",
    "conflict-serializable": "serializable",
    "session-serializable": "strong-session-serializable",
    "view-serializable": "serializable",
    "1SR": "serializable",
    "PL-1": "read-uncommitted",
    "PL-2": "read-committed",
    "PL-2L": "monotonic-view",
    "PL-CS": "cursor-stability",
    "PL-MSR": "monotonic-snapshot-read",
    "PL-2+": "consistent-view",
    "PL-FCV": "forward-consistent-view",
    "PL-2.99": "repeatable-read",
    "PL-SI": "snapshot-isolation",
    "PL-3U": "update-serializable",
    "PL-3": "serializable",
    "PL-SS": STRICT,
    "strong-PL-1": "strong-read-uncommitted",
    "strong-PL-2": "strong-read-committed",
    "strong-session-PL-1": "strong-session-read-uncommitted",
    "strong-session-PL-2": "strong-session-read-committed",
}
"""Other names. A transaction is one operation on the whole store: linearizable then means strict-serializable."""

REPORTED = frozenset(
    [
        *_LEVELS,
        *GUARANTEES,
        *(_SESSION + level for level in ("read-uncommitted", "read-committed", "snapshot-isolation", "serializable")),
        *(_STRONG + level for level in ("read-uncommitted", "read-committed", "snapshot-isolation")),
        STRICT,
    ]
)
"""The models that have a name in the literature: only these are listed as ruled out. Any can be asked for."""


def _strong(level: str) -> str:
    return STRICT if level == "serializable" else _STRONG + level


def _implications() -> dict[str, tuple[str, ...]]:
    table = {level: _IMPLIES.get(level, ()) for level in _LEVELS}
    for level in _LEVELS:
        weaker = _IMPLIES.get(level, ())
        table[_SESSION + level] = (level, *(_SESSION + below for below in weaker))
        table[_strong(level)] = (_SESSION + level, *(_strong(below) for below in weaker))
    table |= GUARANTEES
    table[_SESSION + "parallel-snapshot-isolation"] += ("causal",)
    table[_SESSION + "causal-cerone"] += ("monotonic-reads", "monotonic-writes", "writes-follow-reads")
    table[_SESSION + "read-atomic"] += ("read-your-writes",)
    return table


def _proscriptions() -> dict[str, frozenset[str]]:
    table = {level: frozenset(_PROSCRIBES.get(level, ())) for level in _LEVELS}
    for level in _LEVELS:
        cyclic = [anomaly for anomaly in _PROSCRIBES.get(level, ()) if anomaly in _IN_SESSIONS]
        table[_SESSION + level] = frozenset(anomaly + "-process" for anomaly in cyclic)
        table[_strong(level)] = frozenset(anomaly + "-realtime" for anomaly in cyclic)
    table[_STRONG + "read-atomic"] |= {"stale-read"}
    table |= {name: frozenset((name, *NO_EXECUTION)) for name in GUARANTEES if not GUARANTEES[name]}
    table |= {"PRAM": frozenset(("PRAM-violation",)), "causal": frozenset(("session-causality",))}
    return table


def _anomaly_implications() -> dict[str, tuple[str, ...]]:
    table = dict(_ANOMALY_IMPLIES)
    for anomaly in _IN_SESSIONS:
        implied = [other for other in _ANOMALY_IMPLIES.get(anomaly, ()) if other in _IN_SESSIONS]
        table[anomaly] = (*_ANOMALY_IMPLIES.get(anomaly, ()), anomaly + "-process")
        table[anomaly + "-process"] = (*(other + "-process" for other in implied), anomaly + "-realtime")
        table[anomaly + "-realtime"] = tuple(other + "-realtime" for other in implied)
    return table


_MODEL_TABLE = _implications()
_PROSCRIPTION_TABLE = _proscriptions()
_ANOMALY_TABLE = _anomaly_implications()

MODELS: tuple[str, ...] = tuple(sorted(_MODEL_TABLE))
"""The models that can be asked for, by their canonical names."""


def canonical(model: str) -> str:
    """The canonical name of a model, from it or from another name of it. Raises UsageError for one that is unknown."""
    name = _ALIASES.get(model, model)
    if name not in _MODEL_TABLE:
        known = ", ".join(m for m in MODELS if m in REPORTED)
        raise UsageError(
            f"unknown consistency model {model!r}; known are {known}, and strong-session-X or strong-X of each"
        )
    return name


def _closure(start: str, table: dict[str, tuple[str, ...]]) -> frozenset[str]:
    found = {start}
    todo = [start]
    while todo:
        for follower in table.get(todo.pop(), ()):
            if follower not in found:
                found.add(follower)
                todo.append(follower)
    return frozenset(found)


@cache
def weaker(model: str) -> frozenset[str]:
    """The model itself and all that it implies."""
    return _closure(canonical(model), _MODEL_TABLE)


@cache
def implied_anomalies(anomaly: str) -> frozenset[str]:
    """The anomaly itself and all that it is a case of."""
    return _closure(anomaly, _ANOMALY_TABLE)


@cache
def counts_against(anomaly: str, model: str) -> bool:
    """Whether one such anomaly shows that `model` was not kept."""
    shown = implied_anomalies(anomaly)
    return any(not shown.isdisjoint(_PROSCRIPTION_TABLE[kept]) for kept in weaker(model))


_STAND_INS = {"update-atomic": "consistent-view", "update-serializable": "serializable"}
"""Of the cycles that the one on the right forbids some break the one on the left, and their names don't say which."""
_STAND_INS_OF_REGISTERS = _STAND_INS | {
    **dict.fromkeys(
        ("cursor-stability", "monotonic-view", "monotonic-atomic-view", "read-atomic", "causal-cerone"),
        "consistent-view",
    ),
    **dict.fromkeys(("prefix", "monotonic-snapshot-read"), "snapshot-isolation"),
    **dict.fromkeys(
        ("PRAM", "causal", "read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"),
        "strong-session-snapshot-isolation",
    ),
}
"""Where nobody looks for what breaks these models themselves (torn reads, session guarantees), too."""


def stand_in(model: str, *, registers: bool = False) -> str:
    """A model that forbids every cycle that may break `model`, and is decided exactly; mostly the model itself.

    registers: whether the transactions are of registers, of which fewer models are decided exactly than of lists.
    """
    name = canonical(model)
    table = _STAND_INS_OF_REGISTERS if registers else _STAND_INS
    for prefix in ("strong-session-", "strong-", ""):
        level = name.removeprefix(prefix)
        if name.startswith(prefix) and level in table:
            stronger = table[level]
            return stronger if stronger.startswith("strong-") else prefix + stronger
    return name


def left_open(model: str, anomalies: Iterable[str], *, registers: bool = False) -> str | None:
    """Why the anomalies that were found leave it open whether `model` was kept; None if they do not."""
    seen = set(anomalies)
    if any(counts_against(anomaly, model) for anomaly in seen):
        return None
    exact = stand_in(model, registers=registers)
    may = sorted(anomaly for anomaly in seen if counts_against(anomaly, exact))
    return f"whether {model} allows what was found ({', '.join(may)}) is not decided" if may else None


def needs_realtime(model: str) -> bool:
    """Whether the model speaks of realtime, so that it can't be confirmed from a history without invocations."""
    name = canonical(model)
    return any(name == _strong(level) for level in _LEVELS)


def ruled_out(anomalies: Iterable[str]) -> tuple[list[str], list[str]]:
    """(not, also_not): the weakest models that the anomalies rule out, and all stronger ones; both sorted.

    `anomalies`: types of anomalies, or the two kinds of evidence above.
    """
    seen = set(anomalies)
    broken = {model for model in REPORTED if any(counts_against(anomaly, model) for anomaly in seen)}
    weakest = sorted(model for model in broken if not any(other in broken for other in weaker(model) if other != model))
    return weakest, sorted(broken.difference(weakest))
