"""How far things may go: `policy` and `autonomy`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from runner.config.section import Section, Text
from runner.incident import Level
from runner.incident.part import Kind
from runner.text.duration import Duration, RateField, parse, parse_rate


class Freeze(Section):
    """A window in which nothing runs without a person."""

    name: str
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    start: Annotated[Text, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "00:00"
    end: Annotated[Text, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")] = "24:00"
    timezone: str = "UTC"
    from_date: Text | None = None  #: first day, YYYY-MM-DD
    to_date: Text | None = None  #: last day, YYYY-MM-DD
    level: Level = Level.APPROVE


class Breaker(Section):
    """Stops acting by itself when its acts do not help."""

    failures: Annotated[int, Field(ge=1)] = 3
    within: Duration = parse("1h")
    level: Level = Level.APPROVE


class Budget(Section):
    """How many runs may fail or fix nothing before a person is asked about each one."""

    label: str | None = None  #: a budget for each value of this label of the alerts
    group: str | None = None  #: or one for the hosts of this inventory group
    part: Kind | None = None  #: or one for each part of this kind, of each host
    failures: Annotated[int, Field(ge=1)] = 5
    within: Duration = parse("7d")
    level: Level = Level.APPROVE
    owner: str | None = None  #: receiver; None: what `runner_owner` of the hosts names

    @model_validator(mode="after")
    def _one_scope(self) -> Budget:
        if sum(map(bool, (self.label, self.group, self.part))) != 1:
            raise ValueError("a budget needs one of label, group and part")
        if not parse("1m") <= self.within <= parse("90d"):
            raise ValueError("within of a budget must be 1m to 90d")
        return self


class Policy(Section):
    """Bounds that hold for every entry."""

    max_hosts: Annotated[int, Field(ge=1)] = 5
    max_runs: RateField = parse_rate("10/1h")  #: of all entries together
    max_runs_per_host: RateField = parse_rate("6/1h")  #: of all parts of one host together
    max_runs_per_part: RateField = parse_rate("3/1h")  #: of one unit, mount point … of a host
    cooldown: Duration = parse("10m")  #: of entries that name none
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.7
    min_fidelity: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_alert_age: Duration = parse("6h")  #: older activations need a person
    max_hold: Duration = parse("1d")  #: for which an incident is held back, then it is for a person
    breaker: Breaker = Breaker()
    freeze: tuple[Freeze, ...] = ()
    budgets: tuple[Budget, ...] = ()


class Rung(Section):
    """What a record must show for one more level."""

    count: Annotated[int, Field(ge=1, le=1000)]  #: that went well since the last bad one
    bound: Annotated[float, Field(ge=0, lt=1)]  #: of all in the window, a lower bound


class UpliftRules(Section):
    """What happens to entries that are no better than waiting."""

    required: bool = False  #: without uplift there is no more than `level`
    level: Level = Level.APPROVE
    trials: Annotated[int, Field(ge=1, le=1000)] = 20  #: on either side; fewer is unknown
    history: Duration = parse("14d")  #: of the alerts in Prometheus
    refresh: Duration = parse("6h")  #: how often it is measured; 0 never

    @model_validator(mode="after")
    def _bounded(self) -> UpliftRules:
        if not parse("1h") <= self.history <= parse("90d"):
            raise ValueError("history must be 1h to 90d")
        return self


class Autonomy(Section):
    """How entries earn their level from their record."""

    earn: bool = False  #: false: nothing is earned and nothing is lost
    start: Level = Level.OBSERVE  #: of a record with nothing in it
    window: Duration = parse("90d")  #: what is older does not count
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.95  #: of the lower bounds
    forget_changed: bool = True  #: fixes by other files than those of now do not count
    dry_run: Rung = Rung(count=3, bound=0.4)
    approve: Rung = Rung(count=5, bound=0.5)
    auto: Rung = Rung(count=20, bound=0.8)
    uplift: UpliftRules = UpliftRules()

    @model_validator(mode="before")
    @classmethod
    def _older_key(cls, content: Any) -> Any:
        """`dry-run` is the older name of `dry_run`, accepted until v0.3."""
        if not isinstance(content, dict) or "rehearse" not in content:
            return content
        if "dry_run" in content:
            raise ValueError("rehearse is the older name of dry_run; keep only dry_run")
        rest = {key: value for key, value in content.items() if key != "rehearse"}
        return rest | {"dry_run": content["rehearse"]}

    @model_validator(mode="after")
    def _has_a_window(self) -> Autonomy:
        if not parse("1h") <= self.window <= parse("365d"):
            raise ValueError("window must be 1h to 365d")
        return self

    def rung(self, level: Level) -> Rung | None:
        """What `level` must be earned with; None for `observe`, which everything has."""
        return {"dry-run": self.dry_run, "approve": self.approve, "auto": self.auto}.get(level)
