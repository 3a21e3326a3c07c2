"""Nodes whose failure is looked for before it happens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from runner.config.section import AlertName, Finite, Section
from runner.text.duration import Duration, parse


class Signal(Section):
    """One measured sign of a node's health: how it is asked for, and what is too much."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    promql: Annotated[str, Field(min_length=1)]  #: a series per node, told apart by `nodes.label`
    direction: Literal["up", "down"] = "up"  #: where it gets worse
    warning: Finite
    critical: Finite
    weight: Annotated[float, Field(gt=0, le=1)] = 1.0  #: a tier takes a sum of 1
    unit: str = ""
    optional: bool = False  #: a node without it is still known

    @model_validator(mode="after")
    def _ordered(self) -> Signal:
        worse = self.critical - self.warning
        if (worse if self.direction == "up" else -worse) <= 0:
            raise ValueError(f"signal {self.name}: critical must be worse than warning")
        return self


class Greylist(Section):
    """When a node counts as having early signs, and when no more."""

    join_after: Duration = parse("3h")  #: of warning on end
    critical_after: Duration = parse("30m")  #: of critical on end
    leave_after: Duration = parse("36h")  #: of health on end; with less, busy nodes come and go
    remind_every: Duration = parse("1d")  #: 0 turns it off
    warning_alert: AlertName = "StorageNodeWarning"
    critical_alert: AlertName = "StorageNodeCritical"


class Nodes(Section):
    """Nodes whose failure is looked for before it happens; without a group none."""

    group: str | None = None  #: of the inventory
    spares: str | None = None  #: group of the inventory
    members: str | None = None  #: PromQL: a sample above 0 for each node that serves now
    label: str = "instance"
    every: Duration = parse("15m")
    window: Duration = parse("3d")  #: what trends are made from
    step: Duration = parse("10m")
    recent: Duration = parse("2h")  #: what counts as now
    warning_within: Duration = parse("2d")
    critical_within: Duration = parse("12h")
    signals: tuple[Signal, ...] = ()  #: empty: those of etcd that are built in
    greylist: Greylist = Greylist()

    @model_validator(mode="after")
    def _sound(self) -> Nodes:
        if not (self.step and self.every) or self.recent < 2 * self.step:
            raise ValueError("every and step must be longer than 0s, and recent at least two steps")
        if not 6 * self.recent <= self.window <= 2000 * self.step:
            raise ValueError("window must be at least six times recent, and at most 2000 steps")
        names = [signal.name for signal in self.signals]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two signals are called {min(twice)}; rename one")
        return self
