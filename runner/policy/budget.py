"""Error budgets: runs that failed or fixed nothing, counted per service or group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.config import Budget
from runner.incident import Labels, Reason
from runner.policy.situation import PastRun, Situation
from runner.text.duration import write


@dataclass(frozen=True, kw_only=True)
class Account:
    """One budget of one service, group or part, and the runs that burnt it."""

    name: str  #: `service shop`, `group databases`, `unit nginx.service of web1`
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
    """A service, group or part whose budget is spent needs a person for each run."""
    for account in accounts(
        situation.config.policy.budgets, situation.history, situation.groups, situation.now
    ):
        if not account.spent:
            continue
        ours = _names(
            account.budget,
            situation.groups,
            hosts=situation.reach,
            part=situation.part,
            labels=situation.alert.labels,
        )
        if account.name in ours:
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
            names = _names(each, groups, hosts=run.hosts, part=run.part, labels=run.labels)
            for name in names:
                by_name.setdefault(name, []).append(run)
        for name, runs in sorted(by_name.items()):
            yield Account(name=name, budget=each, burnt=tuple(runs))


def _names(
    budget: Budget,
    groups: Mapping[str, tuple[str, ...]],
    *,
    hosts: Iterable[str],
    part: str | None,
    labels: Labels,
) -> list[str]:
    """The accounts of a budget that a run on these hosts belongs to. One that acts on no part of
    the budget's kind belongs to its hosts."""
    if budget.group is not None:
        members = set(groups.get(budget.group, ()))
        return [] if members.isdisjoint(hosts) else [f"group {budget.group}"]
    if budget.part is not None:
        of = f"{part} of" if part and part.startswith(f"{budget.part} ") else "host"
        return [f"{of} {host}" for host in hosts]
    value = labels.get(budget.label or "")
    return [f"{budget.label} {value}"] if value else []
