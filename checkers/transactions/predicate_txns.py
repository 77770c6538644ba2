"""Transactions with searches, as the closed-predicate checker wants them.

    init  {k: v, ...}                                   the initial rows
    txn   [["rp", predicate, null | {k: v, ...}], ["r", k, v | null], ["w", k, v], ["insert", k, v], ["delete", k]]

Predicates: `true` (every row), `["=", v]`, `["mod", n, r]` (whole numbers that leave r when divided by n).

What each read may have seen is worked out here: a read of `k` with its value names its writer (values are unique for
their key); a read of nothing saw a deletion, or the time before the first write; a search that did not return `k` saw
any version of it that does not match. Own writes are replayed: what a transaction wrote itself says nothing about
others. An `init` that was ok before any transaction began comes before all; any other is a transaction of its own. Keys
of the first kind hold their row from the beginning on, so "before the first write" is no version of theirs, unless
nothing else explains a read. A key that the invocation of an `init` names and its completion leaves out counts as
written by it only if somebody saw it.

Source: Kingsbury's `elle.closed-predicate` (the shapes); Adya, "Weak Consistency", 1999, section 4.2 (version sets: a
search reads a version of every row there is, also of those that it does not return).
Cost: O(searches × keys): each search looks at every key.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from checkers.client_calls import NEVER, ClientCall, calls_of, parts_of
from checkers.values import freeze, show
from harness.history import FAIL, History, HistoryError

UNBORN = -1
"""Stands for the writer of the state before any write."""
GONE: Hashable = ("no row",)
"""The value of a row that is not there."""


@dataclass(frozen=True)
class Write:
    """One version of a key. value: GONE for a deletion. final: no later write of the transaction replaced it."""

    txn: int
    key: Hashable
    value: Hashable
    final: bool


@dataclass(frozen=True)
class Read:
    """What a transaction saw of one key before it wrote it. candidates: the writers it may have seen (UNBORN too).

    matched: the value it returned, GONE for none. by_search: it comes from a predicate.
    """

    txn: int
    key: Hashable
    value: Hashable
    candidates: tuple[int, ...]
    by_search: bool
    text: str


@dataclass
class Oddity:
    """A single read that is wrong by itself. kind: the anomaly's type."""

    kind: str
    txns: list[int]
    key: Hashable
    sentence: str


@dataclass
class PredicateTxns:
    """n transactions in the order of their invocations. possible: which may have committed; committed: which did.

    inits: those that come before every transaction.
    """

    calls: list[ClientCall]
    inits: list[int]
    committed: list[bool] = field(default_factory=list)
    possible: list[bool] = field(default_factory=list)
    writers: dict[Hashable, dict[int, Hashable]] = field(default_factory=dict)
    """key → {transaction: the value that it left there}, of all that may have committed."""
    reads: list[Read] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)
    ambiguous: list[Hashable] = field(default_factory=list)
    """Keys to which the same value may have been written twice."""
    read_then_write: list[tuple[int, Hashable]] = field(default_factory=list)
    seen_by: dict[int, int] = field(default_factory=dict)
    """transaction → one that read a value which nobody else can have written: so it committed."""

    def name(self, txn: int) -> str:
        """How a sentence names a transaction."""
        call = self.calls[txn]
        return "the initial state" if txn in self.inits else f"op {call.record} (client {call.process})"

    def records(self, txns: set[int]) -> list[int]:
        """The history indexes of these, and of the transaction that shows that an `init` among them came late."""
        late = any(self.calls[txn].f == "init" and txn not in self.inits for txn in txns)
        first = [call for call in self.calls if call.f != "init"][: int(late)]
        return sorted({record for call in (*first, *(self.calls[txn] for txn in txns)) for record in call.records})


def predicate_txns(history: History) -> PredicateTxns:
    """The transactions of a history. Raises HistoryError for a value of another shape."""
    calls = calls_of(history, ("init", "txn", ""), only=True)
    return _Builder(calls).build()


