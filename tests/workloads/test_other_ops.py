"""Goal: an op that a workload does not know is refused by name, never passed over: it may have changed the data.

Method: each history is right, if one knows what its odd op did; passed over, that op made it look like a violation.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.history import HistoryError
from harness.judging import check


def done(f: str, value: Any, asked: Any = None) -> list[dict[str, Any]]:
    """An op of client 0. asked: the invocation's value, that of the answer by default."""
    base = {"process": 0, "f": f}
    return [
        {**base, "type": "invoke", "value": value if asked is None else asked},
        {**base, "type": "ok", "value": value},
    ]


ODD = {
    "set": [*done("add", 1), *done("remove", 1), *done("read", [])],
    "set-final": [*done("add", 1), *done("clear", None), *done("read", [])],
    "counter": [*done("add", 5), *done("decrement", 2), *done("read", 3)],
    "queue": [*done("enqueue", 1), *done("poll", 1), *done("drain", [])],
    "bank": [*done("read", {0: 10, 1: 10}), *done("deposit", {"to": 0, "amount": 5}), *done("read", {0: 15, 1: 10})],
    "lock": [*done("acquire", None), *done("unlock", None), *done("acquire", None), *done("release", None)],
    "monotonic": [*done("inc", [1, 1], [1, None]), *done("reset", [1, 0]), *done("read", [1, 0], [1, None])],
    "causal": [*done("read", [1, None], [1, None]), *done("increment", [1, 1]), *done("read", [1, 1], [1, None])],
    "sequential": [*done("read", [1, None], [1, None]), *done("increment", [1, 1]), *done("read", [1, 1], [1, None])],
    "predicate": [*done("insert", [1, [None, 1]]), *done("delete", [1, 1]), *done("insert", [1, [2, None]])],
    "long-fork": [*done("write", [["w", 0, 1]]), *done("delete", 0), *done("read", [["r", 0, None], ["r", 1, None]])],
    "append": [
        *done("txn", [["append", 0, 1]]),
        *done("append", [0, 2]),
        *done("txn", [["r", 0, [1, 2]]]),
    ],
    "rw-register": [*done("txn", [["w", 0, 1]]), *done("write", [0, 2]), *done("txn", [["r", 0, 2]])],
    "register": [*done("read", None), *done("increment", 1), *done("read", 1)],
    "queue-linearizable": [*done("enqueue", 1), *done("clear", None), *done("dequeue", None)],
}


@pytest.mark.parametrize("workload", ODD)
def test_an_op_that_is_not_known_is_refused(workload: str) -> None:
    odd = ODD[workload][2]
    with pytest.raises(HistoryError, match=rf"^index 2: .*know.* not '{odd['f']}'"):
        check(ODD[workload], workload=workload)


@pytest.mark.parametrize("workload", ODD)
def test_the_nemesis_may_do_what_it_likes(workload: str) -> None:
    fault = [{"process": "nemesis", "type": "info", "f": "remove", "value": None}]
    assert check([*fault, *ODD[workload][:2], *fault], workload=workload).verdict in ("valid", "unknown")
