"""Cases put to a model over HTTP, recorded, and decided again from what was recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.cases import file
from runner.cases.briefing import Setting
from runner.cases.model import Asker, Recorder, Replayer, deciding
from runner.cases.report import Figures, figures
from runner.cases.run import Tried, rules_alone, run
from runner.errors import ConfigError, UsageError
from runner.incident import Level
from runner_demo.model_script import Seen
from runner_demo.model_server import ModelServer
from tests.case_files import ROOT, case, config, setting
from tests.figures_page import hold, row

NOTHING = {"entry": "none_of_these", "hosts": None, "level": None}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer("right") as made:
        yield made


def modelled(url: str, **changes: Any) -> Setting:
    section = {"name": "scripted", "base_url": url, "timeout": "60s", "retries": 0, **changes}
    return setting(model=section)


def decided(
    folder: Path, shared: Setting, link: Any = None, decider: Any = "model", **changes: Any
) -> Tried:
    decide = deciding(Asker(shared, link), decider)
    return run(case(folder, **changes), shared, decide, decider=decider)


def test_a_model_decides_a_case(tmp_path: Path, server: ModelServer) -> None:
    shared = modelled(server.url, prices={"input": 1, "output": 2})
    found = decided(tmp_path, shared, title="restart_service would be right")
    (trial,) = found.trials
    assert (trial.entry, trial.level, found.failures) == ("restart_service", Level.AUTO, ())
    assert trial.answer.calls == 1
    assert trial.answer.tokens > 100 and trial.answer.money > 0
    assert "would be right" not in str(server.requests)  # the title would give it away


def test_a_model_that_differs_from_the_rules_needs_a_person(
    tmp_path: Path, server: ModelServer
) -> None:
    server.choose = lambda _: "none_of_these"
    both = decided(tmp_path, modelled(server.url), decider="both")
    assert (both.trials[0].entry, both.trials[0].level) == ("restart_service", Level.APPROVE)
    alone = decided(tmp_path, modelled(server.url))
    assert alone.failures == ("none_of_these was chosen, restart_service is right",)


def test_a_miss_of_the_rules_is_one_of_both(tmp_path: Path, server: ModelServer) -> None:
    server.choose = lambda _: "none_of_these"
    known = {"expect": NOTHING, "misses": {"rules": "They do not read."}}
    found = decided(tmp_path, modelled(server.url), decider="both", **known)
    assert found.wrong and not found.failures
    assert found.trials[0].level is Level.APPROVE


def test_nobody_is_asked_where_nothing_is_eligible(tmp_path: Path, server: ModelServer) -> None:
    labels = {"alertname": "Watchdog", "instance": "web1"}
    found = decided(tmp_path, modelled(server.url), alert={"labels": labels}, expect=NOTHING)
    assert not found.failures
    assert server.requests == []


def test_no_answer_is_wrong_even_where_nothing_is_right(
    tmp_path: Path, server: ModelServer
) -> None:
    server.behaviours = ["500"]
    found = decided(tmp_path, modelled(server.url), expect=NOTHING)
    assert "the model gave no answer: server_error" in found.failures[0]
    told = figures("model", [found])
    assert (told.unanswered, told.accuracy) == (1, 0.0)


def test_what_was_recorded_is_decided_again_without_a_model(
    tmp_path: Path, server: ModelServer
) -> None:
    shared = modelled(server.url)
    first = decided(tmp_path, shared, Recorder(tmp_path / "kept"))
    asked = len(server.requests)
    again = decided(tmp_path, shared, Replayer(tmp_path / "kept"))
    assert again.trials[0].answer == first.trials[0].answer
    assert len(server.requests) == asked


def test_repeats_are_recorded_in_order(tmp_path: Path, server: ModelServer) -> None:
    answers = iter(["restart_service", "none_of_these"])
    server.choose = lambda _: next(answers)
    shared = modelled(server.url)
    one = case(tmp_path)
    live = deciding(Asker(shared, Recorder(tmp_path / "kept")), "model")
    first = run(one, shared, live, decider="model", repeat=2)
    again = deciding(Asker(shared, Replayer(tmp_path / "kept")), "model")
    second = run(one, shared, again, decider="model", repeat=2)
    said = [[trial.said for trial in each.trials] for each in (first, second)]
    assert said == [["restart_service", "none_of_these"]] * 2
    assert first.agreement == 0.5


@pytest.mark.parametrize("decider", ["model", "both"])
@pytest.mark.parametrize("text", [None, "[]", "{", '[{"text": 1}]', "\udcff"])
def test_what_is_not_recorded_is_no_guess(
    tmp_path: Path, server: ModelServer, text: str | None, decider: str
) -> None:
    shared = modelled(server.url)
    decided(tmp_path, shared, Recorder(tmp_path / "kept"))
    for path in (tmp_path / "kept").iterdir():
        path.unlink()
        if text is not None:
            path.write_bytes(text.encode(errors="surrogateescape"))
    found = decided(tmp_path, shared, Replayer(tmp_path / "kept"), decider)
    assert "use --record again" in found.failures[0]


def test_another_question_is_not_answered_by_an_old_answer(
    tmp_path: Path, server: ModelServer
) -> None:
    shared = modelled(server.url)
    decided(tmp_path, shared, Recorder(tmp_path / "kept"))
    logs = {"evidence": {"logs": "a new line"}}
    found = decided(tmp_path, shared, Replayer(tmp_path / "kept"), **logs)
    assert "is recorded" in found.failures[0]


def test_what_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="section model"):
        Asker(setting())
    with pytest.raises(UsageError, match="make it with --record"):
        Replayer(tmp_path / "nowhere")


def test_a_recording_holds_no_key(tmp_path: Path, server: ModelServer) -> None:
    """Invariant 13: a recording lies in a repository."""
    decided(tmp_path, modelled(server.url, api_key="key-4711"), Recorder(tmp_path / "kept"))
    assert server.keys == ["Bearer key-4711"]
    kept = [path.read_text() for path in (tmp_path / "kept").iterdir()]
    assert kept and not any("key-4711" in text for text in kept)
    assert json.loads(kept[0])[0]["input_tokens"] > 0


@pytest.mark.slow
def test_the_scripted_model_decides_every_shipped_case_and_the_page_has_the_figures(
    server: ModelServer,
) -> None:
    """It is told what is right, so these are figures of the path, not of a model."""
    shared, cases = modelled(server.url), [file.load(path) for path in file.find(config())]
    asker, tried = Asker(shared), []
    for one in cases:
        server.choose = lambda seen, right=one.expect.entry: _of(seen, right)
        tried.append(run(one, shared, deciding(asker, "model"), decider="model"))
    told = figures("scripted", tried)
    assert {each.case.name: each.failures for each in tried if each.failures} == {}
    assert (told.harmful, told.unanswered, told.accuracy) == (0, 0, 1.0)
    assert told.tokens / told.calls < 6000
    rules = figures("rules", [run(c, shared, rules_alone, decider="rules") for c in cases])
    hold(ROOT / "docs" / "cases.md", "shipped cases", _table(rules, told))


def _of(seen: Seen, right: tuple[str, ...]) -> str:
    return next((entry for entry in right if entry in seen.choices), "none_of_these")


def _table(*all_told: Figures) -> str:
    heads = ("decider", "cases", "accuracy", "acted", "of which right", "coverage", "harmful")
    rows = [
        row(
            f"`{told.decider}`", told.cases, f"{told.accuracy:.1%}", told.acted,
            f"{told.acted_precision:.1%}", f"{told.coverage:.1%}", told.harmful,
        )
        for told in all_told
    ]  # fmt: skip
    return "".join([row(*heads), row(*["---"] * len(heads)), *rows])
