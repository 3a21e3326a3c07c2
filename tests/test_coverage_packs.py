"""`docs/coverage.md`: what the shipped catalog answers of the alerts that public packs have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from runner.catalog import Catalog, load
from runner.catalog.coverage import AlertRule, fits, rules_in
from runner.inventory import Host, Inventory, locate
from runner.text.series_labels import series_labels
from tests import figures_page
from tests.test_reach_data import PACKS, answers, hosts_of, read

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PAGE = ROOT / "docs" / "coverage.md"


@cache
def catalog() -> Catalog:
    return load(ROOT / "playbooks", ())


@cache
def inventory() -> Inventory:
    names = hosts_of(read("packs", "inventory", "hosts.yml")["all"])
    return Inventory(hosts={name: Host(name=name) for name in names}, groups={})


@dataclass
class Figures:
    """Counts of alerts."""

    alerts: int = 0
    fixable: int = 0  #: a careful engineer lets a bounded playbook answer
    matched: int = 0  #: of these, a right entry is chosen by `match`
    considered: int = 0  #: of the others, a right entry may be proposed
    wrong: int = 0  #: of all alerts, rules may choose an entry that is not right

    @property
    def share(self) -> str:
        return f"{(self.matched + self.considered) / self.fixable:.0%}" if self.fixable else "-"

    def add(self, other: Figures) -> None:
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def chosen(rule: AlertRule, labels: dict[str, str]) -> Iterator[tuple[str, bool]]:
    """(entry, whether it is only considered) for an alert of this rule that came with `labels`:
    what coverage says of the rule, where these labels and the inventory bear it out."""
    delivered = AlertRule(name=rule.name, labels=labels, place=rule.place, expr="vector(1)")
    for fit in fits(delivered, catalog()):
        entry = catalog().get(fit.entry)
        named = [labels.get(label, "") for label in entry.target.label.split("|")]
        if not any(locate({"x": text}, "x", inventory()).hosts for text in named):
            continue
        if fit.considered or entry.eligible(labels):
            yield fit.entry, fit.considered


def figures_of(rule: AlertRule, answer: dict[str, Any]) -> Figures:
    found = list(chosen(rule, answer["labels"]))
    matched = {name for name, considered in found if not considered}
    considered = {name for name, considered in found if considered}
    right = set(answer["right"])
    return Figures(
        alerts=1,
        fixable=bool(right),
        matched=bool(right & matched),
        considered=bool(right & considered and not right & matched),
        wrong=bool(matched - right),
    )


def measured(folder: str, name: str) -> Figures:
    total = Figures()
    rules = rules_in(TESTS / folder / "packs" / f"{name}.yml")
    for rule, answer in zip(rules, answers(folder, name), strict=True):
        total.add(figures_of(rule, answer))
    return total


def cells(name: str, found: Figures) -> str:
    return figures_page.row(name, *map(int, astuple(found)), found.share)


HEAD = figures_page.row(
    "pack", "alerts", "fixable", "by `match`", "by `consider`", "wrong", "of the fixable"
) + figures_page.row(*["---"] * 7)


def test_the_page_says_what_the_catalog_answers() -> None:
    table, total = HEAD, Figures()
    for name in PACKS:
        found = measured("", name)
        table += cells(name, found)
        total.add(found)
    figures_page.hold(PAGE, "packs", table + cells("**all**", total))


def test_what_is_held_out_is_reported_apart() -> None:
    """Only its sum: nobody tunes on a pack of it."""
    total = Figures()
    for name in PACKS:
        total.add(measured("heldout", name))
    figures_page.hold(PAGE, "held out", HEAD + cells("held out", total))


@pytest.mark.parametrize("name", PACKS)
def test_an_expression_leaves_every_label_that_its_alert_has(name: str) -> None:
    """What was delivered is what somebody saw by reading: never fewer are said to be left."""
    for rule, answer in zip(rules_in(TESTS / "packs" / f"{name}.yml"), answers("", name),
                            strict=True):  # fmt: skip
        left = series_labels(rule.expr)
        others = answer["labels"].keys() - rule.labels.keys() - {"alertname"}
        if " on (" in rule.expr and "group_" not in rule.expr:
            others -= {"job", "quantile"}  # `on` leaves its labels alone, as some answers overlook
        assert [label for label in others if not left.may_have(label)] == [], rule.name
        hostless = not left.may_have("instance") and "instance" not in rule.labels
        assert not (hostless and "instance" in answer["labels"]), rule.name
