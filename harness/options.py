"""Options that targets, workloads and faults offer (`OPTS=name=value,...`), as data: checked at once, listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Option(msgspec.Struct, frozen=True):
    """One option.

    choices: the values allowed; empty: any value of the default's type (int, float, str).
    doc: one line for users, with the unit where there is one.
    """

    default: Any
    doc: str
    choices: tuple[str, ...] = ()

    def parse(self, name: str, text: str) -> Any:
        """The value that `text` stands for. Raises ValueError with a line for the user."""
        if self.choices and text not in self.choices:
            raise ValueError(f"option {name}={text!r}: choose one of {', '.join(self.choices)}")
        kind = type(self.default)
        if kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                what = "a whole number" if kind is int else "a number"
                raise ValueError(f"option {name}={text!r}: must be {what}") from None
        return text


def with_defaults(offered: Mapping[str, Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every offered option with the given value, parsed, or its default. Names not offered are left out."""
    return {
        name: (option.parse(name, str(given[name])) if name in given else option.default)
        for name, option in offered.items()
    }
