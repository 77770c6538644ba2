"""An object that has no order, in words: how far one exists, what breaks it, and what was possible there."""

from __future__ import annotations

from checkers.linearizability.linearizable_model import NEVER, Model, Outcome
from checkers.linearizability.linearizable_trouble import Trouble
from harness.verdict import Anomaly

TYPE = "nonlinearizable"
STATES_SHOWN = 8


def explained(model: Model, trouble: Trouble, counts: bool) -> Anomaly:
    """The anomaly of an object that is not linearizable. counts: whether it counts against the model asked for."""
    each, outcome = trouble.about, trouble.explained()
    proven = [trouble.call_at(place) for place in sorted({operation.invoked for operation in outcome.proof})]
    if outcome.stuck is None:
        sentence = f"{each.title}: {outcome.violation or 'no order of its operations explains them.'}"
        return Anomaly(
            type=TYPE,
            ops=sorted(call.record for call in proven),
            sentence=sentence,
            counts=counts,
            key=each.key,
            sub_history=trouble.records(proven or trouble.calls.calls),
        )
    stuck = trouble.call_at(outcome.stuck.invoked)
    states = [model.describe_state(state) for state in outcome.states]
    sentence = (
        f"{each.title}: client {stuck.process} {model.describe(stuck.action)}, and no order of the operations explains "
        f"it. {_how_far(model, outcome, states)}{_despite(trouble.in_flight(stuck))}."
    )
    if outcome.violation:
        sentence += f" The proof in short: {outcome.violation}"
    return Anomaly(
        type=TYPE,
        ops=[stuck.record],
        sentence=sentence,
        counts=counts,
        key=each.key,
        sub_history=trouble.records([*proven, stuck]) if proven else trouble.shrunk(stuck),
        details={
            "action": model.describe(stuck.action),
            "states": states,
            "placed": outcome.completed,
            "of": outcome.completions,
        },
    )


def _how_far(model: Model, outcome: Outcome, states: list[str]) -> str:
    """How far an order exists, and what was possible there: two sentences without the last one's end."""
    shown = ", ".join(states[:STATES_SHOWN]) + (" ..." if len(states) > STATES_SHOWN else "")
    held = f"held {shown}" if len(states) == 1 else f"held one of {shown}"
    if not outcome.ordered:
        return (
            f"How far an order exists was not found out: {outcome.completed} of {outcome.completions} completed ops "
            f"were put in one. But none of all that returned before leaves a place for this op"
        )
    such = "any such order" if outcome.complete else "those orders that were tried"
    return (
        f"The {outcome.completed} ops that returned before can be put in an order in which each takes effect at one "
        f"instant between its call and its return; after {such} the {model.noun} {held}, and from there this op has no "
        f"place"
    )


def _despite(flight: int) -> str:
    return f", even with the {flight} other ops that were in flight or of unknown outcome" if flight else ""


def gave_up(trouble: Trouble) -> str:
    """Why an object is undecided."""
    each, outcome = trouble.calls, trouble.explained()
    unknown = sum(call.returned == NEVER for call in each.calls)
    title = each.title[0].lower() + each.title[1:]
    return (
        f"{title}: undecided when the budget of time or memory ran out: {outcome.completed} of {outcome.completions} "
        f"completed ops were placed; {unknown} ops of unknown outcome may have happened at any time"
    )
