"""Goal: waiting with a timeout ends, and loses no message.

Method: many waits of microseconds, each after a message, beside threads that take the processor away: SimpleQueue's own
`get(timeout=...)` hung in every run of this within 11,000 calls.
"""

from __future__ import annotations

import sys
import threading
import time
from queue import SimpleQueue

from harness.mailbox import take


def test_takes_what_is_there_and_waits_for_what_comes() -> None:
    box: SimpleQueue[str] = SimpleQueue()
    assert take(box, 0) is None
    box.put("there")
    assert take(box, 0) == "there"
    threading.Timer(0.05, box.put, ["later"]).start()
    assert take(box, 10) == "later"
    begin = time.monotonic()
    assert take(box, 0.05) is None
    assert time.monotonic() - begin > 0.04


def test_short_waits_on_a_busy_machine_end() -> None:
    box: SimpleQueue[int] = SimpleQueue()
    over, counted = threading.Event(), [0]

    def wait() -> None:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            for microseconds in range(20):
                box.put(microseconds)
                assert take(box, 1) == microseconds
                assert take(box, microseconds * 1e-6) is None
                counted[0] += 1

    def disturb() -> None:
        while not over.is_set():
            time.sleep(0.0005)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        threads = [threading.Thread(target=disturb, daemon=True) for _ in range(4)]
        waiter = threading.Thread(target=wait, daemon=True)
        for thread in [*threads, waiter]:
            thread.start()
        waiter.join(30)
        assert not waiter.is_alive(), f"hung after {counted[0]} waits"
    finally:
        over.set()
        sys.setswitchinterval(interval_s)
