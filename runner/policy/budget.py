"""Error budgets: runs that failed or fixed nothing, counted per service or group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.config import Budget
from runner.incident import Reason
from runner.policy.situation import PastRun, Situation
from runner.text.duration import write


@dataclass(frozen=True, kw_only=True)
class Account:
    """One budget of one service or group, and the runs that burnt it."""

    name: str  #: `service shop`, `group databases`
    budget: Budget
    burnt: tuple[PastRun, ...]

    @property
    def spent(self) -> bool:
        return len(self.burnt) >= self.budget.failures

    @property
    def text(self) -> str:
        return (
            f"The error budget of {self.name} is spent: {len(self.burnt)} runs in "
            f"{write(self.budget.within)} failed or fixed nothing; the limit is "
            f"{self.budget.failures}."
        )


def budget(situation: Situation) -> Iterator[Reason]:
    """A service or group whose budget is spent needs a person for each run."""
    for account in accounts(
        situation.config.policy.budgets, situation.history, situation.groups, situation.now
    ):
        if not account.spent:
            continue
        if (group := account.budget.group) is not None:
            ours = not set(situation.groups.get(group, ())).isdisjoint(situation.reach)
        else:
            label = account.budget.label or ""
            ours = account.name == f"{label} {situation.alert.labels.get(label)}"
        if ours:
            yield Reason(rule="budget", level=account.budget.level, text=account.text)


def accounts(
    budgets: Iterable[Budget],
    history: Sequence[PastRun],
    groups: Mapping[str, tuple[str, ...]],
    now: datetime,
) -> Iterator[Account]:
    """Every account that anything was burnt of.

    A run from the future (a skewed clock) counts too.
    """
    for each in budgets:
        by_name: dict[str, list[PastRun]] = {}
        for run in history:
            if not (run.acted and run.failed and now - run.started_at < each.within):
                continue
            if each.group is not None:
                if not set(groups.get(each.group, ())).isdisjoint(run.hosts):
                    by_name.setdefault(f"group {each.group}", []).append(run)
            elif value := run.labels.get(each.label or ""):
                by_name.setdefault(f"{each.label} {value}", []).append(run)
        for name, runs in sorted(by_name.items()):
            yield Account(name=name, budget=each, burnt=tuple(runs))
