"""What an operator does to a PostgreSQL at work, and that no client may notice."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from harness.errors import FaultlineError
from harness.fault import Fault
from harness.nodes.base import node_named
from harness.options import Option
from nemeses.base import Setting

INDEXED = "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relhasindex"


class Reindex:
    """The indexes of all tables are built anew on the primary, beside the clients (REINDEX ... CONCURRENTLY)."""

    kind = "reindex"
    options: Mapping[str, Option] = {}

    def prove(self, setting: Setting) -> str | None:
        """Whether somebody leads; before the workload's tables are made there is nothing to do."""
        try:
            self._perform(setting)
        except FaultlineError as error:
            return str(error)
        return None

    def plan(self, setting: Setting, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
        return [node.name for node in setting.cluster.nodes], {}

    def inject(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        done = self._perform(setting)
        return {**done, "took_effect": bool(done["tables"])}

    def heal(self, setting: Setting, fault: Fault) -> dict[str, Any]:
        return {}

    def _perform(self, setting: Setting) -> dict[str, Any]:
        """Raises InfrastructureError, with what the server said."""
        target: Any = setting.target
        leader = node_named(setting.cluster, target.leader(setting.cluster))
        with target.connected(leader) as connection:
            tables = [table for (table,) in connection.execute(INDEXED).rows]
            for table in tables:
                connection.execute(f"REINDEX TABLE CONCURRENTLY {table}")
        return {"on": leader.name, "tables": tables}
