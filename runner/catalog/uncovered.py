"""What could be done about an alert without an entry: one sentence for a person."""

from __future__ import annotations

import re

from runner.catalog import Catalog
from runner.catalog.coverage import (
    AlertRule,
    fits,
    lost,
    misses,
    missing_labels,
)
from runner.catalog.entry import Entry

#: Words that say nothing of what an alert is about.
_PLAIN = frozenset(
    """
    a alert alertname an and any critical error errors for from has high host hosts http in info
    instance is it label low many node nodes none not of on one or prometheus severity some status
    than that the then there this to too total under up warning will with
    """.split()
)
#: Words that an alert and an entry share before the one is said to be about the other.
_SHARED = 2
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def suggest(rule: AlertRule, catalog: Catalog, shipped: Catalog) -> str:
    """The nearest way to an entry for this rule's alerts, among the project's and the shipped."""
    if gone := lost(rule, catalog):
        return f"{gone[0].entry} matches, but {gone[0].why}: keep it in the expression"
    for fit in fits(rule, shipped):
        if fit.entry not in catalog.entries:
            return f"{fit.entry} ships with the runner and matches: add it to project.shipped"
    for known in (catalog, shipped):
        if near := misses(rule, known):
            return f"{near[0].entry} names this alert, but {near[0].why}: change its match"
    if (entry := _about(rule, catalog, shipped)) is not None:
        add = f'if it fits, add alertname="{rule.name}" to its match'
        return f"{entry.id} may be about this ({entry.title}): read its README; {add}"
    return "no entry ships for this: make one of your own with `runner catalog new`"


def _about(rule: AlertRule, catalog: Catalog, shipped: Catalog) -> Entry | None:
    """The entry that shares most words with the rule, and whose host the alert can name."""
    asked = _words(rule.name)
    best: tuple[int, str] | None = None
    entries = {**shipped.entries, **catalog.entries}
    for name, entry in sorted(entries.items()):
        known = catalog if name in catalog.entries else shipped
        if entry.kind != "remediation" or missing_labels(rule, entry, known):
            continue
        matchers = [matcher for each in entry.match for matcher in each]
        named = [matcher.value for matcher in matchers if matcher.label == "alertname"]
        shared = len(asked & _words(" ".join([entry.id, entry.title, *named])))
        if shared >= _SHARED and (best is None or shared > best[0]):
            best = shared, name
    return entries[best[1]] if best else None


def _words(text: str) -> set[str]:
    found = {word.lower() for word in _WORD.findall(text)}
    return {word.removesuffix("s") for word in found - _PLAIN if len(word) > 2}
