"""One bounded call of the model whose answer chooses nothing: no repair, no second model.

The slots and the ledger's bounds hold, and the call is kept like any other. What may run is not
touched by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from runner.decide.model import ModelDecider, kept, understood
from runner.decide.prompt import Rendered
from runner.incident.model_call import Failure, ModelCall, Round
from runner.text import brief

T = TypeVar("T")
#: Failures with which nothing was sent.
UNASKED = (Failure.BUDGET, Failure.BREAKER, Failure.BUSY)


@dataclass(frozen=True, kw_only=True)
class Told(Generic[T]):
    """What the model said, as `read` understood it, or why there is nothing."""

    value: T | None = None
    failure: Failure | None = None
    why: str = ""  #: masked; a sentence without its end


def tell(
    model: ModelDecider, shown: Rendered, schema: Mapping[str, Any], read: Callable[[str], T]
) -> Told[T]:
    """Ask once, and have `read` understand the text; it may raise Unusable. Raises StoreError."""
    if not model.slots.acquire(timeout=model.settings.deadline.total_seconds()):
        why = f"{model.settings.concurrency} calls are under way"
        return Told(failure=Failure.BUSY, why=why)
    try:
        settings = model.settings
        messages = [("system", shown.system), ("human", shown.question)]
        call = model.ledger.open(
            ModelCall(
                at=model.now(),
                round=Round.FIRST,
                provider=model.settings.provider,
                model=model.settings.name,
                prompt_hash=model.prompts.hash,
                question="",  # such an answer is never used again
                prompt="\n\n".join(f"--- {role}\n{text}" for role, text in messages),
            ),
            settings,
        )
        if call.failure is not None:
            return Told(failure=call.failure, why=call.detail)
        reply = model.request(
            settings,
            messages,
            dict(schema),
            timeout=settings.timeout.total_seconds(),
            max_tokens=settings.max_tokens,
        )
        value, reply = understood(reply, read)
        model.ledger.close(kept(model, settings, call, reply, requests=1))
        if reply.failure is None:
            return Told(value=value)
        why = brief(model.mask(f"{reply.failure} ({reply.detail})"), 300)
        return Told(failure=reply.failure, why=why)
    finally:
        model.slots.release()
