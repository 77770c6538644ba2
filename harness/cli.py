"""The `faultline` command: test, check, heal, clean, doctor, list, images, compile.

Exit codes: 0 valid, 1 invalid, 2 usage, 3 infrastructure, 4 unknown; over several runs invalid outranks everything.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from harness.errors import Exit, FaultlineError, UsageError

OUTRANKS = (Exit.INVALID, Exit.USAGE, Exit.INFRASTRUCTURE, Exit.UNKNOWN, Exit.VALID)
"""Which exit code stands for several, the strongest first."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Errors are one line each on stderr."""
    try:
        arguments = _parser().parse_args(argv)
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except FaultlineError as error:
        for line in str(error).splitlines():
            print(f"faultline: {line}", file=sys.stderr)
        return int(error.exit)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print(f"faultline: {error}", file=sys.stderr)
        _drop_output()
        return int(Exit.INFRASTRUCTURE)


def _drop_output() -> None:
    """What stdout did not take is not tried again at the end of the process."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def combined(codes: Iterable[int]) -> int:
    """The exit code of several runs: the one that outranks the others, VALID for none."""
    return int(min((Exit(code) for code in codes), key=OUTRANKS.index, default=Exit.VALID))


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are UsageErrors."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="faultline", description="Does a database keep its promises while its machines fail?")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_test, _add_check, _add_heal, _add_clean, _add_doctor, _add_list, _add_images, _add_compile):
        add(commands)
    return parser


def _command(commands: argparse._SubParsersAction, name: str, what: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=what,
        description=what,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_test(commands: argparse._SubParsersAction) -> None:
    test = _command(
        commands,
        "test",
        "run a workload with faults against a real database and judge it",
        "faultline test --target etcd --workload register --faults partition,kill --time 60",
    )
    test.add_argument("--target", help="database; without it: the embedded PostgreSQL, no Docker needed")
    test.add_argument("--workload", help="what clients do (see `faultline list`)")
    test.add_argument("--faults", type=_names, help="kinds, comma separated, or `none`; default: all that work here")
    test.add_argument("--model", help="consistency model to judge against; default: what the database claims")
    test.add_argument(
        "--opts", type=_options, action="append", default=[], help="name=value,... of target, workload, faults"
    )
    test.add_argument("--on", help="docker, local or ssh")
    test.add_argument("--hosts", type=_names, default=(), help="ssh: the hosts, [user@]host[:port], comma separated")
    test.add_argument("--nodes", type=int, help="how many nodes")
    test.add_argument("--image", help="container image to test instead of the default one")
    test.add_argument("--time", type=float, help="length of the main phase, seconds")
    test.add_argument("--rate", type=float, help="ops per second in all, 0: as fast as they go")
    test.add_argument("--concurrency", type=int, help="workers, each one client at a time")
    test.add_argument("--seed", type=int, help="repeats the ops and the fault schedule of an earlier run")
    test.add_argument("--runs", type=int, default=1, help="how many runs, each with the next seed")
    test.add_argument("--results", type=Path, default=Path("results"), help="where runs are kept (default: results)")
    test.set_defaults(run=_test)


def _add_check(commands: argparse._SubParsersAction) -> None:
    check = _command(
        commands,
        "check",
        "judge recorded histories: a run's folder, or a Jepsen history (.edn, .json, .jsonl, each also .gz)",
        "faultline check history.edn --workload append --model serializable",
    )
    check.add_argument("paths", nargs="+", metavar="PATH")
    check.add_argument("--workload", help="needed unless PATH is a run's folder")
    check.add_argument("--model", help="consistency model to judge against")
    check.add_argument("--opts", type=_options, action="append", default=[], help="name=value,... of the checkers")
    check.add_argument("--json", action="store_true", help="one JSON verdict a line, one for each path")
    check.add_argument("--report", type=Path, help="write an HTML report here (one PATH only)")
    check.set_defaults(run=_check)


def _add_heal(commands: argparse._SubParsersAction) -> None:
    heal = _command(
        commands, "heal", "undo every fault of a run whose controller is gone", "faultline heal results/latest"
    )
    heal.add_argument("run_folder", metavar="RUN", type=Path)
    heal.add_argument("--force", action="store_true", help="even while the run's controller lives")
    heal.set_defaults(run=_heal)


def _add_clean(commands: argparse._SubParsersAction) -> None:
    clean = _command(
        commands, "clean", "remove containers, networks and directories that crashed runs left", "faultline clean"
    )
    _add_hosts(clean)
    clean.set_defaults(run=_clean)


def _add_doctor(commands: argparse._SubParsersAction) -> None:
    doctor = _command(commands, "doctor", "say what this machine can do, by trying", "faultline doctor")
    _add_hosts(doctor)
    doctor.set_defaults(run=_doctor)


def _add_hosts(command: argparse.ArgumentParser) -> None:
    command.add_argument("--hosts", type=_names, default=(), help="these hosts instead of this machine (by ssh)")
    command.add_argument("--opts", type=_options, action="append", default=[], help="name=value,... of ssh")


def _add_list(commands: argparse._SubParsersAction) -> None:
    listing = _command(
        commands, "list", "show targets, workloads, faults, models and their options", "faultline list workloads"
    )
    listing.add_argument("what", nargs="?", choices=("targets", "workloads", "faults", "models"))
    listing.set_defaults(run=_list)


def _add_images(commands: argparse._SubParsersAction) -> None:
    images = _command(
        commands,
        "images",
        "make the sandbox and, where no registry answers, database images from packages",
        "faultline images etcd cassandra",
    )
    images.add_argument("names", nargs="*", metavar="NAME", help="which ones; default: all")
    images.set_defaults(run=_images)


def _add_compile(commands: argparse._SubParsersAction) -> None:
    compile_ = _command(
        commands, "compile", "compile the checkers now, once, so that no check has to", "faultline compile"
    )
    compile_.set_defaults(run=_compile)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _options(text: str) -> dict[str, str]:
    options = {}
    for part in _names(text):
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise argparse.ArgumentTypeError(f"{part!r} is not name=value")
        options[name.strip()] = value.strip()
    return options


def _merged(options: Sequence[dict[str, str]]) -> dict[str, str]:
    return {name: value for part in options for name, value in part.items()}


def _test(arguments: argparse.Namespace) -> int:
    from harness.planning import Request, make_plan
    from harness.runner import run_and_tell

    if arguments.runs < 1:
        raise UsageError(f"runs={arguments.runs}: must be 1 or more")
    request = Request(
        target=arguments.target,
        workload=arguments.workload,
        on=arguments.on,
        image=arguments.image,
        nodes=arguments.nodes,
        hosts=arguments.hosts,
        model=arguments.model,
        faults=arguments.faults,
        options=_merged(arguments.opts),
        rate_hz=arguments.rate,
        concurrency=arguments.concurrency,
        time_s=arguments.time,
        seed=arguments.seed,
    )
    plan = make_plan(request)
    codes: list[int] = []
    for number in range(arguments.runs):
        try:
            codes.append(run_and_tell(plan.with_seed(plan.seed + number), arguments.results))
        except FaultlineError as error:
            if arguments.runs == 1:
                raise
            print(f"faultline: {error}", file=sys.stderr)
            codes.append(int(error.exit))
    return combined(codes)


def _check(arguments: argparse.Namespace) -> int:
    from harness.telling import tell_check

    if arguments.report and len(arguments.paths) > 1:
        raise UsageError("--report takes one PATH")
    return combined(
        tell_check(
            path,
            workload=arguments.workload,
            model=arguments.model,
            options=_merged(arguments.opts),
            as_json=arguments.json,
            report=arguments.report,
        )
        for path in arguments.paths
    )


def _heal(arguments: argparse.Namespace) -> int:
    from harness.healing import heal

    print(heal(arguments.run_folder, force=arguments.force))
    return Exit.VALID


def _clean(arguments: argparse.Namespace) -> int:
    from harness.healing import clean, clean_hosts

    print(clean_hosts(arguments.hosts, _merged(arguments.opts)) if arguments.hosts else clean())
    return Exit.VALID


def _doctor(arguments: argparse.Namespace) -> int:
    from harness.doctor import examine, examine_hosts

    return examine_hosts(arguments.hosts, _merged(arguments.opts)) if arguments.hosts else examine()


def _list(arguments: argparse.Namespace) -> int:
    from harness.listing import listing

    print(listing(arguments.what))
    return Exit.VALID


def _images(arguments: argparse.Namespace) -> int:
    from harness.images import build

    build(arguments.names)
    return Exit.VALID


def _compile(arguments: argparse.Namespace) -> int:
    from harness.compile_ahead import compile_all

    compile_all()
    return Exit.VALID
