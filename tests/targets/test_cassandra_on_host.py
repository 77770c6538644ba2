"""Goal: a node on a host of the user's keeps to its own folder and address, and a ring of theirs is given no settings.

Method: what would be run there, as data. Whole runs over ssh are told of in the target's README.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.errors import InfrastructureError, UsageError
from harness.nodes.base import CommandFailed, Completed, Database
from harness.options import with_defaults
from harness.target import Timeouts
from targets.cassandra import nodetool, on_host
from targets.cassandra.target import Cassandra

HOME = "/var/lib/faultline/r/home"


class Host:
    """A host that has the programs it is given, by their paths."""

    def __init__(self, number: int, *programs: str) -> None:
        self.name, self.address, self.home = f"n{number}", f"10.0.0.{number}", HOME
        self.database: Database | None = None
        self.programs = programs
        self.made: list[str] = []

    def run(self, *argv: str, **how: Any) -> Completed:
        found = [path for path in self.programs if path.endswith(f"/{argv[3]}")]
        if not found:
            raise CommandFailed(self.name, argv, 1, "")
        return Completed(list(argv), found[0] + "\n", "")

    def db_run(self, *argv: str, **how: Any) -> Completed:
        self.made.extend(path for path in argv if path.startswith("/"))
        return Completed(list(argv), "", "")


def hosts(*programs: str) -> list[Any]:
    return [Host(number, *programs) for number in (1, 2, 3)]


def database(seed: bool = True) -> Database:
    ring = hosts()
    options = with_defaults(Cassandra.options, {"paxos": "v2"})
    return on_host.database(ring, ring[0], "/opt/c/bin/cassandra", run_id="r", options=options, seed=seed)


def test_a_node_keeps_to_its_home_and_its_address() -> None:
    made = database()
    assert made.argv[0] == "/opt/c/bin/cassandra" and made.ports == (9042, 7000)
    assert all(path.startswith(f"{HOME}/") for path in made.files)
    settings = json.loads(made.files[f"{HOME}/cassandra.yaml"])
    assert settings["listen_address"] == settings["rpc_address"] == "10.0.0.1"
    for name, value in settings.items():
        if "director" in name:
            assert all(path.startswith(f"{HOME}/data/") for path in ([value] if isinstance(value, str) else value))
    java = made.env["JVM_EXTRA_OPTS"].split()
    assert f"-Dcassandra.config=file://{HOME}/cassandra.yaml" in java
    assert f"-Djava.io.tmpdir={HOME}/tmp" in java and "-Dcassandra.settings.paxos_variant=v2" in java
    assert made.env["CASSANDRA_LOG_DIR"] == f"{HOME}/logs"


@pytest.mark.parametrize("seed, seeds", [(True, "10.0.0.1,10.0.0.2,10.0.0.3"), (False, "10.0.0.2,10.0.0.3")])
def test_a_node_that_joins_again_is_no_seed_there_either(seed: bool, seeds: str) -> None:
    [provider] = json.loads(database(seed).files[f"{HOME}/cassandra.yaml"])["seed_provider"]
    assert provider["parameters"] == [{"seeds": seeds}]


def test_a_missing_program_is_named_with_the_way_out() -> None:
    with pytest.raises(InfrastructureError, match=r"no program 'cassandra'.*apt-get install cassandra.*installed=yes"):
        on_host.program(hosts()[0])
    assert on_host.program(hosts("/opt/c/bin/cassandra")[0]) == "/opt/c/bin/cassandra"


def test_nodetool_is_that_of_the_host_and_leaves_nothing_in_anybodys_home() -> None:
    node = hosts("/opt/c/bin/nodetool")[0]
    assert nodetool.program(node) == ["env", f"HOME={HOME}", "/opt/c/bin/nodetool"]
    node.database = Database(argv=["cassandra"], image="cassandra:5.0")
    assert nodetool.program(node) == ["nodetool"]


@pytest.mark.parametrize("option", ["paxos=v2", "hints=off", "commitlog=periodic"])
def test_a_ring_that_is_there_is_given_no_settings(option: str) -> None:
    name, _, value = option.partition("=")
    with pytest.raises(UsageError, match=f"option {option} .*own settings"):
        installed(**{name: value})


def test_whose_copy_a_ring_that_is_there_reads_is_not_known() -> None:
    with pytest.raises(UsageError, match="final=converge"):
        installed(final="converge")
    assert installed(final="strongest").installed


def installed(**given: str) -> Cassandra:
    chosen = {
        **with_defaults(Cassandra.options, {name: value for name, value in given.items() if name != "final"}),
        "final": given.get("final", ""),
        "installed": "yes",
    }
    return Cassandra(image="", options=chosen, timeouts=Timeouts(), workload="register")
