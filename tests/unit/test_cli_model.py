"""What a person can read of a model: use by day, and one incident's calls word for word."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.config import Retention
from runner.incident.model_call import Failure, ModelCall, Round
from runner.project import Project
from runner.store import model_calls, retention
from runner.text.duration import parse
from tests import web_site
from tests.command_line import answered, call
from tests.small_project import make, project

NOW = datetime.now(UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path)


@pytest.fixture
def opened(path: Path) -> Iterator[Project]:
    made = project(path)
    yield made
    made.close()


def keep(opened: Project, incident: int | None, **changes: Any) -> None:
    given: dict[str, Any] = {
        "incident": incident, "at": NOW, "round": Round.FIRST, "provider": "openai",
        "model": "m", "version": "m-2026", "prompt_hash": "p" * 64, "question": "q",
        "prompt": "--- system\nBe brief.", "answer": '{"entry": "restart"}\x1b[2J',
        "input_tokens": 1200, "output_tokens": 40, "money": 0.5, "seconds": 1.5, "requests": 1,
    }  # fmt: skip
    with opened.database.write() as tx:
        model_calls.put(tx, ModelCall(**(given | changes)))


def test_an_incident_shows_its_calls_and_on_request_every_word(path: Path, opened: Project) -> None:
    incident = web_site.fixed(opened)
    keep(opened, incident)
    keep(opened, incident, requests=0, failure=Failure.BUDGET, detail="60 calls within a hour")
    keep(opened, incident, round=Round.REUSED, reused=1, requests=0)
    short = call(path, "incident", "show", incident).stdout
    assert "openai m (m-2026), first: answered; 1.5s, 1200 + 40 tokens, 0.5000 spent" in short
    assert "openai m was not asked: budget: 60 calls within a hour" in short
    assert "the answer of call 1 was used again" in short
    assert "Be brief." not in short
    long = call(path, "incident", "show", incident, "--prompt").stdout
    assert "Be brief." in long and '{"entry": "restart"}' in long and "\x1b" not in long
    assert len(answered(path, "incident", "show", incident)["calls"]) == 3


def test_usage_is_a_line_for_each_day_and_model(path: Path, opened: Project) -> None:
    keep(opened, None)
    keep(opened, None, failure=Failure.TIMEOUT, money=0.0)
    keep(opened, None, at=NOW - timedelta(days=20))
    lines = call(path, "model", "usage").stdout.splitlines()
    assert len(lines) == 2 and lines[0].startswith("DAY")
    assert lines[1].split()[:6] == [f"{NOW:%Y-%m-%d}", "openai", "m", "2", "1", "0"]
    days = answered(path, "model", "usage", "--days", 30)
    assert [(day["calls"], day["money"]) for day in days] == [(2, 0.5), (1, 0.5)]


def test_without_calls_it_says_so(path: Path) -> None:
    result = call(path, "model", "usage")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No model calls" in result.stderr


def test_texts_go_before_figures(opened: Project) -> None:
    """Invariant 14."""
    incident = web_site.fixed(opened)
    keep(opened, incident, at=NOW - timedelta(days=40))
    keep(opened, None, at=NOW - timedelta(days=100))
    with opened.database.write() as tx:
        gone = retention.sweep(tx, Retention(prompts=parse("30d")), NOW)
        (call,) = model_calls.of_incident(tx, incident)
    assert (gone["prompts"], gone["questions"]) == (2, 1)
    assert (call.prompt, call.answer, call.input_tokens) == ("", "", 1200)
