"""Histories of data types that others recorded: `faultline check history.edn --workload fifo-queue`.

These workloads are not run, they judge: each says whether one order of the operations, within real time, explains every
answer. Ops have the shapes that Jepsen and Knossos give them; each workload's `doc` has them. An op is `ok` only if its
answer is known; one of unknown outcome is `info`, and may have happened at any later time, with any answer. With the
option `keyed` each value is [key, value], as Jepsen's independent workloads record it, and each key is an object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from checkers.linearizability.key_value_model import KeyValue
from checkers.linearizability.lin_bag import Bag
from checkers.linearizability.lin_calls import DataType
from checkers.linearizability.lin_checker import LinearizableType
from checkers.linearizability.lin_counter import Counter
from checkers.linearizability.lin_fenced_lock import FencedLock
from checkers.linearizability.lin_fifo import FifoQueue
from checkers.linearizability.lin_log import Log
from checkers.linearizability.lin_multi_register import MultiRegister
from checkers.linearizability.lin_mutex import Mutex, OwnedMutex
from checkers.linearizability.lin_set import Set
from checkers.linearizability.lin_stack import Stack
from checkers.linearizability.linearizable import Linearizable
from harness.options import Option
from harness.workload import Workload
from workloads.register import INITIAL, initial_value

KEYED = Option("no", "whether each value is [key, value], an object for each key", ("no", "yes"))


def _data_type(
    name: str, doc: str, make: Callable[[Mapping[str, Any]], DataType], fs: tuple[str, ...], **options: Option
) -> Workload:
    return Workload(
        name=name,
        doc=doc,
        fs=fs,
        checkers={"linearizable": LinearizableType(make)},
        own_model="linearizable",
        check_options={"keyed": KEYED, **options},
    )


KV = Workload(
    name="kv",
    doc='A store of strings by key, for linearizability. Ops: `get [k nil]` → `[k "ab"]`, `put [k "a"]`, '
    '`append [k "b"]`; every key is the empty string at first. Without keys (`get nil`) it is one string.',
    fs=("get", "put", "append"),
    checkers={"linearizable": Linearizable(lambda initial: KeyValue(initial if isinstance(initial, str) else ""))},
    own_model="linearizable",
    check_options={"initial": Option("", "every key's string before any op")},
)

SET_LINEARIZABLE = _data_type(
    "set-linearizable",
    "A set, for linearizability. Ops: `add 3`, `remove 3` (both also where nothing changes), `contains [3 nil]` → "
    "`[3 true]`, `read nil` → `[1 3]`, all elements. Fast where nobody removes, or nobody reads all elements.",
    lambda options: Set(),
    ("add",),
)

QUEUE_LINEARIZABLE = _data_type(
    "queue-linearizable",
    "A queue without order (a bag), for linearizability. Ops: `enqueue 3`, `dequeue nil` → `3`, or `nil` where it "
    "was empty; a `fail` says nothing. Finds elements that are lost, delivered twice or come from nowhere, and a "
    "queue that says it is empty when it is not.",
    lambda options: Bag(),
    ("enqueue", "dequeue"),
)

FIFO_QUEUE = _data_type(
    "fifo-queue",
    "A queue, first in, first out, for linearizability. Ops: `enqueue 3`, `dequeue nil` → `3`, or `nil` where it "
    "was empty; a `fail` says nothing. Fast where every value is enqueued once.",
    lambda options: FifoQueue(),
    ("enqueue", "dequeue"),
)

STACK = _data_type(
    "stack",
    "A stack, last in, first out, for linearizability. Ops: `push 3`, `pop nil` → `3`, or `nil` where it was "
    "empty; a `fail` says nothing. Fast where every value is pushed once.",
    lambda options: Stack(),
    ("push", "pop"),
)

MUTEX = _data_type(
    "mutex",
    "A lock, for linearizability. Ops: `acquire`, `release`, whatever their values. Finds a lock that two hold at "
    "once, and releases of a free lock.",
    lambda options: OwnedMutex() if options.get("release") == "owner" else Mutex(),
    ("acquire", "release"),
    release=Option("anybody", "who may release the lock; owner: the process that acquired it", ("anybody", "owner")),
)

FENCED_LOCK = _data_type(
    "fenced-lock",
    "A lock with fencing tokens, for linearizability. Ops: `acquire nil` → `7`, its token (or a map with `fence` "
    "or `token`), `release`; only the process that acquired it may release it. Finds a lock that two hold at once, "
    "and tokens that do not grow.",
    lambda options: FencedLock(expires=options.get("expires") == "yes"),
    ("acquire", "release"),
    expires=Option("no", "whether a lock can be lost without a release, so that only tokens count", ("no", "yes")),
)

COUNTER_LINEARIZABLE = _data_type(
    "counter-linearizable",
    "A counter, for linearizability. Ops: `add 1` (any whole number), `read nil` → `5`. Exact and fast where all "
    "amounts are the same; bounds and a search otherwise.",
    lambda options: Counter(options.get("initial", 0)),
    ("add", "read"),
    initial=Option(0, "the value before any add"),
)

MULTI_REGISTER = _data_type(
    "multi-register",
    "Registers that are read and written at once, for linearizability. Ops: `read {:x nil, :y nil}` → `{:x 1, "
    ":y 2}`, `write {:x 1, :y 2}`, or `txn [[:r :x nil] [:w :y 2]]`.",
    lambda options: MultiRegister(initial_value(options.get("initial"))),
    ("read", "write"),
    initial=INITIAL,
)

LOG = _data_type(
    "log",
    "An append-only log, for linearizability. Ops: `append 3` → `3`, or `[7 3]` where the log tells the position; "
    "`read nil` → `[1 2 3]`, all of it; `poll [5 nil]` → `[5 [2 3]]`, some elements from a position on. Fast where "
    "every value is appended once.",
    lambda options: Log(options.get("first-position", 0)),
    ("append",),
    **{"first-position": Option(0, "the position of the first element", least=0)},
)