def matches(predicate: Any, value: Hashable) -> bool:
    """Whether a row with this value is one that the search looks for (the predicate is frozen)."""
    if value == GONE:
        return False
    if predicate == "true" or predicate == ("boolean", True):
        return True
    kind = predicate[1]
    if kind == "=":
        return value == predicate[2]
    return type(value) is int and value % predicate[2] == predicate[3]


Own: TypeAlias = dict[Hashable, Hashable]
"""What a transaction has written so far."""
Known: TypeAlias = dict[Hashable, tuple[Hashable, bool]]
"""What it has read of others' rows: (value, whether by a search)."""


class _Builder:
    def __init__(self, calls: list[ClientCall]) -> None:
        first = min((call.place for call in calls if call.f != "init"), default=NEVER)
        inits = [i for i, call in enumerate(calls) if call.f == "init" and call.ok and call.end < first]
        self.txns = PredicateTxns(calls, inits)
        self.mops = [self._mops(call) for call in calls]
        self.versions: dict[tuple[Hashable, Hashable], list[Write]] = {}
        """(key, value) → its writes, also those that were replaced at once or failed."""

    def build(self) -> PredicateTxns:
        txns, calls = self.txns, self.txns.calls
        txns.possible = [call.outcome != FAIL for call in calls]
        for txn, call in enumerate(calls):
            self._writes(txn, call)
        txns.seen_by = self._seen()
        txns.committed = [call.ok or (txns.possible[i] and i in txns.seen_by) for i, call in enumerate(calls)]
        for (key, _), writes in self.versions.items():
            alive = {write.txn for write in writes if txns.possible[write.txn]}
            if len(alive) > 1 and writes[0].value != GONE and key not in txns.ambiguous:
                txns.ambiguous.append(key)
        for txn, call in enumerate(calls):
            if call.ok and txn not in txns.inits:
                self._replay(txn)
        return txns

    def _mops(self, call: ClientCall) -> list[tuple[Any, ...]]:
        value, index = (call.result, call.record) if call.ok else (call.argument, call.index)
        if call.f == "init":
            asked = call.argument if isinstance(call.argument, Mapping) else {}
            told = asked if value is None else value
            if not isinstance(told, Mapping):
                raise HistoryError(f"index {index}: an init needs a map of keys to values, not {show(value)}")
            rows = [(freeze_key(key, index), freeze(part, index)) for key, part in {**asked, **told}.items()]
            return [("delete", key, None) if value is None else ("w", key, value) for key, value in rows]
        mops = []
        for mop in parts_of(value or [], index, "a list of micro-ops"):
            mops.append(_mop(mop, index))
        return mops

    def _writes(self, txn: int, call: ClientCall) -> None:
        last: dict[Hashable, Hashable] = {}
        told = call.result if call.f == "init" and call.ok and isinstance(call.result, Mapping) else None
        sure = None if told is None else {freeze_key(key, call.record) for key in told}
        own = [(mop[1], GONE if mop[0] == "delete" else mop[2]) for mop in self.mops[txn] if mop[0] in _WRITES]
        for key, value in own:
            last[key] = value
        for place, (key, value) in enumerate(own):
            final = all(key != later for later, _ in own[place + 1 :])
            self.versions.setdefault((key, value), []).append(Write(txn, key, value, final))
        if self.txns.possible[txn]:
            for key, value in last.items():
                if sure is None or key in sure or self._was_read(key, value):
                    self.txns.writers.setdefault(key, {})[txn] = value

    def _was_read(self, key: Hashable, value: Hashable) -> bool:
        return any(
            (mop[0] == "r" and mop[1:3] == (key, value)) or (mop[0] == "rp" and (mop[2] or {}).get(key) == value)
            for call, mops in zip(self.txns.calls, self.mops)
            if call.ok
            for mop in mops
        )

    def _seen(self) -> dict[int, int]:
        """Transactions a value of which, written by them alone, was read by another that committed: by which."""
        seen: dict[int, int] = {}
        for reader, (call, mops) in enumerate(zip(self.txns.calls, self.mops)):
            if not call.ok or call.f == "init":
                continue
            for mop in mops:
                rows = {mop[1]: mop[2]} if mop[0] == "r" else (mop[2] or {}) if mop[0] == "rp" else {}
                for key, value in rows.items():
                    writes = self.versions.get((key, value), [])
                    makers = {write.txn for write in writes if write.txn != reader and self.txns.possible[write.txn]}
                    if value != GONE and len(makers) == 1:
                        seen.setdefault(makers.pop(), reader)
        return seen

    # -- one transaction's reads

    def _replay(self, txn: int) -> None:
        own: Own = {}
        known: Known = {}
        for mop in self.mops[txn]:
            if mop[0] in _WRITES:
                if mop[1] in known and mop[1] not in own:
                    self.txns.read_then_write.append((txn, mop[1]))
                own[mop[1]] = GONE if mop[0] == "delete" else mop[2]
            elif mop[0] == "r":
                self._item(txn, mop[1], mop[2], own, known)
            elif mop[2] is not None:
                self._search(txn, mop[1], mop[2], own, known)

    def _item(self, txn: int, key: Hashable, value: Hashable, own: Own, known: Known) -> None:
        if key in own:
            if own[key] != value:
                words = f"read {_shown(value)}, though it had {_did(own[key])}"
                self._odd("internal/missed-own-write", [txn], key, words)
            return
        self._same(txn, key, value, False, known)
        self._returned(txn, key, value, by_search=False)

    def _search(self, txn: int, predicate: Any, rows: Mapping[Hashable, Hashable], own: Own, known: Known) -> None:
        for key, value in rows.items():
            if not matches(predicate, value):
                words = f"searched for {show(predicate)} and was given {_shown(value)}, which does not match"
                self._odd("garbage-read", [txn], key, words)
            elif key in own:
                if own[key] != value:
                    words = f"found {_shown(value)} in a search, though it had {_did(own[key])}"
                    self._odd("internal/missed-own-write", [txn], key, words)
            else:
                self._same(txn, key, value, True, known)
                self._returned(txn, key, value, by_search=True)
        for key in dict.fromkeys((*self.txns.writers, *own, *known)):
            if key in rows:
                continue
            if key in own:
                if matches(predicate, own[key]):
                    words = f"searched for {show(predicate)} and did not find what it had itself {_did(own[key])}"
                    self._odd("internal/missed-own-write", [txn], key, words)
                continue
            if key in known and matches(predicate, known[key][0]):
                words = f"read {_shown(known[key][0])}, but a later search for {show(predicate)} did not find it"
                self._odd("internal/search", [txn], key, words)
            self._missed(txn, key, predicate)

    def _same(self, txn: int, key: Hashable, value: Hashable, by_search: bool, known: Known) -> None:
        """A transaction that reads a row twice must find the same."""
        if key in known and known[key][0] != value:
            kind = "internal/search" if by_search or known[key][1] else "internal/non-repeatable-read"
            self._odd(kind, [txn], key, f"read {_shown(known[key][0])}, and later {_shown(value)}")
        known[key] = (value, by_search)

    def _returned(self, txn: int, key: Hashable, value: Hashable, *, by_search: bool) -> None:
        """A read that returned a value, or an item read that returned nothing."""
        candidates = self._candidates(txn, key, lambda version: version == value, value == GONE)
        text = f"found {_shown(value)}" if value != GONE else "found no row"
        if not candidates:
            writes = [write for write in self.versions.get((key, value), []) if write.txn != txn]
            if value == GONE:
                candidates = (UNBORN,)
            elif not writes and (key, value) in self.versions:
                self._odd("future-read", [txn], key, f"{text}, which it wrote itself only later")
                return
            elif not writes:
                self._odd("garbage-read", [txn], key, f"{text}, which nobody ever wrote")
                return
            elif all(not self.txns.possible[write.txn] for write in writes):
                writer = writes[0].txn
                words = f"{text}, but {self.txns.name(writer)}, which wrote that, was rolled back"
                self._odd("G1a", [txn, writer], key, words)
                return
            else:
                writer = next(write.txn for write in writes if self.txns.possible[write.txn])
                words = f"{text}, which {self.txns.name(writer)} replaced within the same transaction"
                self._odd("G1b", [txn, writer], key, words)
                return
        self.txns.reads.append(Read(txn, key, value, candidates, by_search, text))

    def _missed(self, txn: int, key: Hashable, predicate: Any) -> None:
        """A search that did not return the key."""
        candidates = self._candidates(txn, key, lambda version: not matches(predicate, version), True)
        text = f"did not find it in a search for {show(predicate)}"
        if not candidates:
            words = f"{text}, but every version of it matches"
            self._odd("predicate-read-miss", [txn, *sorted(self.txns.writers[key])], key, words)
            candidates = (UNBORN,)
        self.txns.reads.append(Read(txn, key, GONE, candidates, True, text))

    def _candidates(self, txn: int, key: Hashable, fits: Any, unborn: bool) -> tuple[int, ...]:
        writers = self.txns.writers.get(key, {})
        found = [writer for writer, value in writers.items() if writer != txn and fits(value)]
        if unborn and not any(init in writers for init in self.txns.inits):
            found.append(UNBORN)
        return tuple(sorted(found))

    def _odd(self, kind: str, txns: list[int], key: Hashable, words: str) -> None:
        sentence = f"Key {show(key)}: {self.txns.name(txns[0])} {words}."
        self.txns.oddities.append(Oddity(kind, txns, key, sentence))


