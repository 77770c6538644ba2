"""Which orders of versions can't all hold together, as clauses over pairs of versions, and their satisfaction.

A literal is (a, b): version a is before version b of the same key. (b, a) is its negation. A clause is a set of
literals that do not all hold: those of one forbidden cycle.

python-sat decides large sets of clauses. It is an optional extra (`faultline[sat]`); without it a search of our own
decides small ones: unit propagation and backtracking, with a bound on its steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.compiled import working_time

try:
    from pysat.solvers import Solver
except ImportError:
    Solver = None

Literal = tuple[int, int]
Clause = frozenset[Literal]

STEPS_MAX = 20_000
"""Of the search without python-sat: about a second."""
CONFLICTS_AT_ONCE = 2_000
"""Between two looks at the clock."""
CLAUSES_MINIMIZED_MAX = 200
NEEDS_SAT = (
    "the order of versions that nobody saw is too open to be tried without a SAT solver: "
    "install python-sat (pip install 'faultline[sat]')"
)
OUT_OF_TIME = "time ran out while the orders of versions that nobody saw were tried"


class Undecided(Exception):
    """The search ended without an answer; the message says why."""


def has_sat() -> bool:
    """Whether python-sat is there."""
    return Solver is not None


class Clauses:
    """A growing set of clauses; `solve` says which of the orders to choose."""

    def __init__(self) -> None:
        self._numbers: dict[Literal, int] = {}
        self.clauses: list[Clause] = []
        self._seen: set[Clause] = set()
        self._solver = Solver(name="g4") if has_sat() else None

    def number(self, literal: Literal) -> int:
        """The variable of a pair of versions, positive if it stands in this order."""
        a, b = literal
        if a < b:
            return self._numbers.setdefault((a, b), len(self._numbers) + 1)
        return -self._numbers.setdefault((b, a), len(self._numbers) + 1)

    def add(self, clause: Clause) -> bool:
        """Forbid that all of these hold. False if it was there already."""
        if clause in self._seen:
            return False
        self._seen.add(clause)
        self.clauses.append(clause)
        if self._solver is not None:
            self._solver.add_clause([-self.number(literal) for literal in clause])
        return True

    def prefer(self, literals: Iterable[Literal]) -> None:
        """What to try first."""
        if self._solver is not None:
            self._solver.set_phases([self.number(literal) for literal in literals])

    def solve(self, deadline: float) -> list[Literal] | None:
        """Orders to enforce, enough to satisfy all clauses whatever the others are; None: no orders satisfy them.

        Raises Undecided at the deadline (of working_time()).
        """
        if self._solver is None:
            numbers = [[-self.number(literal) for literal in clause] for clause in self.clauses]
            model = _search(numbers, deadline)
        else:
            model = self._with_sat(self._solver, deadline)
        if model is None:
            return None
        true = set(model)
        enforced: set[Literal] = set()
        for clause in self.clauses:
            reversed_ = [(b, a) for a, b in clause]
            if not any(literal in enforced for literal in reversed_):
                enforced.add(next(literal for literal in reversed_ if self.number(literal) in true))
        return sorted(enforced)

    @staticmethod
    def _with_sat(solver: Solver, deadline: float) -> list[int] | None:
        while True:
            solver.conf_budget(CONFLICTS_AT_ONCE)
            answer = solver.solve_limited()
            if answer is not None:
                return solver.get_model() if answer else None
            if working_time() > deadline:
                raise Undecided(OUT_OF_TIME)

    def close(self) -> None:
        """Free the solver's memory."""
        if self._solver is not None:
            self._solver.delete()
            self._solver = None


def contradictory_part(clauses: Sequence[Clause], deadline: float) -> list[int]:
    """Places of clauses that can't all be satisfied, minimal where there are few: each of them is then needed."""
    numbers: dict[Literal, int] = {}

    def number(a: int, b: int) -> int:
        if a < b:
            return numbers.setdefault((a, b), len(numbers) + 1)
        return -numbers.setdefault((b, a), len(numbers) + 1)

    lines = [[-number(a, b) for a, b in clause] for clause in clauses]
    needed = list(range(len(lines)))
    if Solver is not None:
        with Solver(name="g4") as solver:
            base = len(numbers)
            for i, line in enumerate(lines):
                solver.add_clause([*line, -(base + 1 + i)])
            for _ in range(3):
                if solver.solve(assumptions=[base + 1 + i for i in needed]):
                    return needed
                core = {literal - base - 1 for literal in solver.get_core() or []}
                if len(core) == len(needed):
                    break
                needed = [i for i in needed if i in core]
    if len(needed) > CLAUSES_MINIMIZED_MAX:
        return needed
    # the largest cycles are tried to be left out first
    for i in sorted(needed, key=lambda place: -len(lines[place])):
        without = [j for j in needed if j != i]
        if working_time() > deadline:
            break
        try:
            if _search([lines[j] for j in without], deadline) is None:
                needed = without
        except Undecided:
            continue
    return needed


def _search(clauses: list[list[int]], deadline: float) -> list[int] | None:
    """A model as signed variables, or None; chooses first what the shortest clause asks for."""
    steps = 0

    def reduced(left: list[list[int]], true: set[int]) -> list[list[int]] | None:
        while True:
            units = set()
            rest = []
            for clause in left:
                if any(literal in true for literal in clause):
                    continue
                open_ = [literal for literal in clause if -literal not in true]
                if not open_:
                    return None
                if len(open_) == 1:
                    units.add(open_[0])
                rest.append(open_)
            if not units:
                return rest
            if any(-literal in units for literal in units):
                return None
            true |= units
            left = rest

    def extend(left: list[list[int]], true: set[int]) -> set[int] | None:
        nonlocal steps
        steps += 1
        if steps > STEPS_MAX:
            raise Undecided(NEEDS_SAT if Solver is None else OUT_OF_TIME)
        if working_time() > deadline:
            raise Undecided(OUT_OF_TIME)
        rest = reduced(left, true)
        if rest is None:
            return None
        if not rest:
            return true
        literal = min(rest, key=len)[0]
        for choice in (literal, -literal):
            found = extend(rest, true | {choice})
            if found is not None:
                return found
        return None

    try:
        found = extend(clauses, set())
    except RecursionError:
        raise Undecided(NEEDS_SAT if Solver is None else OUT_OF_TIME) from None
    if found is None:
        return None
    variables = {abs(literal) for clause in clauses for literal in clause}
    return [variable if variable in found else -variable for variable in variables]
