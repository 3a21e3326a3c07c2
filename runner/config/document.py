"""All of runner.yml."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from runner.config.access import Listen
from runner.config.client import Client
from runner.config.intake import (
    IGNORED,
    Alertmanager,
    Correlation,
    Ignore,
    Intake,
    Prometheus,
    Watch,
)
from runner.config.model import Model
from runner.config.nodes import Nodes
from runner.config.notify import Mask, Notify
from runner.config.policy import Autonomy, Policy
from runner.config.section import Section
from runner.config.work import Approval, Execution, Project, Retry, Store, Turns, Verification
from runner.incident import Level


class Config(Section):
    """All of runner.yml. `root` is the folder that it lies in."""

    root: Path = Path()
    level: Level = Level.DRY_RUN
    environment: str = "default"
    project: Project = Project()
    store: Store = Store()
    listen: Listen = Listen()
    http: Client = Client()
    prometheus: Prometheus | None = None
    alertmanagers: tuple[Alertmanager, ...] = ()
    intake: Intake = Intake()
    ignore: Ignore = IGNORED
    watches: tuple[Watch, ...] = ()
    correlation: Correlation = Correlation()
    decide: Literal["rules", "model", "both"] | None = None  #: None: both, once there is a model
    model: Model | None = None
    policy: Policy = Policy()
    autonomy: Autonomy = Autonomy()
    approval: Approval = Approval()
    turns: Turns = Turns()
    execution: Execution = Execution()
    verification: Verification = Verification()
    retry: Retry = Retry()
    notify: Notify = Notify()
    mask: Mask = Mask()
    nodes: Nodes = Nodes()

    @model_validator(mode="after")
    def _somebody_decides(self) -> Config:
        if self.decide in ("model", "both") and self.model is None:
            raise ValueError(f"decide: {self.decide} needs a section model")
        return self

    @property
    def deciders(self) -> Literal["rules", "model", "both"]:
        """Who chooses an entry."""
        return self.decide or ("rules" if self.model is None else "both")

    @model_validator(mode="after")
    def _agrees(self) -> Config:
        receivers = [receiver.name for receiver in self.notify.receivers]
        for budget in self.policy.budgets:
            if budget.owner is not None and budget.owner not in receivers:
                raise ValueError(
                    f"policy.budgets: owner {budget.owner} is none of notify.receivers"
                )
        kept = self.store.retention.incidents
        if self.autonomy.earn and kept < self.autonomy.window:
            raise ValueError(
                "autonomy.window is longer than store.retention.incidents, "
                "so what is to count would be gone"
            )
        return self

    @property
    def checks(self) -> Client:
        """How hosts are called by checks and watches: with the common trust, without headers."""
        return self.http.model_copy(update={"headers": {}, "header_files": {}})

    def path(self, path: Path) -> Path:
        """`path` as seen from the configuration's folder."""
        return path if path.is_absolute() else self.root / path
