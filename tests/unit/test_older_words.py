"""Words of earlier releases: accepted until v0.3, with a note; rows are translated when read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from runner.config import load
from runner.errors import ConfigError
from runner.incident import Level, Purpose, State
from runner.policy.ceilings import level_of
from runner.store import audit_log, runs
from runner.store.learning import brief_from_json
from tests import small_project as small
from tests.command_line import call


def written(tmp_path: Path, **content: object) -> Path:
    path = tmp_path / "runner.yml"
    path.write_text(json.dumps(content))
    return path


def test_an_older_level_is_accepted_wherever_a_level_is_read() -> None:
    assert Level("rehearse") is Level.DRY_RUN is level_of("rehearse")
    assert TypeAdapter(Level).validate_python("rehearse") is Level.DRY_RUN  # ?level= and the API
    assert (State("rehearsed"), Purpose("rehearsal")) == (State.PLANNED, Purpose.DRY_RUN)
    assert str(Level.DRY_RUN) == "dry-run" and str(State.DRY_RUN) == "dry_run"


def test_older_names_in_runner_yml_work_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rung = {"count": 7, "bound": 0.3}
    config = load(written(tmp_path, level="rehearse", autonomy={"rehearse": rung}))
    assert config.level is Level.DRY_RUN and config.autonomy.dry_run.count == 7
    notes = [record.getMessage() for record in caplog.records]
    assert any("autonomy.rehearse is now autonomy.dry_run" in note for note in notes)
    assert any("level rehearse is now dry-run" in note for note in notes)
    with pytest.raises(ConfigError, match="keep only dry_run"):
        load(written(tmp_path, autonomy={"rehearse": rung, "dry_run": rung}))


def test_today_is_loaded_without_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(written(tmp_path, level="dry-run"))
    assert not caplog.records


def test_the_environment_may_say_it_in_the_older_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNNER_LEVEL", "rehearse")
    assert load(written(tmp_path)).level is Level.DRY_RUN
    assert "level rehearse is now dry-run" in caplog.text


def test_the_command_line_and_check_accept_it_with_a_note(tmp_path: Path) -> None:
    path = small.make(tmp_path, entry={"rehearsal": "none"})
    entry = tmp_path / "playbooks/mark/entry.yml"
    own = json.loads(entry.read_text())
    entry.write_text(json.dumps({key: v for key, v in own.items() if key != "dry_run"}, indent=1))
    result = call(path, "--level", "rehearse", "catalog", "list")
    assert result.exit_code == 0 and "is now `dry-run`" in result.stderr
    assert "the old names work until v0.3: mark" in call(path, "check").stdout


def test_a_row_of_an_earlier_release_is_read_in_todays_words_and_kept_as_it_is(
    tmp_path: Path,
) -> None:
    project = small.project(small.make(tmp_path))
    with project.database.write() as tx:
        audit_log.append(tx, incident=None, action="rehearsed", previous="judged", reason="r")
        (raw,) = audit_log.after(tx, 0)
        assert raw.action == "rehearsed" and audit_log.verify(tx).broken is None
        assert raw.in_todays_words().action == "planned"
        assert runs.find(tx, 1, Purpose.DRY_RUN, 1) is None
    project.close()
    brief = {"title": "t", "description": "d", "risk": "low", "rehearsal": "none", "approvers": []}
    record = {"fixed": 0, "not_fixed": 0, "unknown": 0, "last": [], "uplift": None}
    found = brief_from_json({**brief, "record": record})
    assert found is not None and found.dry_run == "none"
