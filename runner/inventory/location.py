"""From the labels of an alert to exact inventory hosts, each with where it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.config import Locate
from runner.inventory import Inventory
from runner.inventory.names import host_of, port_of

MOST = 12  #: candidates that are kept of one alert
INSTANCE = "instance"
_MAX_LABEL = 512  #: characters; no host name or URL that names one is longer
#: Ports at which exporters listen, and what they probe mostly does not.
_EXPORTERS = range(9090, 65_536)
_ALSO_EXPORTERS = frozenset({5000, 7979, 8000, 8080, 8081})
_ERLANG = re.compile(r"[a-z][a-z0-9_-]{0,31}@(.+)")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A host that the alert may be about; several where the text fits several."""

    hosts: tuple[str, ...]
    source: str  #: as in `label instance="web1:9100"`
    #: False: who tells of the alert, and not the host that is meant
    meant: bool = True


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where an alert is: one exact inventory host, or none and why not."""

    hosts: tuple[str, ...]
    reason: str  #: a sentence
    candidates: tuple[Candidate, ...] = ()  #: in the order in which they count
    gone: bool = False  #: it is a host of which nothing is known now

    def doubts(self, hosts: tuple[str, ...]) -> list[str]:
        """Why a person should look before anything runs on `hosts`, a clause each."""
        meant = [each for each in self.candidates if each.meant]
        found = []
        for each in meant:
            if not set(each.hosts) & set(hosts):
                named = " or ".join(each.hosts[:3])
                found.append(f"The {each.source} names {named}, not {', '.join(hosts)}")
        if not any(each.hosts == hosts for each in meant):
            found.append(f"No label of the alert names {', '.join(hosts)} itself")
        return found


def locate(labels: Mapping[str, str], label: str, inventory: Inventory) -> Location:
    """The host that one label names.

    Only equality with what the inventory says counts, so no text becomes a pattern.
    """
    hosts, reason = named_by(label, str(labels.get(label, "")), inventory)
    return at(hosts if len(hosts) == 1 else (), reason, inventory)


def at(
    hosts: tuple[str, ...],
    reason: str,
    inventory: Inventory,
    candidates: tuple[Candidate, ...] = (),
) -> Location:
    """The location of these hosts; of none where one is only known from a source of the inventory
    that cannot be read."""
    if gone := [host for host in hosts if host not in inventory.hosts]:
        reason = f"{reason} Of {gone[0]} nothing more is known: {inventory.lacks}."
        return Location(hosts=(), reason=reason, candidates=candidates, gone=True)
    return Location(hosts=hosts, reason=reason, candidates=candidates)


def find(
    labels: Mapping[str, str],
    inventory: Inventory,
    settings: Locate,
    *,
    first: Iterable[str] = (),
) -> Location:
    """The host that any label names: those of `first`, then those of `settings`, in their order.

    Labels that name different hosts give the first of them, with doubts. A label that fits
    several hosts is settled by another one that names one of them. Where an entry goes by a label
    of `first`, or an exporter tells of others, `instance` only says what was scraped.
    """
    found: list[tuple[Candidate, str]] = []
    why: list[str] = []
    first, by_first = tuple(first), False
    teller = told_by_another(labels, settings)
    for label in dict.fromkeys([*first, *settings.labels]):
        if label not in labels:
            continue
        hosts, sentence = named_by(label, labels[label], inventory)
        if checked := inventory.services.checked_at(labels[label]):
            hosts = tuple(sorted(checked))
            sentence = f"{label} is a check of a service on {', '.join(hosts[:5])}."
        if not hosts:
            why.append(sentence)
            continue
        # Where the label that the entry goes by names a host, `instance` only tells of it.
        own = teller and inventory.services.own_target(labels, hosts[0])
        meant = label != INSTANCE or label in first or own or not (teller or by_first)
        if not meant:
            why.append(f"{sentence[:-1]}, which tells of other hosts.")
        by_first = by_first or label in first
        source = f"label {label}={json.dumps(labels[label][:60])}"
        found.append((Candidate(hosts=hosts, source=source, meant=meant), sentence))
    if not any(labels.get(label) for label in settings.labels):
        meant_hosts, source = inventory.services.hosts_of(labels)
        if meant_hosts:
            hosts = tuple(sorted(meant_hosts))
            sentence = f"No label names a host, and {source} runs on {', '.join(hosts[:5])}."
            found.append((Candidate(hosts=hosts, source=source), sentence))
    candidates = tuple(each for each, _ in found[:MOST])
    for each, sentence in found:
        if each.meant and len(each.hosts) == 1:
            return at(each.hosts, sentence, inventory, candidates)
    why += [sentence for each, sentence in found if each.meant]
    reason = " ".join(why[:5]) or "The alert has no label that names a host; see locate.labels."
    return Location(hosts=(), reason=reason, candidates=candidates)


def told_by_another(labels: Mapping[str, str], settings: Locate) -> bool:
    """Whether `instance` is an exporter that tells of others, and not what it tells of."""
    job = "-".join(re.findall("[a-z0-9]+", labels.get("job", "")[:_MAX_LABEL].lower()))
    if _has_word(job, settings.tellers):
        return True
    port = port_of(labels.get(INSTANCE, "")[:_MAX_LABEL])
    own = port is not None and (port in _EXPORTERS or port in _ALSO_EXPORTERS)
    return own and _has_word(job, settings.probers)


def named_by(label: str, text: str, inventory: Inventory) -> tuple[tuple[str, ...], str]:
    """(hosts that the text of a label may mean, a sentence)."""
    if not text:
        return (), f"The alert has no label {label}."
    if len(text) > _MAX_LABEL:
        return (), f"The label {label} is longer than any host name."
    shown = f"{label}={json.dumps(text[:120])}"
    node = _ERLANG.fullmatch(text) if label == "node" else None  # as in rabbit@mq1
    hosts, way = inventory.names.find(text, host_of(node[1] if node else text))
    if not hosts:
        return (), f"{shown} matches no inventory host{inventory.names.why_not(text)}."
    if len(hosts) > 1:
        some = ", ".join(hosts[:5])
        return hosts, f"{shown} matches several inventory hosts by {way}: {some}."
    if hosts[0] in inventory.hosts and not inventory.exact(hosts[0]):
        return (), f"The host {hosts[0]} has a name that Ansible may take for a group or a pattern."
    return hosts, f"{shown} matches inventory host `{hosts[0]}` by {way}."


def _has_word(job: str, words: Iterable[str]) -> bool:
    return any(f"-{word}-" in f"-{job}-" for word in words)
