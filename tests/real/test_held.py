"""Held back, waiting and left behind, with the real engine and real Ansible on local hosts."""

from __future__ import annotations

import json
import shutil
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.daemon import Daemon
from runner.incident import State
from runner.project import Project
from runner.store import incidents, runs
from runner.store import tables as t
from tests import small_project as small
from tests.acceptance.test_crash import work
from tests.real.test_remediate import Start, start

__all__ = ["start"]  # a fixture

pytestmark = pytest.mark.real

#: Alerts on one host that have nothing to do with one another, so that none joins another.
APART = {"correlation": {"same_host": False, "topology": "runner_nothing"}}


def held(one: Any) -> bool:
    return one.state is State.HELD


def over(project: Project, incident: int) -> None:
    """The hour is over: every run lies further back, and what is held is looked at now."""
    with project.database.write() as tx:
        back = datetime.now(UTC) - timedelta(hours=2)
        tx.execute(t.runs.update().values(started_at=back))
        now = {"held_until": datetime.now(UTC)}
        tx.execute(t.incidents.update().where(t.incidents.c.id == incident).values(now))


def test_three_alerts_of_one_delivery_make_one_run_an_hour(start: Start, tmp_path: Path) -> None:
    """Invariants 17 and 22: all are judged before the first runs; the others look again."""
    limits = {"cooldown": "30m", "max_runs": "1/1h", "timeout": "60s"}
    project = start(settings=APART, entry={"limits": limits, "dry_run": "none"})
    small.deliver(project, *(small.alert(host=host) for host in ("web1", "web2", "db1")))
    rests = lambda one: held(one) or one.state.ended  # noqa: E731
    found = [small.wait(project, number, until=rests) for number in (1, 2, 3)]
    states = sorted(str(each.incident.state) for each in found)
    assert states == ["fixed", "held", "held"]
    hosts = ("web1", "web2", "db1")
    assert sum(small.runs(tmp_path, host) for host in hosts) == 1
    waits = [each.incident for each in found if held(each.incident)]
    assert all("the limit is 1" in each.reason for each in waits)
    over(project, waits[0].id)
    assert small.wait(project, waits[0].id).incident.state is State.FIXED
    assert sum(small.runs(tmp_path, host) for host in hosts) == 2
    small.wait(project, waits[1].id, until=held)


def test_what_cools_down_goes_on_by_itself_with_a_new_dry_run(start: Start, tmp_path: Path) -> None:
    """Invariant 22: from its judgement on; nobody had to send the alert again."""
    entry = {"limits": {"cooldown": "12s", "timeout": "60s"}}
    project = start(settings=APART, entry=entry)
    small.deliver(project, small.alert(n="1"))
    assert small.wait(project).incident.state is State.FIXED
    small.deliver(project, small.alert(n="2"))
    kept = small.wait(project, 2, until=lambda one: held(one) or one.state.ended)
    assert "needs 12s between runs" in kept.incident.reason
    found = small.wait(project, 2)
    assert found.incident.state is State.FIXED, found.incident.reason
    actions = [row.action for row in found.transitions]
    assert actions[actions.index("held") :] == [
        "held", "judged", "planned", "approved", "running", "verifying", "fixed",
    ]  # fmt: skip
    assert small.runs(tmp_path) == 2


def test_who_waits_for_a_host_says_for_whom_and_goes_on(start: Start, tmp_path: Path) -> None:
    """Invariant 22, case K2: whoever looks sees what it waits for, and since when."""
    project = start(settings=APART, extra="sleep 4", entry={"dry_run": "none"})
    small.deliver(project, small.alert(n="1"))
    small.wait(project, until=lambda one: one.state is State.RUNNING)
    small.deliver(project, small.alert(n="2"))
    waits = small.wait(project, 2, until=lambda one: "waits for" in one.reason or one.state.ended)
    assert waits.incident.state is State.APPROVED
    (run,) = small.look(project, 1).runs
    assert waits.incident.reason.startswith(
        f"waits for web1, held by run {run.id[:8]} of incident 1 since "
    )
    found = small.wait(project, 2)
    assert found.incident.state is State.FIXED
    assert [row.action for row in found.transitions].count("waits") == 1


def test_a_host_is_free_when_the_entry_of_a_killed_dry_run_is_gone(tmp_path: Path) -> None:
    """Invariant 22, case K1: the dry run goes on without us, its entry is removed, the next
    entry wants the host."""
    config = small.make(tmp_path, settings=APART)
    tasks = tmp_path / "roles/mark/tasks/main.yml"
    quick = tasks.read_text()
    tasks.write_text(
        "- ansible.builtin.command: sleep 120\n  check_mode: false\n  changed_when: false\n" + quick
    )
    (tmp_path / "alert.json").write_text(json.dumps(small.alert()))
    assert work(config, "dry_run:midway").returncode == -signal.SIGKILL
    tasks.write_text(quick)
    (tmp_path / "playbooks/mark").rename(tmp_path / "playbooks/stays")

    project = small.project(config)
    daemon = Daemon(project)
    begun = time.monotonic()
    daemon.start()
    try:
        gone = small.wait(project)
        assert gone.incident.state is State.ESCALATED
        assert "no entry 'mark'" in gone.incident.reason
        small.deliver(project, small.alert(n="2"))
        found = small.wait(project, 2)
        assert found.incident.state is State.FIXED, found.incident.reason
        assert time.monotonic() - begun < 100, "it did not wait for the end of the sleep"
        assert small.look(project).runs[0].outcome is not None
        with project.database.read() as tx:
            assert runs.busy_hosts(tx) == frozenset()
            assert incidents.get(tx, 1).state is State.ESCALATED
    finally:
        daemon.stop()
        project.close()
        shutil.rmtree(tmp_path / "var", ignore_errors=True)
