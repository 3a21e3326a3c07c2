"""What may be chosen for an alert, best first: entries that match, then those that consider it.

The order is code's, from the alert's own name and labels and from what helped before. It decides
nothing: it is the order in which a model and people see the entries, and which dozen they see.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from runner.catalog import Catalog, parameters
from runner.catalog.entry import PLACES, Entry
from runner.catalog.from_alert import MeantUnit, cannot_be_chosen
from runner.catalog.near import nearest_miss
from runner.errors import RunnerError
from runner.incident import Labels
from runner.text.matcher import all_match, rank

MOST = 12  #: entries that are shown
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NAME = 200  #: characters of an alert's name that count
_ENDINGS = ("ing", "ed", "es", "s")


@dataclass(frozen=True, kw_only=True)
class Option:
    """One entry that may be chosen."""

    entry: Entry
    place: int  #: from 1; as likely entries have the same one
    why: str = ""  #: why it is only considered: what `match` wants and the labels are not


def options(
    catalog: Catalog,
    labels: Labels,
    hosts: Sequence[Mapping[str, Any]],
    fixed: Mapping[str, int] = MappingProxyType({}),
    meant: MeantUnit | None = None,
) -> tuple[Option, ...]:
    """Every entry that may be chosen for an alert with these labels on these hosts.

    `hosts` are the variables of each; an entry is only considered if the values that it requires
    can be found for them. `fixed` says how often an entry fixed this very alert before, `meant`
    which unit the alert means on its hosts; an entry that needs one that is not known is left out.
    """
    known = catalog.by_kind("remediation")
    found = [
        entry for entry in known if entry.eligible(labels) and not cannot_be_chosen(entry, meant)
    ]
    found += [
        entry
        for entry in known
        if entry.considered(labels) and not unfound(entry, catalog, labels, hosts, meant)
    ]
    return _ordered(found, known, labels, fixed)


def unfound(
    entry: Entry,
    catalog: Catalog,
    labels: Labels,
    hosts: Sequence[Mapping[str, Any]],
    meant: MeantUnit | None = None,
) -> str:
    """Why a value that the entry requires cannot be found, a sentence; empty when all can.

    What is chosen by a person or a model is left to them, and so is what only the host that a
    plan picks can tell.
    """
    if not hosts:
        return "the alert is on no host of the inventory"
    try:
        for part, place in _parts(entry, catalog):
            left = ("choice",) if place == "target" else ("choice", "inventory")
            own = {name: p for name, p in part.parameters.items() if p.kind not in left}
            resolved = part.model_copy(update={"parameters": own})
            parameters.resolve(
                resolved,
                catalog.schema(part.id),
                labels=labels,
                hostvars=parameters.agreed(resolved, hosts),
                chosen={},
                places=dict.fromkeys(PLACES, "host"),
                meant=meant,
            )
    except RunnerError as error:
        return str(error)
    return ""


def why_not(labels: Labels, entry: Entry) -> str:
    """Why `match` does not name an alert with these labels: what it wants, and what is there."""
    miss = nearest_miss(labels, entry)
    return miss.why if miss is not None else "the entry has no `match`"


def _parts(entry: Entry, catalog: Catalog) -> Iterable[tuple[Entry, str]]:
    if not entry.steps:
        yield entry, entry.target.host
    for step in entry.steps:
        for part, place in _parts(catalog.get(step.entry), catalog):
            yield part, step.host or place


def _ordered(
    found: Iterable[Entry], known: Sequence[Entry], labels: Labels, fixed: Mapping[str, int]
) -> tuple[Option, ...]:
    spoken = _words(labels.get("alertname", "")[:_NAME], *labels)
    common = Counter(word for entry in known for word in _said(entry))

    def likelihood(entry: Entry) -> tuple[Any, ...]:
        """Greater is more likely: what matches, what names the alert, what fixed it before, words
        that the two share (the rarer in the catalog, the more), and how little is missing."""
        miss = nearest_miss(labels, entry)
        shared = round(sum(1 / common[word] for word in spoken & _said(entry)), 6)
        wide = [each for each in entry.consider if all_match(each, labels)]
        return (
            entry.eligible(labels),
            miss is not None and not miss.of_other_alert,
            fixed.get(entry.id, 0),
            shared,
            -len(miss.failed) if miss is not None else -MOST,
            max(map(rank, wide), default=(0, (), ())),
        )

    scores = {entry.id: likelihood(entry) for entry in found}
    ordered = sorted(found, key=lambda entry: entry.id)
    ordered.sort(key=lambda entry: scores[entry.id], reverse=True)  # stable: ties stay by id
    options: list[Option] = []
    for number, entry in enumerate(ordered, start=1):
        before = options[-1] if options else None
        tied = before is not None and scores[before.entry.id] == scores[entry.id]
        place = before.place if before is not None and tied else number
        why = "" if entry.eligible(labels) else why_not(labels, entry)
        options.append(Option(entry=entry, place=place, why=why))
    return tuple(options)


def _said(entry: Entry) -> frozenset[str]:
    values = (matcher.value for matchers in entry.match for matcher in matchers)
    return _words(entry.id, entry.title, entry.description, *values)


@lru_cache(maxsize=2048)
def _words(*texts: str) -> frozenset[str]:
    """The words of names such as `NodeFilesystemSpaceFillingUp` and of prose, without endings."""
    found = set()
    for text in texts:
        for word in _WORD.findall(text):
            stem = word.lower()
            for ending in _ENDINGS:
                if stem.endswith(ending) and len(stem) - len(ending) >= 4:
                    stem = stem.removesuffix(ending)
                    break
            found.add(stem)
    return frozenset(word for word in found if len(word) > 2)
