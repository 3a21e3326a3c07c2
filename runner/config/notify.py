"""Who is told, and what nobody is: `notify` and `mask`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from runner.config.access import secret
from runner.config.section import Section
from runner.incident import todays_word
from runner.text.duration import Duration, parse


class Receiver(Section):
    """Somebody to tell, by an apprise URL."""

    name: str
    url: str | None = Field(default=None, repr=False)
    url_file: Path | None = None
    on: tuple[str, ...] = (
        *("waiting", "held", "fixed", "escalated", "expired", "step", "left_out"),
        *("greylist_join", "greylist_remind", "spares_empty"),
    )
    format: Literal["text", "html"] = "text"

    @field_validator("on")
    @classmethod
    def _todays_words(cls, on: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(todays_word, on))

    @model_validator(mode="after")
    def _one_url(self) -> Receiver:
        if bool(self.url) == bool(self.url_file):
            raise ValueError(f"receiver {self.name} needs either url or url_file")
        return self

    def resolved(self) -> str:
        """The URL, which may hold a password: never log it."""
        return self.url or secret(self.url_file) or ""


class StormRules(Section):
    """When a receiver gets one message for many."""

    above: Annotated[int, Field(ge=1, le=10_000)] = 20  #: notifications of one receiver in `within`
    within: Duration = parse("1m")
    quiet: Duration = parse("30s")  #: without a new one, until the digest
    digest: Duration = parse("10m")  #: between two digests while it goes on


class Notify(Section):
    """Who is told of which transitions."""

    console: bool = True
    receivers: tuple[Receiver, ...] = ()
    storm: StormRules = StormRules()
    retries: Annotated[int, Field(ge=0, le=20)] = 10
    public_url: str | None = None  #: where people reach the dashboard, for links


class Mask(Section):
    """What must not reach evidence, notifications or a model."""

    patterns: tuple[str, ...] = ()  #: further regular expressions
