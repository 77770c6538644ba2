"""From a history to the calls on each object, as the linearizability checker wants them.

Two shapes of values, told apart by the reads' invocations: one object (`read null`, `write 3`, `cas [1, 2]`) or many,
by key (`read [k, null]`, `write [k, 3]`, `cas [k, [1, 2]]`). What an op was asked is taken from its invocation, what a
read saw from its completion. Cost: one pass, O(n).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from checkers.linearizability.linearizable_model import NEVER, Action, KnowsArguments, Model, Operation
from checkers.values import freeze, is_pair, show
from harness.history import FAIL, INFO, INVOKE, OK, TYPES, History, HistoryError


@dataclass(frozen=True)
class Call:
    """One call of a client. outcome: OK, FAIL or INFO (also where it never completed).

    place: of the invocation; end: of the completion (NEVER where there is none). record: the history index that stands
    for it, its completion's where it has one.
    """

    action: Action
    outcome: int
    process: int
    place: int
    end: int
    record: int

    @property
    def returned(self) -> int:
        """The place at which it returned, NEVER where nobody knows the outcome."""
        return NEVER if self.outcome == INFO else self.end

    @property
    def operation(self) -> Operation:
        """The call as the search takes it."""
        return Operation(self.action, self.place, self.returned)


@dataclass
class Calls:
    """All calls on one object, in the order of their invocations. key: as in the history, where it has one (keyed).

    nodes: all that the history's clients used; none where some op does not say which. noun: what an object is called.
    """

    key: Any
    keyed: bool
    history: History
    nodes: frozenset[str] = frozenset()
    calls: list[Call] = field(default_factory=list)
    noun: str = "register"

    @property
    def operations(self) -> list[Operation]:
        """Those that happened or may have happened."""
        return [call.operation for call in self.calls if call.outcome != FAIL]

    @property
    def title(self) -> str:
        """How a sentence names the object."""
        return f"Key {show(self.key)}" if self.keyed else f"The {self.noun}"

    def records(self, calls: Iterable[Call], until: int = NEVER) -> list[int]:
        """Indexes of both records of each call. until: completions after this place are left out."""
        return records_at(self.history, [place for call in calls for place in (call.place, call.end) if place <= until])

    def node_of(self, call: Call) -> str | None:
        """The node that the call went to."""
        return self.history.node[call.place]

    def moment(self, place: int) -> str:
        """When a record was made: `2.104 s`, or `op 17` in a history without times."""
        time_ns = int(self.history.time_ns[place])
        return f"{time_ns / 1e9:.3f} s" if time_ns > 0 else f"op {self.history.index[place]}"


def records_at(history: History, places: Iterable[int]) -> list[int]:
    """The indexes of records by their places, NEVER among them, each once and in order."""
    return history.index[sorted({place for place in places if place < NEVER})].tolist()


def calls_by_object(history: History, model: Model) -> list[Calls]:
    """The calls on each object. Raises HistoryError for an op that the model does not know, or a value of no shape."""
    invocations = np.flatnonzero(history.client & (history.type == INVOKE)).tolist()
    names = history.f_names
    for code in np.unique(history.f[invocations]).tolist():
        if names[code] not in model.fs:
            first = next(place for place in invocations if history.f[place] == code)
            raise HistoryError(
                f"index {history.index[first]}: the {model.name} knows {', '.join(model.fs)}, not {names[code]!r}"
            )
    keyed = _keyed(history, model, invocations)
    nodes = _nodes(history, invocations)
    objects: dict[Hashable, Calls] = {}
    for place in invocations:
        read = _call_at(history, model, place, keyed)
        if read is None:
            continue
        key, call = read
        name = freeze(key, int(history.index[place]))
        calls = objects.get(name)
        if calls is None:
            calls = objects[name] = Calls(key, keyed, history, nodes, noun=model.noun)
        calls.calls.append(call)
    return list(objects.values())


def calls_at(
    history: History, model: Model, places: Sequence[int], key: Any, keyed: bool, nodes: frozenset[str]
) -> Calls:
    """The calls of one object, whose invocations' places are known. Raises HistoryError as `calls_by_object` does."""
    read = [_call_at(history, model, place, keyed) for place in places]
    return Calls(key, keyed, history, nodes, [each[1] for each in read if each is not None], model.noun)


def nodes_of(history: History) -> frozenset[str]:
    """All nodes that the clients used; none where some op does not say which."""
    return _nodes(history, np.flatnonzero(history.client & (history.type == INVOKE)).tolist())


