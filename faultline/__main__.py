"""The `faultline` command."""

from __future__ import annotations

import signal
import sys
import traceback

from faultline._guard import shadowed


def main() -> int:
    """Entry of the console script. Exit 2 when a room is shadowed, 3 for Ctrl-C and for a defect of our own.

    SIGTERM is as Ctrl-C, where a run does not handle it itself; once there is an exit code, neither changes it.
    A defect shows its traceback; left to Python it would exit with 1, which says that a database broke its promise.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        problem = shadowed()
        if problem is not None:
            print(problem, file=sys.stderr)
            return 2
        from harness.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("faultline: interrupted", file=sys.stderr)
        return 3
    except Exception as error:
        traceback.print_exc()
        print(f"faultline: a defect of its own: {type(error).__name__}: {error}", file=sys.stderr)
        return 3
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
