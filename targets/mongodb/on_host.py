"""Whatever speaks MongoDB's protocol and is there already, on hosts of the user's (`OPTS=installed=yes`).

All is done in one database, `faultline`, which must not be there when a run begins and is dropped at its end. Of a
replica set the hosts must be all members: one that no fault reaches would make it another test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pymongo.errors

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import Cluster, Database, Node
from harness.options import Option
from targets.mongodb import replica_set
from targets.mongodb.driver import Driver
from targets.mongodb.links import DATABASE, PORT

SERVERS_OWN: Final = ("election_timeout_ms", "transaction_lifetime_s")
"""Options that set up members; those that are there have their own settings."""


def check_installed(chosen: Mapping[str, Any], offered: Mapping[str, Option]) -> None:
    """Raises UsageError for options that a set which is there can't be given."""
    for name in SERVERS_OWN:
        if chosen[name] != offered[name].default:
            raise UsageError(f"option {name}={chosen[name]} sets up a set; with installed=yes it has its own settings")


def use_installed(cluster: Cluster) -> None:
    """Find the servers that are there. Raises InfrastructureError."""
    for node in cluster.nodes:
        node.install(Database(argv=[], ports=(PORT,)))


def members_there(cluster: Cluster) -> tuple[str, dict[str, Node]]:
    """(the set's name, its members by the `address:port` under which they know each other). InfrastructureError."""
    members: dict[str, Node] = {}
    named: set[str] = set()
    sets: set[str] = set()
    for node in cluster.nodes:
        try:
            said = replica_set.hello(node.endpoint(PORT))
        except pymongo.errors.PyMongoError as error:
            raise InfrastructureError(f"{node.name}: the MongoDB that is there does not answer: {error}") from error
        if not said.get("setName") or not said.get("me"):
            raise InfrastructureError(f"{node.name}: the MongoDB that is there is no member of a replica set")
        members[said["me"]] = node
        sets.add(said["setName"])
        named.update(*(said.get(kind, ()) for kind in ("hosts", "passives", "arbiters")))
    if len(sets) > 1 or named != set(members):
        raise InfrastructureError(
            f"the hosts must be one replica set and all its members: they are {', '.join(sorted(members))} of"
            f" {', '.join(sorted(sets))}, whose members are {', '.join(sorted(named))}"
        )
    return sets.pop(), members


def refuse_database(driver: Driver) -> None:
    """Raises InfrastructureError where our database is, pymongo's errors when the server does not answer."""
    if DATABASE in driver.client.list_database_names():
        raise InfrastructureError(
            f"there is a database {DATABASE!r}, where the test's would be: an earlier run was killed, or it is yours."
            f" If it is not, drop it: mongosh {DATABASE} --eval 'db.dropDatabase()'"
        )


def drop_database(driver: Driver) -> None:
    """Raises pymongo's errors."""
    driver.client.drop_database(DATABASE)
