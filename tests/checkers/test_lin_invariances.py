"""What can't matter to whether one order explains a history: names, other keys, the file, what nobody saw.

Method: random executions of every data type, most of them damaged, are judged twice: as they are, and after a change
that leaves the answer as it was (or can only make it valid, or only invalid).
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.history import History
from harness.history_edn import write_lines
from harness.judging import check
from tests.checkers import lin_types
from tests.checkers.lin_oracle import NEVER, Done, Type, corrupted, execution, history_of

EXAMPLES = max(10, int(os.environ.get("FAULTLINE_EXAMPLES", "600")) // 30)
"""Of each data type: all of them together are as many as others have."""
seeds = given(seed=st.integers(0, 2**60))
some = settings(max_examples=EXAMPLES, deadline=None, database=None)

TYPES: dict[str, Type] = {
    "counter-linearizable": lin_types.counter((1, 2, -1)),
    "set-linearizable": lin_types.set_({"add": 3, "remove": 2, "contains": 1, "read": 2}),
    "queue-linearizable": lin_types.collection("bag", 0.7),
    "fifo-queue": lin_types.collection("fifo", 0.7),
    "stack": lin_types.collection("stack", 0.7, "push", "pop"),
    "mutex": lin_types.mutex(owners=False),
    "log": lin_types.log(0.7),
}
types = pytest.mark.parametrize("workload", TYPES)


def drawn(workload: str, seed: int) -> list[Done]:
    chance = random.Random(seed)
    calls = execution(TYPES[workload], chance, chance.randint(1, 8), chance.randint(1, 5), chance.choice([0.0, 0.2]))
    results: Callable[[random.Random, Done], Any] = lin_types.any_result
    if workload == "set-linearizable":
        results = lin_types.any_set_result
    return corrupted(chance, calls, results) if chance.random() < 0.7 else calls


def judged(history: History, workload: str, **options: Any) -> str:
    return check(history, workload=workload, **options).verdict


@types
@some
@seeds
def test_what_clients_are_called_does_not_matter(workload: str, seed: int) -> None:
    calls = drawn(workload, seed)
    renamed = [replace(call, process=10**12 - 7 * call.process) for call in calls]
    assert judged(history_of(renamed), workload) == judged(history_of(calls), workload)


@types
@some
@seeds
def test_another_object_does_not_matter(workload: str, seed: int) -> None:
    """With keys, a history of two objects is right if each is."""
    one, other = drawn(workload, seed), drawn(workload, seed + 1)
    end = 1 + max((place for call in one for place in (call.invoked, call.returned) if place != NEVER), default=0)

    def keyed(call: Done, key: str, begin: int, first_client: int) -> Done:
        returned = call.returned if call.returned == NEVER else call.returned + begin
        moved = replace(call, invoked=call.invoked + begin, returned=returned, process=call.process + first_client)
        return replace(moved, argument=[key, call.argument], result=[key, call.result])

    both = [keyed(call, "x", 0, 0) for call in one] + [keyed(call, "y", end, 100) for call in other]
    alone = [judged(history_of(calls), workload) for calls in (one, other)]
    assert judged(history_of(both), workload, keyed="yes") == ("invalid" if "invalid" in alone else "valid")


@types
@some
@seeds
def test_the_beginning_of_a_right_history_is_right(workload: str, seed: int) -> None:
    """What had not returned by then is of unknown outcome; so a wrong beginning is never mended by what follows."""
    calls = drawn(workload, seed)
    places = sorted(place for call in calls for place in (call.invoked, call.returned) if place != NEVER)
    cut = random.Random(seed).choice([*places, 0])
    begun = [call for call in calls if call.invoked <= cut]
    begun = [call if call.returned <= cut else replace(call, outcome="info", returned=NEVER) for call in begun]
    if judged(history_of(calls), workload) == "valid":
        assert judged(history_of(begun), workload) == "valid"


@types
@some
@seeds
def test_the_file_does_not_matter(workload: str, seed: int) -> None:
    history = history_of(drawn(workload, seed))
    ops = [history.op(place) for place in range(len(history))]
    with tempfile.TemporaryDirectory() as folder:
        edn, lines = Path(folder) / "h.edn", Path(folder) / "h.jsonl"
        edn.write_text("".join(write_lines(ops)))
        lines.write_text("".join(json.dumps({"type": op.type, "f": op.f, "value": op.value, "process": op.process,
                                             "index": op.index}) + "\n" for op in ops))  # fmt: skip
        if ops:
            assert judged(edn, workload) == judged(lines, workload) == judged(history, workload)  # type: ignore[arg-type]
