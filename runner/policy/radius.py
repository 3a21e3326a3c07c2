"""Blast radius: how many hosts and failure domains one run may touch."""

from __future__ import annotations

from collections.abc import Iterator

from runner.incident import Level, Reason
from runner.policy.case import Case

DOMAIN = "runner_failure_domain"


def max_hosts(case: Case) -> Iterator[Reason]:
    """The entry bounds the plan's hosts, the configuration everything within reach."""
    count, allowed = len(set(case.hosts)), case.entry.target.max_hosts
    if not count:
        yield Reason(rule="max_hosts", level=Level.OBSERVE, text="The plan has no hosts.")
    if count > allowed:
        text = f"The plan has {count} hosts, entry {case.entry.id} allows {allowed}."
        yield Reason(rule="max_hosts", level=Level.REHEARSE, text=text)
    reach, bound = len(case.reach), case.config.policy.max_hosts
    if reach > bound:
        text = f"The run would touch {reach} hosts, policy.max_hosts is {bound}."
        yield Reason(rule="max_hosts", level=Level.REHEARSE, text=text)


def failure_domains(case: Case) -> Iterator[Reason]:
    """Two failure domains at once do not start; an unknown one needs a person."""
    domains = {host: case.variables.get(host, {}).get(DOMAIN) for host in case.affected}
    known = sorted({str(domain) for domain in domains.values() if domain is not None})
    if len(known) > 1:
        text = f"The run would touch {len(known)} failure domains at once: {', '.join(known)}."
        yield Reason(rule="failure_domain", level=Level.REHEARSE, text=text)
    missing = sorted(host for host, domain in domains.items() if domain is None)
    if known and missing:
        text = f"{', '.join(missing)} set no {DOMAIN}, others within reach do."
        yield Reason(rule="failure_domain", level=Level.APPROVE, text=text)


def unknown_radius(case: Case) -> Iterator[Reason]:
    """What the play may touch cannot be read from its files."""
    for sentence in case.unknown_radius:
        yield Reason(
            rule="radius", level=Level.APPROVE, text=f"The blast radius is not known: {sentence}"
        )
