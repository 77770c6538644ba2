"""What a workload is: a plain value. One file in `workloads/` each, registered in `workloads.REGISTRY`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from harness.checker import Checker
from harness.errors import UsageError
from harness.generator import Generator
from harness.options import Option

PHASES = ("main", "ready", "recovery")
"""The phases in which a workload's generator is run, by the number in `options["phase"]`; a key belongs to one."""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """generator + final generator + the checkers that judge it.

    doc: what it does and what it finds, one paragraph for users. fs: every `f` that a run must have had an ok of;
    fs_for(options): the same where it depends on the run's options, None elsewhere.
    generator(options): the client ops, endless (the harness bounds it in time). The options also hold `phase` (int,
    see PHASES): each phase has keys of its own. None: it is not run, it judges what others
    recorded. final_generator(options): the final reads, None where there are none; the options also hold `nodes`.
    checkers: by name, those that count. beside(options, ran): those that also count for a run of ours (`ran`), or where
    an option asks for them. own_model: the model judged where the target promises nothing.
    options: what OPTS= may set for a run. check_options: what the checkers may be told.
    floor: the least number of ok ops that proves anything.
    """

    name: str
    doc: str
    fs: tuple[str, ...]
    generator: Callable[[Mapping[str, Any]], Generator] | None = None
    final_generator: Callable[[Mapping[str, Any]], Generator] | None = None
    checkers: Mapping[str, Checker]
    beside: Callable[[Mapping[str, Any], bool], Mapping[str, Checker]] = lambda options, ran: {}
    own_model: str
    options: Mapping[str, Option] = {}
    check_options: Mapping[str, Option] = {}
    fs_for: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None
    floor: int = 100

    def needed_fs(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Every `f` that a run with these options must have had an ok of."""
        return self.fs if self.fs_for is None else self.fs_for(options)

    def judges(self, options: Mapping[str, Any], *, ran: bool) -> dict[str, Checker]:
        """Every checker that counts with these options, by name. ran: for a run of ours, not what others recorded."""
        return {**self.checkers, **self.beside(options, ran)}

    def clients(self, options: Mapping[str, Any]) -> Generator:
        """What clients do. Raises UsageError for a workload that only judges."""
        if self.generator is None:
            raise UsageError(f"workload {self.name!r} judges recorded histories (faultline check); it can't be run")
        return self.generator(options)
