"""The language model, its bounds, and what it is not shown."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from runner.config.access import secret
from runner.config.client import Client
from runner.config.section import Section, Text
from runner.text.duration import Duration, parse


class Prices(Section):
    """Money for a million tokens, in any currency; 0 where it is not known."""

    input: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Endpoint(Client):
    """One model at one provider."""

    provider: Literal["openai", "anthropic", "google", "mistral", "nvidia", "ollama"] = "openai"
    name: Text
    base_url: str | None = None  #: None: the provider's own
    api_key: str | None = Field(default=None, repr=False)
    api_key_file: Path | None = None
    method: Literal["auto", "json_schema", "function_calling", "json_mode"] = "auto"
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    prices: Prices = Prices()

    @model_validator(mode="after")
    def _one_key(self) -> Endpoint:
        if self.api_key and self.api_key_file:
            raise ValueError("give api_key or api_key_file, not both")
        return self

    def key(self) -> str | None:
        """The key, read from its file at each call so that rotation needs no restart."""
        return self.api_key or secret(self.api_key_file)

    @property
    def loopback(self) -> bool:
        """Whether what is asked stays on this machine, as far as the address says so."""
        try:
            host = urlsplit(self.base_url or "").hostname or ""
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


class ModelBudget(Section):
    """What the model may cost; what is None has no bound."""

    calls_per_incident: Annotated[int, Field(ge=1, le=10)] = 2
    calls_per_hour: Annotated[int, Field(ge=0)] | None = 60
    calls_per_day: Annotated[int, Field(ge=0)] | None = 500
    money_per_hour: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    money_per_day: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class ModelBreaker(Section):
    """Leaves a provider alone that fails again and again."""

    failures: Annotated[int, Field(ge=1)] = 5
    within: Duration = parse("5m")


class Injection(Section):
    """Detectors of text that tries to steer the model."""

    enabled: bool = True
    patterns: tuple[str, ...] = ()  #: further regular expressions


class ModelMask(Section):
    """What is hidden from the model beyond `mask`."""

    personal: bool = True
    patterns: tuple[str, ...] = ()  #: further regular expressions


class Model(Endpoint):
    """The model that chooses among the eligible entries."""

    fallback: Endpoint | None = None
    on_failure: Literal["rules", "escalate"] = "rules"
    timeout: Duration = parse("30s")
    deadline: Duration = parse("2m")  #: for all calls of one incident together
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    max_tokens: Annotated[int, Field(ge=100, le=32_000)] = 1000
    max_evidence: Annotated[int, Field(ge=1000, le=200_000)] = 12_000  #: characters
    reuse: Duration = parse("1h")
    budget: ModelBudget = ModelBudget()
    breaker: ModelBreaker = ModelBreaker()
    injection: Injection = Injection()
    mask: ModelMask = ModelMask()
