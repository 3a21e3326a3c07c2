"""A question about two entries, and a decider whose model is the scripted server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runner.catalog.entry import Entry
from runner.catalog.parameters import ParameterSpec
from runner.config import Model
from runner.decide.ledger import Memory
from runner.decide.model import ModelDecider
from runner.decide.prompt import Choice, Prompts, Question
from runner.incident import Evidence

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LABELS = {"alertname": "Down", "instance": "web1:9100", "service": "shop"}
SPECS = {
    "restart_unit": ParameterSpec(name="restart_unit", required=True, description="The unit."),
    "restart_tries": ParameterSpec(name="restart_tries", type="int", description="How often."),
    "restart_mode": ParameterSpec(name="restart_mode", choices=("soft", "hard")),
}


def entry(id: str = "restart", **changes: Any) -> Entry:
    """An entry whose number of tries and mode may be chosen."""
    given: dict[str, Any] = {
        "id": id,
        "folder": Path(id),
        "title": f"Do {id}",
        "description": f"Does {id}.",
        "not_for": ["a full disk"],
        "role": id,
        "match": ['alertname="Down"'],
        "parameters": {
            "restart_unit": {"from": "label service"},
            "restart_tries": {"from": "choice", "value": 1},
            "restart_mode": {"from": "choice", "value": "soft"},
        },
    }
    return Entry.model_validate(given | changes)


def evidence(number: int = 1, text: str = "up: 0", **changes: Any) -> Evidence:
    """One item."""
    given: dict[str, Any] = {"kind": "metric", "source": "prometheus", "title": "up", "at": NOW}
    return Evidence(number=number, text=text, **(given | changes))


def question(**changes: Any) -> Question:
    """Two entries, two hosts, two items of evidence, one probe."""
    given: dict[str, Any] = {
        "labels": LABELS,
        "annotations": {"summary": "shop is down"},
        "choices": (
            Choice(entry=entry(), specs=SPECS),
            Choice(entry=entry("clean", parameters={})),
        ),
        "evidence": (evidence(), evidence(2, "disk: 40%")),
        "hosts": ("web1", "web2"),
        "probes": (entry("look", kind="probe", parameters={}),),
    }
    return Question(**(given | changes))


def settings(url: str = "http://127.0.0.1:9", **changes: Any) -> Model:
    """A model at `url`; a hanging one is given up after a second."""
    given = {"name": "scripted", "base_url": url, "timeout": "1s", "deadline": "60s"}
    return Model.model_validate(given | changes)


def decider(url: str, memory: Memory | None = None, **changes: Any) -> ModelDecider:
    """The decider with the shipped prompts. It does not wait between requests."""
    return ModelDecider(
        settings(url, **changes),
        Prompts(None, lambda text: text),
        memory or Memory(),
        mask=lambda text: text,
        sleep=lambda seconds: None,
    )


def read(probe: str) -> tuple[Evidence, ...]:
    """What the probe brings."""
    return (evidence(3, f"{probe}: the unit is dead", kind="log"),)
