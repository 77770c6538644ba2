"""Fixtures: a node's home directory, and agents on it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.nodes.agent_client import AgentClient, PopenChannel, bootstrap_argv
from harness.nodes.local import LocalCluster, LocalNode


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that the database's user can reach and write; not pytest's own, which is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="faultline-test-", dir="/tmp"))
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def open_agent(home: Path) -> Iterator[Callable[..., AgentClient]]:
    """Makes agents of scope "children" on the home, as `local` does; ends them after the test."""
    agents: list[AgentClient] = []

    def make(**config: object) -> AgentClient:
        user = "nobody" if os.geteuid() == 0 else ""
        agent = AgentClient(
            lambda: PopenChannel(bootstrap_argv(sys.executable)),
            "n1",
            {"scope": "children", "home": str(home), "user": user, **config},
        )
        agents.append(agent)
        return agent

    yield make
    for agent in agents:
        agent.close()


@pytest.fixture
def agent(open_agent: Callable[..., AgentClient]) -> AgentClient:
    return open_agent()


@pytest.fixture
def local_node() -> Iterator[LocalNode]:
    with LocalCluster(run_id="test", nodes=1) as cluster:
        yield cluster.nodes[0]
