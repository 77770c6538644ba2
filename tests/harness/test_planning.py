"""Goal: a plan is checked as a whole, each problem is named with its way out, and defaults are what README says."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.planning import Request, make_plan, repeat_command


def test_nothing_said_is_the_embedded_postgresql() -> None:
    plan = make_plan(Request())
    assert (plan.target, plan.workload, plan.on, plan.nodes, plan.image) == ("postgres", "append", "local", 1, "")
    assert plan.faults == ("kill", "pause", "clock")
    assert plan.options["isolation"] == "serializable"
    assert plan.time_s == 30


def test_a_named_target_runs_the_vendors_image() -> None:
    plan = make_plan(Request(target="postgres"))
    assert (plan.on, plan.image, plan.time_s) == ("docker", "postgres:18", 60)


@pytest.mark.parametrize("target, nodes, workload", [("etcd", 5, "append"), ("cassandra", 3, "register")])
def test_defaults_of_the_clusters(target: str, nodes: int, workload: str) -> None:
    plan = make_plan(Request(target=target))
    assert (plan.nodes, plan.workload, plan.on) == (nodes, workload, "docker")
    assert set(plan.faults) == {"partition", "kill", "pause", "clock"}


def test_every_problem_is_named_at_once() -> None:
    request = Request(
        target="postgres",
        on="local",
        workload="watch",
        faults=("partition", "earthquake"),
        options={"isolation": "chaos", "colour": "red"},
        model="perfection",
        nodes=0,
        time_s=-1,
        image="postgres:17",
    )
    with pytest.raises(UsageError) as raised:
        make_plan(request)
    text = str(raised.value)
    for named in (
        "watch",
        "partition",
        "earthquake",
        "chaos",
        "colour",
        "perfection",
        "nodes=0",
        "time=-1",
        "IMAGE",
    ):
        assert named in text, named
    assert len(text.splitlines()) >= 9


@pytest.mark.parametrize("request_", [Request(target="oracle"), Request(workload="dance"), Request(target="x.py:Y")])
def test_unknown_names_list_what_there_is(request_: Request) -> None:
    with pytest.raises(UsageError, match=r"choose from|there is no file"):
        make_plan(request_)


def test_a_partition_needs_two_nodes() -> None:
    with pytest.raises(UsageError, match="two nodes"):
        make_plan(Request(target="etcd", nodes=1, faults=("partition",)))
    assert "partition" not in make_plan(Request(target="etcd", nodes=1)).faults


@pytest.mark.parametrize("with_make", [True, False])
def test_the_repeat_command_makes_the_same_plan(with_make: bool) -> None:
    from harness.cli import _merged, _options, _parser

    plan = make_plan(
        Request(target="etcd", workload="register", seed=7, time_s=12.5, options={"reads": "serializable"})
    )
    command = repeat_command(plan, with_make=with_make)
    assert "7" in command and "12.5" in command
    if not with_make:
        arguments = _parser().parse_args(command.split()[1:])
        again = make_plan(
            Request(
                target=arguments.target,
                workload=arguments.workload,
                on=arguments.on,
                image=arguments.image,
                nodes=arguments.nodes,
                faults=arguments.faults,
                options=_merged(arguments.opts),
                concurrency=arguments.concurrency,
                time_s=arguments.time,
                seed=arguments.seed,
            )
        )
        assert again == type(plan)(**{**{f: getattr(plan, f) for f in plan.__struct_fields__}, "faults_named": True})
        assert _options("a=1,b=2") == {"a": "1", "b": "2"}


def test_models_have_other_names_too() -> None:
    assert make_plan(Request(target="etcd", workload="register", model="linearizable")).model == "linearizable"
    with pytest.raises(UsageError, match="unknown consistency model 'linear'"):
        make_plan(Request(target="etcd", workload="register", model="linear"))
