"""Options that targets, workloads and faults offer (`OPTS=name=value,...`), as data: checked at once, listed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec


class Option(msgspec.Struct, frozen=True):
    """One option.

    choices: the values allowed; empty: any value of the default's type (int, float, str).
    doc: one line for users, with the unit where there is one. least, most: bounds of a number, both allowed.
    """

    default: Any
    doc: str
    choices: tuple[str, ...] = ()
    least: float = -math.inf
    most: float = math.inf

    def parse(self, name: str, text: str) -> Any:
        """The value that `text` stands for. Raises ValueError with a line for the user."""
        if self.choices and text not in self.choices:
            raise ValueError(f"option {name}={text!r}: choose one of {', '.join(self.choices)}")
        kind = type(self.default)
        if kind in (int, float):
            try:
                number = kind(text)
            except ValueError:
                number = math.nan
            if not (math.isfinite(number) and self.least <= number <= self.most):
                raise ValueError(f"option {name}={text!r}: must be {self._allowed(kind)}")
            return number
        return text

    def _allowed(self, kind: type) -> str:
        """Which numbers are, in words."""
        what = "a whole number" if kind is int else "a number"
        if math.isfinite(self.least) and math.isfinite(self.most):
            return f"{what} from {self.least:g} to {self.most:g}"
        if math.isfinite(self.least):
            return f"{what}, {self.least:g} or more"
        return f"{what} up to {self.most:g}" if math.isfinite(self.most) else what


def with_defaults(offered: Mapping[str, Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every offered option with the given value, parsed, or its default. Names not offered are left out."""
    return {
        name: (option.parse(name, str(given[name])) if name in given else option.default)
        for name, option in offered.items()
    }
