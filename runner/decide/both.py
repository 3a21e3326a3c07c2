"""What rules and model said, as one decision: both answers are kept, none is overruled silently."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from runner.decide.answer import DECIDER
from runner.decide.model import Opinion
from runner.incident import Decision


@dataclass(frozen=True, kw_only=True)
class Settled:
    """The decision that counts, and every answer that policy must see."""

    decision: Decision
    kept: tuple[Decision, ...]


def settle(
    rules: Decision,
    opinion: Opinion,
    *,
    deciders: Literal["model", "both"],
    on_failure: Literal["rules", "escalate"],
) -> Settled:
    """Who counts. Where both chose, the rules' entry goes on, and policy sees that they differ.

    No text can then make another entry run than without a model. Where only one chose, its
    entry goes on; the other's "none" is a disagreement. With the model alone its entry goes on,
    but where the rules say otherwise policy sees that too, and a person is asked: no text makes
    anything run by itself. Without an answer of the model the rules count alone, and if the
    question itself may have caused that, it is a disagreement as well.
    """
    if opinion.decision is None:
        nothing = Decision(decider=DECIDER, entry=None, reason=opinion.reason, confidence=0.0)
        if deciders == "model" and on_failure == "escalate":
            return Settled(decision=nothing, kept=(nothing,))
        noted = replace(rules, reason=f"{rules.reason} But {opinion.reason}.")
        if opinion.failure is not None and opinion.failure.of_content:
            return Settled(decision=noted, kept=(rules, nothing))
        return Settled(decision=noted, kept=(rules,))
    if deciders == "model":
        # Where the rules say otherwise a text may have made it choose: policy sees both.
        harmless = opinion.decision.entry in (rules.entry, None)
        kept = (opinion.decision,) if harmless else (rules, opinion.decision)
        return Settled(decision=opinion.decision, kept=kept)
    model = opinion.decision
    sure = f"{model.confidence:.0%} sure"
    if rules.entry is None and model.entry is None:
        reason = f"{rules.reason} The model also chose none: {model.reason}"
        first = replace(rules, reason=reason)
    elif rules.entry is None:
        reason = (
            f"The model chose {model.entry}, {sure}: {model.reason} But by rules: {rules.reason}"
        )
        first = replace(model, reason=reason)
    elif model.entry == rules.entry:
        reason = f"{rules.reason} The model agrees, {sure}: {model.reason}"
        first = replace(rules, reason=reason, values=model.values)
    else:
        other = model.entry or "none"
        reason = f"{rules.reason} But the model chose {other}: {model.reason}"
        first = replace(rules, reason=reason)
    return Settled(decision=first, kept=(rules, model))
