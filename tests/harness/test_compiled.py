"""Goal: what compiling takes counts against no budget of time, also where one kernel needs another one compiled."""

from __future__ import annotations

import time

from harness.compiled import kernel, kernel_part, working_time


def test_compiling_is_no_working_time() -> None:
    def inner(number: int) -> int:
        return number + 1

    part = kernel_part(inner)

    def outer(number: int) -> int:
        return part(number) * 2

    began, worked = time.monotonic(), working_time()
    compiled = kernel(outer)
    assert [compiled(number) for number in (2, 3)] == [6, 8]
    compiling = time.monotonic() - began - (working_time() - worked)
    assert compiling > 0.5 * compiled.get_metadata(compiled.signatures[0])["timers"]["compiler_lock"] > 0
