"""`docs/coverage.md`: what the shipped catalog answers of the alerts that public packs have."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from runner.catalog import Catalog, load
from runner.catalog.choose import options, unfound
from runner.catalog.coverage import rules_in
from runner.config import Locate
from runner.decide import rules
from runner.inventory.location import find
from runner.text.series_labels import series_labels
from tests import figures_page
from tests.label_corpus import listed
from tests.unit.test_reach_data import PACKS, answers

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
PAGE = ROOT / "docs" / "coverage.md"


@cache
def catalog() -> Catalog:
    return load(ROOT / "playbooks", ())


@dataclass
class Figures:
    """Counts of alerts."""

    alerts: int = 0
    fixable: int = 0  #: a careful engineer lets a bounded playbook answer
    matched: int = 0  #: of these, a right entry is chosen by `match`
    considered: int = 0  #: of the others, a right entry may be proposed
    wrong: int = 0  #: of all alerts, rules choose an entry that is not right

    @property
    def share(self) -> str:
        return f"{(self.matched + self.considered) / self.fixable:.0%}" if self.fixable else "-"

    def add(self, other: Figures) -> None:
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def chosen(labels: dict[str, str]) -> tuple[str | None, set[str]]:
    """(what rules choose, what may be proposed) for an alert with these labels: on the way of
    every alert, from its labels to a host, a unit and the entries whose values can be had."""
    inventory = listed(TESTS / "packs" / "inventory" / "hosts.yml")
    hosts = find(labels, inventory, Locate(), first=catalog().target_labels(labels)).hosts
    if not hosts:
        return None, set()
    meant = inventory.services.meant_on(labels, hosts)
    variables = [inventory.hosts[host].variables for host in hosts]
    able = [
        option
        for option in options(catalog(), labels, variables, meant=meant)
        if not unfound(option.entry, catalog(), labels, variables, meant)
    ]
    matching = [option.entry for option in able if not option.why]
    decision = rules.decide(labels, matching, lambda query: True, hosts=hosts)
    return decision.entry, {option.entry.id for option in able if option.why}


def figures_of(answer: dict[str, Any]) -> Figures:
    labels = {name: str(value) for name, value in answer["labels"].items()}
    entry, proposed = chosen(labels)
    right = set(answer["right"])
    return Figures(
        alerts=1,
        fixable=bool(right),
        matched=entry in right,
        considered=entry not in right and bool(right & proposed),
        wrong=entry is not None and entry not in right,
    )


def measured(folder: str, name: str) -> Figures:
    total = Figures()
    for answer in answers(folder, name):
        total.add(figures_of(answer))
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
