"""Property tests: `make check` tries the same examples each time, so that what is red was made red by a change.

`make prove` (FAULTLINE_EXAMPLES) draws new ones, many more of them: that is how new counterexamples are found.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("check", derandomize=True, database=None)
settings.register_profile("prove", database=None)
settings.load_profile("prove" if "FAULTLINE_EXAMPLES" in os.environ else "check")
