"""What a person types at the question of a demo."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, Any
from unittest.mock import Mock

import pytest

from runner import acts
from runner_demo.answer import Asker


@pytest.fixture
def terminal() -> Iterator[tuple[IO[str], IO[str]]]:
    """(what the demo reads, what the person types into)"""
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as there, open(writing, "w", encoding="utf-8") as typed:
        yield there, typed


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("y\n", "approved"),
        (" YES \n", "approved"),
        ("n\n", "denied"),
        ("no\n", "denied"),
        ("", "denied"),  # the end of input
        ("perhaps\n", None),
        ("\n", None),
    ],
)
def test_what_is_typed_becomes_an_answer_or_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: tuple[IO[str], IO[str]],
    line: str,
    answer: str | None,
) -> None:
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(acts, "answer", lambda *_, **how: given.append(how))
    there, typed = terminal
    typed.write(line)
    typed.close()
    question = Mock(id=1, answer=None, plan="the plan that was shown")
    Asker("user:ann", there).wait(Mock(), "runner.yml", Mock(approvals=[question]), Mock())
    assert [(how["answer"], how["by"], how["plan"]) for how in given] == (
        [(answer, "user:ann", "the plan that was shown")] if answer else []
    )
    assert capsys.readouterr().out.count("Shall it run, ann? [y/n]") == (1 if answer else 2)
