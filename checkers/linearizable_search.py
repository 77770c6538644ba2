"""Is there an order of one object's operations, within realtime, that its model allows? A search per object.

Idea (just-in-time linearization: Lowe, "Testing for linearizability", 2017, after Wing and Gong 1993). Walk
through the history from completion to completion with the set of all *configurations* that are possible so far: the
state, and what has become of each pending operation. An operation is placed only when something needs it: when it
completes, or before one that completes. If no configuration survives a completion, there is no such order. The
memory grows with concurrency, not with the history's length.

What keeps the set small, each with its reason:
- A read is placed as soon as the state is one that it may have seen: that never takes a possibility away.
- When a blind write is placed, every other pending blind write could have happened just before it, unseen.
  From then on it is *optional*: it may still be placed, but need not be. So a configuration holds two sets of
  pending operations, those to be placed and the optional ones; a third kind, placed already, is in neither.
- A blind write that nothing sees before the next one need not be tried: leaving it optional allows more.
- Of pending operations that did the same, only the earliest to return is tried: they can change places.
- A configuration that another one dominates (same state, every pending operation at least as free) is dropped.

Operations that nobody knows the outcome of (crashed) are optional for ever. They are grouped by what they did; a
configuration counts how many of each it used. Where there are any, three searches, each sound on its own:
few (the configurations that used the fewest are kept, success proves valid), unlimited (no counting, failure proves
invalid), exact (within the budget).

Cost: (completions) × (configurations), the latter bounded by 3^(pending operations) × states × uses, and
usually below ten.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from checkers.linearizable_model import ILLEGAL, NEVER, Action, Kind, Model, Operation, State

FEW = 64
"""How many configurations the first search keeps. Larger ones were no more successful on the recorded histories."""
DOMINANCE_MAX = 400
"""Above so many configurations of one state, looking for dominated ones (quadratic) costs more than it saves."""
CONFIGURATION_BYTES = 250
_TOTAL_BITS = 24
_TOTAL = (1 << _TOTAL_BITS) - 1

Configuration = tuple[int, int, int, int]
"""state's number, operations to be placed (bits), optional ones (bits), crashed ones used (packed counts)."""


class Uses(enum.Enum):
    """How crashed operations are counted."""

    FEW = "few"
    UNLIMITED = "unlimited"
    EXACT = "exact"


