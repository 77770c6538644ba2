"""Whatever speaks MongoDB's protocol and is there already, on hosts of the user's (`OPTS=installed=yes`).

All is done in one database, `faultline`, which must not be there when a run begins and is dropped at its end.
"""

from __future__ import annotations

from harness.errors import InfrastructureError
from targets.mongodb.driver import Driver
from targets.mongodb.links import DATABASE


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
