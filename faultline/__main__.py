"""The `faultline` command."""

from __future__ import annotations

import sys
import traceback

from faultline._guard import shadowed


def main() -> int:
    """Entry of the console script. Exit 2 when a room is shadowed, 3 for Ctrl-C and for a defect of our own.

    A defect shows its traceback; left to Python it would exit with 1, which says that a database broke its promise.
    """
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


if __name__ == "__main__":
    sys.exit(main())
