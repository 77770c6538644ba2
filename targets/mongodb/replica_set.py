"""What an operator asks of a replica set: its configuration, its state, who leads; each over a connection of its own.

The configuration is a document; what changes it is pure. Every change raises its version by one, and adds or takes one
voting member at a time, as MongoDB demands.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import pymongo.errors

from harness.errors import InfrastructureError
from harness.target import Leader, Timeouts
from targets.mongodb.driver import Driver
from targets.mongodb.links import SET_NAME

PROBE: Final = Timeouts(op_s=1.25, connect_s=1.0)
OPERATOR: Final = Timeouts(op_s=20.0, connect_s=2.0)
POLL_S: Final = 0.2
SERVING: Final = ("PRIMARY", "SECONDARY")
"""The states of members that are whole."""
ALREADY_INITIALIZED: Final = 23
TERM_BYTES: Final = slice(4, 12)
"""Where an election id holds the term."""

Endpoint = tuple[str, int]
Config = dict[str, Any]


@contextlib.contextmanager
def asked(endpoint: Endpoint, timeouts: Timeouts = OPERATOR) -> Iterator[Driver]:
    """A connection to one member. Raises pymongo's errors."""
    driver = Driver(*endpoint, timeouts)
    try:
        yield driver
    finally:
        driver.close()


def hello(endpoint: Endpoint, timeouts: Timeouts = PROBE) -> dict[str, Any]:
    """What a member says of itself. Raises pymongo's errors."""
    with asked(endpoint, timeouts) as driver:
        return driver.hello()


def leader(name: str, said: Mapping[str, Any]) -> Leader | None:
    """What a hello says about leading: the term is in the election id, which every election raises."""
    if not said.get("isWritablePrimary"):
        return None
    election = said.get("electionId")
    return Leader(name, None if election is None else int.from_bytes(election.binary[TERM_BYTES], "big"))


def serves(said: Mapping[str, Any]) -> bool:
    """Whether a member leads, or follows one that it knows."""
    return bool(said.get("isWritablePrimary") or (said.get("secondary") and said.get("primary")))


def first_config(hosts: Sequence[str], election_timeout_ms: int) -> Config:
    """All members alike. hosts: `address:port`."""
    return {
        "_id": SET_NAME,
        "members": [{"_id": number, "host": host} for number, host in enumerate(hosts)],
        "settings": {"electionTimeoutMillis": election_timeout_ms},
    }


def without(config: Mapping[str, Any], host: str) -> Config | None:
    """The configuration after this member has left; None when it is no member."""
    members = [member for member in config["members"] if member["host"] != host]
    if len(members) == len(config["members"]):
        return None
    return {**config, "version": config["version"] + 1, "members": members}


def with_member(config: Mapping[str, Any], host: str) -> Config | None:
    """The configuration with one more member, under a number that none has; None when it is one already."""
    if any(member["host"] == host for member in config["members"]):
        return None
    number = max(member["_id"] for member in config["members"]) + 1
    return {**config, "version": config["version"] + 1, "members": [*config["members"], {"_id": number, "host": host}]}


def initiate(endpoint: Endpoint, config: Config) -> None:
    """Make the set; nothing happens when it is made already. Raises pymongo's errors."""
    with asked(endpoint) as driver:
        try:
            driver.client.admin.command("replSetInitiate", config)
        except pymongo.errors.OperationFailure as error:
            if error.code != ALREADY_INITIALIZED:
                raise


def config_of(driver: Driver) -> Config:
    """The set's configuration as this member knows it. Raises pymongo's errors."""
    return dict(driver.client.admin.command("replSetGetConfig")["config"])


def reconfigure(driver: Driver, change: Callable[[Config], Config | None], timeout_s: float) -> None:
    """Have the primary change the configuration; does nothing where `change` says None.

    A configuration that is not everywhere yet refuses the next change for a moment: it is tried again. Raises
    InfrastructureError after `timeout_s`, pymongo's errors when the connection fails.
    """
    until = time.monotonic() + timeout_s
    while True:
        changed = change(config_of(driver))
        if changed is None:
            return
        try:
            driver.client.admin.command("replSetReconfig", changed, maxTimeMS=max(1, round(timeout_s * 1000)))
            return
        except pymongo.errors.OperationFailure as error:
            if time.monotonic() > until:
                raise InfrastructureError(f"the set's configuration could not be changed: {error}") from error
        time.sleep(POLL_S)


def states(driver: Driver) -> dict[str, str]:
    """Member's `address:port` → its state (PRIMARY, ...), as this member sees it. Raises pymongo's errors."""
    members = driver.client.admin.command("replSetGetStatus")["members"]
    return {member["name"]: member["stateStr"] for member in members}
