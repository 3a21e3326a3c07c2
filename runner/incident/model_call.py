"""One call of a model as it is kept with its incident: question, answer, price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Failure(StrEnum):
    """Why a call gave no usable answer. First what others cause, then what text may."""

    TIMEOUT = "timeout"  #: no answer within the time that is configured
    UNREACHABLE = "unreachable"  #: no connection, or it broke
    RATE_LIMITED = "rate_limited"  #: the provider said 429
    SERVER_ERROR = "server_error"  #: the provider said 5xx
    DENIED = "denied"  #: the provider does not take the key
    REJECTED = "rejected"  #: the provider does not take the request
    UNAVAILABLE = "unavailable"  #: a package, a key or a prompt is missing here
    BUSY = "busy"  #: every slot of `model.concurrency` was taken all the time
    BUDGET = "budget"  #: a bound of `model.budget` is reached
    BREAKER = "breaker"  #: the provider failed too often in a row and is left alone
    LOST = "lost"  #: the runner went away while it waited for the answer

    REFUSED = "refused"  #: the model, or a filter of the provider, declined to answer
    TRUNCATED = "truncated"  #: the answer ended at the bound of tokens
    TOO_LARGE = "too_large"  #: more bytes than any honest answer has
    INVALID = "invalid"  #: the answer is not what was asked for, also after the repair

    @property
    def of_content(self) -> bool:
        """Whether what was asked may have caused it, so that text in the evidence may have, too."""
        return self in (Failure.REFUSED, Failure.TRUNCATED, Failure.TOO_LARGE, Failure.INVALID)

    @property
    def of_provider(self) -> bool:
        """Whether it says that the provider is not well: these open the breaker."""
        return self in (
            Failure.TIMEOUT,
            Failure.UNREACHABLE,
            Failure.RATE_LIMITED,
            Failure.SERVER_ERROR,
            Failure.TOO_LARGE,
        )

    @property
    def passes(self) -> bool:
        """Whether the same request may be answered a moment later."""
        return self in (Failure.UNREACHABLE, Failure.RATE_LIMITED, Failure.SERVER_ERROR)


class Round(StrEnum):
    """Which call of an incident it was."""

    FIRST = "first"  #: the question
    FALLBACK = "fallback"  #: the same question, to the second model
    REPAIR = "repair"  #: once more, with what was wrong with the answer
    EVIDENCE = "evidence"  #: once more, with what the probe brought back
    REUSED = "reused"  #: nobody was asked: an earlier answer to the same question counts


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """One call. Texts are masked; `answer` is what the model said, before anything was checked."""

    id: int = 0  #: given by the store; 0 before
    incident: int | None = None
    at: datetime
    round: Round
    provider: str
    model: str  #: as configured
    version: str = ""  #: as the provider names what answered
    prompt_hash: str  #: of the prompt files
    question: str  #: hash of everything that was asked, but for what differs from call to call
    prompt: str  #: system prompt and question
    answer: str = ""
    failure: Failure | None = None
    detail: str = ""  #: what was wrong, a sentence
    input_tokens: int = 0
    output_tokens: int = 0
    money: float = 0.0  #: by `model.prices`; 0 without prices
    seconds: float = 0.0
    requests: int = 0  #: sent to the provider: more than one when it was busy
    finish: str = ""  #: the provider's word for why the answer ended
    reused: int | None = None  #: id of the call whose answer counts again
