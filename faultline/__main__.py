"""The `faultline` command."""

from __future__ import annotations

import sys

from faultline._guard import shadowed


def main() -> int:
    """Entry of the console script. Exit 2 when a room is shadowed."""
    problem = shadowed()
    if problem is not None:
        print(problem, file=sys.stderr)
        return 2
    from harness.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
