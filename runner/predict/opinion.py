"""What a model says of a node that the rules worry about, over the same numbered evidence.

Both answers are kept. The rules' tier counts; where the model sees another one, is not sure, or
gave an answer that text may have spoilt, a person is asked before anything runs (invariant 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner.config import Signal
from runner.decide.answer import Unusable, parse
from runner.decide.model import ModelDecider
from runner.decide.prompt import fence
from runner.decide.single import tell
from runner.nodes.classify import LONGEST, Prediction
from runner.nodes.tier import Tier
from runner.store.nodes import Said
from runner.text import brief, storable, visible
from runner.text.duration import write

BY = "model"
_BEFORE = 5  #: earlier predictions that it is told of
_REASON = 600
_SCHEMA: dict[str, Any] = {
    "title": "prediction",
    "description": "How the node stands.",
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "tier": {"type": "string", "enum": ["none", "warning", "critical"]},
        "hours": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "cited": {"type": "array", "items": {"type": "integer"}},
        "confidence": {"type": "number"},
    },
    "required": ["reason", "tier", "hours", "cited", "confidence"],
    "additionalProperties": False,
}


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What the model said; `tier` is unknown where its answer could not be used."""

    tier: Tier
    reason: str
    confidence: float = 0.0
    cited: tuple[int, ...] = ()
    expected: timedelta | None = None  #: until it fails

    @property
    def said(self) -> str:
        """One sentence or two, with how sure it is."""
        if self.tier is Tier.UNKNOWN:
            return f"The model gave no answer: {self.reason}."
        return f"The model sees {self.tier}, {self.confidence:.0%} sure: {self.reason}"


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str = Field(min_length=1)
    tier: Literal["none", "warning", "critical"]
    hours: float | None = Field(ge=0, allow_inf_nan=False)
    cited: list[int] = Field(min_length=1, max_length=64)
    confidence: float = Field(ge=0, le=1, allow_inf_nan=False)


def evidence(one: Prediction, signals: Sequence[Signal], before: Sequence[Said]) -> tuple[str, ...]:
    """What the model reads: each signal with its bounds, then what was said of the node before."""
    known = {signal.name: signal for signal in signals}
    measured = []
    for finding in one.findings:
        signal = known[finding.signal]
        unit = f" {signal.unit}" if signal.unit else ""
        now = "unknown" if finding.level is None else f"{finding.level:.4g}{unit}"
        text = (
            f"signal {finding.signal}: now {now}; warning {signal.warning:g}, "
            f"critical {signal.critical:g}, worse {signal.direction}. {finding.reason}"
        )
        if finding.expected is not None:
            text += f" Its trend reaches the critical bound in {write(finding.expected)}."
        measured.append(text)
    earlier = [
        f"{said.at:%Y-%m-%d %H:%M} UTC, by {said.by}: {said.tier}. {' '.join(said.reasons)}"
        for said in before[:_BEFORE]
    ]
    return (*measured, *earlier)


def ask(
    model: ModelDecider, one: Prediction, signals: Sequence[Signal], before: Sequence[Said]
) -> Opinion | None:
    """The model's opinion; None when it could not be asked, or did not answer.

    Raises StoreError, and ConfigError for prompts that cannot be used.
    """
    told = evidence(one, signals, before)
    shown = model.prompts.node(one.node, told, fence=fence())
    found = tell(model, shown, _SCHEMA, lambda text: read(text, len(told)))
    if found.value is not None:
        reason = brief(visible(storable(model.mask(found.value.reason))), _REASON)
        return Opinion(**{**vars(found.value), "reason": reason})
    if found.failure is not None and found.failure.of_content:
        return Opinion(tier=Tier.UNKNOWN, reason=found.why)
    return None


def read(text: str, evidence: int) -> Opinion:
    """The opinion in `text`, which rests on evidence from 1 to `evidence`. Raises Unusable."""
    try:
        said = _Answer.model_validate(parse(text), strict=True)
    except ValidationError as error:
        wrong = {".".join(map(str, each["loc"])): each["msg"] for each in error.errors()}
        raise Unusable("; ".join(f"{place}: {why}" for place, why in wrong.items())) from None
    if missing := [number for number in said.cited if not 1 <= number <= evidence]:
        raise Unusable(f"it cites evidence that does not exist: {missing[0]}")
    tier = Tier(said.tier)
    return Opinion(
        tier=tier,
        reason=said.reason,
        confidence=said.confidence,
        cited=tuple(said.cited),
        expected=None
        if said.hours is None or tier is Tier.NONE
        else timedelta(hours=min(said.hours, LONGEST / timedelta(hours=1))),
    )


def as_row(opinion: Opinion) -> dict[str, Any]:
    """What the store keeps of it, for `nodes.add_prediction`."""
    return {
        "by": BY,
        "tier": opinion.tier,
        "ahead": (opinion.expected, None, None),
        "reasons": (opinion.said,),
        "findings": [{"confidence": opinion.confidence, "cited": list(opinion.cited)}],
    }


def doubt(rules: Said | None, model: Said | None, least: float) -> str:
    """Why a person must be asked before anything runs; empty where nothing speaks against it.

    Only an opinion on the very prediction that the rules made last counts.
    """
    if rules is None or model is None or model.at != rules.at:
        return ""
    confidence = next((float(each.get("confidence", 0.0)) for each in model.findings), 0.0)
    if model.tier == rules.tier and confidence >= least:
        return ""
    return " ".join(model.reasons)
