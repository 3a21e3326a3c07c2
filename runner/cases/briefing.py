"""A case as the runner would see it: the alert, where it is, and the evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runner.cases.file import CaseFile, neutral
from runner.catalog import Catalog
from runner.catalog.choose import Option, options
from runner.catalog.entry import Entry
from runner.catalog.scan import Scan, scan
from runner.config import Config
from runner.errors import BadDelivery, CatalogError, InventoryError
from runner.evidence import gather
from runner.evidence.mask import Mask
from runner.evidence.number import number
from runner.evidence.probe import distinct
from runner.incident import Alert, AlertStatus, Evidence
from runner.intake.fingerprint import fingerprint
from runner.intake.payload import parse
from runner.inventory import Inventory, locate
from runner.inventory import parse as parse_inventory
from runner.inventory.reader import InventoryReader
from runner.project import INVENTORY_AGE

SOURCE = "case"  #: where the evidence of a case comes from


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all cases of a call share: the project as it stands, without store or network."""

    config: Config
    catalog: Catalog
    mask: Mask
    environment: Mapping[str, str]  #: for Ansible, when an inventory is read
    inventories: dict[Path | None, InventoryReader] = field(default_factory=dict)
    scans: dict[str, Scan] = field(default_factory=dict)

    def inventory(self, case: CaseFile) -> Inventory:
        """The inventory of a case. Raises InventoryError."""
        if isinstance(case.inventory, Mapping):
            # The inventory that a case writes down: hosts, each with variables and `groups`.
            groups: dict[str, dict[str, list[str]]] = {"all": {"hosts": list(case.inventory)}}
            variables: dict[str, dict[str, Any]] = {}
            for host, given in case.inventory.items():
                own = dict(given or {})
                named = own.pop("groups", [])
                for group in map(str, named if isinstance(named, list) else [named]):
                    groups.setdefault(group, {"hosts": []})["hosts"].append(host)
                variables[host] = own
            try:
                return parse_inventory(json.dumps({**groups, "_meta": {"hostvars": variables}}))
            except (TypeError, ValueError, RecursionError):
                raise InventoryError(
                    "inventory: a variable is neither text, number nor list"
                ) from None
        path = case.path.parent / case.inventory if case.inventory else None
        if path not in self.inventories:
            paths = (path,) if path else self.config.project.inventory
            self.inventories[path] = InventoryReader(paths, self.environment)
        return self.inventories[path].read(INVENTORY_AGE)

    def scan(self, entry: Entry) -> Scan:
        """Which hosts the entry's play may touch, read from its files once."""
        if entry.id not in self.scans:
            self.scans[entry.id] = scan(entry, self.catalog.roles)
        return self.scans[entry.id]


@dataclass(frozen=True, kw_only=True)
class Briefing:
    """What a decider is told."""

    case: CaseFile
    alert: Alert
    now: datetime
    inventory: Inventory
    hosts: tuple[str, ...]  #: empty when the alert is nowhere, or anywhere
    place: str  #: the sentence that says why there
    eligible: tuple[Entry, ...]  #: what rules choose from
    options: tuple[Option, ...]  #: what a model chooses from, the likeliest first
    evidence: tuple[Evidence, ...]

    def ask(self, query: str) -> bool | None:
        """Whether a condition holds, as the case says; None when it does not say."""
        return {_plain(q): truth for q, truth in self.case.conditions.items()}.get(_plain(query))


def of(case: CaseFile, setting: Setting, catalog: Catalog | None = None) -> Briefing:
    """What a decider is told of a case. Raises CatalogError or InventoryError with a sentence."""
    catalog = catalog or setting.catalog
    alert, now = _alert(case)
    try:
        inventory = setting.inventory(case)
    except InventoryError as error:
        raise InventoryError(f"{case.path}: {error}") from None
    eligible = catalog.eligible(alert.labels)
    where = locate(alert.labels, catalog.target_labels(alert.labels), inventory)
    told = case.evidence
    logs = {name: distinct(setting.mask(text).splitlines()) for name, text in told.logs.items()}
    # In the order in which the step gathers.
    pieces = [
        *gather.alert(alert, at=now),
        *_texts("fact", "Facts", told.facts, now),
        *_texts("metric", "Metric", told.metrics, now),
        *gather.inventory([inventory.hosts[host] for host in where.hosts], at=now),
        *_texts("history", "Similar incidents", told.history, now),
        *_texts("log", "Log", logs, now),
    ]
    for entry in eligible:
        pieces += gather.runbook(entry.readme, at=now)
    return Briefing(
        case=case,
        alert=alert,
        now=now,
        inventory=inventory,
        hosts=where.hosts,
        place=where.reason,
        eligible=eligible,
        options=options(
            catalog, alert.labels, [inventory.hosts[host].variables for host in where.hosts]
        ),
        evidence=number(pieces, setting.mask),
    )


def _alert(case: CaseFile) -> tuple[Alert, datetime]:
    """What fires, and the moment at which it is looked at."""
    if case.webhook is not None:
        try:
            found = parse(json.dumps(case.webhook).encode(), source=SOURCE).alerts
        except (BadDelivery, TypeError, ValueError) as error:
            raise CatalogError(f"{case.path}: webhook: {error}") from None
        firing = [alert for alert in found if alert.status is AlertStatus.FIRING]
        if len(firing) != 1:
            raise CatalogError(
                f"{case.path}: webhook has {len(firing)} firing alerts; one is needed"
            )
        alert = firing[0]
        return alert, case.at or alert.starts_at + timedelta(minutes=2)
    assert case.alert is not None, "the file has either"
    now = case.at or neutral()
    alert = Alert(
        fingerprint=fingerprint(case.alert.labels),
        status=AlertStatus.FIRING,
        labels=case.alert.labels,
        annotations=case.alert.annotations,
        starts_at=now - case.alert.age,
        source=SOURCE,
    )
    return alert, now


def _texts(kind: str, title: str, texts: Mapping[str, str], at: datetime) -> Iterator[Evidence]:
    for name, text in texts.items():
        yield Evidence(number=0, kind=kind, source=SOURCE, title=name or title, text=text, at=at)


def _plain(query: str) -> str:
    return " ".join(query.split())
