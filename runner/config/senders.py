"""Senders other than Alertmanager: how their JSON becomes alerts, and who confirms those."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from runner.config.access import Credentials
from runner.config.client import Client
from runner.config.section import Section, Text
from runner.errors import CatalogError
from runner.incident import SOURCES, Level
from runner.text import promql
from runner.text.duration import Duration, parse

MAX_EXPRESSION = 1_000  #: characters of one expression
#: Labels whose names begin so steer the runner; no sender writes one.
RESERVED = "runner_"


def _expression(text: str) -> str:
    # Imported here: nobody else needs the library to read runner.yml.
    import jmespath

    if len(text) > MAX_EXPRESSION:
        raise ValueError(f"an expression has at most {MAX_EXPRESSION} characters")
    try:
        jmespath.compile(text)
    except (jmespath.exceptions.JMESPathError, RecursionError) as error:
        why = str(error).splitlines()[0] if str(error) else "it is nested too deeply"
        raise ValueError(f"{text!r} is not a JMESPath expression: {why}") from None
    return text


def _label(name: str) -> str:
    if name.startswith(RESERVED):
        raise ValueError(f"no sender writes the label {name}: {RESERVED} is for the inventory")
    return name


Expression = Annotated[str, AfterValidator(_expression)]
LabelName = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200), AfterValidator(_label)
]


class Confirm(Client):
    """Who is asked whether an alert of this sender fires: one of `promql`, `http` and `api`."""

    promql: str | None = None  #: it fires while this gives a sample
    http: str | None = None  #: it fires while this URL, of the alert's host, answers otherwise
    status: Annotated[int, Field(ge=100, le=599)] = 200  #: what `http` must answer
    api: str | None = None  #: URL of the sender's own API, which answers with JSON
    query: dict[str, Text] = Field(default_factory=dict)  #: of the API's URL
    body: dict[str, Any] | None = None  #: posted to the API as JSON; None: the API is read by GET
    firing: Expression | None = None  #: over the API's answer; it fires while this is true
    auth: Credentials = Credentials()  #: of the API
    timeout: Duration = parse("5s")

    @model_validator(mode="after")
    def _one_way(self) -> Confirm:
        if sum(each is not None for each in (self.promql, self.http, self.api)) != 1:
            raise ValueError("confirm needs one of promql, http and api")
        if (self.api is None) != (self.firing is None):
            raise ValueError("confirm.api and confirm.firing need each other")
        if self.api is None and (self.query or self.body or self.auth.configured):
            raise ValueError("confirm.query, confirm.body and confirm.auth are of confirm.api")
        if self.promql is not None:
            try:
                promql.names(self.promql)
            except CatalogError as error:
                raise ValueError(f"confirm.promql: {error}") from None
        return self


class Sender(Section):
    """One sender: who it is, how far its alerts may go, and where in its JSON they are."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,15}$")]
    auth: Credentials
    level: Level = Level.APPROVE  #: of its alerts, at most
    envelope: Literal["sns"] | None = None  #: what the JSON is wrapped in
    alerts: Expression = "@"  #: the alerts of a body: a list, or one
    status: Expression  #: of one alert
    firing: tuple[Text, ...] = ("firing",)  #: values of `status`, in any case
    resolved: tuple[Text, ...] = ("resolved",)
    ignored: tuple[Text, ...] = ()  #: what is no alert, such as an acknowledgement
    labels: dict[LabelName, Expression]  #: with the name, its identity
    labels_from: Expression | None = None  #: an object whose members are labels, too
    annotations: dict[LabelName, Expression] = Field(default_factory=dict)
    starts: Expression | None = None  #: RFC 3339, or seconds or milliseconds since 1970
    id: Expression | None = None  #: what pairs "firing" with "resolved"
    confirm: Confirm | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Sender:
        if self.name in SOURCES:
            raise ValueError(f"a source cannot be called {self.name}, which is one of our own")
        if not self.auth.configured:
            raise ValueError(f"source {self.name} needs an auth of its own")
        if self.level is Level.AUTO and self.confirm is None:
            raise ValueError(
                f"source {self.name}: level auto needs confirm, which is asked before each run"
            )
        if "alertname" not in self.labels and self.labels_from is None:
            raise ValueError(f"source {self.name} needs labels.alertname")
        words = [word.casefold() for word in (*self.firing, *self.resolved, *self.ignored)]
        if twice := {word for word in words if words.count(word) > 1}:
            raise ValueError(f"source {self.name}: status {min(twice)} is named twice")
        return self