_WRITES = ("w", "insert", "delete")


_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,99}")


def freeze_key(key: Any, index: int) -> Hashable:
    """A key, with the whole numbers that JSON writes as text in maps turned back. index: the record's, for messages."""
    if isinstance(key, str) and _NUMBER.fullmatch(key):
        return int(key)
    return freeze(key, index)


def _mop(mop: Any, index: int) -> tuple[Any, ...]:
    """(name, key or predicate, value) of one micro-op, frozen."""
    expected = "[rp, predicate, rows], [r, k, v], [w, k, v], [insert, k, v] or [delete, k]"
    if not isinstance(mop, list | tuple) or not 2 <= len(mop) <= 3 or not isinstance(mop[0], str):
        raise HistoryError(f"index {index}: micro-op {show(mop)}; expected {expected}")
    name = mop[0].removeprefix(":")
    argument = mop[2] if len(mop) == 3 else None
    if name == "rp":
        return name, _predicate(mop[1], index), _rows(argument, index)
    if name == "r":
        return name, freeze_key(mop[1], index), GONE if argument is None else freeze(argument, index)
    if name == "delete":
        return name, freeze_key(mop[1], index), None
    if name in ("w", "insert") and len(mop) == 3 and argument is not None:
        return name, freeze_key(mop[1], index), freeze(argument, index)
    raise HistoryError(f"index {index}: micro-op {show(mop)}; expected {expected}")


def _rows(rows: Any, index: int) -> dict[Hashable, Hashable] | None:
    if rows is None:
        return None
    if not isinstance(rows, Mapping):
        raise HistoryError(f"index {index}: a search must return a map of keys to values, not {show(rows)}")
    return {freeze_key(key, index): freeze(value, index) for key, value in rows.items()}


def _predicate(predicate: Any, index: int) -> Any:
    if predicate is True or predicate in ("true", ":true"):
        return "true"
    if isinstance(predicate, list | tuple) and predicate and isinstance(predicate[0], str):
        name, *numbers = predicate
        name = name.removeprefix(":")
        if name == "=" and len(numbers) == 1:
            return ("list", "=", freeze(numbers[0], index))
        if name == "mod" and len(numbers) == 2 and all(type(n) is int for n in numbers) and numbers[0] > 0:
            return ("list", "mod", *numbers)
    raise HistoryError(f"index {index}: predicate {show(predicate)}; expected true, [=, v] or [mod, n, r] with n > 0")


def _shown(value: Hashable) -> str:
    return "no row" if value == GONE else show(value)


def _did(value: Hashable) -> str:
    return "deleted it" if value == GONE else f"written {show(value)}"
