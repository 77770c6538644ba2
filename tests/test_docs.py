"""Goal: what the docs tell users to type works, and what they name exists.

Method: every `make test` and `faultline` command of README.md, docs/ and the targets' READMEs goes through make's own
variables and the command line's own parser up to the plan; nothing is started. Names are compared with the data.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import nemeses
import workloads
from checkers import models
from harness import cli
from harness.claims_docs import claims_page
from harness.errors import UsageError
from harness.glossary import ANOMALIES, SUFFIXES
from harness.listing_docs import fault_options_table, workloads_page, write
from harness.options import Option
from harness.plan import TestPlan
from harness.planning import offered_options
from harness.registry import find_target, find_workload, target_names
from harness.schedule import SCHEDULE_OPTIONS
from harness.substrates import SUBSTRATES
from harness.target import Timeouts
from tests.checkers.test_cases_transactions import OURS_ONLY, PEER_ONLY
from tests.e2e import track_record

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "targets").glob("*/README.md"))]
FLAG_OF = {
    variable: (flag, value)
    for variable, flag, value in re.findall(
        r"\$\(if \$\((\w+)\),(--\w+) '(.*?)'\)", (ROOT / "Makefile").read_text("utf-8")
    )
}
"""Variable of make → (flag, value with the variable in it), as the Makefile says it."""
CODE = re.compile(r"`([^`\n]+)`")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_of(path: Path) -> Iterator[str]:
    """Every line of code: indented lines, and what stands between backticks."""
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("    ") and not line.lstrip().startswith(("-", "|")):
            yield line.strip()
        else:
            yield from CODE.findall(line)


def commands(beginning: str) -> list[Any]:
    found = {
        (named(path), code[code.index(beginning) :]) for path in PAGES for code in code_of(path) if beginning in code
    }
    return [pytest.param(command, id=f"{page}: {command}"[:100]) for page, command in sorted(found)]


def flags_of(command: str) -> list[str]:
    """The flags that make hands on for `make test VARIABLE=value ...`; words of prose after them are left out."""
    flags: list[str] = []
    for word in shlex.split(command, comments=True)[2:]:
        variable, equals, value = word.partition("=")
        if not equals:
            break
        assert variable in FLAG_OF, f"{command}: make knows no {variable}"
        flag, template = FLAG_OF[variable]
        flags += [flag, template.replace(f"$({variable})", value)]
    return flags


def plan_of(flags: list[str], monkeypatch: pytest.MonkeyPatch) -> TestPlan:
    """The plan that `faultline test` makes of these flags. It is checked as far as can be without a database."""
    plans: list[TestPlan] = []
    monkeypatch.setattr("harness.runner.run_and_tell", lambda plan, results: plans.append(plan) or 0)
    assert cli.main(["test", *flags]) == 0
    plan = plans[0]
    target = find_target(plan.target)
    target(image=plan.image, options=plan.options, timeouts=Timeouts(), workload=plan.workload)
    find_workload(plan.workload).clients({**plan.options, "phase": 0})
    return plan


@pytest.mark.parametrize("command", commands("make test"))
def test_what_the_docs_tell_to_type_is_a_plan(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_of(flags_of(command), monkeypatch)


def test_many_commands_are_found() -> None:
    assert len(commands("make test")) > 25 and len(commands("faultline ")) > 5
    assert {"TARGET", "OPTS", "ISOLATION", "SEED"} <= set(FLAG_OF)


@pytest.mark.parametrize("command", ["make test TARGET=nosuch", "make test OPTS=keys=0", "make test OPTS=key=3"])
def test_a_command_that_is_wrong_would_be_seen(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, UsageError)):
        plan_of(flags_of(command), monkeypatch)


@pytest.mark.parametrize("command", commands("faultline "))
def test_faultline_commands_are_understood(command: str) -> None:
    arguments = shlex.split(command, comments=True)[1:]
    if arguments[:2] == ["test", "--help"]:
        return
    cli._parser().parse_args(arguments)


@pytest.mark.parametrize(
    "command", sorted({code for path in PAGES for code in code_of(path) if code.startswith("make ")})
)
def test_make_has_what_the_docs_name(command: str) -> None:
    assert re.search(rf"^[\w ]*\b{command.split()[1]}\b[\w ]*:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        goal = (path.parent / file).resolve() if file else path
        if goal.is_dir():
            goal /= "README.md"
        assert goal.exists(), link
        assert not anchor or anchor in anchors_of(goal), link


def anchors_of(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_workloads_page_is_up_to_date() -> None:
    assert (DOCS / "workloads.md").read_text("utf-8") == workloads_page(), "run `python -m harness.listing_docs`"


def test_the_claims_page_is_what_the_targets_say() -> None:
    assert (DOCS / "claims.md").read_text("utf-8") == claims_page(), "run `python -m harness.listing_docs`"


def test_the_faults_page_has_every_option() -> None:
    assert fault_options_table() in (DOCS / "faults.md").read_text("utf-8"), "run `python -m harness.listing_docs`"


def test_the_docs_are_brought_up_to_date(tmp_path: Path) -> None:
    text = (DOCS / "faults.md").read_text("utf-8")
    (tmp_path / "faults.md").write_text(text.replace("| all | `hold`", "| all | `held`"), "utf-8")
    write(tmp_path)
    assert (tmp_path / "faults.md").read_text("utf-8") == text
    assert (tmp_path / "workloads.md").read_text("utf-8") == workloads_page()


def test_what_the_faults_page_names_exists() -> None:
    text = (DOCS / "faults.md").read_text("utf-8")
    options: dict[str, Option] = dict(SCHEDULE_OPTIONS)
    for nemesis in nemeses.NEMESES.values():
        options |= nemesis.options
    for name in target_names():
        target = find_target(name)
        for workload in target.workloads:
            options |= offered_options(target, find_workload(workload), ())
    words = (
        {"valid", "name", "append"} | set(nemeses.NEMESES) | set(options) | set(SUBSTRATES) | set(workloads.REGISTRY)
    )
    words |= {choice for option in options.values() for choice in option.choices}
    words |= (
        {str(option.default) for option in options.values()} | set(FLAG_OF) | known_anomalies() | set(models.MODELS)
    )
    for kind in nemeses.NEMESES:
        assert f"\n## {kind}\n" in text, f"{kind} has no chapter"
    for code in CODE.findall(text):
        name, equals, value = code.partition("=")
        if " " in code or name in FLAG_OF:
            continue  # a command, checked above
        assert name in words, code
        if equals:
            options[name].parse(name, value)


def known_anomalies() -> set[str]:
    return {
        name + ending for name in ANOMALIES for ending in ("", "-item", *SUFFIXES, "-item-process", "-item-realtime")
    }


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_anomalies_are_in_the_glossary(path: Path) -> None:
    for code in CODE.findall(path.read_text("utf-8")):
        if re.fullmatch(r"G(\d\w?|-[a-z]+)(-[a-z-]+)?|[a-z]+-(update|read|write|elements)", code):
            assert code in known_anomalies() or code in choices(), code


def choices() -> set[str]:
    """Values of options that look like anomalies (`append=read-write`, a flaw)."""
    found: set[str] = set()
    for name in target_names():
        target = find_target(name)
        for workload in target.workloads:
            for option in offered_options(target, find_workload(workload), ()).values():
                found |= set(option.choices)
    return found


def test_the_checkers_page_has_every_checker() -> None:
    text = (DOCS / "checkers.md").read_text("utf-8")
    names = set()
    for path in sorted((ROOT / "checkers").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for _, found in inspect.getmembers(importlib.import_module(module), inspect.isclass):
            if isinstance(getattr(found, "name", None), str) and callable(getattr(found, "check", None)):
                names.add(found.name)
    assert len(names) >= 6
    for name in names:
        assert f"| `{name}` |" in text or f"`{name}`" in text.partition("Invalid outranks")[0], name


def test_every_difference_from_the_peer_is_told() -> None:
    told = set(CODE.findall((DOCS / "checkers.md").read_text("utf-8").partition("## Where we differ")[2]))
    for ours in OURS_ONLY:
        assert {ours, ours.removesuffix("-process").removesuffix("-realtime")} & told, ours
    assert {"-realtime", "-process", "duplicate-elements"} <= told
    for theirs, ours in PEER_ONLY:
        assert theirs.endswith(("-realtime", "-process")) and ours.endswith(("-process", "duplicate-elements"))


class Recorded(Exception):
    """Raised in the place of a run of the track record."""


def runs_of_the_track_record(monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, list[str]]:
    """Test → the flags that it runs `faultline test` with."""
    flags: dict[str, list[str]] = {}

    def record(results: Path, *arguments: str) -> None:
        raise Recorded(arguments)

    for found in pkgutil.iter_modules(track_record.__path__, f"{track_record.__name__}."):
        module = importlib.import_module(found.name)
        if hasattr(module, "run"):
            monkeypatch.setattr(module, "run", record)
        for name, case in inspect.getmembers(module, inspect.isclass):
            for test, method in inspect.getmembers(case, inspect.isfunction):
                if name.startswith("Test") and test.startswith("test_"):
                    with pytest.raises(Recorded) as caught:
                        method(case(), folder)
                    flags[f"{name}.{test}"] = list(caught.value.args[0])
    return flags


def test_the_track_record_is_what_its_tests_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plan: Callable[[list[str]], TestPlan] = lambda flags: plan_of(flags, monkeypatch).with_seed(0)  # noqa: E731
    tested = {test: plan(flags) for test, flags in runs_of_the_track_record(monkeypatch, tmp_path).items()}
    page = DOCS / "track-record.md"
    told = [plan(flags_of(code)) for code in code_of(page) if code.startswith("make test")]
    for test, wanted in tested.items():
        assert wanted in told, f"{named(page)} lacks the command of {test}: {wanted}"
    for shown in told:
        assert shown in tested.values(), f"no test runs this command of {named(page)}: {shown}"
    rows = {re.match(r"Test([A-Z]\d)", test)[1] for test in tested}  # type: ignore[index]
    assert rows == set(re.findall(r"^## ([A-Z]\d): ", page.read_text("utf-8"), re.MULTILINE))
