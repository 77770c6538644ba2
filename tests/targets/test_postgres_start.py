"""Goal: a server that dies at its start is told at once, in its own words, and nothing is waited for.

Method: the embedded PostgreSQL on `local` with a setting that it refuses.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from harness.errors import InfrastructureError
from harness.nodes.local import LocalCluster
from harness.options import with_defaults
from harness.target import Timeouts
from targets.postgres.target import START_TIMEOUT_S, Postgres


class Refused(Postgres):
    """Asks the server for a setting that there is not."""

    def _settings(self) -> dict[str, Any]:
        return {"planted_nonsense": 1}


def test_a_server_that_ends_at_its_start_is_told_in_its_own_words() -> None:
    target = Refused(image="", options=with_defaults(Postgres.options, {}), timeouts=Timeouts(), workload="append")
    began = time.monotonic()
    with LocalCluster(run_id="test-dead-start", nodes=1) as cluster:
        with pytest.raises(InfrastructureError, match=r"ended at its start.*planted_nonsense"):
            target.start(cluster)
        target.stop(cluster)
    assert time.monotonic() - began < START_TIMEOUT_S / 2
