"""Blast radius: what one run touches, and how many hosts and failure domains it may."""

from __future__ import annotations

from collections.abc import Iterator

from runner.incident import BlastRadius, Level, Reason
from runner.policy.capacity import EVERYTHING, reaches
from runner.policy.situation import Situation

DOMAIN = "runner_failure_domain"


def measure(situation: Situation) -> BlastRadius:
    """What the run touches and what stays in service, from the same facts as the rules."""
    groups, _ = reaches(situation)
    # The group of everything says something only where it has a minimum.
    told = [reach for reach in groups if reach.needed is not None or reach.group != EVERYTHING]
    plan = sorted(set(situation.hosts))
    return BlastRadius(
        hosts=tuple(plan),
        part=situation.part,
        delegates=tuple(host for host in situation.reach if host not in plan),
        groups=tuple(sorted(told, key=lambda reach: (reach.needed is None, reach.size))),
        domains=_domains(situation),
        unknown=situation.unknown_radius,
        health=situation.healthy is not None,
    )


def _domains(situation: Situation) -> tuple[str, ...]:
    given = (situation.variables.get(host, {}).get(DOMAIN) for host in situation.affected)
    return tuple(sorted({str(domain) for domain in given if domain is not None}))


def max_hosts(situation: Situation) -> Iterator[Reason]:
    """The entry bounds the plan's hosts, the configuration everything within reach."""
    count, allowed = len(set(situation.hosts)), situation.entry.target.max_hosts
    if not count:
        yield Reason(rule="max_hosts", level=Level.OBSERVE, text="The plan has no hosts.")
    if count > allowed:
        text = f"The plan has {count} hosts; entry {situation.entry.id} allows {allowed}."
        yield Reason(rule="max_hosts", level=Level.DRY_RUN, text=text)
    reach, bound = len(situation.reach), situation.config.policy.max_hosts
    if reach > bound:
        text = f"The run would touch {reach} hosts; policy.max_hosts is {bound}."
        yield Reason(rule="max_hosts", level=Level.DRY_RUN, text=text)


def failure_domains(situation: Situation) -> Iterator[Reason]:
    """Two failure domains at once do not start; an unknown one needs a person."""
    domains = {host: situation.variables.get(host, {}).get(DOMAIN) for host in situation.affected}
    known = _domains(situation)
    if len(known) > 1:
        text = f"The run would touch {len(known)} failure domains at once: {', '.join(known)}."
        yield Reason(rule="failure_domain", level=Level.DRY_RUN, text=text)
    missing = sorted(host for host, domain in domains.items() if domain is None)
    if known and missing:
        text = f"{', '.join(missing)} set no {DOMAIN}; other hosts within reach do."
        yield Reason(rule="failure_domain", level=Level.APPROVE, text=text)


def controller(situation: Situation) -> Iterator[Reason]:
    """A play on the runner's own machine is never without a person."""
    if situation.entry.target.controller:
        text = f"Plays of {situation.entry.id} run on the machine of the runner."
        yield Reason(rule="controller", level=Level.APPROVE, text=text)


def unknown_radius(situation: Situation) -> Iterator[Reason]:
    """What the play may touch cannot be read from its files."""
    for sentence in situation.unknown_radius:
        yield Reason(
            rule="radius", level=Level.APPROVE, text=f"The blast radius is not known: {sentence}"
        )