def _call_at(history: History, model: Model, place: int, keyed: bool) -> tuple[Any, Call] | None:
    """(key, call) of an invocation; None for a read that failed, and for what says nothing."""
    f = history.f_names[history.f[place]]
    index = int(history.index[place])
    key, argument = _split(history.value[place], keyed, index, f)
    end = int(history.pair[place])
    outcome = INFO if end < 0 else int(history.type[end])
    if outcome != OK and f in model.read_fs:
        return None
    result = None
    if outcome == OK:
        answered, result = _split(history.value[end], keyed, int(history.index[end]), f)
        if answered != key and (f in model.read_fs or history.value[end] is not None):
            raise HistoryError(
                f"index {history.index[end]}: answers for key {show(answered)}, asked was {show(key)} ({index})"
            )
        if f not in model.read_fs:
            if contradicts(argument, result):
                raise HistoryError(
                    f"index {history.index[end]}: completes {f} {show(result)}, but its invocation ({index}) was {f} "
                    f"{show(argument)}: what was asked for must stand there"
                )
            result = None
    action = model.action(f, argument, result, int(history.index[end]) if end >= 0 else index)
    if action is None:
        return None
    call = Call(
        action=action,
        outcome=outcome,
        process=int(history.process[place]),
        place=place,
        end=NEVER if end < 0 else end,
        record=int(history.index[end]) if end >= 0 else index,
    )
    return key, call


def contradicts(argument: Any, told: Any) -> bool:
    """Whether the completion of a write or compare-and-set says that another one was done than the invocation asked.

    What is of another kind, such as a database's own answer, says nothing.
    """
    if told is None or told is argument or told == argument:
        return False
    if is_pair(argument):
        return is_pair(told) and list(argument) != list(told)
    return argument is None or type(told) is type(argument)


def _keyed(history: History, model: Model, invocations: Sequence[int]) -> bool:
    """Whether values are [key, value]. Reads tell, whose own part is null; where there are none, the other values."""
    reads = [place for place in invocations if history.f_names[history.f[place]] in model.read_fs]
    if reads:
        pairs = [place for place in reads if is_pair(history.value[place])]
        keyed = {place for place in pairs if history.value[place][1] is None}
        if keyed and len(keyed) < len(reads):
            other = next(place for place in reads if place not in keyed)
            raise HistoryError(
                f"index {history.index[other]}: a read's value must be [key, null] as in index "
                f"{history.index[min(keyed)]}, not {show(history.value[other])}"
            )
        if len(pairs) == len(reads) and not keyed:
            raise HistoryError(
                f"index {history.index[pairs[0]]}: a read is invoked with null or [key, null], not "
                f"{show(history.value[pairs[0]])}: nobody could tell whether that is a key and a value"
            )
        return bool(keyed)
    if isinstance(model, KnowsArguments):
        values = [history.value[place] for place in invocations]
        return bool(values) and all(is_pair(value) and not model.is_argument(value) for value in values)
    cas = [place for place in invocations if history.f_names[history.f[place]] == "cas"]
    return bool(cas) and all(is_pair(history.value[place]) and is_pair(history.value[place][1]) for place in cas)


def without_keys(history: History, model: Model, invocations: Sequence[int]) -> list[int]:
    """Places of what tells that a history's values are no [key, value], where these invocations alone look as if they
    were: of a read; of all calls where nobody reads."""
    if not _keyed(history, model, invocations):
        return []
    called = history.client & (history.type == INVOKE)
    reads = [code for code, name in enumerate(history.f_names) if name in model.read_fs]
    telling = np.flatnonzero(called & np.isin(history.f, reads))[:1]
    telling = telling if len(telling) else np.flatnonzero(called)
    return [place for place in (*telling.tolist(), *history.pair[telling].tolist()) if place >= 0]


def _nodes(history: History, invocations: Sequence[int]) -> frozenset[str]:
    nodes = {history.node[place] for place in invocations}
    return frozenset() if None in nodes else frozenset(node for node in nodes if node is not None)


def _split(value: Any, keyed: bool, index: int, f: str) -> tuple[Any, Any]:
    if not keyed:
        return None, value
    if value is None:
        return None, None
    if not is_pair(value):
        raise HistoryError(f"index {index}: the value of {f} must be [key, value], not {show(value)}")
    return value[0], value[1]


def outcome_name(call: Call) -> str:
    """The outcome as users see it."""
    return TYPES[call.outcome]
