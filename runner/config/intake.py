"""Where alerts and measurements come from, and how alerts become incidents."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from runner.config.access import Credentials
from runner.config.client import Client
from runner.config.section import Section, Text
from runner.config.senders import Sender
from runner.text.duration import Duration, parse
from runner.text.matcher import parse_alternatives


def _each_a_matcher(value: Any) -> tuple[str | tuple[str, ...], ...]:
    """Each item is a matcher or a list of them. Raises ValueError with a sentence."""
    if not isinstance(value, str | list | tuple):
        raise ValueError("must be a list of Alertmanager matchers, each a text, or of such lists")
    items = [value] if isinstance(value, str) else value
    parse_alternatives([item if isinstance(item, list | tuple) else [item] for item in items])
    return tuple(item if isinstance(item, str) else tuple(item) for item in items)


#: Alerts that nobody is told of: matchers, or lists of which all must match; any item is enough.
Ignore = Annotated[tuple[str | tuple[str, ...], ...], BeforeValidator(_each_a_matcher)]
IGNORED: Ignore = (
    'alertname="Watchdog"',
    'alertname="InfoInhibitor"',
    'severity=~"(?i)none|info|information"',
)


class Prometheus(Client):
    """Where metrics are read."""

    url: str
    auth: Credentials = Credentials()
    timeout: Duration = parse("10s")


class Alertmanager(Client):
    """One Alertmanager peer."""

    url: str
    auth: Credentials = Credentials()
    timeout: Duration = parse("10s")


class Intake(Section):
    """How alerts are asked for, beside the webhook."""

    reconcile: Duration = parse("5m")  #: 0 turns it off
    poll: Duration = parse("30s")  #: of `alert pull --follow`
    receiver: str | None = None  #: only alerts routed to this Alertmanager receiver
    filters: tuple[str, ...] = ()  #: Alertmanager matchers
    #: after its end, an incident on an alert that is told to fire on is followed by another
    look_again: Annotated[Duration, Field(gt=timedelta())] = parse("1h")
    sources: tuple[Sender, ...] = ()  #: senders other than Alertmanager

    @model_validator(mode="after")
    def _each_once(self) -> Intake:
        names = [source.name for source in self.sources]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"sources names {min(twice)} twice")
        return self

    def source(self, name: str) -> Sender | None:
        """The sender of this name."""
        return next((source for source in self.sources if source.name == name), None)


class Watch(Client):
    """Trouble that the runner finds by itself."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    promql: str | None = None
    http: str | None = None
    every: Duration = parse("15s")
    for_: Duration = Field(default=parse("0s"), alias="for")
    clear_after: Duration = parse("0s")  #: healthy for so long before it counts as resolved
    timeout: Duration = parse("5s")
    status: Annotated[int, Field(ge=100, le=599)] = 200  #: what the URL must answer
    labels: dict[str, Text] = Field(default_factory=dict)
    annotations: dict[str, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> Watch:
        if bool(self.promql) == bool(self.http):
            raise ValueError(f"watch {self.name} needs either promql or http")
        if not self.every:
            raise ValueError(f"watch {self.name}: every must be longer than 0s")
        return self


class Correlation(Section):
    """Which alerts are one incident."""

    window: Duration = parse("5m")
    same_host: bool = True  #: same located host and service joins
    topology: str = "runner_depends_on"  #: inventory variable naming the hosts it needs