@dataclass
class Budget:
    """deadline: on time.monotonic. configurations: how many may be held at once."""

    deadline: float
    configurations: int

    @classmethod
    def of(cls, time_s: float, memory_mb: int) -> Budget:
        """From now on, so many seconds and megabytes."""
        return cls(time.monotonic() + time_s, max(1000, memory_mb * 1_000_000 // CONFIGURATION_BYTES))


@dataclass
class Outcome:
    """linearizable: None where the budget ran out. completed: how many completions were placed, of all.

    stuck: the operation that could not be placed, or at which the search gave up. states: those possible just before.
    """

    linearizable: bool | None
    completed: int
    completions: int
    stuck: Operation | None = None
    states: list[State] = field(default_factory=list)
    configurations_max: int = 1


def search(model: Model, operations: Sequence[Operation], budget: Budget) -> Outcome:
    """Judge one object's operations (in any order; failed ones left out)."""
    operations = model.needed(operations)
    if not any(operation.crashed for operation in operations):
        return _Search(model, operations, Uses.EXACT, budget).run()
    few = _Search(model, operations, Uses.FEW, budget).run()
    if few.linearizable:
        return few
    unlimited = _Search(model, operations, Uses.UNLIMITED, budget).run()
    if unlimited.linearizable is False:
        return unlimited
    return _Search(model, operations, Uses.EXACT, budget).run()


class _Search:
    """One walk through one object's history."""

    def __init__(self, model: Model, operations: Sequence[Operation], uses: Uses, budget: Budget) -> None:
        self.model = model
        self.operations = sorted(operations, key=lambda operation: operation.invoked)
        self.uses = uses
        self.budget = budget
        self.states: list[State] = []
        self.state_numbers: dict[State, int] = {}
        self.actions: list[Action] = []
        self.kinds: list[Kind] = []
        self.steps: list[dict[int, int]] = []
        self.action_of = self._number_actions()
        self.unit: dict[int, int] = {}
        self.field_mask: dict[int, int] = {}
        self.guards = 0
        self._lay_out_counts()
        self.available: dict[int, int] = {}
        """Crashed actions invoked so far → the highest count allowed, in place (UNLIMITED: 0)."""
        self.pending: dict[int, list[tuple[int, int]]] = {}
        """Action that is no read → (returned, bit) of its pending operations, earliest to return first."""
        self.pending_reads: dict[int, int] = {}
        """Read action → bits of its pending operations."""
        self.blind = 0
        self.reads = 0
        self.legal_reads: dict[int, int] = {}
        self.frontier: list[Configuration] = [(self._state_number(model.initial), 0, 0, 0)]

    def _number_actions(self) -> list[int]:
        numbers: dict[Action, int] = {}
        for operation in self.operations:
            if operation.action not in numbers:
                numbers[operation.action] = len(self.actions)
                self.actions.append(operation.action)
                self.kinds.append(self.model.kind(operation.action))
                self.steps.append({})
        return [numbers[operation.action] for operation in self.operations]

    def _lay_out_counts(self) -> None:
        """Give each crashed action a field of the packed counts, wide enough for all of its operations."""
        counts: dict[int, int] = {}
        for action, operation in zip(self.action_of, self.operations):
            if operation.crashed:
                counts[action] = counts.get(action, 0) + 1
        shift = _TOTAL_BITS
        for action, count in counts.items():
            if self.uses is Uses.UNLIMITED:
                self.unit[action] = 0
                continue
            width = count.bit_length()
            self.unit[action] = (1 << shift) + 1
            self.field_mask[action] = ((1 << width) - 1) << shift
            self.guards |= 1 << (shift + width)
            shift += width + 1

    def _state_number(self, state: State) -> int:
        number = self.state_numbers.get(state)
        if number is None:
            number = self.state_numbers[state] = len(self.states)
            self.states.append(state)
        return number

    def _step(self, action: int, state: int) -> int:
        """The number of the next state, -1 where the action is illegal."""
        steps = self.steps[action]
        after = steps.get(state)
        if after is None:
            stepped = self.model.step(self.states[state], self.actions[action])
            after = -1 if stepped is ILLEGAL else self._state_number(stepped)  # type: ignore[arg-type]
            steps[state] = after
        return after

    def run(self) -> Outcome:
        """Walk from completion to completion."""
        events: list[tuple[int, bool, int]] = []
        for number, operation in enumerate(self.operations):
            events.append((operation.invoked, False, number))
            if not operation.crashed:
                events.append((operation.returned, True, number))
        events.sort()
        outcome = Outcome(True, 0, sum(completes for _, completes, _ in events))
        bits: dict[int, int] = {}
        free: list[int] = []
        invoked = 0
        for _, completes, number in events:
            if not completes:
                if self.operations[number].crashed:
                    action = self.action_of[number]
                    self.available[action] = self.available.get(action, 0) + (self.unit[action] & ~_TOTAL)
                    continue
                bit = free.pop() if free else 1 << len(bits)
                bits[number] = bit
                invoked |= bit
                self._pend(number, bit)
                continue
            before = self._settle(invoked)
            invoked = 0
            bit = bits[number]
            after = self._complete(before, bit)
            if after is None or time.monotonic() > self.budget.deadline:
                outcome.linearizable = None
            elif not after:
                outcome.linearizable = False
            if outcome.linearizable is not True:
                outcome.stuck = self.operations[number]
                outcome.states = [self.states[state] for state in sorted({each[0] for each in before})]
                return outcome
            assert after is not None
            self._unpend(number, bit)
            free.append(bit)
            self.frontier = after
            outcome.completed += 1
            outcome.configurations_max = max(outcome.configurations_max, len(after))
        return outcome

    def _pend(self, number: int, bit: int) -> None:
        action = self.action_of[number]
        self.legal_reads.clear()
        if self.kinds[action] is Kind.READ_ONLY:
            self.pending_reads[action] = self.pending_reads.get(action, 0) | bit
            self.reads |= bit
            return
        same = self.pending.setdefault(action, [])
        same.append((self.operations[number].returned, bit))
        same.sort()
        if self.kinds[action] is Kind.BLIND:
            self.blind |= bit

    def _unpend(self, number: int, bit: int) -> None:
        action = self.action_of[number]
        self.legal_reads.clear()
        if self.kinds[action] is Kind.READ_ONLY:
            self.pending_reads[action] &= ~bit
            if not self.pending_reads[action]:
                del self.pending_reads[action]
            self.reads &= ~bit
            return
        same = self.pending[action]
        same.remove((self.operations[number].returned, bit))
        if not same:
            del self.pending[action]
        self.blind &= ~bit

    def _seen_in(self, state: int) -> int:
        """Bits of the pending reads that the state satisfies."""
        seen = self.legal_reads.get(state)
        if seen is None:
            seen = 0
            for action, bits in self.pending_reads.items():
                if self._step(action, state) >= 0:
                    seen |= bits
            self.legal_reads[state] = seen
        return seen

    def _settle(self, invoked: int) -> list[Configuration]:
        """The frontier with the operations invoked since the last completion."""
        return list(
            {
                (state, (to_place | invoked) & ~self._seen_in(state), optional, used)
                for state, to_place, optional, used in self.frontier
            }
        )

    def _complete(self, before: list[Configuration], bit: int) -> list[Configuration] | None:
        """The configurations in which the operation of `bit` has happened; None when there are too many."""
        after: set[Configuration] = set()
        stack: list[tuple[int, int, int, int, bool]] = []
        for state, to_place, optional, used in before:
            if to_place & bit:
                stack.append((state, to_place, optional, used, False))
            elif optional & bit:
                stack.append((state, to_place, optional, used, False))
                after.add((state, to_place, optional & ~bit, used))
            else:
                after.add((state, to_place, optional, used))
        visited = set(stack)
        limit = self.budget.configurations
        choices = self._choices()
        looked = 0
        while stack:
            looked += 1
            if not looked & 1023 and (len(visited) + len(after) > limit or time.monotonic() > self.budget.deadline):
                return None
            state, to_place, optional, used, unseen = stack.pop()
            for action, blind, same in choices:
                if blind and unseen:
                    continue
                next_state = self.steps[action].get(state)
                if next_state is None:
                    next_state = self._step(action, state)
                if next_state < 0:
                    continue
                chosen = 0
                next_used = used
                pending = to_place | optional
                for _, candidate in same:
                    if candidate & pending:
                        chosen = candidate
                        break
                else:
                    if action not in self.available:
                        continue
                    mask = self.field_mask.get(action, 0)
                    if mask and used & mask >= self.available[action]:
                        continue
                    next_used = used + self.unit[action]
                next_to_place = to_place & ~chosen
                next_optional = optional & ~chosen
                if blind:
                    next_optional |= next_to_place & self.blind
                    next_to_place &= ~self.blind
                seen = next_to_place & self._seen_in(next_state)
                next_to_place &= ~seen
                if (chosen | seen) & bit:
                    after.add((next_state, next_to_place, next_optional & ~bit, next_used))
                    continue
                node = (next_state, next_to_place, next_optional, next_used, blind and not seen)
                if node not in visited:
                    visited.add(node)
                    stack.append(node)
        if len(after) > limit:
            return None
        return self._prune(list(after))

    def _choices(self) -> list[tuple[int, bool, list[tuple[int, int]]]]:
        """(action, whether it is blind, its pending operations) of all that could be placed now."""
        choices = [(action, self.kinds[action] is Kind.BLIND, same) for action, same in self.pending.items()]
        none: list[tuple[int, int]] = []
        for action in self.available:
            if action not in self.pending:
                choices.append((action, self.kinds[action] is Kind.BLIND, none))
        return choices

    def _prune(self, configurations: list[Configuration]) -> list[Configuration]:
        """Without those that another dominates; FEW: only those that used the fewest."""
        if len(configurations) > 1:
            by_state: dict[int, list[Configuration]] = {}
            for configuration in configurations:
                by_state.setdefault(configuration[0], []).append(configuration)
            configurations = []
            for group in by_state.values():
                configurations += self._undominated(group) if 1 < len(group) <= DOMINANCE_MAX else group
        if self.uses is Uses.FEW and len(configurations) > FEW:
            configurations.sort(key=lambda each: (each[3] & _TOTAL, each[1].bit_count() - each[2].bit_count(), each))
            del configurations[FEW:]
        return configurations

    def _undominated(self, group: list[Configuration]) -> list[Configuration]:
        """Those of one state that no other is at least as free as, for every pending operation and every count."""
        group.sort(key=lambda each: (each[3] & _TOTAL, -each[2].bit_count(), each[1].bit_count()))
        kept: list[Configuration] = []
        reads, guards = self.reads, self.guards
        for configuration in group:
            _, to_place, optional, used = configuration
            fields = used >> _TOTAL_BITS << _TOTAL_BITS
            for _, free_to_place, free_optional, free_used in kept:
                if (
                    not optional & ~free_optional
                    and not (to_place ^ free_to_place) & ~free_optional & ~reads
                    and not free_to_place & reads & ~to_place
                    and ((fields | guards) - (free_used >> _TOTAL_BITS << _TOTAL_BITS)) & guards == guards
                ):
                    break
            else:
                kept.append(configuration)
        return kept


__all__ = ["NEVER", "Budget", "Outcome", "search"]
