"""Blast radius: what one run touches, and how many hosts and failure domains it may."""

from __future__ import annotations

from collections.abc import Iterator

from runner.incident import BlastRadius, Level, Reason
from runner.policy.capacity import EVERYTHING, reaches
from runner.policy.case import Case

DOMAIN = "runner_failure_domain"


def measure(case: Case) -> BlastRadius:
    """What the run touches and what stays in service, from the same facts as the rules."""
    groups, _ = reaches(case)
    # The group of everything says something only where it has a minimum.
    told = [reach for reach in groups if reach.needed is not None or reach.group != EVERYTHING]
    plan = sorted(set(case.hosts))
    return BlastRadius(
        hosts=tuple(plan),
        delegates=tuple(host for host in case.reach if host not in plan),
        groups=tuple(sorted(told, key=lambda reach: (reach.needed is None, reach.size))),
        domains=_domains(case),
        unknown=case.unknown_radius,
        health=case.healthy is not None,
    )


def _domains(case: Case) -> tuple[str, ...]:
    given = (case.variables.get(host, {}).get(DOMAIN) for host in case.affected)
    return tuple(sorted({str(domain) for domain in given if domain is not None}))


def max_hosts(case: Case) -> Iterator[Reason]:
    """The entry bounds the plan's hosts, the configuration everything within reach."""
    count, allowed = len(set(case.hosts)), case.entry.target.max_hosts
    if not count:
        yield Reason(rule="max_hosts", level=Level.OBSERVE, text="The plan has no hosts.")
    if count > allowed:
        text = f"The plan has {count} hosts; entry {case.entry.id} allows {allowed}."
        yield Reason(rule="max_hosts", level=Level.DRY_RUN, text=text)
    reach, bound = len(case.reach), case.config.policy.max_hosts
    if reach > bound:
        text = f"The run would touch {reach} hosts; policy.max_hosts is {bound}."
        yield Reason(rule="max_hosts", level=Level.DRY_RUN, text=text)


def failure_domains(case: Case) -> Iterator[Reason]:
    """Two failure domains at once do not start; an unknown one needs a person."""
    domains = {host: case.variables.get(host, {}).get(DOMAIN) for host in case.affected}
    known = _domains(case)
    if len(known) > 1:
        text = f"The run would touch {len(known)} failure domains at once: {', '.join(known)}."
        yield Reason(rule="failure_domain", level=Level.DRY_RUN, text=text)
    missing = sorted(host for host, domain in domains.items() if domain is None)
    if known and missing:
        text = f"{', '.join(missing)} set no {DOMAIN}; other hosts within reach do."
        yield Reason(rule="failure_domain", level=Level.APPROVE, text=text)


def unknown_radius(case: Case) -> Iterator[Reason]:
    """What the play may touch cannot be read from its files."""
    for sentence in case.unknown_radius:
        yield Reason(
            rule="radius", level=Level.APPROVE, text=f"The blast radius is not known: {sentence}"
        )
