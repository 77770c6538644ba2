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
unlimited (no counting, failure proves invalid), few (only configurations that used the fewest are kept, success
proves valid), exact (within the budget).

Cost: (completions) × (configurations), the latter bounded by 3^(pending operations) × states × uses, and
usually below ten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from checkers.linearizability.linearizable_model import ILLEGAL, Action, Budget, Kind, Model, Operation, Outcome, State
from harness.compiled import working_time

DOMINANCE_MAX = 400
"""Above so many configurations of one state, looking for dominated ones (quadratic) costs more than it saves."""
HOW_FAR_S, HOW_FAR_MB = 1.0, 50
"""To tell how far an order exists where there is none."""
_TOTAL_BITS = 24
_TOTAL = (1 << _TOTAL_BITS) - 1

Configuration = tuple[int, int, int, int]
"""state's number, operations to be placed (bits), optional ones (bits), crashed ones used (packed counts)."""


_Node = tuple[int, int, int, int, bool]
"""A configuration, and whether the last operation placed was a blind write that nothing has seen yet."""
_Choice = tuple[int, bool, list[tuple[int, int]]]
"""An action, whether it is blind, (returned, bit) of its pending operations."""


@dataclass(frozen=True)
class Uses:
    """How crashed operations are counted.

    counted: at most as often as they were invoked. keep: how many configurations are kept from completion to
    completion, those that used the fewest (None: all). more: how many more than the fewest possible may be used to get
    past one completion (None: any number).
    """

    counted: bool = True
    keep: int | None = None
    more: int | None = None


EXACT = Uses()
UNLIMITED = Uses(counted=False)
FEW = (Uses(keep=64, more=0), Uses(keep=64, more=1), Uses(keep=1024, more=2))
"""Tried in turn. The first is enough for 10,000 operations with 1 % crashed; a smaller one is not always."""


def search(model: Model, operations: Sequence[Operation], budget: Budget) -> Outcome:
    """Judge one object's operations (in any order; failed ones left out).

    A model whose states have no bound (`grows`) is never searched without counting: that would not end.
    """
    operations = model.needed(operations)
    if not any(operation.crashed for operation in operations):
        return _Search(model, operations, EXACT, budget).run()
    if not getattr(model, "grows", False):
        unlimited = _Search(model, operations, UNLIMITED, budget).run()
        if unlimited.linearizable is False:
            return replace(unlimited, ordered=False, completed=0)
    for uses in FEW:
        few = _Search(model, operations, uses, budget).run()
        if few.linearizable:
            return few
    return _Search(model, operations, EXACT, budget).run()


