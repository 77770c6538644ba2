"""Unique ids: no id is handed out twice.

    generate  null  → ok id

Two acknowledged ids that are equal are a `duplicate-id`, whatever came in between: it counts under every model, and no
linearizable generator hands out an id twice. An id of a call with an unknown outcome was never seen; it proves nothing.
The range (the smallest and the largest id, where ids can be compared) is told, as Jepsen's checker does.
Source: Jepsen's unique-ids. Cost: O(n log n) for n ids; whole numbers are sorted as columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from checkers.client_calls import refuse_others
from checkers.collections.set_columns import numbers_at, places_of
from checkers.findings import ALWAYS, Finding, verdict_of
from checkers.values import freeze, show
from harness.checker import CheckOptions
from harness.history import FAIL, INFO, OK, History, HistoryError
from harness.verdict import Anomaly, Verdict

TYPE = "duplicate-id"
PLACES_SHOWN = 10


class UniqueIds:
    """See the module's docstring."""

    name = "unique-ids"

    def check(self, history: History, options: CheckOptions) -> Verdict:
        """Judge all ids. Raises HistoryError for an ok without an id, and for other ops of clients."""
        refuse_others(history, ("generate",))
        calls = places_of(history, "generate")
        places = calls.end[calls.outcome == OK]
        ids = numbers_at(history, places)
        groups = list(_equal_numbers(ids, places) if ids is not None else _equal_values(history, places))
        findings = [_finding(history, group.tolist()) for group in groups]
        verdict = verdict_of(
            self.name,
            findings,
            options,
            model=options.model or "linearizable",
            undecided=[] if len(places) else ["no id was handed out"] if len(calls) else [],
            stats={
                "attempted": len(calls),
                "acknowledged": len(places),
                "failed": int(np.sum(calls.outcome == FAIL)),
                "unknown": int(np.sum(calls.outcome == INFO)),
                "duplicated": len(groups),
                **_range(history, places, ids),
            },
        )
        return msgspec.structs.replace(verdict, not_=["linearizable"]) if groups else verdict


def _equal_numbers(ids: np.ndarray, places: np.ndarray) -> Iterator[np.ndarray]:
    """Places of each id that was handed out more than once, in order."""
    order = np.argsort(ids, kind="stable")
    cuts = np.flatnonzero(np.diff(ids[order])) + 1
    begins, ends = np.append(0, cuts), np.append(cuts, len(ids))
    for begin, end in zip(begins[ends - begins > 1].tolist(), ends[ends - begins > 1].tolist()):
        yield np.sort(places[order[begin:end]])


def _equal_values(history: History, places: np.ndarray) -> Iterator[np.ndarray]:
    numbers: dict[Any, list[int]] = {}
    for place in places.tolist():
        index = int(history.index[place])
        if history.value[place] is None:
            raise HistoryError(f"index {index}: an ok generate must have an id as its value, not null")
        numbers.setdefault(freeze(history.value[place], index), []).append(place)
    for group in numbers.values():
        if len(group) > 1:
            yield np.array(sorted(group))


def _range(history: History, places: np.ndarray, ids: np.ndarray | None) -> dict[str, Any]:
    if ids is not None:
        return {"least": int(ids.min()), "most": int(ids.max())} if len(ids) else {}
    values = [history.value[place] for place in places.tolist()]
    kinds = set(map(type, values))
    if kinds <= {int, float} or kinds == {str}:
        return {"least": min(values), "most": max(values)}
    return {}


def _finding(history: History, group: list[int]) -> Finding:
    records = [int(history.index[place]) for place in group]
    clients = [str(history.process[place]) for place in group[:PLACES_SHOWN]]
    dots = " ..." if len(group) > PLACES_SHOWN else ""
    value = history.value[group[0]]
    sentence = (
        f"Id {show(value)} was handed out {len(group)} times: to client{'s' if len(set(clients)) > 1 else ''} "
        f"{', '.join(clients)}{dots} (ops {', '.join(map(str, records[:PLACES_SHOWN]))}{dots})."
    )
    return Finding(Anomaly(TYPE, records, sentence, key=value, sub_history=records), ALWAYS)
