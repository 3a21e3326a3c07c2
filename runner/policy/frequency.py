"""Frequency: cooldown, rates, and the breaker that opens when acting does not help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from runner.incident import Level, Reason
from runner.policy.situation import PastRun, Situation
from runner.text.duration import Rate, write


def cooldown(situation: Situation) -> Iterator[Reason]:
    """The same entry does not run again on the same host, or the same part of it, too soon."""
    own = situation.entry.limits.cooldown
    wanted = situation.config.policy.cooldown if own is None else own
    for host in situation.affected:
        starts = [
            min(situation.now, run.started_at)
            for run in situation.history
            if run.acted_on(host, situation.part)
            and run.entry == situation.entry.id
            and (situation.incident is None or run.incident != situation.incident)
        ]
        if starts and situation.now - max(starts) < wanted:
            place = f"{situation.part} of {host}" if situation.part else host
            text = (
                f"{situation.entry.id} ran on {place} at {max(starts):%Y-%m-%d %H:%M:%S} UTC; it "
                f"needs {write(wanted)} between runs."
            )
            until = max(starts) + wanted
            yield Reason(rule="cooldown", level=Level.OBSERVE, text=text, until=until)


def entry_rate(situation: Situation) -> Iterator[Reason]:
    """The entry's own `max_runs`."""
    rate = situation.entry.limits.max_runs
    if rate is not None:
        runs = (run for run in situation.history if run.entry == situation.entry.id)
        yield from _over(situation, rate, runs, rule="max_runs", who=f"Entry {situation.entry.id}")


def global_rate(situation: Situation) -> Iterator[Reason]:
    """`policy.max_runs`, over all entries."""
    rate = situation.config.policy.max_runs
    yield from _over(situation, rate, situation.history, rule="rate", who="The runner")


def host_rate(situation: Situation) -> Iterator[Reason]:
    """`policy.max_runs_per_host`: above what holds for each part, all parts of a host count."""
    if situation.part is None:
        return  # the cooldown is of the whole host then
    rate = situation.config.policy.max_runs_per_host
    for host in situation.affected:
        runs = (run for run in situation.history if host in run.hosts)
        yield from _over(situation, rate, runs, rule="host_rate", who=f"On {host} the runner")


def part_rate(situation: Situation) -> Iterator[Reason]:
    """`policy.max_runs_per_part`, over all entries."""
    if situation.part is None:
        return
    rate = situation.config.policy.max_runs_per_part
    for host in situation.affected:
        runs = (run for run in situation.history if run.acted_on(host, situation.part))
        who = f"On {situation.part} of {host} the runner"
        yield from _over(situation, rate, runs, rule="part_rate", who=who)


def breaker(situation: Situation) -> Iterator[Reason]:
    """Opens for an entry, or for a host, after too many runs that fixed nothing."""
    failed = [
        run
        for run in _within(situation, situation.history, situation.config.policy.breaker.within)
        if run.acted and run.failed
    ]
    of_entry = sum(run.entry == situation.entry.id for run in failed)
    yield from _open(situation, f"entry {situation.entry.id}", of_entry)
    for host in situation.reach:
        yield from _open(situation, f"host {host}", sum(host in run.hosts for run in failed))


def _open(situation: Situation, what: str, failures: int) -> Iterator[Reason]:
    bound = situation.config.policy.breaker
    if failures >= bound.failures:
        text = (
            f"The breaker is open for {what}: {failures} runs in {write(bound.within)} "
            f"failed or fixed nothing; the limit is {bound.failures}."
        )
        yield Reason(rule="breaker", level=bound.level, text=text)


def _over(
    situation: Situation, rate: Rate, runs: Iterable[PastRun], *, rule: str, who: str
) -> Iterator[Reason]:
    starts = sorted(run.started_at for run in _within(situation, runs, rate.per) if run.acted)
    if len(starts) >= rate.count:
        text = f"{who} started {len(starts)} runs in {write(rate.per)}; the limit is {rate.count}."
        # Of the runs that count now, the newest `count - 1` may still count then.
        until = starts[len(starts) - rate.count] + rate.per if rate.count else None
        yield Reason(rule=rule, level=Level.APPROVE, text=text, until=until)


def _within(situation: Situation, runs: Iterable[PastRun], window: timedelta) -> Iterator[PastRun]:
    """Runs younger than `window`; one from the future (a skewed clock) counts too."""
    return (run for run in runs if situation.now - run.started_at < window)
