"""Case files for tests, over the shipped catalog."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from runner import catalog
from runner.cases.briefing import Setting
from runner.cases.file import CaseFile, load
from runner.cases.run import Decide, Tried, rules_alone, run
from runner.catalog import Catalog
from runner.config import Config, build
from runner.evidence.mask import Mask

ROOT = Path(__file__).parents[1]
SHIPPED = catalog.load(ROOT / "playbooks", ())

DOWN: dict[str, Any] = {
    "title": "A service is down",
    "alert": {
        "labels": {
            "alertname": "ServiceDown",
            "instance": "web1:9100",
            "service": "app",
            "severity": "critical",
        }
    },
    "inventory": {
        name: {"groups": ["web"], "runner_level": "auto"} for name in ("web1", "web2", "web3")
    },
    "expect": {"entry": "restart_service", "hosts": ["web1"], "level": "auto"},
}


def content(**changes: Any) -> dict[str, Any]:
    """The case of a service that is down; a mapping in `changes` is laid over its own."""
    made = deepcopy(DOWN)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict) and key != "inventory"
        made[key] = {**made[key], **value} if both else value
    return {key: value for key, value in made.items() if value is not None}


def write(path: Path, given: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(given if isinstance(given, str) else yaml.safe_dump(given))
    return path


def case(folder: Path, **changes: Any) -> CaseFile:
    return load(write(folder / "cases" / "one.yml", content(**changes)))


def config(**settings: Any) -> Config:
    return build(settings, root=ROOT)


def setting(found: Catalog = SHIPPED, **settings: Any) -> Setting:
    return Setting(config=config(**settings), catalog=found, mask=Mask(), environment={})


def tried(
    folder: Path, decide: Decide = rules_alone, *, decider: str = "rules", **changes: Any
) -> Tried:
    return run(case(folder, **changes), setting(), decide, decider=decider)