def how_far(model: Model, operations: Sequence[Operation], outcome: Outcome) -> Outcome:
    """The outcome of an object that has no order, with how far one exists.

    Where a search without counting has shown that there is none, what it placed may be no order: it may have used a
    crashed operation twice. An exact one, in a small budget, tells where orders end.
    """
    if outcome.ordered:
        return outcome
    exact = _Search(model, model.needed(operations), EXACT, Budget.of(HOW_FAR_S, HOW_FAR_MB)).run()
    if exact.linearizable is False:
        return replace(exact, proof=outcome.proof)
    return replace(outcome, completed=exact.completed)


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
        """Crashed actions invoked so far → the highest count allowed, in place (0 where nothing is counted)."""
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
            if not self.uses.counted:
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
            after = -1 if stepped is ILLEGAL else self._state_number(stepped)
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
            if after is None or working_time() > self.budget.deadline:
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
        """The configurations in which the operation of `bit` has happened; None when there are too many.

        Explored in the order of how many crashed operations were used, so that what is reached again with
        more of them can be left out at once.
        """
        after: set[Configuration] = set()
        levels: dict[int, list[_Node]] = {}
        reached: dict[tuple[int, int, int, bool], list[int]] = {}
        for state, to_place, optional, used in before:
            if (to_place | optional) & bit:
                levels.setdefault(used & _TOTAL, []).append((state, to_place, optional, used, False))
                reached.setdefault((state, to_place, optional, False), []).append(used)
            if not to_place & bit:
                after.add((state, to_place, optional & ~bit, used))
        choices = self._choices()
        found_at = min((each[3] & _TOTAL for each in after), default=None)
        held, looked, limit = len(before), 0, self.budget.configurations
        while levels:
            level = min(levels)
            if found_at is not None and self.uses.more is not None and level > found_at + self.uses.more:
                break
            stack = levels[level]
            while stack:
                looked += 1
                if not looked & 255 and (held + len(after) > limit or working_time() > self.budget.deadline):
                    return None
                for node, done in self._next(stack.pop(), bit, choices):
                    state, to_place, optional, used, unseen = node
                    if done:
                        after.add((state, to_place, optional & ~bit, used))
                        found_at = level if found_at is None else min(found_at, used & _TOTAL)
                        continue
                    known = reached.setdefault((state, to_place, optional, unseen), [])
                    if any(self._uses_no_more(fewer, used) for fewer in known):
                        continue
                    known.append(used)
                    held += 1
                    levels.setdefault(used & _TOTAL, []).append(node)
            del levels[level]
        if len(after) > limit:
            return None
        return self._prune(list(after))

    def _next(self, node: _Node, bit: int, choices: list[_Choice]) -> Iterator[tuple[_Node, bool]]:
        """(the node after it, whether the operation of `bit` has been placed) for each operation that may be placed."""
        state, to_place, optional, used, unseen = node
        pending = to_place | optional
        for action, blind, same in choices:
            if blind and unseen:
                continue
            after = self.steps[action].get(state)
            if after is None:
                after = self._step(action, state)
            if after < 0:
                continue
            chosen, used_after = 0, used
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
                used_after = used + self.unit[action]
            to_place_after = to_place & ~chosen
            optional_after = optional & ~chosen
            if blind:
                optional_after |= to_place_after & self.blind
                to_place_after &= ~self.blind
            seen = to_place_after & self._seen_in(after)
            to_place_after &= ~seen
            done = bool((chosen | seen) & bit)
            yield (after, to_place_after, optional_after, used_after, blind and not seen), done

    def _uses_no_more(self, fewer: int, used: int) -> bool:
        """Whether the first packed counts are at most the second, each of them."""
        if fewer == used:
            return True
        guards = self.guards
        counts, fewer_counts = used >> _TOTAL_BITS << _TOTAL_BITS, fewer >> _TOTAL_BITS << _TOTAL_BITS
        return ((counts | guards) - fewer_counts) & guards == guards

    def _choices(self) -> list[_Choice]:
        """(action, whether it is blind, its pending operations) of all that could be placed now."""
        choices = [(action, self.kinds[action] is Kind.BLIND, same) for action, same in self.pending.items()]
        none: list[tuple[int, int]] = []
        for action in self.available:
            if action not in self.pending:
                choices.append((action, self.kinds[action] is Kind.BLIND, none))
        return choices

    def _prune(self, configurations: list[Configuration]) -> list[Configuration]:
        """Without those that another dominates; at most `keep`, those that used the fewest."""
        if len(configurations) > 1:
            by_state: dict[int, list[Configuration]] = {}
            for configuration in configurations:
                by_state.setdefault(configuration[0], []).append(configuration)
            configurations = []
            for group in by_state.values():
                configurations += self._undominated(group) if 1 < len(group) <= DOMINANCE_MAX else group
        keep = self.uses.keep
        if keep is not None and len(configurations) > keep:
            configurations.sort(key=lambda each: (each[3] & _TOTAL, each[1].bit_count() - each[2].bit_count(), each))
            del configurations[keep:]
        return configurations

    def _undominated(self, group: list[Configuration]) -> list[Configuration]:
        """Those of one state that no other is at least as free as, for every pending operation and every count."""
        group.sort(key=lambda each: (each[3] & _TOTAL, -each[2].bit_count(), each[1].bit_count()))
        kept: list[Configuration] = []
        reads = self.reads
        for configuration in group:
            _, to_place, optional, used = configuration
            for _, free_to_place, free_optional, free_used in kept:
                if (
                    not optional & ~free_optional
                    and not (to_place ^ free_to_place) & ~free_optional & ~reads
                    and not free_to_place & reads & ~to_place
                    and self._uses_no_more(free_used, used)
                ):
                    break
            else:
                kept.append(configuration)
        return kept
