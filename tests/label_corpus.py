"""The label sets of tests/labels, and what the runner makes of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from runner.config import Locate
from runner.inventory import Inventory, parse
from runner.inventory.location import find
from runner.inventory.services import mount_point

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in (HERE / "labels").glob("*.yml"))


@dataclass(frozen=True)
class Answer:
    """What one label set gave, beside what is right."""

    id: str
    what: str  #: host, unit or mountpoint
    right: str | None
    given: str | None
    doubtful: bool = False  #: given to a person only

    @property
    def verdict(self) -> str:
        """right, wrong, missed or asked: an answer that nothing runs for without a person."""
        if _plain(self.given) == _plain(self.right):
            return "right"
        if self.given is None:
            return "missed"
        return "asked" if self.doubtful else "wrong"


@cache
def _read(path: Path) -> Any:
    return yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def inventory(name: str) -> Inventory:
    """The inventory of some label sets."""
    return listed(HERE / "labels" / "inventories" / f"{name}.yml")


@cache
def listed(path: Path) -> Inventory:
    """The inventory as Ansible lists it, with the one template in it filled in."""
    hostvars: dict[str, dict[str, Any]] = {}
    groups: dict[str, dict[str, list[str]]] = {}

    def take(group: str, content: Mapping[str, Any], above: Mapping[str, Any]) -> None:
        merged = {**above, **(content.get("vars") or {})}
        own = {str(host): given or {} for host, given in (content.get("hosts") or {}).items()}
        children = content.get("children") or {}
        groups[group] = {"hosts": list(own), "children": list(children)}
        for host, given in own.items():
            hostvars[host] = {**merged, **given}
        for child, below in children.items():
            take(child, below or {}, merged)

    take("all", _read(path)["all"], {})
    for variables in hostvars.values():
        if variables.get("ansible_host") == "{{ public_ip }}":
            variables["ansible_host"] = variables["public_ip"]
    return parse(json.dumps(groups | {"_meta": {"hostvars": hostvars}}))


def answers(folder: str, name: str) -> Iterator[Answer]:
    """Every answer to the label sets of one file; of `folder` "" or `heldout`."""
    content = _read(HERE / folder / "labels" / f"{name}.yml")
    known = inventory(content["inventory"])
    for case in content["cases"]:
        labels = case["labels"]
        place = find(labels, known, Locate())
        host = place.hosts[0] if place.hosts else None
        doubtful = bool(place.hosts) and bool(place.doubts(place.hosts))
        yield Answer(case["id"], "host", case["host"], host, doubtful)
        if host is not None and host == case["host"]:
            meant = known.services.meant(labels, host)
            yield Answer(case["id"], "unit", case.get("unit"), meant.unit, doubtful)
            mount = mount_point(labels)
            yield Answer(case["id"], "mountpoint", case.get("mountpoint"), mount, doubtful)


def counted(folder: str) -> Counter[tuple[str, str]]:
    """(what, verdict) → how many, over all files."""
    return Counter((each.what, each.verdict) for name in NAMES for each in answers(folder, name))


def _plain(text: str | None) -> str | None:
    return text and (text.removesuffix(".service").rstrip("/") or "/")
