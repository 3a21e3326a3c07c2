"""Which alerts the catalog has an entry for, told from alerting rules before anything fires.

A rule sets some labels; the others come from the series that its expression gives, and from
the server's external labels. So a matcher fits, does not fit, or depends on a label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from runner.catalog import Catalog, document
from runner.catalog.entry import Entry
from runner.catalog.near import NearMiss, near_misses
from runner.config import Locate
from runner.errors import UsageError
from runner.incident import Labels
from runner.text.matcher import Alternatives, all_match
from runner.text.series_labels import SeriesLabels, series_labels

#: The alerts of docs/prometheus-rules.yml: who watches the runner is no work for it.
OWN_ALERTS = frozenset(
    """
    RunnerDown RunnerStoreDown RunnerDeaf RunnerUnheard RunnerRefusing RunnerDeadLetters
    RunnerStuck RunnerWorkerDown RunnerRunOverdue RunnerIncidentStuck RunnerNotificationsFailing
    RunnerWatchFailing RunnerPredictionsLate RunnerNodesUnknown RunnerModelFailing RunnerPaused
    RunnerHeartbeat
    """.split()
)
#: Kinds of Kubernetes manifests whose `spec` is a rule file: of Prometheus and VictoriaMetrics.
_MANIFESTS = ("PrometheusRule", "VMRule")


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """One alerting rule, as far as matchers care."""

    name: str
    labels: Labels  #: as the rule writes them, possibly templates
    place: str  #: where it was read: a file with its group, or a server
    expr: str = ""  #: PromQL; empty: not known

    @property
    def known(self) -> dict[str, str]:
        """Labels whose value is certain before it fires."""
        literal = {name: value for name, value in self.labels.items() if "{{" not in value}
        return literal | {"alertname": self.name}

    @cached_property
    def left(self) -> SeriesLabels:
        """The labels that its expression leaves; none where it cannot be read."""
        try:
            return series_labels(self.expr) if self.expr else SeriesLabels()
        except ValueError:
            return SeriesLabels(names=frozenset())

    def may_have(self, label: str) -> bool:
        """Whether its alerts may carry the label."""
        return self.left.may_have(label) if label not in self.labels else True


@dataclass(frozen=True, kw_only=True)
class Fit:
    """An entry that is eligible for a rule's alerts, if the labels of `depends` allow."""

    entry: str
    depends: tuple[str, ...] = ()  #: labels that only the alert will tell; empty: certain
    considered: bool = False  #: it may only be proposed, by a model or a person


@dataclass(frozen=True, kw_only=True)
class Lost:
    """An entry that would be eligible, and labels that it needs and no alert of the rule has."""

    entry: str
    labels: tuple[str, ...]

    @property
    def why(self) -> str:
        """As in `the expression leaves no label instance`."""
        return f"the expression leaves no label {' and no '.join(self.labels)}"


def fits(rule: AlertRule, catalog: Catalog) -> tuple[Fit, ...]:
    """The remediation entries that may be chosen for this rule's alerts: those by `match` first,
    the certain ones before the others, then those by `consider`."""
    found = []
    for entry in catalog.by_kind("remediation"):
        fit = _fit(rule, entry, entry.match)
        if fit is None and (wider := _fit(rule, entry, entry.consider)) is not None:
            fit = replace(wider, considered=True)
        if fit is not None and not missing_labels(rule, entry, catalog):
            found.append(fit)
    return tuple(sorted(found, key=lambda fit: (fit.considered, len(fit.depends), fit.entry)))


def lost(rule: AlertRule, catalog: Catalog) -> tuple[Lost, ...]:
    """The entries whose `match` holds and that can never act: no alert of the rule names the
    host, or what the entry must be told."""
    return tuple(
        Lost(entry=entry.id, labels=labels)
        for entry in catalog.by_kind("remediation")
        if _fit(rule, entry, entry.match) and (labels := missing_labels(rule, entry, catalog))
    )


def _fit(rule: AlertRule, entry: Entry, alternatives: Alternatives) -> Fit | None:
    """How it is eligible, by the alternative that depends on least."""
    known, found = rule.known, []
    for matchers in alternatives:
        if all_match(tuple(matcher for matcher in matchers if matcher.label in known), known):
            depends = [matcher.label for matcher in matchers if matcher.label not in known]
            found.append(Fit(entry=entry.id, depends=tuple(dict.fromkeys(depends))))
    return min(found, key=lambda fit: len(fit.depends), default=None)


def missing_labels(rule: AlertRule, entry: Entry, catalog: Catalog) -> tuple[str, ...]:
    """Labels that the entry needs of the alert, for its host and its required values, and that
    no alert of this rule has. An entry may name several labels, of which one is enough."""
    specs = catalog.schemas.get(entry.id, {})
    # Another label than `instance` names a host where the rule or its expression says that it is
    # there; that an expression does not take one away is not enough.
    told = (*rule.labels, *(rule.left.names or ()))
    needed = [] if set(told) & set(Locate().labels) else [entry.target.label]
    needed += [
        parameter.name
        for name, parameter in entry.parameters.items()
        if parameter.kind == "label" and name in specs and specs[name].required
    ]
    return tuple(
        dict.fromkeys(
            each for each in needed if not any(rule.may_have(one) for one in each.split("|"))
        )
    )


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
    """The alerting rules of a rule file, or of manifests: PrometheusRule, VMRule, List of them.

    Each of several documents counts; manifests of another kind have no rules. A file without
    any group has none either, as Prometheus has it: empty, `null`, only comments.
    Raises UsageError with a sentence.
    """
    try:
        contents = document.read_all(path)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    try:
        return [rule for content in contents for rule in _rules(content, path)]
    except (TypeError, KeyError, AttributeError):
        raise UsageError(
            f"{path}: is not a rule file of Prometheus; it needs groups, each with name and rules"
        ) from None


def _rules(content: Any, path: Path) -> Iterator[AlertRule]:
    if content is None:
        return
    kind = content.get("kind")
    if kind == "List":
        for item in content["items"] or ():
            yield from _rules(item, path)
        return
    if kind is not None and kind not in _MANIFESTS and "apiVersion" in content:
        return
    spec = content["spec"] if kind in _MANIFESTS else content
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
                    expr=str(rule.get("expr") or ""),
                )
