"""A node of ssh as far as it needs no host: which port stands for which."""

from __future__ import annotations

from typing import Any, cast

import pytest

from harness.nodes.base import Database
from harness.nodes.ssh_hosts import parse_host
from harness.nodes.ssh_node import Facts, SshNode

FACTS = Facts(
    uid=0, user="root", address="10.0.0.1", from_address="10.0.0.9", system="", python="3.11", sudo="", systemd=True
)


class Requests:
    """Notes what the agent is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def request(self, what: str, **fields: Any) -> dict[str, Any]:
        self.asked.append((what, fields))
        return {}


@pytest.mark.parametrize("given, usual", [(6380, 6380), (0, 6379)])
def test_the_port_that_is_given_is_the_clients_and_no_other(given: int, usual: int) -> None:
    node = SshNode("n1", parse_host("root@db/10.0.0.5"), cast(Any, None), FACTS, tunnel=False)
    node.service, node.client_port = ["systemctl", "start", "redis"], given
    requests = node.agent = cast(Any, Requests())
    node.install(Database(argv=[], ports=(6379, 26379)))
    assert requests.asked == [("service", {"ports": [usual, 26379], "start": node.service})]
    assert node.endpoint(6379) == ("10.0.0.5", usual)
    assert node.endpoint(26379) == ("10.0.0.5", 26379), "what listens beside it"
