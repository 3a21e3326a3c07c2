"""Which alerts the catalog has an entry for, told from alerting rules before anything fires.

A rule sets some labels; the others come from the series that its expression gives, and from
the server's external labels. So a matcher fits, does not fit, or depends on a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.catalog import Catalog, document
from runner.catalog.matcher import Alternatives, all_match
from runner.catalog.near import NearMiss, near_misses
from runner.errors import UsageError
from runner.incident import Labels

#: Kinds of Kubernetes manifests whose `spec` is a rule file: of Prometheus and VictoriaMetrics.
_MANIFESTS = ("PrometheusRule", "VMRule")


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """One alerting rule, as far as matchers care."""

    name: str
    labels: Labels  #: as the rule writes them, possibly templates
    place: str  #: where it was read: a file with its group, or a server

    @property
    def known(self) -> dict[str, str]:
        """Labels whose value is certain before it fires."""
        literal = {name: value for name, value in self.labels.items() if "{{" not in value}
        return literal | {"alertname": self.name}


@dataclass(frozen=True, kw_only=True)
class Fit:
    """An entry that matches or considers a rule's alerts, if the labels of `depends` allow."""

    entry: str
    depends: tuple[str, ...] = ()  #: labels that only the alert will tell; empty: certain


def fits(rule: AlertRule, catalog: Catalog) -> tuple[Fit, ...]:
    """The remediation entries that rules may choose for this rule's alerts, certain ones first."""
    return _fits(rule, ((entry.id, entry.match) for entry in catalog.by_kind("remediation")))


def considered(rule: AlertRule, catalog: Catalog) -> tuple[Fit, ...]:
    """The entries that may only be proposed for this rule's alerts, certain ones first."""
    chosen = {fit.entry for fit in fits(rule, catalog)}
    others = (entry for entry in catalog.by_kind("remediation") if entry.id not in chosen)
    return _fits(rule, ((entry.id, entry.consider) for entry in others))


def _fits(rule: AlertRule, entries: Iterable[tuple[str, Alternatives]]) -> tuple[Fit, ...]:
    """Those of which an alternative may fit, by the one that depends on the fewest labels."""
    known, found = rule.known, []
    for entry, alternatives in entries:
        possible = []
        for matchers in alternatives:
            certain = tuple(matcher for matcher in matchers if matcher.label in known)
            if all_match(certain, known):
                depends = [matcher.label for matcher in matchers if matcher.label not in known]
                possible.append(Fit(entry=entry, depends=tuple(dict.fromkeys(depends))))
        if possible:
            found.append(min(possible, key=lambda fit: len(fit.depends)))
    return tuple(sorted(found, key=lambda fit: (len(fit.depends), fit.entry)))


def misses(rule: AlertRule, catalog: Catalog) -> tuple[NearMiss, ...]:
    """The entries that name this alert, and cannot be chosen for it whatever else it carries."""
    possible = {fit.entry for fit in fits(rule, catalog)}
    others = (entry for entry in catalog.by_kind("remediation") if entry.id not in possible)
    sure = (
        replace(miss, failed=tuple(m for m in miss.failed if m.label in rule.known))
        for miss in near_misses(rule.known, others)
    )
    return tuple(miss for miss in sure if miss.failed)


def rules_in(path: Path) -> list[AlertRule]:
    """The alerting rules of a rule file, or of a manifest: PrometheusRule, VMRule, List of them.

    A file without any group has no rules, as Prometheus has it: empty, `null`, only comments.
    Raises UsageError with a sentence.
    """
    try:
        content = document.read(path)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    try:
        return list(_rules(content, path))
    except (TypeError, KeyError, AttributeError):
        raise UsageError(
            f"{path}: is not a rule file of Prometheus; it needs groups, each with name and rules"
        ) from None


def _rules(content: Any, path: Path) -> Iterator[AlertRule]:
    if content is None:
        return
    if content.get("kind") == "List":
        for item in content["items"] or ():
            yield from _rules(item, path)
        return
    spec = content["spec"] if content.get("kind") in _MANIFESTS else content
    if spec and "groups" not in spec:
        raise KeyError("groups")
    for group in (spec or {}).get("groups") or ():
        of_group: dict[Any, Any] = group.get("labels") or {}
        for rule in group.get("rules") or ():
            if rule.get("alert"):
                labels: dict[Any, Any] = of_group | (rule.get("labels") or {})
                yield AlertRule(
                    name=str(rule["alert"]),
                    labels={str(name): str(value) for name, value in labels.items()},
                    place=f"{path.name}, group {group['name']}",
                )
