"""Property tests: `make check` tries the same examples each time, so that what is red was made red by a change.

`make prove` (FAULTLINE_EXAMPLES) draws new ones, many more of them: that is how new counterexamples are found.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("check", derandomize=True, database=None, deadline=None)
settings.register_profile("prove", database=None, deadline=None)
settings.load_profile("prove" if "FAULTLINE_EXAMPLES" in os.environ else "check")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was wrong in the tests that were repeated: a test that passes at the second attempt is still looked at."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"failed at first: {report.nodeid}", sep="-")
        terminalreporter.write_line("\n".join(report.longreprtext.splitlines()[-60:]))
