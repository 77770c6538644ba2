"""docs/claims.md: what each database promises at which settings, and which issues are known, from the targets' data.

A promise depends on options. Every setting of one option, and of two together, is tried beside the defaults; shown are
the smallest changes that lead to another promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import Any

import targets
from harness.errors import UsageError
from harness.options import Option
from harness.registry import find_target, find_workload
from harness.target import Claim, KnownIssue, Target

HEAD = """# What the databases promise

A run is judged against what its database promises at its settings, in its vendor's own words; `MODEL=` asks for more or
less. Where nothing is promised, the workload's own model is judged, and the report says so. A misbehaviour that is
known upstream is named as known, and is still invalid.

This page is made from the targets themselves: `python -m harness.listing_docs` writes it.
"""
TOGETHER = 2
"""How many options are changed at once."""

Settings = frozenset[tuple[str, str]]


def claims_page() -> str:
    """docs/claims.md."""
    return "\n".join([HEAD, *("\n".join(_chapter(name)) for name in targets.REGISTRY)])


def _chapter(name: str) -> Iterator[str]:
    target = find_target(name)
    yield f"## {name}\n"
    yield f"{target.doc}.\n"
    yield "| settings | workloads | promise | in whose words |"
    yield "|---|---|---|---|"
    for claim, chosen, workloads in _merged(_promises(target)):
        model = f"`{claim.model}`" if claim.model else "nothing"
        words = f"[{claim.words}]({claim.link})" if claim.link else claim.words
        yield f"| {chosen or 'defaults'} | {', '.join(workloads)} | {model} | {words} |"
    yield ""
    if target.known_issues:
        yield "| known issue | versions | where | what |"
        yield "|---|---|---|---|"
        yield from map(_issue, target.known_issues)
        yield ""


def _promises(target: type[Target]) -> dict[tuple[Claim, Settings], list[str]]:
    """(promise, the changes of defaults that lead to it) → workloads; the defaults first."""
    found: dict[tuple[Claim, Settings], list[str]] = {}
    for name in target.workloads:
        try:
            workload = find_workload(name)
        except UsageError:
            continue
        for settings, claim in _changes(target, name, {**target.options, **workload.options}).items():
            found.setdefault((claim, settings), []).append(name)
    return dict(sorted(found.items(), key=lambda each: len(each[0][1])))


def _merged(promises: Mapping[tuple[Claim, Settings], list[str]]) -> Iterator[tuple[Claim, str, list[str]]]:
    """(promise, settings as text, workloads); values of one option that lead to the same promise are in one."""
    rows: dict[tuple[Claim, str | Settings, tuple[str, ...]], list[str]] = {}
    for (claim, settings), workloads in promises.items():
        changed = next(iter(settings))[0] if len(settings) == 1 else settings
        text = ", ".join(f"`{option}={value}`" for option, value in sorted(settings))
        rows.setdefault((claim, changed, tuple(workloads)), []).append(text)
    for (claim, _, names), texts in rows.items():
        yield claim, " or ".join(texts), list(names)


def _changes(target: type[Target], workload: str, offered: Mapping[str, Option]) -> dict[Settings, Claim]:
    """The smallest changes of the defaults that change the promise, and each one's promise."""
    defaults: dict[str, Any] = {name: option.default for name, option in offered.items()}
    free = [name for name in target.options if target.options[name].choices]
    shown: dict[Settings, Claim] = {frozenset(): target.claim(workload, defaults)}
    for count in range(1, TOGETHER + 1):
        for names in combinations(free, count):
            others = [[value for value in offered[name].choices if value != defaults[name]] for name in names]
            for values in product(*others):
                settings = frozenset(zip(names, values, strict=True))
                claim = target.claim(workload, defaults | dict(settings))
                if claim not in [shown[fewer] for fewer in shown if fewer < settings]:
                    shown[settings] = claim
    return shown


def _issue(issue: KnownIssue) -> str:
    versions = ", ".join(
        f"{first or 'the first'} to before {fixed}" if fixed else f"{first or 'the first'} and later"
        for first, fixed in issue.versions
    )
    where = [*issue.workloads, *(f"`{name}={value}`" for name, value in issue.options.items())]
    where += [f"with {kind}" for kind in issue.needs]
    where += [f"with {' or '.join(issue.needs_one_of)}"] if issue.needs_one_of else []
    return f"| [{issue.name}]({issue.link}) | {versions} | {', '.join(where) or 'any workload'} | {issue.sentence} |"
