"""Frequency: cooldown, rates, and the breaker that opens when acting does not help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from runner.incident import Level, Reason
from runner.policy.case import Case, PastRun
from runner.text.duration import Rate, write


def cooldown(case: Case) -> Iterator[Reason]:
    """The same entry does not run again on the same host too soon."""
    own = case.entry.limits.cooldown
    wanted = case.config.policy.cooldown if own is None else own
    for host in case.affected:
        starts = [
            min(case.now, run.started_at)
            for run in case.history
            if run.acted
            and run.entry == case.entry.id
            and host in run.hosts
            and (case.incident is None or run.incident != case.incident)
        ]
        if starts and case.now - max(starts) < wanted:
            text = (
                f"{case.entry.id} ran on {host} at {max(starts):%Y-%m-%d %H:%M:%S} UTC; it needs "
                f"{write(wanted)} between runs."
            )
            until = max(starts) + wanted
            yield Reason(rule="cooldown", level=Level.OBSERVE, text=text, until=until)


def entry_rate(case: Case) -> Iterator[Reason]:
    """The entry's own `max_runs`."""
    rate = case.entry.limits.max_runs
    if rate is not None:
        runs = (run for run in case.history if run.entry == case.entry.id)
        yield from _over(case, rate, runs, rule="max_runs", who=f"Entry {case.entry.id}")


def global_rate(case: Case) -> Iterator[Reason]:
    """`policy.max_runs`, over all entries."""
    rate = case.config.policy.max_runs
    yield from _over(case, rate, case.history, rule="rate", who="The runner")


def breaker(case: Case) -> Iterator[Reason]:
    """Opens for an entry, or for a host, after too many runs that fixed nothing."""
    failed = [
        run
        for run in _within(case, case.history, case.config.policy.breaker.within)
        if run.acted and run.failed
    ]
    of_entry = sum(run.entry == case.entry.id for run in failed)
    yield from _open(case, f"entry {case.entry.id}", of_entry)
    for host in case.reach:
        yield from _open(case, f"host {host}", sum(host in run.hosts for run in failed))


def _open(case: Case, what: str, failures: int) -> Iterator[Reason]:
    bound = case.config.policy.breaker
    if failures >= bound.failures:
        text = (
            f"The breaker is open for {what}: {failures} runs in {write(bound.within)} "
            f"failed or fixed nothing; the limit is {bound.failures}."
        )
        yield Reason(rule="breaker", level=bound.level, text=text)


def _over(
    case: Case, rate: Rate, runs: Iterable[PastRun], *, rule: str, who: str
) -> Iterator[Reason]:
    starts = sorted(run.started_at for run in _within(case, runs, rate.per) if run.acted)
    if len(starts) >= rate.count:
        text = f"{who} started {len(starts)} runs in {write(rate.per)}; the limit is {rate.count}."
        # Of the runs that count now, the newest `count - 1` may still count then.
        until = starts[len(starts) - rate.count] + rate.per if rate.count else None
        yield Reason(rule=rule, level=Level.APPROVE, text=text, until=until)


def _within(case: Case, runs: Iterable[PastRun], window: timedelta) -> Iterator[PastRun]:
    """Runs younger than `window`; one from the future (a skewed clock) counts too."""
    return (run for run in runs if case.now - run.started_at < window)
