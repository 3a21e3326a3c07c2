"""What could not be hidden is not sent: the libraries that find it must be there."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from runner.decide.ledger import Memory
from runner.decide.model import ModelDecider
from runner.decide.personal import hide_personal
from runner.decide.prompt import Prompts
from runner.errors import ConfigError
from tests import model_question
from tests.command_line import call
from tests.local_hosts import needs_ansible
from tests.small_project import make

pytestmark = needs_ansible  # `check` reads the inventory with ansible-inventory


@pytest.fixture(params=["stdnum", "phonenumbers"])
def missing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that is not installed here."""
    find, name = importlib.util.find_spec, str(request.param)
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda given, *rest: None if given == name else find(given, *rest),
    )
    return name


def decider(url: str, **changes: Any) -> ModelDecider:
    def never(*words: Any, **options: Any) -> Any:
        raise AssertionError("a question was sent")

    settings = model_question.settings(url, **changes)
    return ModelDecider(settings, Prompts(None, str), Memory(), mask=str, request=never)


def test_no_question_leaves_the_machine_without_a_library_that_hides(missing: str) -> None:
    """Invariant 13: a model outside of loopback is not asked at all."""
    with pytest.raises(ConfigError, match=f"cannot be hidden .* package {missing}, so nothing"):
        decider("https://models.example/v1")
    away = {"provider": "anthropic", "name": "x"}
    with pytest.raises(ConfigError, match="cannot be hidden from anthropic"):
        decider("http://127.0.0.1:9", fallback=away)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://localhost:9/v1", "http://[::1]:9"])
def test_a_model_of_this_machine_is_asked_all_the_same(missing: str, url: str) -> None:
    decider(url)


def test_a_model_of_this_machine_reads_the_numbers_that_cannot_be_found(missing: str) -> None:
    """Nothing fails; mail addresses are hidden by their form alone."""
    numbers = {"stdnum": "card 4111 1111 1111 1111", "phonenumbers": "call +49 30 901820"}
    assert hide_personal(f"{numbers[missing]} a@b.example") == f"{numbers[missing]} [personal]"


def test_who_hides_nothing_personal_needs_no_library(missing: str) -> None:
    decider("https://models.example/v1", mask={"personal": False})


def test_check_fails_where_a_library_is_missing(missing: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k")
    (tmp_path / "key").chmod(0o600)
    model = {"name": "m", "base_url": "https://models.example/v1", "api_key_file": "key"}
    result = call(make(tmp_path, settings={"model": model}), "check", "--output", "json")
    assert result.exit_code == 3
    wrong = [each for each in json.loads(result.stdout) if each["level"] == "error"]
    assert [each["topic"] for each in wrong] == ["model"]
    assert missing in wrong[0]["text"]
