"""Work that an earlier release left in its store is finished by this one (tests/kept)."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import acts, engine
from runner.daemon import Daemon
from runner.incident import Outcome, State
from runner.project import Project
from runner.store import audit_log
from tests import real_postgres
from tests import small_project as small
from tests.real.test_held import over

pytestmark = pytest.mark.real

RELEASES = sorted(path for path in (Path(__file__).parents[1] / "kept").iterdir() if path.is_dir())
#: Where the kept projects were: what people were shown names it.
PLACE = Path("/tmp/runner-kept")


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def project(kind: str, request: pytest.FixtureRequest) -> Iterator[Project]:
    """The kept project where it was, with its store brought to the newest schema."""
    release: Path = request.param
    root = PLACE / kind
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(release / "project", root)
    shutil.copytree(release / kind, root, dirs_exist_ok=True)
    # The alerts of a dump grow old, and that is not what is tested.
    settings = json.loads((root / "runner.yml").read_text())
    settings.setdefault("policy", {})["max_alert_age"] = "36500d"
    dump = release / f"{kind}.sql"
    if kind == "sqlite":
        with sqlite3.connect(root / "var/runner.db") as store:
            store.executescript(dump.read_text())
    else:
        server: real_postgres.Server = request.getfixturevalue("postgres")
        settings["store"] = {"url": server.restored(dump)}
    (root / "runner.yml").write_text(json.dumps(settings))
    project = small.project(root / "runner.yml")
    engine.migrate(project.database)
    yield project
    project.close()
    shutil.rmtree(root)


def test_what_an_earlier_release_began_is_finished(project: Project) -> None:
    states = {number: small.look(project, number).incident.state for number in (1, 2, 3, 4)}
    assert states == {1: State.FIXED, 2: State.HELD, 3: State.WAITING, 4: State.RUNNING}
    actions = [row.action for row in small.look(project, 3).transitions]
    assert "planned" in actions and "rehearsed" not in actions, "older words are translated"
    with project.database.read() as tx:
        assert audit_log.verify(tx).broken is None, "and the rows are as they were hashed"
    over(project, incident=2)
    daemon = Daemon(project)
    daemon.start()
    try:
        live = small.wait(project, 4)
        (lost,) = live.runs
        assert lost.outcome is Outcome.UNKNOWN
        assert live.incident.state is State.ESCALATED, "its check asks for what it never reported"
        assert "did not report marked" in live.incident.reason
        held = small.wait(project, 2)
        assert held.incident.state is State.FIXED, held.incident.reason
        (question,) = small.look(project, 3).approvals
        acts.answer(project, question.id, answer="approved", by="user:eve")
        asked = small.wait(project, 3)
        assert asked.incident.state is State.FIXED, asked.incident.reason
    finally:
        daemon.stop()
